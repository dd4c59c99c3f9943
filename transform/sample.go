package transform

import (
	"math"

	"github.com/cespare/xxhash/v2"

	"hydrant/config"
	"hydrant/record"
)

// sample keeps a share of the records, by a hash over the record or over the value of a key: the same record always has the same fate.
type sample struct {
	scan  scanner
	query *query // nil: the whole record
	below uint64 // hashes that are kept
}

func newSample(c *config.Sample) (processor, error) {
	s := &sample{below: math.MaxUint64}
	if c.Rate < 1 {
		s.below = uint64(c.Rate * float64(1<<63) * 2)
	}
	if c.Key == "" {
		return s, nil
	}
	var err error
	s.query, err = compile(c.Key)
	return s, err
}

func (s *sample) process(p part, out *output) {
	sum := uint64(0)
	if s.query == nil {
		sum = xxhash.Sum64(p.data)
	} else {
		v, why := decodeRecord(&s.scan, p.data)
		if why == "" {
			x, err := s.query.run(v)
			var b []byte
			if err == nil {
				b, err = appendValue(nil, x)
			}
			sum = xxhash.Sum64(b)
			if err != nil {
				why = err.Error()
			}
		}
		if why != "" {
			out.fail(p, failed(record.ProcessingFailed, "Sample.EvaluationFailed", "sample %s: %s", clip(s.query.source, 60), why))
			return
		}
	}
	if sum < s.below || s.below == math.MaxUint64 {
		out.add(p)
	}
}
