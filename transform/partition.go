package transform

import (
	"fmt"

	"hydrant/config/prefix"
	"hydrant/record"
)

// partition finds the partition keys of records, and their event times. Records must be one JSON object each.
//
// Values of plain fields are found in one pass over the bytes, which checks that the whole is JSON; it is built
// as values only for queries that are more than a path, and to say what is wrong. Both ways give the same.
type partition struct {
	keys    int // of the prefix
	finders []finder
	event   *eventTime

	scan   scanner
	root   *node
	onlyJQ bool // for tests: never take the values of the pass
}

// finder finds the value of one partition key.
type finder struct {
	name     string
	query    *query
	field    int   // in scanner.found; -1: only jq can tell
	slots    []int // where the value belongs among the keys of the prefix
	fallback string
}

// plant prepares the pass. It is called again when a query was added.
func (s *partition) plant() {
	var paths [][]string
	for _, q := range s.queries() {
		if q.path != nil {
			paths = append(paths, q.path)
		}
	}
	root, slots, count := plant(paths)
	s.root, s.scan.found = root, make([]found, count)
	next := func(q *query) int {
		if q.path == nil {
			return -1
		}
		slot := slots[0]
		slots = slots[1:]
		return slot
	}
	for i := range s.finders {
		s.finders[i].field = next(s.finders[i].query)
	}
	if s.event != nil {
		s.event.field = next(s.event.query)
	}
}

func (s *partition) queries() []*query {
	var all []*query
	for _, f := range s.finders {
		all = append(all, f.query)
	}
	if s.event != nil {
		all = append(all, s.event.query)
	}
	return all
}

func (s *partition) process(p part, out *output) {
	s.find(p, out)
	s.scan.b = nil
}

func (s *partition) find(p part, out *output) {
	if why := s.read(p.data); why != "" {
		out.fail(p, failed(record.MetadataFailed, codeMetadata, "%s", why))
		return
	}
	d := document{s: s}
	values := out.attach(&p, s.keys)
	for i := range s.finders {
		f := &s.finders[i]
		v, err := f.find(&d, out.room)
		if err != nil {
			out.fail(p, failed(record.MetadataFailed, codeMetadata, "partition key %s: %v", f.name, err))
			return
		}
		for _, slot := range f.slots {
			values[slot] = v
		}
	}
	if s.event != nil {
		if err := s.event.find(&d, values, out.room); err != nil {
			out.fail(p, failed(record.MetadataFailed, codeMetadata, "event time %s: %v", clip(s.event.query.source, 60), err))
			return
		}
	}
	out.add(p)
}

// read checks a record and finds the fields; why is empty when it is one JSON object.
func (s *partition) read(data []byte) (why string) {
	c := &s.scan
	c.b = data
	clear(c.found)
	i := c.space(0)
	end := c.value(i, 0, s.root)
	if end < 0 {
		if len(data) == c.space(0) {
			return "the record is empty"
		}
		return c.problem()
	}
	if rest := c.space(end); rest != len(data) {
		return fmt.Sprintf("a JSON value ends at byte %d, and more follows; the deaggregate processor makes records of the parts", end)
	}
	if data[i] != '{' {
		return "the record is JSON, but not an object"
	}
	return ""
}

// document is the record in hand, as values once somebody asked for them.
type document struct {
	s     *partition
	value any
}

func (d *document) decoded() any {
	if d.value == nil {
		d.value, _ = d.s.scan.decode(d.s.scan.space(0))
	}
	return d.value
}

// lookup appends what a query finds in the record: nothing for null, "" and no value at all. field is its slot.
func (d *document) lookup(dst []byte, q *query, field int) ([]byte, error) {
	var v any
	var err error
	switch at, ok := d.at(field); {
	case ok && q.rest != nil:
		v, err = q.runRest(d.s.scan.valueAt(at))
	case ok && at.kind == missing:
		return dst, nil
	case ok && at.kind == text && at.odd:
		return unquote(dst, d.s.scan.b[at.start:at.end]), nil
	case ok && at.kind != container:
		return append(dst, d.s.scan.b[at.start:at.end]...), nil
	default:
		v, err = q.run(d.decoded())
	}
	if err != nil {
		return dst, err
	}
	return appendValue(dst, v)
}

// at gives what the pass found at a path; false when jq must look, or say what is wrong there.
func (d *document) at(field int) (found, bool) {
	if field < 0 || d.s.onlyJQ {
		return found{}, false
	}
	f := d.s.scan.found[field]
	return f, f.kind != beneath
}

// find gives the escaped value, in the room.
func (f *finder) find(d *document, r *room) ([]byte, error) {
	var err error
	from := len(r.buf)
	if r.buf, err = d.lookup(r.buf, f.query, f.field); err != nil {
		return nil, err
	}
	value := alias(r.since(from))
	if value == "" {
		value = f.fallback
	}
	if value == "" {
		return nil, fmt.Errorf("%s is missing, null or empty", clip(f.query.source, 60))
	}
	from = len(r.buf)
	if len(value) > prefix.MaxValueBytes {
		return nil, tooLong(len(value))
	}
	r.buf = prefix.AppendEscaped(r.buf, value)
	if n := len(r.buf) - from; n > prefix.MaxValueBytes {
		return nil, tooLong(n)
	}
	return r.since(from), nil
}

func tooLong(n int) error {
	return fmt.Errorf("the value takes %d bytes in an object's name; it may take %d", n, prefix.MaxValueBytes)
}
