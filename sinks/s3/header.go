package s3

import (
	"fmt"
	"strconv"
	"strings"
)

// Metadata travels in HTTP headers, which carry visible ASCII safely and nothing else. toHeader writes every other byte as
// %XX. The percent signs of the identity's own escaping stay: they are followed by the code of a visible
// character, those made here never are.
func toHeader(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if visible(s[i]) {
			b.WriteByte(s[i])
		} else {
			fmt.Fprintf(&b, "%%%02X", s[i])
		}
	}
	return b.String()
}

func visible(c byte) bool { return c > ' ' && c < 0x7f }

// fromHeader undoes toHeader; what it did not write stays as it is.
func fromHeader(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+3 <= len(s) {
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err == nil && !visible(byte(n)) {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
			if err == nil { // one of the identity's own: it stays, and its digits are no start of another
				b.WriteString(s[i : i+3])
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
