package wal

import (
	"context"
	"encoding/binary"
	"io"
	"slices"
	"time"

	"hydrant/record"
)

// Reader walks a log's frames up to the durable end. It holds the file it reads, so that it is not reused meanwhile.
// Not safe for concurrent use; many readers of one log are.
type Reader struct {
	l    *Log
	seg  *segment
	scan scan
	off  int64
	want record.Position // frames that end below it are skipped
	walk record.Position // one past the last frame walked over, skipped ones too
	// parked: read to the log's end. The file is not held then, so that an idle log can give its space back.
	parked bool
	frame  Frame
}

// Frame is one put as it stands in the log. It is valid until the next call of its Reader.
type Frame struct {
	r         *Reader
	h         frameHeader
	off       int64
	epoch     record.Epoch
	logOffset int64 // where the frame begins, in bytes since the log began
}

// NewReader returns a reader whose first frame holds the record at from, or the next one there is.
func (l *Log) NewReader(from record.Position) *Reader {
	return &Reader{l: l, want: from}
}

// Close lets go of the file.
func (r *Reader) Close() {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	r.release()
}

func (r *Reader) release() {
	if r.seg != nil && !r.parked {
		r.seg.refs--
	}
	r.seg, r.parked, r.scan = nil, false, scan{}
}

// Next returns the next frame, io.EOF at the durable end (more may come later). Damage is set aside, reported and skipped.
func (r *Reader) Next() (*Frame, error) {
	for {
		if !r.acquire() {
			return nil, io.EOF
		}
		end, last := r.limits()
		r.scan.end = end
		if r.off >= end {
			r.leave(last)
			if last {
				return nil, io.EOF
			}
			continue
		}
		h, ok, err := r.scan.header(r.off)
		if err != nil {
			return nil, err
		}
		if !ok {
			if err := r.resync(); err != nil {
				return nil, err
			}
			continue
		}
		at := r.off
		r.off += h.size()
		r.walk = h.lastPos() + 1
		if h.count == 0 || h.lastPos() < r.want {
			continue
		}
		r.want = h.lastPos() + 1
		r.frame = Frame{r: r, h: h, off: at, epoch: r.seg.epoch, logOffset: r.seg.logOffset + at - headerBytes}
		return &r.frame, nil
	}
}

// acquire takes hold of the segment with the record at want, or the first one behind it.
func (r *Reader) acquire() bool {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	if r.parked {
		if slices.Contains(r.l.segs, r.seg) {
			r.seg.refs++
			r.parked = false
		} else {
			r.release()
		}
	}
	if r.seg != nil {
		return true
	}
	for _, s := range r.l.segs {
		if s.empty() || s.lastPos < r.want {
			continue
		}
		s.refs++
		r.seg, r.off, r.walk = s, headerBytes, s.basePos
		r.scan = scan{file: s.file, salt: s.salt}
		return true
	}
	return false
}

func (r *Reader) limits() (end int64, last bool) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	segs := r.l.segs
	return r.seg.end, len(segs) == 0 || segs[len(segs)-1] == r.seg
}

// leave lets go of a segment that was read to its end, but keeps the place in the last one.
func (r *Reader) leave(last bool) {
	r.l.mu.Lock()
	defer r.l.mu.Unlock()
	r.want = max(r.want, r.walk)
	if !last {
		r.want = max(r.want, r.seg.lastPos+1)
		r.release()
		return
	}
	r.seg.refs--
	r.parked = true
	r.scan.win = window{}
}

// resync sets an unreadable stretch aside and moves behind it.
func (r *Reader) resync() error {
	at, h, found, err := r.scan.find(r.off+1, 0)
	if err != nil {
		return err
	}
	to, walk := r.scan.end, r.walk
	d := Damage{File: r.seg.path, Offset: r.off, From: r.walk, Why: "frame header damaged"}
	if found {
		to, walk = at, h.firstPos
	} else {
		r.l.mu.Lock()
		walk = max(walk, r.seg.lastPos+1)
		r.l.mu.Unlock()
	}
	d.To = walk - 1
	d.Bytes = to - r.off
	if err := r.note(d); err != nil {
		return err
	}
	r.off, r.walk = to, walk
	r.want = max(r.want, walk)
	return nil
}

// note keeps a copy of what is damaged and reports it, once. An error says that it must not be given up yet.
func (r *Reader) note(d Damage) error {
	if !r.l.first(d) {
		return nil
	}
	return r.l.setAside(r.seg, d, r.scan.win.lost)
}

// First is the identity of the frame's first record.
func (f *Frame) First() record.ID { return record.ID{Epoch: f.epoch, Pos: f.h.firstPos} }

// Last is the position of its last record.
func (f *Frame) Last() record.Position { return f.h.lastPos() }

// ArrivalMillis is when the put was accepted.
func (f *Frame) ArrivalMillis() int64 { return f.h.arrival }

// Bytes is the number of record bytes.
func (f *Frame) Bytes() int64 { return int64(f.h.payload) }

// Offset is where the frame begins, in frame bytes since the log began.
func (f *Frame) Offset() int64 { return f.logOffset }

// EndOffset is where it ends.
func (f *Frame) EndOffset() int64 { return f.logOffset + f.h.size() }

// Sizes calls visit with position and length of each record, in order, until it returns false. It reads no record bytes
// but the tail; a damaged tail counts as one record of the whole length.
func (f *Frame) Sizes(visit func(pos record.Position, n int) bool) error {
	n := f.h.tail()
	s := &f.r.scan
	tail, err := s.win.at(s.file, f.off+frameHeaderBytes+int64(f.h.payload), n, n, s.end)
	if err != nil {
		return err
	}
	if len(tail) < n || !checkTail(tail, &f.h) {
		visit(f.h.lastPos(), int(f.h.payload))
		return nil
	}
	ends := tail[4*blocksOf(int(f.h.payload)):]
	prev := uint32(0)
	for i := range int(f.h.count) {
		e := binary.LittleEndian.Uint32(ends[4*i:])
		if !visit(f.h.firstPos+record.Position(i), int(e-prev)) {
			return nil
		}
		prev = e
	}
	return nil
}

// Records calls visit with each record from first to last that is intact, in order. What is damaged is set aside and
// reported; the other records of the put are delivered. The data is valid until visit returns.
func (f *Frame) Records(first, last record.Position, visit func(record.Record) error) error {
	s := &f.r.scan
	b, err := s.win.at(s.file, f.off, int(f.h.size()), s.ahead(), s.end)
	if err != nil {
		return err
	}
	if int64(len(b)) < f.h.size() {
		return f.damaged(f.off, f.h.size(), "file is shorter than the frame")
	}
	payload, tail := splitFrame(b, &f.h)
	if !checkTail(tail, &f.h) {
		return f.damaged(f.off, f.h.size(), "record index damaged")
	}
	bad, err := f.badBlocks(payload, tail)
	if err != nil {
		return err
	}
	ends := tail[4*blocksOf(len(payload)):]
	r := record.Record{ID: f.First(), ArrivalMillis: f.h.arrival}
	origins := originsOf(tail, &f.h)
	from := uint32(0)
	for i := range int(f.h.count) {
		to := binary.LittleEndian.Uint32(ends[4*i:])
		r.Pos = f.h.firstPos + record.Position(i)
		r.Data = payload[from:to]
		if origins != nil {
			r.Origin = &origins[i]
		}
		if r.Pos > last {
			break
		}
		if r.Pos >= first && !touches(bad, from, to) {
			if err := visit(r); err != nil {
				return err
			}
		}
		from = to
	}
	return nil
}

// originsOf are those of each record, when the put's note has them.
func originsOf(tail []byte, h *frameHeader) []record.Origin {
	b := noteOf(tail, h)
	if b == nil {
		return nil
	}
	if n, err := record.ParseNote(b); err == nil && len(n.Origins) == int(h.count) {
		return n.Origins
	}
	return nil
}

// Note is what the put carried beside its records; nil when there is nothing, or it is damaged.
func (f *Frame) Note() (*record.Note, error) {
	if f.h.words() == 0 {
		return nil, nil
	}
	n := f.h.tail()
	s := &f.r.scan
	tail, err := s.win.at(s.file, f.off+frameHeaderBytes+int64(f.h.payload), n, n, s.end)
	if err != nil || len(tail) < n || !checkTail(tail, &f.h) {
		return nil, err
	}
	note, err := record.ParseNote(noteOf(tail, &f.h))
	if err != nil {
		return nil, nil //nolint:nilerror // no note that we wrote: as good as none
	}
	return note, nil
}

// badBlocks checks all blocks and reports those that are damaged.
func (f *Frame) badBlocks(payload, tail []byte) (bad []int, err error) {
	for i := range blocksOf(len(payload)) {
		if blockOK(payload, tail, i) {
			continue
		}
		bad = append(bad, i)
		n := min(blockBytes, len(payload)-i*blockBytes)
		if err := f.damaged(f.off+frameHeaderBytes+int64(i*blockBytes), int64(n), "records damaged"); err != nil {
			return nil, err
		}
	}
	return bad, nil
}

func touches(bad []int, from, to uint32) bool {
	for _, b := range bad {
		if from < uint32((b+1)*blockBytes) && to > uint32(b*blockBytes) {
			return true
		}
	}
	return false
}

func (f *Frame) damaged(off, n int64, why string) error {
	return f.r.note(Damage{File: f.r.seg.path, Offset: off, Bytes: n, From: f.h.firstPos, To: f.h.lastPos(), Why: why})
}

// Position is where the reader stands: everything below was returned, skipped or set aside.
func (r *Reader) Position() record.Position { return r.want }

// Has says whether a record at or behind pos is readable.
func (l *Log) Has(pos record.Position) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.has(pos)
}

func (l *Log) has(pos record.Position) bool {
	for i := len(l.segs) - 1; i >= 0; i-- {
		if s := l.segs[i]; !s.empty() {
			return s.lastPos >= pos
		}
	}
	return false
}

// Wait returns when the log holds something at or behind pos, after d, when stop is closed, or with the error of ctx.
func (l *Log) Wait(ctx context.Context, pos record.Position, d time.Duration, stop <-chan struct{}) error {
	l.mu.Lock()
	grown, there := l.grown, l.has(pos)
	l.mu.Unlock()
	if there {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-grown:
	case <-t.C:
	case <-stop:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
