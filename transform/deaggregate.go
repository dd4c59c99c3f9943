package transform

import (
	"bytes"
	"errors"
	"fmt"

	"hydrant/config"
	"hydrant/record"
)

func newDeaggregate(c config.Deaggregate) (processor, error) {
	switch c.Type {
	case "json":
		return &splitJSON{}, nil
	case "delimited":
		if c.Delimiter == "" {
			return nil, errors.New("deaggregate: delimited needs a delimiter")
		}
		return splitDelimited(c.Delimiter), nil
	}
	return nil, fmt.Errorf("deaggregate: %q is not supported; there are json and delimited", clip(c.Type, 40))
}

// splitJSON makes a record of each JSON object: of objects that stand one behind the other, with or without white
// space between them, and of those in an array. If anything else stands in the record it is set aside whole.
type splitJSON struct{ scan scanner }

func (s *splitJSON) process(p part, out *output) {
	before := len(out.list)
	if why := s.split(p, out); why != "" {
		out.cut(before)
		out.fail(p, failed(record.ProcessingFailed, codeDeaggregate, "%s", why))
	}
	s.scan.b = nil
}

func (s *splitJSON) split(p part, out *output) (why string) {
	c := &s.scan
	c.b = p.data
	i := c.space(0)
	if i == len(c.b) {
		return "the record is empty"
	}
	for i < len(c.b) && !out.over {
		if c.b[i] == '[' {
			i, why = s.array(p, i+1, out)
		} else {
			i, why = s.object(p, i, out)
		}
		if why != "" {
			return why
		}
		i = c.space(i)
	}
	return ""
}

func (s *splitJSON) object(p part, i int, out *output) (end int, why string) {
	c := &s.scan
	if i >= len(c.b) || c.b[i] != '{' {
		return i, fmt.Sprintf("there is no JSON object at byte %d", i)
	}
	if end = c.object(i+1, 1, nil); end < 0 {
		return i, c.problem()
	}
	p.data = c.b[i:end:end]
	p.raw = p.data
	out.add(p)
	return end, ""
}

// array reads from behind the bracket.
func (s *splitJSON) array(p part, i int, out *output) (end int, why string) {
	c := &s.scan
	i = c.space(i)
	if i < len(c.b) && c.b[i] == ']' {
		return i + 1, ""
	}
	for !out.over {
		if i, why = s.object(p, i, out); why != "" {
			return i, why
		}
		i = c.space(i)
		switch {
		case i < len(c.b) && c.b[i] == ']':
			return i + 1, ""
		case i < len(c.b) && c.b[i] == ',':
			i = c.space(i + 1)
		default:
			c.bad(i, whyByte)
			return i, c.problem()
		}
	}
	return i, ""
}

// splitDelimited makes a record of what stands between delimiters, without the newlines around it.
// Where nothing stands there is no record.
type splitDelimited string

func (s splitDelimited) process(p part, out *output) {
	for rest, more := p.data, true; more && !out.over; {
		var piece []byte
		piece, rest, more = cut(rest, string(s))
		if piece = trimNewlines(piece); len(piece) > 0 {
			p.data, p.raw = piece, piece
			out.add(p)
		}
	}
}

func cut(s []byte, delimiter string) (before, after []byte, found bool) {
	i := bytes.Index(s, []byte(delimiter))
	if i < 0 {
		return s, nil, false
	}
	return s[:i:i], s[i+len(delimiter):], true
}

// trimNewlines takes away \n and \r\n at both ends. A lone \r is data.
func trimNewlines(b []byte) []byte {
	for {
		switch {
		case bytes.HasPrefix(b, []byte("\n")):
			b = b[1:]
		case bytes.HasPrefix(b, []byte("\r\n")):
			b = b[2:]
		case bytes.HasSuffix(b, []byte("\r\n")):
			b = b[:len(b)-2]
		case bytes.HasSuffix(b, []byte("\n")):
			b = b[:len(b)-1]
		default:
			return b
		}
	}
}
