package opensearch

import "bytes"

// maxDepth of values within values that a scanner follows. Clusters take no documents that are deeper.
const maxDepth = 1000

// scanner walks JSON text without allocating. It finds where values begin and end and does not check more than that takes; text that
// is no JSON either fails or is walked to some end, never beyond it.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\r', '\n':
			s.i++
		default:
			return
		}
	}
}

// take steps over white space, and over c if that is next.
func (s *scanner) take(c byte) bool {
	s.space()
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

// text steps over a string and returns what stands between its quotes, escapes as they are.
func (s *scanner) text() ([]byte, bool) {
	if !s.take('"') {
		return nil, false
	}
	from := s.i
	for {
		n := bytes.IndexByte(s.b[s.i:], '"')
		if n < 0 {
			return nil, false
		}
		s.i += n + 1
		end := s.i - 1
		slashes := 0
		for end-slashes > from && s.b[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return s.b[from:end], true
		}
	}
}

// key steps over a member's name and its colon.
func (s *scanner) key() ([]byte, bool) {
	k, ok := s.text()
	return k, ok && s.take(':')
}

// value steps over a value of any kind and returns its text.
func (s *scanner) value(depth int) ([]byte, bool) {
	s.space()
	from := s.i
	if s.i == len(s.b) || depth > maxDepth {
		return nil, false
	}
	ok := false
	switch s.b[s.i] {
	case '"':
		_, ok = s.text()
	case '{':
		ok = s.skip('{', '}', depth)
	case '[':
		ok = s.skip('[', ']', depth)
	default:
		for s.i < len(s.b) && bare(s.b[s.i]) {
			s.i++
		}
		ok = s.i > from
	}
	return s.b[from:s.i], ok
}

// bare: characters of numbers, true, false and null.
func bare(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '.' || c == '-' || c == '+' || c == 'E'
}

// next steps into an object or a list before its first member, and to the next one afterwards. more is false at its end, which is
// stepped over, too.
func (s *scanner) next(open, end byte, first bool) (more, ok bool) {
	if first && !s.take(open) {
		return false, false
	}
	if s.take(end) {
		return false, true
	}
	return true, first || s.take(',')
}

// skip steps over an object or a list.
func (s *scanner) skip(open, end byte, depth int) bool {
	for first := true; ; first = false {
		more, ok := s.next(open, end, first)
		if !ok || !more {
			return ok
		}
		if open == '{' {
			if _, ok := s.key(); !ok {
				return false
			}
		}
		if _, ok := s.value(depth + 1); !ok {
			return false
		}
	}
}
