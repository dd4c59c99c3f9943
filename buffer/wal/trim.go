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
	l.advance(pos, offset)
	l.trimTo = max(l.trimTo, pos)
	gone := l.takeTrimmable()
	l.mu.Unlock()
	return l.drop(gone)
}

// Advance says the same before it is durable: the backlog shrinks, and nothing else. It returns whether Trim would free a segment.
func (l *Log) Advance(pos record.Position, offset int64) (trimmable bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance(pos, offset)
	return len(l.segs) > 1 && l.segs[0].lastPos < l.cursor
}

func (l *Log) advance(pos record.Position, offset int64) {
	if pos <= l.cursor {
		return
	}
	l.cursor = pos
	l.cursorOffset = min(max(l.cursorOffset, offset), l.logOffset)
	if pos >= l.durable {
		l.cursorOffset = l.logOffset
	}
	l.opt.Share.use(l.waiting())
}

// takeTrimmable removes from the list what may go. The last segment stays: it carries the chain.
func (l *Log) takeTrimmable() (gone []*segment) {
	keepFrom := l.now() - l.opt.Retain.Milliseconds()
	if l.opt.Retain > 0 && l.opt.Share.guard.Low() {
		keepFrom = l.now() + 1 // space comes before retention
	}
	for len(l.segs) > 1 {
		s := l.segs[0]
		if s.lastPos >= l.trimTo || s.refs > 0 || (!s.empty() && s.arrival >= keepFrom && l.opt.Retain > 0) {
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
		// Synced one by one, oldest first: else a crash could leave a gap in the chain, which looks like damage.
		errs = append(errs, l.opt.FS.SyncDir(l.opt.Dir))
	}
	return errors.Join(errs...)
}

// Shrink gives the segments of an idle log back: when everything is delivered, a file of one page takes their place.
// It does nothing while puts are under way. The cursor must be durable.
func (l *Log) Shrink() error {
	l.mu.Lock()
	s := l.lastSegment()
	if l.committing || l.closed || s == nil || s.empty() || l.trimTo < l.durable || l.retained(s) || l.trouble != nil {
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
	l.passOn()
	l.mu.Unlock()
	return errors.Join(err, l.drop(gone))
}

// lastRecord is the position of the last record in the log, or of the last that it ever held.
func (l *Log) lastRecord() record.Position {
	for i := len(l.segs) - 1; i >= 0; i-- {
		if s := l.segs[i]; !s.empty() {
			return s.lastPos
		}
	}
	if len(l.segs) == 0 {
		return 0
	}
	return l.segs[0].prevLastPos
}

func (l *Log) lastSegment() *segment {
	if len(l.segs) == 0 {
		return nil
	}
	return l.segs[len(l.segs)-1]
}
