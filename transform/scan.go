package transform

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"hydrant/internal/bodies/strictjson"
)

// scanner checks JSON text in one pass, without allocating, and notes where the values stand that were asked
// for. It accepts what RFC 8259 does, nested at most strictjson.MaxDepth deep; strings need not be valid UTF-8.
// Its methods return the index behind what they read, or -1 when the text is malformed.
type scanner struct {
	b     []byte
	found []found
	key   []byte // scratch for keys with escapes

	at  int    // where the text is malformed,
	why string // and how
}

// kind says what stands at a path.
type kind uint8

const (
	missing kind = iota // or null
	text
	number
	yes
	no
	container
	beneath // there is nothing at the path, for what stands above is neither an object nor null
)

// found is what stands at a path: bytes from start to end, of a string what is between its quotes.
type found struct {
	kind       kind
	odd        bool // a string with escapes, or perhaps with bytes beyond ASCII
	start, end int
}

const (
	whyEnd     = "unexpected end"
	whyByte    = "unexpected character"
	whyEscape  = "bad escape in a string"
	whyControl = "control character in a string"
	whyDepth   = "nested too deeply"
)

func (s *scanner) bad(i int, why string) int {
	if i >= len(s.b) && why == whyByte {
		why = whyEnd
	}
	s.at, s.why = min(i, len(s.b)), why
	return -1
}

// problem tells what made the last call return -1.
func (s *scanner) problem() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", s.at, s.why)
}

func (s *scanner) space(i int) int {
	for i < len(s.b) && s.b[i] <= ' ' && (s.b[i] == ' ' || s.b[i] == '\n' || s.b[i] == '\r' || s.b[i] == '\t') {
		i++
	}
	return i
}

// value reads the value that starts at i, in depth containers, and notes it for n, which may be nil.
func (s *scanner) value(i, depth int, n *node) int {
	if n != nil {
		return s.noted(i, depth, n)
	}
	if i >= len(s.b) {
		return s.bad(i, whyEnd)
	}
	switch s.b[i] {
	case '"':
		end, _ := s.str(i + 1)
		return end
	case '{':
		return s.object(i+1, depth+1, nil)
	case '[':
		return s.array(i+1, depth+1)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	default:
		return s.number(i)
	}
}

// noted reads a value that somebody asked for, or for something within it.
func (s *scanner) noted(i, depth int, n *node) int {
	clear(s.found[n.first:n.last]) // an earlier value under the same key does not count
	if i >= len(s.b) {
		return s.bad(i, whyEnd)
	}
	f := found{start: i}
	switch s.b[i] {
	case '{':
		f.kind, f.end = container, s.object(i+1, depth+1, n)
	case 'n':
		f.end = s.literal(i, "null")
	default:
		for k := n.first; k < n.last; k++ {
			s.found[k].kind = beneath
		}
		s.scalar(i, depth, &f)
	}
	if n.slot >= 0 {
		s.found[n.slot] = f
	}
	if f.kind == text && f.end >= 0 {
		return f.end + 1
	}
	return f.end
}

func (s *scanner) scalar(i, depth int, f *found) {
	switch s.b[i] {
	case '"':
		f.kind, f.start = text, i+1
		if f.end, f.odd = s.str(i + 1); f.end >= 0 {
			f.end--
		}
	case '[':
		f.kind, f.end = container, s.array(i+1, depth+1)
	case 't':
		f.kind, f.end = yes, s.literal(i, "true")
	case 'f':
		f.kind, f.end = no, s.literal(i, "false")
	default:
		f.kind, f.end = number, s.number(i)
	}
}

// object reads from behind the opening brace.
func (s *scanner) object(i, depth int, n *node) int {
	if depth > strictjson.MaxDepth {
		return s.bad(i-1, whyDepth)
	}
	i = s.space(i)
	if i < len(s.b) && s.b[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(s.b) || s.b[i] != '"' {
			return s.bad(i, whyByte)
		}
		start := i + 1
		end, odd := s.str(start)
		if end < 0 {
			return -1
		}
		i = end
		if i >= len(s.b) || s.b[i] != ':' {
			if i = s.space(i); i >= len(s.b) || s.b[i] != ':' {
				return s.bad(i, whyByte)
			}
		}
		i = s.space(i + 1)
		var child *node
		if n != nil {
			child = s.child(n, start, end-1, odd)
		}
		if i = s.value(i, depth, child); i < 0 {
			return -1
		}
		i = s.space(i)
		switch {
		case i < len(s.b) && s.b[i] == ',':
			i = s.space(i + 1)
		case i < len(s.b) && s.b[i] == '}':
			return i + 1
		default:
			return s.bad(i, whyByte)
		}
	}
}

func (s *scanner) child(n *node, start, end int, odd bool) *node {
	key := s.b[start:end]
	if odd {
		s.key = unquote(s.key[:0], key)
		key = s.key
	}
	return n.child(key)
}

// array reads from behind the opening bracket.
func (s *scanner) array(i, depth int) int {
	if depth > strictjson.MaxDepth {
		return s.bad(i-1, whyDepth)
	}
	i = s.space(i)
	if i < len(s.b) && s.b[i] == ']' {
		return i + 1
	}
	for {
		if i = s.value(i, depth, nil); i < 0 {
			return -1
		}
		i = s.space(i)
		switch {
		case i < len(s.b) && s.b[i] == ',':
			i = s.space(i + 1)
		case i < len(s.b) && s.b[i] == ']':
			return i + 1
		default:
			return s.bad(i, whyByte)
		}
	}
}

// str reads from behind the opening quote to behind the closing one. odd: what is between may need unquote.
func (s *scanner) str(i int) (end int, odd bool) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	b := s.b
	var seen uint64
	for {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			quote, slash := w^(ones*'"'), w^(ones*'\\')
			// The lowest bit that is set marks the first byte that is a quote, a backslash or a control character.
			stop := ((quote-ones)&^quote | (slash-ones)&^slash | (w-ones*0x20)&^w) & highs
			if stop != 0 {
				k := bits.TrailingZeros64(stop)
				seen |= w & (1<<k - 1)
				i += k >> 3
				break
			}
			seen |= w
			i += 8
		}
		for i < len(b) && b[i] != '"' && b[i] != '\\' && b[i] >= 0x20 {
			seen |= uint64(b[i])
			i++
			if i+8 <= len(b) {
				break
			}
		}
		switch {
		case i >= len(b):
			return s.bad(i, whyEnd), false
		case b[i] == '"':
			return i + 1, odd || seen&highs != 0
		case b[i] < 0x20:
			return s.bad(i, whyControl), false
		case b[i] == '\\':
			odd = true
			n := escape(b[i:])
			if n == 0 {
				return s.bad(i, whyEscape), false
			}
			i += n
		}
	}
}

// escape is the length of the escape that b starts with, 0 when it is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) >= 6 && isHex(b[2]) && isHex(b[3]) && isHex(b[4]) && isHex(b[5]) {
			return 6
		}
	}
	return 0
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func (s *scanner) literal(i int, word string) int {
	if len(s.b)-i < len(word) || string(s.b[i:i+len(word)]) != word {
		return s.bad(i, whyByte)
	}
	return i + len(word)
}

func (s *scanner) number(i int) int {
	b := s.b
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if i = s.digits(i); i < 0 {
		return -1
	}
	if i < len(b) && b[i] == '.' {
		if i = s.digits(i + 1); i < 0 {
			return -1
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		return s.digits(i)
	}
	return i
}

// digits reads one or more.
func (s *scanner) digits(i int) int {
	from := i
	for i < len(s.b) && s.b[i]-'0' < 10 {
		i++
	}
	if i == from {
		return s.bad(i, whyByte)
	}
	return i
}
