package transform

import (
	"bytes"
	"encoding/json"
	"fmt"

	"hydrant/config"
	"hydrant/record"
)

// fieldEdits are edits of fields: drop, rename, set.
type fieldEdits struct {
	name string
	w    splice
}

func newDrop(c *config.Drop) (processor, error) {
	s := &fieldEdits{name: "drop"}
	for _, f := range c.Fields {
		path, err := fieldPath(f)
		if err != nil {
			return nil, err
		}
		s.w.root.at(path).drop = true
	}
	return s, nil
}

func (s *fieldEdits) process(p part, out *output) {
	from := len(out.room.buf)
	b, why := s.w.rewrite(out.room.buf, p.data)
	if why != "" {
		out.fail(p, failed(record.ProcessingFailed, codeFields, "%s: %s", s.name, why))
		return
	}
	out.room.buf = b
	p.data = out.room.since(from)
	out.add(p)
}

// fieldPath takes a path apart: as config.FieldPath reads it, or as a JSON list of names.
func fieldPath(text string) (path []string, err error) {
	if len(text) > 0 && text[0] == '[' {
		if err := json.Unmarshal([]byte(text), &path); err != nil {
			return nil, fmt.Errorf("path %q: %w", clip(text, 60), err)
		}
		return path, nil
	}
	return config.FieldPath(text)
}

// appendJSON writes a value as JSON, without escaping what HTML would need.
func appendJSON(b *bytes.Buffer, v any) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // strings and values of YAML always have a JSON form
	b.Truncate(b.Len() - 1)
}
