// Package transform owns the processors of a stream: what stands in the log becomes the records that are
// delivered, and the failures that are set aside. Every processor here is a function of the record alone —
// no clock, no random source, no machine — so that a replay derives what the first attempt derived.
// It knows no buffers, no formats and no destinations, and it starts no goroutine.
package transform

import (
	"errors"
	"fmt"
	"time"

	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/record"
)

// processor is one step of a chain. It hands out what p becomes: any number of parts, in the order in which
// they stand in p. None at all means that p is dropped on purpose. What cannot be processed is handed on
// with out.fail, alone and whole: a p that turns out to be bad behind its third part is taken back with
// out.cut and set aside as one.
//
// The slices of a part belong to the record or to the room of out; a processor may keep them until Derive
// returns, no longer, and never writes to them. process is called by one goroutine at a time, never for a part
// that has failed, and must be a function of p.
type processor interface {
	process(p part, out *output)
}

// part is a record on its way through the chain.
type part struct {
	data []byte
	// raw is what an error record keeps. A processor that takes a record apart sets it to the part.
	raw []byte
	// values holds an escaped value for each partition key of the prefix, nil where none was found yet.
	// The slice is nil before the first; it is shared between parts, so use output.attach to change it.
	values  [][]byte
	failure *record.Failure
}

// Chain is a stream's processors. Not safe for concurrent use.
type Chain struct {
	steps     []processor
	keys      []prefix.Key
	in, out   output
	room      room
	partition []byte
	limit     nameLimit
	derived   record.Derived
}

// New builds the chain of a stream's processors in the order in which they are written. keys are the
// partition keys of the stream's prefix, in order; zone is where event times are put on the calendar, and
// where those are read that name no zone. The error names what is wrong with the stream.
func New(s config.Stream, keys []prefix.Key, zone *time.Location) (*Chain, error) {
	if zone == nil {
		zone = time.UTC
	}
	b := &builder{stream: s, keys: keys, zone: zone}
	steps, err := b.build()
	if err != nil {
		return nil, err
	}
	c := &Chain{steps: steps, keys: keys, limit: newNameLimit(s, keys)}
	c.in.room, c.out.room = &c.room, &c.room
	return c, nil
}

// Derive calls emit for each record that rec becomes, in order; Sub counts them from 0, failures included.
// No call at all means that rec is dropped on purpose. What emit is handed is valid until it returns. A record
// that would become more than record.MaxSubs is one failure. The error is emit's own, and ends the work on rec.
func (c *Chain) Derive(rec record.Record, emit func(*record.Derived) error) error {
	err := c.derive(rec, emit)
	c.letGo()
	return err
}

func (c *Chain) derive(rec record.Record, emit func(*record.Derived) error) error {
	if !c.begin(rec) {
		return nil
	}
	for _, s := range c.steps {
		c.out.reset()
		c.step(s)
		if c.out.over {
			return c.tooMany(rec, emit)
		}
		c.in.list, c.out.list = c.out.list, c.in.list
	}
	for i := range c.in.list {
		if err := c.emit(rec, i, &c.in.list[i], emit); err != nil {
			return err
		}
	}
	return nil
}

// begin takes a record as it was accepted, or as the processors left it that were staged. false: there is none.
func (c *Chain) begin(rec record.Record) bool {
	p := part{data: rec.Data, raw: rec.Data}
	if m := rec.Made; m != nil {
		if m.Nothing {
			return false
		}
		p.values, p.failure = m.Values, m.Failure
		if m.Raw != nil {
			p.raw = m.Raw
		}
	}
	return c.in.add(p)
}

// letGo forgets the record: a chain that waits holds nothing of it, and little room.
func (c *Chain) letGo() {
	c.in.reset()
	c.out.reset()
	c.room.reset()
	c.derived = record.Derived{}
}

func (c *Chain) step(s processor) {
	for _, p := range c.in.list {
		if p.failure != nil {
			c.out.add(p)
		} else {
			s.process(p, &c.out)
		}
		if c.out.over {
			return
		}
	}
}

func (c *Chain) emit(rec record.Record, sub int, p *part, emit func(*record.Derived) error) error {
	failure, data := p.failure, p.data
	c.partition = c.partition[:0]
	if failure == nil {
		failure = c.join(p.values)
	}
	if failure != nil {
		data, c.partition = p.raw, c.partition[:0]
	}
	c.derived = record.Derived{ID: rec.ID, Sub: uint16(sub), ArrivalMillis: rec.ArrivalMillis, Data: data, Raw: p.raw,
		Partition: c.partition, Failure: failure}
	return emit(&c.derived)
}

// join makes the name of the partition. The values hold no "/" any more.
func (c *Chain) join(values [][]byte) *record.Failure {
	for i, k := range c.keys {
		if i >= len(values) || values[i] == nil {
			return failed(record.MetadataFailed, codeMetadata, "partition key %s: no processor found a value", k.Name)
		}
		if i > 0 {
			c.partition = append(c.partition, '/')
		}
		c.partition = append(c.partition, values[i]...)
	}
	return c.limit.check(values)
}

func (c *Chain) tooMany(rec record.Record, emit func(*record.Derived) error) error {
	p := part{raw: rec.Data, failure: failed(record.ProcessingFailed, codeTooMany, "the record would become more than %d records", record.MaxSubs)}
	return c.emit(rec, 0, &p, emit)
}

// The error codes. Firehose documents none for most of these; those it has are the same.
const (
	codeMetadata    = "DynamicPartitioning.MetadataExtractionFailed"
	codeNotGzip     = "Decompression.InvalidData"
	codeTooLarge    = "Decompression.TooLarge"
	codeLogs        = "CloudWatchLogs.InvalidPayload"
	codeDeaggregate = "RecordDeAggregation.ParseError"
	codeTooMany     = "Processing.TooManyRecords"
)

// maxMessageBytes bounds the message of a failure.
const maxMessageBytes = 300

// What a chain keeps between two records.
const (
	maxKeptList      = 4 << 10 // parts
	maxKeptRoomBytes = 1 << 20
)

func failed(kind, code, format string, args ...any) *record.Failure {
	return &record.Failure{Type: kind, Code: code, Message: clip(fmt.Sprintf(format, args...), maxMessageBytes)}
}

// output takes what processors hand on.
type output struct {
	list []part
	over bool // more than record.MaxSubs: the rest was not taken
	room *room
}

func (o *output) reset() {
	if cap(o.list) > maxKeptList {
		o.list = nil
	}
	clear(o.list)
	o.list, o.over = o.list[:0], false
}

// add hands a part on; false when there are too many, and processing may as well end.
func (o *output) add(p part) bool {
	if len(o.list) >= record.MaxSubs {
		o.over = true
		return false
	}
	o.list = append(o.list, p)
	return true
}

// fail sets p aside.
func (o *output) fail(p part, f *record.Failure) {
	p.failure = f
	o.add(p)
}

// cut takes back what was handed on since there were n parts.
func (o *output) cut(n int) { o.list = o.list[:n] }

// attach gives room for the values of n partition keys, filled with those that p has.
func (o *output) attach(p *part, n int) [][]byte {
	v := o.room.slots(n)
	copy(v, p.values)
	p.values = v
	return v
}

// room holds what processors make of one record, reused for the next.
type room struct {
	buf  []byte
	free [][]byte
}

func (r *room) reset() {
	if cap(r.buf) > maxKeptRoomBytes {
		r.buf = nil
	}
	if cap(r.free) > maxKeptList {
		r.free = nil
	}
	clear(r.free)
	r.buf, r.free = r.buf[:0], r.free[:0]
}

// since gives what was appended to buf since it was n long. Growing buf later leaves it as it is.
func (r *room) since(n int) []byte { return r.buf[n:len(r.buf):len(r.buf)] }

func (r *room) slots(n int) [][]byte {
	if cap(r.free)-len(r.free) < n {
		r.free = make([][]byte, 0, max(n, 2*cap(r.free), 16))
	}
	from := len(r.free)
	r.free = r.free[:from+n]
	s := r.free[from : from+n : from+n]
	clear(s)
	return s
}

// errNoStep is for a processor of the configuration that has no member set.
var errNoStep = errors.New("a processor names nothing to do")
