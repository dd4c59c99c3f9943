package transform

import "encoding/json"

// decode makes what jq works on of a value that scanner accepted; it begins at i. The last of equal keys wins.
// Numbers stay as they are written.
func (s *scanner) decode(i int) (v any, end int) {
	switch s.b[i] {
	case '{':
		return s.decodeObject(s.space(i + 1))
	case '[':
		return s.decodeArray(s.space(i + 1))
	case '"':
		return s.decodeString(i)
	case 't':
		return true, i + len("true")
	case 'f':
		return false, i + len("false")
	case 'n':
		return nil, i + len("null")
	}
	end = s.number(i)
	return json.Number(s.b[i:end]), end
}

// valueAt makes it of what stands at a path.
func (s *scanner) valueAt(f found) any {
	switch f.kind {
	case missing:
		return nil
	case text:
		f.start-- // the quote
	}
	v, _ := s.decode(f.start)
	return v
}

func (s *scanner) decodeString(i int) (text string, end int) {
	end, odd := s.str(i + 1)
	if !odd {
		return string(s.b[i+1 : end-1]), end
	}
	return string(unquote(nil, s.b[i+1:end-1])), end
}

func (s *scanner) decodeObject(i int) (map[string]any, int) {
	m := make(map[string]any)
	for s.b[i] != '}' {
		if s.b[i] == ',' {
			i = s.space(i + 1)
		}
		var key string
		key, i = s.decodeString(i)
		i = s.space(s.space(i) + 1) // the colon
		m[key], i = s.decode(i)
		i = s.space(i)
	}
	return m, i + 1
}

func (s *scanner) decodeArray(i int) ([]any, int) {
	list := []any{}
	for s.b[i] != ']' {
		if s.b[i] == ',' {
			i = s.space(i + 1)
		}
		var v any
		v, i = s.decode(i)
		list = append(list, v)
		i = s.space(i)
	}
	return list, i + 1
}
