package config

// Drop removes fields.
type Drop struct {
	Fields []string // paths, as FieldPath reads them
}

func dropStep() stepKind {
	return stepKind{name: "drop", repeats: true, example: "write a list of fields, such as [.password, .user.email]",
		has: func(p *Processor) bool { return p.Drop != nil },
		read: func(s *section, name string, p *Processor) {
			var d Drop
			if s.isScalar(name) {
				var one string
				s.text(name, &one)
				d.Fields = []string{one}
			} else {
				s.texts(name, &d.Fields)
			}
			if len(d.Fields) > 0 {
				p.Drop = &d
			}
		},
		check: func(p *Processor, r *report, path string) { checkPaths(r, path, p.Drop.Fields) }}
}

// checkPaths: none of them is beneath another, which would decide for it.
func checkPaths(r *report, path string, fields []string) {
	seen := map[string]bool{}
	for _, f := range fields {
		_, err := FieldPath(f)
		switch {
		case err != nil:
			r.add(path, "%s", err)
		case seen[f]:
			r.add(path, "the field %s stands here twice", clip(f))
		}
		seen[f] = true
	}
}
