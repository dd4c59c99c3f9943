package config

// What becomes of a record that a processor cannot work on.
const (
	OnErrorFail = "fail" // it is set aside
	OnErrorKeep = "keep" // it goes on as it is
	OnErrorDrop = "drop"
)

func jqStep() stepKind {
	return stepKind{name: "jq", repeats: true, example: "write a jq expression, such as del(.password)",
		has:  func(p *Processor) bool { return p.JQ != "" },
		read: func(s *section, name string, p *Processor) { s.text(name, &p.JQ) },
		check: func(p *Processor, r *report, path string) {
			if err := checkQuery(p.JQ); err != nil {
				r.add(path, "%s", err)
			}
		}}
}
