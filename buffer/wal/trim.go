package wal

import (
	"errors"
	"io/fs"

	"hydrant/record"
)

// Trim says that everything below pos is delivered or set aside, and that this is durable elsewhere (the journal was synced).
// offset is what Frame.Offset said there. Whole segments below go, unless a reader holds them or Retain keeps them.
func (l *Log) Trim(pos record.Position, offset int64) error {
	l.mu.Lock()
	if pos > l.cursor {
		l.cursor = pos
		l.cursorOffset = min(max(l.cursorOffset, offset), l.logOffset)
		if pos >= l.durable {
			l.cursorOffset = l.logOffset
		}
		l.opt.Share.use(l.waiting())
	}
	gone := l.takeTrimmable()
	l.mu.Unlock()
	return l.drop(gone)
}

// takeTrimmable removes from the list what may go. The last segment stays: it carries the chain.
func (l *Log) takeTrimmable() (gone []*segment) {
	keepFrom := l.now() - l.opt.Retain.Milliseconds()
	if l.opt.Retain > 0 && l.opt.Share.guard.Low() {
		keepFrom = l.now() + 1 // space comes before retention
	}
	for len(l.segs) > 1 {
		s := l.segs[0]
		if s.lastPos >= l.cursor || s.refs > 0 || (!s.empty() && s.arrival >= keepFrom && l.opt.Retain > 0) {
			break
		}
		l.segs = l.segs[1:]
		gone = append(gone, s)
	}
	return gone
}

// retained says that records of the segment are to stay readable for a while.
func (l *Log) retained(s *segment) bool {
	return l.opt.Retain > 0 && s.arrival >= l.now()-l.opt.Retain.Milliseconds()
}

// drop gives segments to the pool or removes them.
func (l *Log) drop(gone []*segment) error {
	var errs []error
	for _, s := range gone {
		errs = append(errs, s.file.Close())
		if s.pooled {
			errs = append(errs, l.opt.Pool.give(s.path))
			continue
		}
		if err := l.opt.FS.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Shrink gives the segments of an idle log back: when everything is delivered, a file of one page takes their place.
// It does nothing while puts are under way. The cursor must be durable.
func (l *Log) Shrink() error {
	l.mu.Lock()
	s := l.lastSegment()
	if l.committing || l.closed || s == nil || s.empty() || l.cursor < l.durable || l.retained(s) || l.trouble != nil {
		l.mu.Unlock()
		return nil
	}
	l.committing = true
	l.lastClass = 0
	l.mu.Unlock()

	_, err := l.roll(0)

	l.mu.Lock()
	var gone []*segment
	if err == nil {
		gone = l.takeTrimmable()
	}
	var heir *pending
	if len(l.queue) > 0 {
		heir = l.queue[0]
	} else {
		l.committing = false
		l.idle.Broadcast()
	}
	l.mu.Unlock()
	if heir != nil {
		heir.ready <- true
	}
	return errors.Join(err, l.drop(gone))
}

func (l *Log) lastSegment() *segment {
	if len(l.segs) == 0 {
		return nil
	}
	return l.segs[len(l.segs)-1]
}
