package transform

import (
	"net/netip"
	"strings"

	"hydrant/config"
)

// detectors find personal data in a text. Each looks at a bounded stretch around what may begin or end one, so that the time is linear in the text.
type detectors struct{ email, card, ipv4, ipv6, phone bool }

func newDetectors(names []string) (d detectors) {
	for _, n := range names {
		switch n {
		case config.DetectEmail:
			d.email = true
		case config.DetectCard:
			d.card = true
		case config.DetectIPv4:
			d.ipv4 = true
		case config.DetectIPv6:
			d.ipv6 = true
		case config.DetectPhone:
			d.phone = true
		}
	}
	return d
}

// Bounds of what is looked at.
const (
	maxLocal  = 64  // bytes of an address in front of the @
	maxDomain = 255 // and behind it
	maxDigits = 19
	maxIPv6   = 64 // bytes, with a zone
)

// Classes of bytes.
const (
	isDigit = 1 << iota
	isAlpha
	isHexa
	isLocal  // in an address in front of the @
	isDomain // behind it
	triggers // where something may begin or be recognised
)

var classes = func() (c [256]byte) {
	for b := range c {
		switch {
		case b >= '0' && b <= '9':
			c[b] = isDigit | isHexa | isLocal | isDomain | triggers
		case b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z':
			c[b] = isAlpha | isLocal | isDomain
			if strings.ContainsRune("abcdefABCDEF", rune(b)) {
				c[b] |= isHexa | triggers
			}
		case b >= 0x80:
			c[b] = isLocal | isDomain
		}
	}
	for _, b := range []byte("._%+-'") {
		c[b] |= isLocal
	}
	c['.'] |= isDomain
	c['-'] |= isDomain
	for _, b := range []byte("@:+") {
		c[b] |= triggers
	}
	return c
}()

func is(b byte, class byte) bool { return classes[b]&class != 0 }

// next finds the first thing that begins at or behind from; ok is false when there is none.
func (d *detectors) next(b []byte, from int) (start, end int, ok bool) {
	for i := from; i < len(b); i++ {
		if !is(b[i], triggers) {
			continue
		}
		if b[i] == '@' {
			if start, end := d.emailAt(b, i, from); end > 0 {
				return start, end, true
			}
			continue
		}
		if i > from && (is(b[i-1], isDigit|isAlpha) || b[i-1] == '_') || i == from && i > 0 && is(b[i-1], isDigit|isAlpha) {
			if b[i] != ':' && b[i] != '+' {
				continue // within a word
			}
		}
		if end := d.at(b, i); end > 0 && !d.isLocalPart(b, end) {
			return i, end, true
		}
	}
	return 0, 0, false
}

// isLocalPart says whether what ends there goes on to an @: it is the address that is looked for.
func (d *detectors) isLocalPart(b []byte, end int) bool {
	if !d.email {
		return false
	}
	for i := end; i < len(b) && i < end+maxLocal; i++ {
		if b[i] == '@' {
			s, e := d.emailAt(b, i, 0)
			return e > 0 && s < end
		}
		if !is(b[i], isLocal) {
			return false
		}
	}
	return false
}

// at gives the end of what begins at i, 0 for nothing.
func (d *detectors) at(b []byte, i int) int {
	if d.ipv6 && (is(b[i], isHexa) || b[i] == ':') {
		if end := ipv6At(b, i); end > 0 {
			return end
		}
	}
	if d.ipv4 && is(b[i], isDigit) {
		if end := ipv4At(b, i); end > 0 {
			return end
		}
	}
	if d.card && is(b[i], isDigit) {
		if end := cardAt(b, i); end > 0 {
			return end
		}
	}
	if d.phone && b[i] == '+' {
		return phoneAt(b, i)
	}
	return 0
}

func (d *detectors) emailAt(b []byte, at, from int) (start, end int) {
	if !d.email {
		return 0, 0
	}
	start = at
	for start > from && at-start < maxLocal && is(b[start-1], isLocal) {
		start--
	}
	for start < at && strings.IndexByte(".-'%+", b[start]) >= 0 {
		start++
	}
	end = at + 1
	for end < len(b) && end-at <= maxDomain && is(b[end], isDomain) {
		end++
	}
	for end > at+1 && (b[end-1] == '.' || b[end-1] == '-') {
		end--
	}
	domain := b[at+1 : end]
	dot := strings.LastIndexByte(alias(domain), '.')
	if start == at || dot <= 0 || len(domain)-dot < 3 {
		return 0, 0
	}
	for _, c := range domain[dot+1:] {
		if !is(c, isAlpha) && c < 0x80 && c != '-' && !is(c, isDigit) {
			return 0, 0
		}
	}
	if is(domain[dot+1], isDigit) { // user@1.2.3.4 is no address of a person
		return 0, 0
	}
	return start, end
}

func ipv4At(b []byte, i int) int {
	if i > 0 && b[i-1] == '.' {
		return 0
	}
	for part := range 4 {
		n, from := 0, i
		for i < len(b) && is(b[i], isDigit) && i-from < 4 {
			n, i = n*10+int(b[i]-'0'), i+1
		}
		if i == from || n > 255 || i-from > 3 || part < 3 && (i >= len(b) || b[i] != '.') {
			return 0
		}
		if part < 3 {
			i++
		}
	}
	if i < len(b) && (is(b[i], isDigit|isAlpha) || b[i] == '.' && i+1 < len(b) && is(b[i+1], isDigit)) {
		return 0
	}
	return i
}

func ipv6At(b []byte, i int) int {
	if i > 0 && (b[i-1] == ':' || b[i-1] == '.') {
		return 0
	}
	end, colons := i, 0
	for end < len(b) && end-i < maxIPv6 && (is(b[end], isHexa) || b[end] == ':' || b[end] == '.') {
		if b[end] == ':' {
			colons++
		}
		end++
	}
	if colons < 2 {
		return 0
	}
	if end < len(b) && is(b[end], isAlpha|isDigit) {
		return 0
	}
	for end > i && (b[end-1] == '.' || b[end-1] == ':' && (end < i+2 || b[end-2] != ':')) {
		end--
	}
	a, err := netip.ParseAddr(alias(b[i:end]))
	if err != nil || !a.Is6() || end-i <= 2 {
		return 0
	}
	if end < len(b) && b[end] == '%' { // a zone
		for end++; end < len(b) && end-i < maxIPv6 && is(b[end], isAlpha|isDigit); end++ {
		}
	}
	return end
}

// cardAt: 13 to 19 digits with a right check digit, whose beginning an issuer has.
func cardAt(b []byte, i int) int {
	if i > 0 && (is(b[i-1], isDigit) || (b[i-1] == '.' || b[i-1] == '-') && i > 1 && is(b[i-2], isDigit)) {
		return 0
	}
	var digits [maxDigits]byte
	n, end, j := 0, 0, i
	for j < len(b) {
		if is(b[j], isDigit) {
			if n == maxDigits {
				return 0
			}
			digits[n] = b[j] - '0'
			n, j = n+1, j+1
			end = j
			continue
		}
		if (b[j] != ' ' && b[j] != '-') || j+1 >= len(b) || !is(b[j+1], isDigit) {
			break
		}
		j++
	}
	if n < 13 || digits[0] < 2 || digits[0] > 6 || end < len(b) && is(b[end], isAlpha) || !luhn(digits[:n]) {
		return 0
	}
	return end
}

func luhn(digits []byte) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i])
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// phoneAt: a number in international form, + and 8 to 15 digits, with the usual separators.
func phoneAt(b []byte, i int) int {
	if i > 0 && (is(b[i-1], isDigit|isAlpha) || b[i-1] == '+') || i+1 >= len(b) || b[i+1] < '1' || b[i+1] > '9' {
		return 0
	}
	n, end := 0, 0
	for j := i + 1; j < len(b) && j < i+30; j++ {
		switch {
		case is(b[j], isDigit):
			n, end = n+1, j+1
		case strings.IndexByte(" -./()", b[j]) < 0:
			j = len(b)
		case j+1 >= len(b) || !is(b[j+1], isDigit) && strings.IndexByte(" ()", b[j+1]) < 0:
			j = len(b)
		}
	}
	if n < 8 || n > 15 || end < len(b) && is(b[end], isAlpha) {
		return 0
	}
	return end
}
