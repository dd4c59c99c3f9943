package config

import "strconv"

// Sample keeps a share of the records.
type Sample struct {
	Rate float64 // of 1, above 0
	Key  string  `json:",omitempty"` // a jq expression: records with the same value have the same fate; none: the whole record decides
}

func sampleStep() stepKind {
	return stepKind{name: "sample", example: "write {rate: 0.1}", has: func(p *Processor) bool { return p.Sample != nil }, read: (*section).sample,
		check: func(p *Processor, r *report, path string) {
			if !(p.Sample.Rate > 0 && p.Sample.Rate <= 1) {
				r.add(path+".rate", "must be above 0 and at most 1, such as 0.1 for one record of ten")
			}
			if p.Sample.Key != "" {
				if err := checkQuery(p.Sample.Key); err != nil {
					r.add(path+".key", "%s", err)
				}
			}
		}}
}

func (s *section) sample(name string, p *Processor) {
	sec := s.section(name, "rate", "key")
	if sec == nil || len(sec.keys) == 0 {
		return
	}
	p.Sample = &Sample{}
	var rate string
	sec.text("rate", &rate)
	sec.text("key", &p.Sample.Key)
	if rate == "" {
		return
	}
	v, err := strconv.ParseFloat(rate, 64)
	if err != nil {
		sec.r.fail(sec.values["rate"], sec.sub("rate"), "%q is no number; write one such as 0.1", clip(rate))
		return
	}
	p.Sample.Rate = v
}
