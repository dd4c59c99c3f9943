package delivery

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"hydrant/delivery/journal"
	"hydrant/internal/spool"
	"hydrant/record"
)

// chunk is what becomes one object of a partition: its records in a lane, and their positions.
type chunk struct {
	lane      *spool.Lane
	batch     record.Batch
	version   int    // whose processors made the records
	partition string // "" for failures
	aside     string // error type of failures, which are gathered as a partition of its own
	code      string // of the first failure
	message   string
	places    []byte // positions and numbers, delta-coded
	at        record.Position
	deadline  time.Time      // monotonic: when it closes at the log's end
	entry     *journal.Entry // not nil: journaled by an earlier life, and filled again
	of        *partition
	noted     atomic.Bool   // its entry is in the journal
	decided   chan struct{} // closed when its life has noted it, or ended without
}

// Marks in front of a record in a lane.
const (
	rawDiffers = 1 << iota
	hasFailure
)

// add appends a record. source is what it was made of; start and end are where that stands in the log.
// scratch is used for what is in front of the data.
func (c *chunk) add(src source, x *record.Derived, start, end int64, scratch *[]byte) error {
	if c.batch.Count == 0 {
		c.batch.First, c.batch.ArrivalMillis, c.batch.StartOffset = x.ID, x.ArrivalMillis, start
		c.at = x.Pos
	}
	c.places = binary.AppendUvarint(c.places, uint64(x.Pos-c.at))
	c.places = binary.AppendUvarint(c.places, uint64(x.Sub))
	c.at = x.Pos
	c.batch.Last, c.batch.EndOffset = x.ID, end
	c.batch.Count++
	c.batch.Bytes += int64(len(x.Data))
	marks := byte(0)
	if x.Failure != nil {
		marks |= hasFailure
	}
	if !same(x.Data, x.Raw) {
		marks |= rawDiffers
	}
	b := append((*scratch)[:0], 0, 0, 0, 0, marks) // the length goes in front
	b = append(b, x.Epoch[:]...)
	b = binary.AppendUvarint(b, uint64(x.Pos))
	b = binary.AppendUvarint(b, uint64(x.Sub))
	b = binary.AppendVarint(b, x.ArrivalMillis)
	b = binary.LittleEndian.AppendUint64(b, src.sum)
	if x.Failure != nil {
		b = appendFailure(b, x.Failure)
	}
	if marks&rawDiffers != 0 {
		b = append(binary.AppendUvarint(b, uint64(len(x.Raw))), x.Raw...)
	}
	binary.LittleEndian.PutUint32(b, uint32(len(b)+len(x.Data)-4))
	*scratch = b
	return c.lane.Append(b, x.Data)
}

func same(a, b []byte) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// set is what the chunk holds.
func (c *chunk) set() *journal.Set {
	s := journal.NewSet()
	pos := c.batch.First.Pos
	for b := c.places; len(b) > 0; {
		d, n := binary.Uvarint(b)
		sub, m := binary.Uvarint(b[n:])
		pos += record.Position(d)
		s.Add(pos, uint16(sub))
		b = b[n+m:]
	}
	return s.Pack()
}

func appendFailure(b []byte, f *record.Failure) []byte {
	b = appendText(appendText(appendText(b, f.Type), f.Code), f.Message)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(f.Attempts)), uint64(len(f.Fields)))
	for _, x := range f.Fields {
		b = appendText(appendText(b, x.Name), x.Value)
	}
	return b
}

var errLane = errors.New("what was gathered for a partition cannot be read back")

// read calls visit with those records that are the entry's, up to the position last.
func (c *chunk) read(ctx context.Context, e *journal.Entry, last record.Position, visit func(source, *record.Derived) error) error {
	var rest []byte // a record that goes on in the next piece
	mine := false
	err := c.lane.Read(func(p []byte) (err error) {
		defer func() { mine = mine || err != nil }()
		if len(rest) > 0 {
			p = append(rest, p...)
		}
		for len(p) >= 4 && len(p)-4 >= int(binary.LittleEndian.Uint32(p)) {
			n := 4 + int(binary.LittleEndian.Uint32(p))
			if err := c.visit(p[4:n], e, last, visit); err != nil {
				return err
			}
			p = p[n:]
		}
		rest = append(rest[:0:0], p...)
		return ctx.Err()
	})
	if err != nil && !mine {
		return errors.Join(errLane, err)
	}
	if err == nil && len(rest) > 0 {
		return errLane
	}
	return err
}

func (c *chunk) visit(b []byte, e *journal.Entry, last record.Position, visit func(source, *record.Derived) error) error {
	l := laneRecord{b: b}
	marks := l.take(1)
	var x record.Derived
	copy(x.Epoch[:], l.take(len(x.Epoch)))
	x.Pos, x.Sub = record.Position(l.uvarint()), uint16(l.uvarint())
	x.ArrivalMillis = l.varint()
	sum := l.take(8)
	if l.bad {
		return errLane
	}
	if x.Pos < e.Batch.First.Pos || x.Pos > min(last, e.Batch.Last.Pos) || !e.Has(x.Pos, x.Sub) {
		return nil
	}
	if marks[0]&hasFailure != 0 {
		x.Failure = l.failure()
	}
	if marks[0]&rawDiffers != 0 {
		x.Raw = l.take(int(l.uvarint()))
	}
	x.Data = l.b
	if marks[0]&rawDiffers == 0 {
		x.Raw = x.Data
	}
	if l.bad {
		return errLane
	}
	return visit(source{sum: binary.LittleEndian.Uint64(sum)}, &x)
}

// laneRecord reads the parts of one record.
type laneRecord struct {
	b   []byte
	bad bool
}

func (l *laneRecord) take(n int) []byte {
	if n < 0 || n > len(l.b) {
		l.bad = true
		return make([]byte, 8)
	}
	p := l.b[:n]
	l.b = l.b[n:]
	return p
}

func (l *laneRecord) failure() *record.Failure {
	f := &record.Failure{Type: l.text(), Code: l.text(), Message: l.text(), Attempts: int(l.uvarint())}
	for n := l.uvarint(); n > 0 && !l.bad; n-- {
		f.Fields = append(f.Fields, record.Field{Name: l.text(), Value: l.text()})
	}
	return f
}

func (l *laneRecord) uvarint() uint64 {
	v, n := binary.Uvarint(l.b)
	l.take(max(n, 0))
	l.bad = l.bad || n <= 0
	return v
}

func (l *laneRecord) varint() int64 {
	v, n := binary.Varint(l.b)
	l.take(max(n, 0))
	l.bad = l.bad || n <= 0
	return v
}

func (l *laneRecord) text() string { return string(l.take(int(l.uvarint()))) }
