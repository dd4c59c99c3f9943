package config

// Filter keeps or drops records by a jq condition: exactly one of Keep and Drop is set.
type Filter struct {
	Keep    string `json:",omitempty"` // records for which it gives anything but false and null are kept
	Drop    string `json:",omitempty"` // these are dropped
	OnError string // fail (default) | keep | drop: a record that the condition cannot be asked about
}

func filterStep() stepKind {
	return stepKind{name: "filter", repeats: true, example: `write a condition, such as .level != "debug", or {drop: CONDITION}`,
		has: func(p *Processor) bool { return p.Filter != nil }, read: (*section).filter,
		check: func(p *Processor, r *report, path string) { p.Filter.check(r, path) }}
}

func (s *section) filter(name string, p *Processor) {
	f := &Filter{OnError: OnErrorFail}
	if s.isScalar(name) {
		s.text(name, &f.Keep)
		p.Filter = f
		return
	}
	sec := s.section(name, "keep", "drop", "on_error")
	if sec == nil || len(sec.keys) == 0 {
		return
	}
	sec.textsOf(map[string]*string{"keep": &f.Keep, "drop": &f.Drop, "on_error": &f.OnError})
	p.Filter = f
}

func (f *Filter) check(r *report, path string) {
	r.oneOf(path+".on_error", f.OnError, OnErrorFail, OnErrorKeep, OnErrorDrop)
	if (f.Keep == "") == (f.Drop == "") {
		r.add(path, "needs keep or drop, one of them: a jq condition")
		return
	}
	at, query := path+".keep", f.Keep
	if query == "" {
		at, query = path+".drop", f.Drop
	}
	if err := checkQuery(query); err != nil {
		r.add(at, "%s", err)
	}
}
