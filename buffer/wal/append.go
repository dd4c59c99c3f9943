package wal

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"hydrant/record"
)

// pending is a put on its way into the log.
type pending struct {
	buf     []byte // whole frame, header not filled in
	records int
	payload int
	words   int // of the note
	tailSum uint32
	first   record.ID
	err     error
	ready   chan bool // true: you lead the next commit; false: you are done
}

func (p *pending) size() int64 { return int64(len(p.buf)) }

// Append makes a put durable and returns the identity of its first record; record i has the i-th position after it.
// All of the put is accepted or nothing. Errors: record.ErrStopping, *record.Unavailable. Safe for concurrent use:
// puts that arrive while a sync runs share the next one. The put may be released when Append returns.
func (l *Log) Append(_ context.Context, put *record.Put) (record.ID, error) {
	if put.Count() == 0 || put.Bytes() > record.MaxPutBytes || put.Count() > record.MaxPutRecords {
		return record.ID{}, fmt.Errorf("put of %d records and %d bytes is outside the log's limits", put.Count(), put.Bytes())
	}
	p := newPending(put)
	lead, err := l.enqueue(p)
	if err != nil {
		return record.ID{}, err
	}
	if !lead {
		lead = <-p.ready
	}
	if lead {
		l.lead(p)
	}
	return p.first, p.err
}

func newPending(put *record.Put) *pending {
	buf, ends := put.Raw()
	_, note := put.Note()
	p := &pending{records: len(ends), payload: len(buf) - frameHeaderBytes, words: noteWords(len(note)), ready: make(chan bool, 1)}
	p.buf, p.tailSum = appendTail(buf, ends, note)
	put.Keep(p.buf)
	return p
}

// enqueue admits a put; lead says that the caller must commit.
func (l *Log) enqueue(p *pending) (lead bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.refuse(p.size()); err != nil {
		return false, err
	}
	l.pendingBytes += p.size()
	l.opt.Share.use(l.waiting())
	l.queue = append(l.queue, p)
	if l.committing {
		return false, nil
	}
	l.committing = true
	return true, nil
}

// refuse says why a put of n bytes may not enter now.
func (l *Log) refuse(n int64) error {
	if l.closed {
		return record.ErrStopping
	}
	if wait := l.retryAt.Sub(l.opt.Now()); l.trouble != nil && wait > 0 {
		return &record.Unavailable{Reason: "the log cannot be written: " + l.trouble.Error(), RetryAfter: wait}
	}
	return l.opt.Share.admit(l.waiting(), n)
}

// lead commits what waits, then hands the lead to the first put that came meanwhile.
func (l *Log) lead(own *pending) {
	l.linger()
	l.mu.Lock()
	group := l.takeGroup()
	l.mu.Unlock()

	err := l.write(group)

	l.mu.Lock()
	l.settle(group, err)
	l.passOn()
	l.mu.Unlock()
	records, bytes := 0, int64(0)
	for _, p := range group {
		records, bytes = records+p.records, bytes+int64(p.payload)
		if p != own {
			p.ready <- false
		}
	}
	if err == nil && l.opt.Appended != nil {
		l.opt.Appended(records, bytes)
	}
}

// passOn gives the lead to the first put that waits, or ends the commit. The caller leads, and holds mu.
func (l *Log) passOn() {
	if len(l.queue) > 0 {
		l.queue[0].ready <- true // never blocks: the channel has room for it
		return
	}
	l.committing = false
	l.idle.Broadcast()
}

// linger waits a moment for company when the last commit had some and fewer wait now: a sync costs the same for many.
func (l *Log) linger() {
	l.mu.Lock()
	wait := 2*len(l.queue) < l.lastGroup
	l.mu.Unlock()
	if wait {
		time.Sleep(l.opt.SyncLinger)
	}
}

// What one sync covers is bounded to this many frames, and to three quarters of a full-grown segment, so that nobody waits for much
// more than his own put and a commit always fits one segment.
const maxCommitFrames = 4096

func (l *Log) takeGroup() []*pending {
	n, size := 0, int64(0)
	for n < len(l.queue) && n < maxCommitFrames {
		size += l.queue[n].size()
		if n > 0 && size > l.opt.Pool.size/4*3 {
			break
		}
		n++
	}
	group := l.queue[:n:n]
	l.queue = append([]*pending(nil), l.queue[n:]...)
	l.lastGroup = n
	return group
}

// write makes a group durable. Only the leader runs it; nobody else touches the active segment meanwhile.
func (l *Log) write(group []*pending) error {
	size := int64(0)
	for _, p := range group {
		size += p.size()
	}
	s, err := l.segmentWithRoom(size)
	if err != nil {
		return err
	}
	arrival := max(l.arrival, l.arrives())
	l.fillHeaders(s, group, arrival)
	if err := writeFrames(s, group); err != nil {
		return err
	}
	began := time.Now()
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", s.path, err)
	}
	if l.opt.Synced != nil {
		l.opt.Synced(time.Since(began))
	}
	l.publish(s, group, size, arrival)
	return nil
}

// segmentWithRoom returns the active segment, or a new one when it is full or there is none.
func (l *Log) segmentWithRoom(size int64) (*segment, error) {
	l.mu.Lock()
	s := l.active()
	l.mu.Unlock()
	if s != nil && s.end+size <= s.capacity {
		return s, nil
	}
	return l.roll(size)
}

// roll opens the next segment. Its header says where the one before ends.
func (l *Log) roll(size int64) (*segment, error) {
	l.mu.Lock()
	h := segHeader{epoch: l.epoch, num: l.lastNum + 1, basePos: l.next, baseArrival: l.arrival, logOffset: l.logOffset, baseCommit: l.commit}
	if p := l.lastSegment(); p != nil {
		// Sealed even if what follows fails: the header that says where p ends may be on disk by then.
		p.sealed = true
		h.prevNum, h.prevEnd, h.prevLastPos = p.num, p.end, l.lastRecord()
	}
	h.capacity = l.opt.Pool.capacityFor(l.lastClass, size)
	l.mu.Unlock()

	s, err := l.newSegment(h)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastNum++ // also after a failure: that name may exist by now
	if err != nil {
		return nil, err
	}
	l.lastClass = h.capacity
	l.segs = append(l.segs, s)
	return s, nil
}

func (l *Log) fillHeaders(s *segment, group []*pending, arrival int64) {
	pos := l.next
	for i, p := range group {
		h := frameHeader{
			salt: s.salt, commit: l.commit + 1, prevCommit: uint32(s.commitEnd), firstPos: pos, arrival: arrival,
			flags: uint32(p.words) << noteShift, payload: uint32(p.payload), count: uint32(p.records), tailSum: p.tailSum, index: uint16(i), of: uint16(len(group)),
		}
		h.encode(p.buf)
		p.first = record.ID{Epoch: s.epoch, Pos: pos}
		pos += record.Position(p.records)
	}
}

// coalesceBelow is the frame size under which frames are copied together into one write.
const coalesceBelow = 64 << 10

func writeFrames(s *segment, group []*pending) error {
	at := s.end
	var small []byte
	flush := func() error {
		if len(small) == 0 {
			return nil
		}
		_, err := s.file.WriteAt(small, at)
		at += int64(len(small))
		small = small[:0]
		return err
	}
	for _, p := range group {
		if len(group) > 1 && len(p.buf) < coalesceBelow {
			small = append(small, p.buf...)
			if len(small) < 1<<20 {
				continue
			}
			if err := flush(); err != nil {
				return fmt.Errorf("write %s: %w", s.path, err)
			}
			continue
		}
		if err := flush(); err != nil {
			return fmt.Errorf("write %s: %w", s.path, err)
		}
		if _, err := s.file.WriteAt(p.buf, at); err != nil {
			return fmt.Errorf("write %s: %w", s.path, err)
		}
		at += p.size()
	}
	if err := flush(); err != nil {
		return fmt.Errorf("write %s: %w", s.path, err)
	}
	return nil
}

// publish moves the durable end: from here on readers see the group.
func (l *Log) publish(s *segment, group []*pending, size, arrival int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range group {
		l.next += record.Position(p.records)
	}
	l.durable = l.next
	l.arrival = arrival
	l.commit++
	l.logOffset += size
	l.pendingBytes -= size
	s.end += size
	s.commitEnd = s.end
	s.lastPos = l.durable - 1
	s.arrival = arrival
	close(l.grown)
	l.grown = make(chan struct{})
}

// settle ends a group: after a failure no put of it is acknowledged, and the segment is never written again.
func (l *Log) settle(group []*pending, err error) {
	if err == nil {
		l.failures, l.trouble = 0, nil
		return
	}
	for _, p := range group {
		l.pendingBytes -= p.size()
		l.next += record.Position(p.records) // it may be on disk under this position and epoch: no other record gets them
	}
	l.opt.Share.use(l.waiting())
	if s := l.active(); s != nil {
		s.sealed = true
	}
	l.failures++
	wait := min(100*time.Millisecond<<min(l.failures-1, 10), 10*time.Second)
	l.retryAt = l.opt.Now().Add(wait)
	l.trouble = err
	reason := "the log cannot be written: " + err.Error()
	if errors.Is(err, syscall.ENOSPC) {
		reason = "the disk is full"
	}
	for _, p := range group {
		p.err = &record.Unavailable{Reason: reason, RetryAfter: wait}
	}
	l.opt.Logger.Error("log write failed; puts are refused until a new segment works", "stream", l.opt.Stream, "err", err, "retry_in", wait)
}
