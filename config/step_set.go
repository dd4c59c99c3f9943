package config

import (
	"bytes"
	"encoding/json"
)

// Set gives fields values, whatever they had before; those that are missing are added.
type Set struct {
	Fields []FieldValue // in the order written
}

// FieldValue is a field and its value.
type FieldValue struct {
	Path string // as FieldPath reads it
	JSON string // the value as JSON
}

func setStep() stepKind {
	return stepKind{name: "set", repeats: true, example: "write {.FIELD: VALUE}", has: func(p *Processor) bool { return p.Set != nil }, read: (*section).set,
		check: func(p *Processor, r *report, path string) {
			var fields []string
			for _, f := range p.Set.Fields {
				fields = append(fields, f.Path)
			}
			checkPaths(r, path, fields)
		}}
}

func (s *section) set(name string, p *Processor) {
	sec := s.r.free(s.values[name], s.sub(name))
	if sec == nil || len(sec.order) == 0 {
		return
	}
	p.Set = &Set{}
	for _, path := range sec.order {
		f := FieldValue{Path: path}
		sec.json(path, &f.JSON)
		p.Set.Fields = append(p.Set.Fields, f)
	}
}

// json reads any value as JSON: variables are put into texts.
func (s *section) json(key string, to *string) {
	n := s.r.resolve(s.values[key], s.sub(key))
	if n == nil {
		return
	}
	if s.isScalar(key) && n.Tag == "!!str" {
		var text string
		s.text(key, &text)
		*to = jsonOf(text)
		return
	}
	var v any
	if err := n.Decode(&v); err != nil {
		s.r.fail(s.values[key], s.sub(key), "is no value that JSON has: %s", err)
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		s.r.fail(s.values[key], s.sub(key), "is no value that JSON has: %s", err)
		return
	}
	*to = string(b)
}

func jsonOf(text string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text)
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}
