// Package strictjson walks JSON text without building values: it finds where a value ends and says
// whether it is well formed by RFC 8259, with a limit on depth. It allocates only for errors and for
// unescaping. It does not check that strings are valid UTF-8; callers that need that check it themselves.
package strictjson

import (
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how many arrays and objects may stand inside each other, the outermost counted.
const MaxDepth = 100

// ErrDepth is the cause when a value is nested deeper than MaxDepth.
var ErrDepth = errors.New("nested too deeply")

var (
	errEnd     = errors.New("unexpected end")
	errByte    = errors.New("unexpected character")
	errEscape  = errors.New("bad escape in string")
	errControl = errors.New("control character in string")
)

// Error says where JSON text is malformed and why.
type Error struct {
	Offset int // bytes from the start of the text
	Err    error
}

func (e *Error) Error() string { return fmt.Sprintf("invalid JSON at byte %d: %v", e.Offset, e.Err) }

// Unwrap gives the cause, such as ErrDepth.
func (e *Error) Unwrap() error { return e.Err }

// Unexpected is the error for a byte (or an end) at i where the grammar wants something else.
func Unexpected(b []byte, i int) error {
	if i >= len(b) {
		return &Error{i, errEnd}
	}
	return &Error{i, errByte}
}

// Space returns the index of the first byte at or after i that is no JSON white space.
func Space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t') {
		i++
	}
	return i
}

// Byte expects c at the first byte at or after i that is no white space, and returns the index behind it.
func Byte(b []byte, i int, c byte) (int, error) {
	i = Space(b, i)
	if i >= len(b) || b[i] != c {
		return i, Unexpected(b, i)
	}
	return i + 1, nil
}

// End expects nothing but white space from i on.
func End(b []byte, i int) error {
	if i = Space(b, i); i != len(b) {
		return Unexpected(b, i)
	}
	return nil
}

// String checks the string that starts at b[i] and returns the index behind its closing quote
// and whether it holds escapes.
func String(b []byte, i int) (end int, escaped bool, err error) {
	if i >= len(b) || b[i] != '"' {
		return i, false, Unexpected(b, i)
	}
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1, escaped, nil
		case c == '\\':
			escaped = true
			n := escapeLen(b[i:])
			if n == 0 {
				return i, escaped, &Error{i, errEscape}
			}
			i += n - 1
		case c < 0x20:
			return i, escaped, &Error{i, errControl}
		}
	}
	return i, escaped, &Error{i, errEnd}
}

// escapeLen is the length of the escape that s starts with, 0 when it is none.
func escapeLen(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if hex4(s[2:]) >= 0 {
			return 6
		}
	}
	return 0
}

// hex4 reads four hexadecimal digits, -1 when s does not start with them.
func hex4(s []byte) rune {
	if len(s) < 4 {
		return -1
	}
	var r rune
	for _, c := range s[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// Unquote appends to dst the value of a string that String accepted; s is what stands between its quotes.
// A lone surrogate becomes U+FFFD.
func Unquote(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			dst = append(dst, s[i])
			i++
			continue
		}
		switch c := s[i+1]; c {
		case 'u':
			r, n := unquoteRune(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
			continue
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		default:
			dst = append(dst, c)
		}
		i += 2
	}
	return dst
}

func unquoteRune(s []byte) (r rune, n int) {
	r = hex4(s[2:])
	if !utf16.IsSurrogate(r) {
		return r, 6
	}
	if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(s[8:])); pair != utf8.RuneError {
			return pair, 12
		}
	}
	return utf8.RuneError, 6
}
