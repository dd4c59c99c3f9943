package prefix

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// The namespaces of partition expressions.
const (
	FromQuery  = "partitionKeyFromQuery"  // Name is a key of the partition processor
	FromLambda = "partitionKeyFromLambda" // Name is a key that a hook gives back
	EventTime  = "eventTime"              // Name is a pattern, for the time that a record carries
)

// MaxKeys is how many different partition expressions a prefix may have.
const MaxKeys = 50

// Key is a partition expression of a template: what decides an object beside its role and batch.
type Key struct{ Namespace, Name string }

// String is the expression as it is written.
func (k Key) String() string { return fmt.Sprintf("!{%s:%s}", k.Namespace, k.Name) }

// Keys are the different partition expressions, in the order of their first appearance.
func (t *Template) Keys() []Key { return slices.Clone(t.keys) }

// MaxValueBytes is how long an escaped partition value may be: a record whose value is longer cannot be
// delivered to its partition. AppendEscaped does not check it.
const MaxValueBytes = 512

// AppendEscaped appends a partition value so that it is part of one folder's name and never more: what Hive
// escapes in paths becomes %XX (control characters, " # % ' * / : = ? \ { [ ] ^), which Hive, Spark, Trino, DuckDB and
// pyarrow turn back. So do, beyond Hive:
//   - every dot of a value that has nothing but dots. Whatever stands beside it then, the folder's name
//     is "." or ".." only if the prefix's own text says so;
//   - spaces at the beginning and the end, which some stores and tools cut off;
//   - the characters U+FFFE and U+FFFF, which a listing in XML cannot hold.
//
// Bytes that are no UTF-8 become U+FFFD: escaped they would make whole folders unreadable to DuckDB and pyarrow. All other
// values stay different, and an escaped value holds no slash.
func AppendEscaped(dst []byte, value string) []byte {
	onlyDots := true
	for i := 0; i < len(value) && onlyDots; i++ {
		onlyDots = value[i] == '.'
	}
	for i := 0; i < len(value); {
		c, size := value[i], 1
		escape := false
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			r, size = utf8.DecodeRuneInString(value[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, "\ufffd"...)
				i++
				continue
			}
			escape = r == 0xFFFE || r == 0xFFFF
		case c == ' ':
			escape = i == 0 || i == len(value)-1
		case c == '.':
			escape = onlyDots
		default:
			escape = unsafeInPath(c)
		}
		if !escape {
			dst = append(dst, value[i:i+size]...)
		} else {
			for _, b := range []byte(value[i : i+size]) {
				dst = append(dst, '%', hexDigits[b>>4], hexDigits[b&15])
			}
		}
		i += size
	}
	return dst
}

const hexDigits = "0123456789ABCDEF"

// unsafeInPath says whether Hive escapes an ASCII character; NUL is ours.
func unsafeInPath(c byte) bool {
	switch c {
	case '"', '#', '%', '\'', '*', '/', ':', '=', '?', '\\', 0x7f, '{', '[', ']', '^':
		return true
	}
	return c < ' '
}

// appendUnescaped undoes AppendEscaped. What is no escape is kept as it is.
func appendUnescaped(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			hi, lo := hexValue(s[i+1]), hexValue(s[i+2])
			if hi >= 0 && lo >= 0 {
				dst = append(dst, byte(hi<<4|lo))
				i += 2
				continue
			}
		}
		dst = append(dst, s[i])
	}
	return dst
}

func hexValue(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
