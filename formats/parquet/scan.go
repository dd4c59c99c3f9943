package parquet

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how many arrays and objects may stand inside each other, the outermost counted.
const maxDepth = 64

// broken is the index that scanning returns for text that is not JSON.
const broken = -1

func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// The bytes of a string that end a plain stretch are found eight at a time: in each of the three words below the lowest
// byte with its high bit set is a quote, a backslash or a control character; higher ones may be mistaken.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainEnd returns the index of the first quote, backslash or control character at or after i, or len(b).
func plainEnd(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		q, s := x^(ones*'"'), x^(ones*'\\')
		hit := ((q-ones)&^q | (s-ones)&^s | (x-ones*0x20)&^x) & highs
		if hit != 0 {
			return i + bits.TrailingZeros64(hit)>>3
		}
	}
	for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
		i++
	}
	return i
}

// scanString returns the index of the closing quote of the string whose opening one stands at i, and whether there are
// escapes; broken when it is none.
func scanString(b []byte, i int) (end int, escaped bool) {
	for i++; ; {
		i = plainEnd(b, i)
		if i >= len(b) || b[i] < 0x20 {
			return broken, false
		}
		if b[i] == '"' {
			return i, escaped
		}
		escaped = true
		n := escapeLen(b, i)
		if n == 0 {
			return broken, false
		}
		i += n
	}
}

// escapeLen is the length of the escape that begins at i, 0 when it is none.
func escapeLen(b []byte, i int) int {
	if i+1 >= len(b) {
		return 0
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if hex4(b, i+2) >= 0 {
			return 6
		}
	}
	return 0
}

// hex4 reads the four hexadecimal digits at i, -1 when there are none.
func hex4(b []byte, i int) rune {
	if i+4 > len(b) {
		return -1
	}
	r := rune(0)
	for _, c := range b[i : i+4] {
		d := hexDigit(c)
		if d < 0 {
			return -1
		}
		r = r<<4 | d
	}
	return r
}

func hexDigit(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c >= 'a' && c <= 'f':
		return rune(c - 'a' + 10)
	case c >= 'A' && c <= 'F':
		return rune(c - 'A' + 10)
	}
	return -1
}

// unescape appends the value of what stands between the quotes of a string that scanString accepted. Half a surrogate pair
// becomes U+FFFD.
func unescape(dst, s []byte) []byte {
	for len(s) > 0 {
		n := plainEnd(s, 0)
		dst = append(dst, s[:n]...)
		if s = s[n:]; len(s) == 0 {
			break
		}
		if s[1] == 'u' {
			r, size := escapedRune(s)
			dst, s = utf8.AppendRune(dst, r), s[size:]
			continue
		}
		dst, s = append(dst, escapedByte(s[1])), s[2:]
	}
	return dst
}

func escapedByte(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c
}

func escapedRune(s []byte) (r rune, size int) {
	r = hex4(s, 2)
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(s, 8)); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}

// scanNumber returns the index behind the number at i, and whether it has neither fraction nor exponent.
func scanNumber(b []byte, i int) (end int, integer bool) {
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	i = digits(b, i)
	if i == first || b[first] == '0' && i > first+1 {
		return broken, false
	}
	integer = true
	if i < len(b) && b[i] == '.' {
		integer = false
		first = i + 1
		if i = digits(b, first); i == first {
			return broken, false
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		integer = false
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		first = i
		if i = digits(b, first); i == first {
			return broken, false
		}
	}
	return i, integer
}

func digits(b []byte, i int) int {
	for i < len(b) && b[i]-'0' <= 9 {
		i++
	}
	return i
}

// scanWord returns the index behind the given word at i.
func scanWord(b []byte, i int, word string) int {
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return broken
	}
	return i + len(word)
}

// scanScalar returns the index behind the string, number or word at i.
func scanScalar(b []byte, i int) int {
	if i >= len(b) {
		return broken
	}
	switch b[i] {
	case '"':
		end, _ := scanString(b, i)
		if end == broken {
			return broken
		}
		return end + 1
	case 't':
		return scanWord(b, i, "true")
	case 'f':
		return scanWord(b, i, "false")
	case 'n':
		return scanWord(b, i, "null")
	}
	end, _ := scanNumber(b, i)
	return end
}

// skipper passes over one value of any kind. Its stack is of fixed size, so that hostile nesting costs nothing.
type skipper struct {
	stack [maxDepth]byte // the brackets that are open
	depth int
	deep  bool // it failed because of maxDepth
	found bool // it passed a scalar other than null
	at    int  // where it failed: the beginning of the scalar, key or bracket
}

// skip returns the index behind the value at i, which stands inside outer arrays and objects.
func (s *skipper) skip(b []byte, i, outer int) int {
	for {
		opened := false
		if i, opened = s.open(b, i, outer); i == broken {
			return broken
		}
		if opened {
			continue
		}
		more := false
		if i, more = s.shut(b, i); i == broken || !more {
			return i
		}
	}
}

// open passes a scalar, an empty array or object, or opens one and goes to its first value.
func (s *skipper) open(b []byte, i, outer int) (_ int, opened bool) {
	i = skipSpace(b, i)
	if s.at = i; i >= len(b) {
		return broken, false
	}
	c := b[i]
	if c != '{' && c != '[' {
		s.found = s.found || c != 'n'
		return scanScalar(b, i), false
	}
	if outer+s.depth >= maxDepth {
		s.deep = true
		return broken, false
	}
	i = skipSpace(b, i+1)
	if s.at = i; i < len(b) && b[i] == c+2 { // '{'+2 is '}', '['+2 is ']'
		return i + 1, false
	}
	s.stack[s.depth] = c
	s.depth++
	if c == '{' {
		i = scanKey(b, i)
	}
	return i, true
}

// shut passes closing brackets, and the comma if more is to come.
func (s *skipper) shut(b []byte, i int) (_ int, more bool) {
	for s.depth > 0 {
		i = skipSpace(b, i)
		if s.at = i; i >= len(b) {
			return broken, false
		}
		top := s.stack[s.depth-1]
		switch b[i] {
		case ',':
			i++
			if s.at = i; top == '{' {
				i = scanKey(b, i)
			}
			return i, true
		case top + 2:
			i++
			s.depth--
		default:
			return broken, false
		}
	}
	return i, false
}

// scanKey passes white space, a key and the colon.
func scanKey(b []byte, i int) int {
	if i = skipSpace(b, i); i >= len(b) || b[i] != '"' {
		return broken
	}
	if i, _ = scanString(b, i); i == broken {
		return broken
	}
	if i = skipSpace(b, i+1); i >= len(b) || b[i] != ':' {
		return broken
	}
	return i + 1
}
