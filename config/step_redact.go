package config

import "slices"

// Redact hides personal data: values of fields, and what detectors find in texts.
type Redact struct {
	Fields []string `json:",omitempty"` // paths, as FieldPath reads them
	Detect []string `json:",omitempty"` // email | credit_card | ipv4 | ipv6 | phone
	Action string   // mask (default) | hash | drop
	Mask   string   `json:",omitempty"` // what stands in place of what is hidden; default ***
	Key    Secret   `json:",omitempty"` // of hash: HMAC-SHA-256
}

// What redact does with what it finds.
const (
	RedactMask = "mask"
	RedactHash = "hash"
	RedactDrop = "drop"
)

// The detectors of redact.
const (
	DetectEmail = "email"
	DetectCard  = "credit_card"
	DetectIPv4  = "ipv4"
	DetectIPv6  = "ipv6"
	DetectPhone = "phone"
)

const maxMaskBytes = 100

func redactStep() stepKind {
	return stepKind{name: "redact", repeats: true, example: "write {fields: [.email]} or {detect: [email, credit_card, ipv4, ipv6, phone]}",
		has: func(p *Processor) bool { return p.Redact != nil }, read: (*section).redact,
		check: func(p *Processor, r *report, path string) { p.Redact.check(r, path) }}
}

func (s *section) redact(name string, p *Processor) {
	sec := s.section(name, "fields", "detect", "action", "mask", "key")
	if sec == nil || len(sec.keys) == 0 {
		return
	}
	d := &Redact{Action: RedactMask}
	p.Redact = d
	sec.texts("fields", &d.Fields)
	sec.texts("detect", &d.Detect)
	sec.text("action", &d.Action)
	if d.Action == RedactMask {
		d.Mask = "***"
	}
	sec.text("mask", &d.Mask)
	sec.secret("key", &d.Key)
}

func (d *Redact) check(r *report, path string) {
	if len(d.Fields)+len(d.Detect) == 0 {
		r.add(path, "hides nothing; write fields: [.PATH] or detect: [email, credit_card, ipv4, ipv6, phone]")
	}
	checkPaths(r, path+".fields", d.Fields)
	known := []string{DetectEmail, DetectCard, DetectIPv4, DetectIPv6, DetectPhone}
	for i, name := range d.Detect {
		switch {
		case !slices.Contains(known, name):
			r.add(path+".detect", "%q is not one of %s", clip(name), joinWords(known))
		case slices.Contains(d.Detect[:i], name):
			r.add(path+".detect", "%s stands here twice", name)
		}
	}
	r.oneOf(path+".action", d.Action, RedactMask, RedactHash, RedactDrop)
	if d.Action != RedactMask && d.Mask != "" {
		r.add(path+".mask", "is only for action: mask; remove it")
	}
	if len(d.Mask) > maxMaskBytes {
		r.add(path+".mask", "has %d bytes; use at most %d", len(d.Mask), maxMaskBytes)
	}
	switch {
	case d.Action == RedactHash && d.Key == "":
		r.add(path+".key", "is missing; hash needs a secret, ${NAME} or file:PATH: without one, who knows the possible values knows them all")
	case d.Action != RedactHash && d.Key != "":
		r.add(path+".key", "is only for action: hash; remove it")
	}
}
