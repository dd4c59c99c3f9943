package config

import "time"

// Dedupe drops records whose key was seen a short time ago.
type Dedupe struct {
	Key     string   `json:",omitempty"` // a jq expression; none: the whole record
	Window  Duration // since the record with the key that was kept, by arrival; 1s to 168h
	MaxKeys int      // that are remembered, 1,000 to 10,000,000: with more, the oldest is forgotten early
	Missing string   // keep (default) | drop | fail: a record without the key
}

const (
	minDedupeKeys = 1_000
	maxDedupeKeys = 10_000_000
)

func dedupeStep() stepKind {
	return stepKind{name: "dedupe", example: "write a jq expression, such as .id, or {key: .id, window: 10m}", has: func(p *Processor) bool { return p.Dedupe != nil },
		read: (*section).dedupe, check: func(p *Processor, r *report, path string) { p.Dedupe.check(r, path) }}
}

func (s *section) dedupe(name string, p *Processor) {
	d := &Dedupe{Window: Duration(10 * time.Minute), MaxKeys: 1_000_000, Missing: OnErrorKeep}
	if s.isScalar(name) {
		s.text(name, &d.Key)
		p.Dedupe = d
		return
	}
	sec := s.section(name, "key", "window", "max_keys", "missing")
	if sec == nil {
		return
	}
	sec.textsOf(map[string]*string{"key": &d.Key, "missing": &d.Missing})
	sec.duration("window", &d.Window)
	sec.integer("max_keys", &d.MaxKeys)
	p.Dedupe = d
}

func (d *Dedupe) check(r *report, path string) {
	if d.Key != "" {
		if err := checkQuery(d.Key); err != nil {
			r.add(path+".key", "%s", err)
		}
	}
	checkRange(r, path+".window", d.Window, Duration(time.Second), Duration(7*24*time.Hour), "1s to 168h")
	if d.MaxKeys < minDedupeKeys || d.MaxKeys > maxDedupeKeys {
		r.add(path+".max_keys", "%d is outside %d to %d", d.MaxKeys, minDedupeKeys, maxDedupeKeys)
	}
	r.oneOf(path+".missing", d.Missing, OnErrorKeep, OnErrorDrop, OnErrorFail)
}
