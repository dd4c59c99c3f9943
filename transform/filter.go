package transform

import (
	"errors"

	"hydrant/config"
	"hydrant/record"
)

// filter keeps or drops records by a condition.
type filter struct {
	scan    scanner
	query   *query
	keep    bool // what the condition is true for
	onError string
}

func newFilter(c *config.Filter) (processor, error) {
	source := c.Keep
	if source == "" {
		source = c.Drop
	}
	q, err := compile(source)
	if err != nil {
		return nil, err
	}
	return &filter{query: q, keep: c.Keep != "", onError: c.OnError}, nil
}

func (s *filter) process(p part, out *output) {
	is, err := s.holds(p.data)
	switch {
	case err == nil && is == s.keep, err != nil && s.onError == config.OnErrorKeep:
		out.add(p)
	case err != nil && s.onError != config.OnErrorDrop:
		out.fail(p, failed(record.ProcessingFailed, codeFilter, "filter %s: %v", clip(s.query.source, 60), err))
	}
}

// holds says whether the condition gives anything but false and null.
func (s *filter) holds(data []byte) (bool, error) {
	v, why := decodeRecord(&s.scan, data)
	if why != "" {
		return false, errors.New(why)
	}
	x, err := s.query.run(v)
	if err != nil {
		return false, err
	}
	return x != nil && x != false, nil
}
