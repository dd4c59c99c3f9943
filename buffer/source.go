// Package buffer closes the records of a log into batches, by size or age, and reads them back for
// delivery. Where a batch ends is a function of the log; the clock decides only at the log's end.
// It holds no record bytes: they stay in the log until they are delivered.
package buffer

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"hydrant/buffer/wal"
	"hydrant/record"
)

// Limits close a batch, whichever is reached first.
type Limits struct {
	Size     int64         // record bytes as received; exceeded by less than one record
	Interval time.Duration // from the arrival of the first record
}

// minInterval is what an interval of 0 ("zero buffering") means in practice: records of one moment still share an object.
const minInterval = time.Second

// settle is how long the source lets more records come before it looks again, so that it does not work for each put.
const settle = 10 * time.Millisecond

// Source yields the batches of one reader of a log, one after the other. Next is for one goroutine; Read and the rest are safe for many.
type Source struct {
	log    *wal.Log
	limits func() Limits   // asked when a batch begins
	end    record.Position // nothing at or behind it is this reader's; 0: there is no such end

	rd       *wal.Reader
	at       record.Position // the next record to be batched
	cur      *wal.Frame      // a frame that is not used up
	batch    record.Batch
	open     bool
	lim      Limits
	deadline time.Time // monotonic: when the open batch closes at the log's end

	oldest  atomic.Int64  // arrival of the open batch's first record, Unix ms; 0 when none is open
	skipped atomic.Uint64 // everything below was found unreadable or batched: it does not wait
}

// NewSource reads log; limits is asked at the beginning of each batch, so that changes apply from the next one on.
func NewSource(log *wal.Log, limits func() Limits) *Source {
	return &Source{log: log, limits: limits}
}

// Until bounds the reader: for it the log ends there, for good. To be called before anything else.
func (s *Source) Until(end record.Position) { s.end = end }

// ErrIdle says that the log holds no record at or behind the position asked for.
var ErrIdle = errors.New("nothing waits")

// Next returns the batch that begins at from, or at the first record behind it, as soon as it is closed.
// A closed flush channel closes a batch at the log's end at once. ErrIdle when nothing waits; ctx errors.
func (s *Source) Next(ctx context.Context, from record.Position, flush <-chan struct{}) (record.Batch, error) {
	if s.rd == nil || s.at != from {
		s.Reset()
		s.rd, s.at = s.log.NewReader(from), from
	}
	for {
		reason, err := s.step(ctx, flush)
		if err != nil {
			if ctx.Err() == nil {
				s.Reset()
			}
			return record.Batch{}, err
		}
		if reason != "" {
			return s.close(reason), nil
		}
	}
}

// step reads one frame into the batch, or waits for one; a reason says that the batch is closed.
func (s *Source) step(ctx context.Context, flush <-chan struct{}) (record.CloseReason, error) {
	if s.cur != nil {
		return s.take()
	}
	f, err := s.rd.Next()
	over := err == nil && s.end > 0 && f.First().Pos >= s.end
	if over {
		err = io.EOF
	}
	switch {
	case over && s.open:
		return record.CloseFlush, nil
	case errors.Is(err, io.EOF) && !s.open:
		s.skipped.Store(uint64(s.rd.Position()))
		return "", ErrIdle
	case errors.Is(err, io.EOF):
		return s.wait(ctx, flush)
	case err != nil:
		return "", err
	}
	s.cur = f
	return s.take()
}

// take adds the current frame, or the part of it that still fits; a reason says that the batch is closed.
func (s *Source) take() (record.CloseReason, error) {
	f := s.cur
	if s.open && f.ArrivalMillis() >= s.batch.ArrivalMillis+s.lim.Interval.Milliseconds() {
		return record.CloseInterval, nil
	}
	if !s.open {
		s.begin(f)
	}
	first := f.First()
	if s.at <= first.Pos && s.batch.Bytes+f.Bytes() < s.lim.Size {
		s.add(first, f.Last(), f.Bytes(), f.EndOffset())
		s.cur = nil
		return "", nil
	}
	return s.takePart(f)
}

func (s *Source) takePart(f *wal.Frame) (record.CloseReason, error) {
	id, full := f.First(), false
	err := f.Sizes(func(pos record.Position, n int) bool {
		if pos < s.at {
			return true
		}
		end := f.Offset()
		if pos == f.Last() {
			end = f.EndOffset()
		}
		id.Pos = pos
		s.add(id, pos, int64(n), end)
		full = s.batch.Bytes >= s.lim.Size
		return !full
	})
	if err != nil {
		return "", err
	}
	if s.at > f.Last() {
		s.cur = nil
	}
	if full {
		return record.CloseSize, nil
	}
	return "", nil
}

// begin opens a batch at the current frame.
func (s *Source) begin(f *wal.Frame) {
	s.lim = s.limits()
	s.lim.Interval = max(s.lim.Interval, minInterval)
	id := f.First()
	id.Pos = max(id.Pos, s.at)
	s.batch = record.Batch{First: id, ArrivalMillis: f.ArrivalMillis(), StartOffset: f.Offset()}
	s.open = true
	s.oldest.Store(s.batch.ArrivalMillis)
	// What is left of the interval: never more than all of it, whatever the clock says now.
	left := time.Until(time.UnixMilli(f.ArrivalMillis()).Add(s.lim.Interval))
	s.deadline = time.Now().Add(min(max(left, 0), s.lim.Interval))
}

// add puts the records from first to last into the batch.
func (s *Source) add(first record.ID, last record.Position, bytes, endOffset int64) {
	s.batch.Count += int(last - first.Pos + 1)
	s.batch.Bytes += bytes
	s.batch.Last = record.ID{Epoch: first.Epoch, Pos: last}
	s.batch.EndOffset = endOffset
	s.at = last + 1
}

// wait stays at the log's end until there is more to read, or a reason to close.
func (s *Source) wait(ctx context.Context, flush <-chan struct{}) (record.CloseReason, error) {
	select {
	case <-flush:
		return record.CloseFlush, nil
	default:
	}
	left := time.Until(s.deadline)
	if left <= 0 {
		return record.CloseInterval, nil
	}
	if err := s.log.Wait(ctx, s.at, left, flush); err != nil {
		return "", err
	}
	if rest := time.Until(s.deadline); rest > 0 {
		pause(ctx, min(rest, settle), flush)
	}
	return "", ctx.Err()
}

func pause(ctx context.Context, d time.Duration, flush <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-flush:
	case <-ctx.Done():
	}
}

func (s *Source) close(reason record.CloseReason) record.Batch {
	s.batch.Reason = reason
	s.open = false
	s.oldest.Store(0)
	return s.batch
}

// Reset forgets the batch in progress; the next Next begins anew. Where it ends may differ then: only a journaled batch is settled.
func (s *Source) Reset() {
	if s.rd != nil {
		s.rd.Close()
		s.rd = nil
	}
	s.cur, s.open = nil, false
	s.oldest.Store(0)
}

// Read calls visit with every intact record from first to last, in order, until it returns an error or ctx ends.
func (s *Source) Read(ctx context.Context, first, last record.Position, visit func(record.Record) error) error {
	rd := s.log.NewReader(first)
	defer rd.Close()
	for {
		f, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if f.First().Pos > last {
			return nil
		}
		if err := f.Records(first, last, visit); err != nil {
			return err
		}
		if f.Last() >= last {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// OldestMillis is the arrival of the open batch's first record, Unix ms; 0 when no batch is open.
func (s *Source) OldestMillis() int64 { return s.oldest.Load() }

// Waits says whether a record at or behind pos is readable.
func (s *Source) Waits(pos record.Position) bool {
	if s.end > 0 && max(pos, record.Position(s.skipped.Load())) >= s.end {
		return false
	}
	return s.log.Has(max(pos, record.Position(s.skipped.Load())))
}

// Walk reads the log put by put from a record on. It knows nothing of batches.
func (s *Source) Walk(from record.Position) *Walk {
	return &Walk{rd: s.log.NewReader(from), from: from, until: s.end}
}

// Walk goes through a log up to its durable end. Not safe for concurrent use.
type Walk struct {
	rd   *wal.Reader
	from record.Position
	end  int64 // where the last put ended

	until record.Position // 0: there is no end
}

// Next calls begin with the next put's arrival (Unix ms) and where it begins and ends, then visit with each of its intact records from
// the walk's beginning on. false: at the log's end; more may come. An error of visit ends the walk.
func (w *Walk) Next(begin func(arrivalMillis, start, end int64), visit func(record.Record) error) (bool, error) {
	f, err := w.rd.Next()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if w.until > 0 && f.First().Pos >= w.until {
		return false, nil
	}
	w.end = f.EndOffset()
	begin(f.ArrivalMillis(), f.Offset(), w.end)
	return true, f.Records(max(w.from, f.First().Pos), f.Last(), visit)
}

// Mark is the next record to be read, and where it begins at the earliest.
func (w *Walk) Mark() (record.Position, int64) { return max(w.from, w.rd.Position()), w.end }

// Close lets go of the file.
func (w *Walk) Close() { w.rd.Close() }
