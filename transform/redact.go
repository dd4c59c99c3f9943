package transform

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"hydrant/config"
	"hydrant/internal/bodies/strictjson"
	"hydrant/record"
)

const codeRedact = "Redact.InvalidRecord"

// redact hides values of fields, and what detectors find in the record's strings, keys and numbers, or in all of a record that is no JSON. What
// it does not hide stays byte for byte.
type redact struct {
	fields bool
	w      splice
	find   detectors
	any    bool // detectors
	action string
	mask   []byte // in a text
	quoted []byte // as JSON
	mac    hash.Hash
	scan   scanner
	text   []byte // scratch
	hidden []byte // scratch
}

func newRedact(c *config.Redact) (processor, error) {
	s := &redact{fields: len(c.Fields) > 0, find: newDetectors(c.Detect), any: len(c.Detect) > 0, action: c.Action, mask: []byte(c.Mask), quoted: quoted(c.Mask)}
	if c.Action == config.RedactHash {
		key, err := c.Key.Reveal()
		if err != nil {
			return nil, err
		}
		s.mac = hmac.New(sha256.New, []byte(key))
	}
	for _, f := range c.Fields {
		path, err := config.FieldPath(f)
		if err != nil {
			return nil, err
		}
		e := s.w.root.at(path)
		if e.drop = c.Action == config.RedactDrop; !e.drop {
			e.change = s.hideValue
		}
	}
	return s, nil
}

func (s *redact) process(p part, out *output) {
	isJSON := true
	if s.fields {
		from := len(out.room.buf)
		b, why := s.w.rewrite(out.room.buf, p.data)
		switch {
		case why == "":
			out.room.buf = b
			p.data = out.room.since(from)
		case !s.any: // nobody knows where its fields are
			out.fail(p, failed(record.ProcessingFailed, codeRedact, "redact: %s", why))
			return
		default:
			isJSON = false
		}
	}
	if s.any {
		from := len(out.room.buf)
		if isJSON && s.isJSON(p.data) {
			out.room.buf = s.hideJSON(out.room.buf, p.data)
		} else {
			out.room.buf = s.hideText(out.room.buf, p.data)
		}
		p.data = out.room.since(from)
	}
	out.add(p)
}

func (s *redact) isJSON(data []byte) bool {
	s.scan.b = data
	end := s.scan.value(s.scan.space(0), 0, nil)
	return end >= 0 && s.scan.space(end) == len(data)
}

// hideValue puts something else in the place of a field's value.
func (s *redact) hideValue(dst, value []byte) []byte {
	if s.action != config.RedactHash {
		return append(dst, s.quoted...)
	}
	if value[0] == '"' {
		s.text = unquote(s.text[:0], value[1:len(value)-1])
		value = s.text
	}
	return append(append(append(dst, '"'), s.digest(value)...), '"')
}

// digest is 32 hexadecimal digits.
func (s *redact) digest(b []byte) []byte {
	s.mac.Reset()
	_, _ = s.mac.Write(b)
	s.hidden = hex.AppendEncode(s.hidden[:0], s.mac.Sum(nil)[:16])
	return s.hidden
}

// hideText copies a text and hides what is found in it.
func (s *redact) hideText(dst, text []byte) []byte {
	from := 0
	for {
		start, end, ok := s.find.next(text, from)
		if !ok {
			return append(dst, text[from:]...)
		}
		dst = append(dst, text[from:start]...)
		switch s.action {
		case config.RedactMask:
			dst = append(dst, s.mask...)
		case config.RedactHash:
			dst = append(dst, s.digest(text[start:end])...)
		}
		from = end
	}
}

// hideJSON copies a record that is well-formed JSON: its strings and numbers are looked at one by one.
func (s *redact) hideJSON(dst, b []byte) []byte {
	s.scan.b = b
	defer func() { s.scan.b = nil }()
	for i := 0; i < len(b); {
		n := bytes.IndexAny(b[i:], `"0123456789`)
		if n < 0 {
			return append(dst, b[i:]...)
		}
		if n > 0 && b[i+n] != '"' && b[i+n-1] == '-' {
			n-- // a sign
		}
		dst = append(dst, b[i:i+n]...)
		i += n
		if b[i] == '"' {
			end, odd := s.scan.str(i + 1)
			dst = s.hideString(dst, b[i:end], odd)
			i = end
			continue
		}
		end := s.scan.number(i)
		dst = s.hideNumber(dst, b[i:end])
		i = end
	}
	return dst
}

// hideString: what has escapes is looked at as it reads, and written anew where something was found.
func (s *redact) hideString(dst, literal []byte, odd bool) []byte {
	inner := literal[1 : len(literal)-1]
	if odd && bytes.IndexByte(inner, '\\') >= 0 {
		s.text = strictjson.Unquote(s.text[:0], inner)
		if _, _, ok := s.find.next(s.text, 0); !ok {
			return append(dst, literal...)
		}
		return append(dst, quoted(string(s.hideText(nil, s.text)))...)
	}
	if _, _, ok := s.find.next(inner, 0); !ok {
		return append(dst, literal...)
	}
	return append(dst, quoted(string(s.hideText(nil, inner)))...)
}

// hideNumber: a card number may stand as a number.
func (s *redact) hideNumber(dst, number []byte) []byte {
	if _, _, ok := s.find.next(number, 0); !ok || len(number) < 13 {
		return append(dst, number...)
	}
	return append(dst, quoted(string(s.hideText(nil, number)))...)
}
