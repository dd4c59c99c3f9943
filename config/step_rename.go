package config

import "strings"

// Rename gives fields other names, where they stand.
type Rename struct {
	Fields []FieldName // in the order written
}

// FieldName is a field and its new name.
type FieldName struct {
	From string // a path, as FieldPath reads it
	To   string // a name, no path
}

func renameStep() stepKind {
	return stepKind{name: "rename", repeats: true, example: "write {.OLD: NEW}", has: func(p *Processor) bool { return p.Rename != nil }, read: (*section).rename,
		check: func(p *Processor, r *report, path string) {
			var fields []string
			for _, f := range p.Rename.Fields {
				fields = append(fields, f.From)
				switch {
				case f.To == "":
					r.add(path, "%s gets no name; write one", clip(f.From))
				case strings.HasSuffix(f.From, "[]"):
					r.add(path, "%s is each element of an array, which has no name", clip(f.From))
				}
			}
			checkPaths(r, path, fields)
		}}
}

func (s *section) rename(name string, p *Processor) {
	sec := s.r.free(s.values[name], s.sub(name))
	if sec == nil || len(sec.order) == 0 {
		return
	}
	p.Rename = &Rename{}
	for _, from := range sec.order {
		f := FieldName{From: from}
		sec.text(from, &f.To)
		p.Rename.Fields = append(p.Rename.Fields, f)
	}
}
