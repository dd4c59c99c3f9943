package transform

import (
	"strings"
	"unicode/utf8"
	"unsafe"

	"hydrant/internal/bodies/strictjson"
)

// unquote appends the value of a string to dst; s is what stands between its quotes. Each byte that is no
// valid UTF-8 becomes U+FFFD, as jq has it.
func unquote(dst, s []byte) []byte {
	from := len(dst)
	dst = strictjson.Unquote(dst, s)
	if utf8.Valid(dst[from:]) {
		return dst
	}
	broken := string(dst[from:])
	dst = dst[:from]
	for _, r := range broken {
		dst = utf8.AppendRune(dst, r)
	}
	return dst
}

// alias views bytes as a string, which must not outlive a change of the bytes.
func alias(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// clip shortens what a message quotes.
func clip(s string, limit int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
