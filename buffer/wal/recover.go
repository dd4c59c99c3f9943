package wal

import (
	"errors"
	"fmt"
	"path/filepath"
	"sort"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// recover reads the segments' headers, finds the end of the log and reports what is missing.
func (l *Log) recover() (err error) {
	segs, err := l.openSegments()
	defer func() {
		if err != nil {
			for _, s := range segs {
				_ = s.file.Close() // nothing was written that was not synced
			}
			l.segs = nil
		}
	}()
	if err != nil {
		return err
	}
	for i, s := range segs {
		if err := l.settleSegment(s, segs, i); err != nil {
			return err
		}
	}
	l.segs = segs
	l.next = 1
	if n := len(segs); n > 0 {
		last := segs[n-1]
		for _, s := range segs {
			l.next, l.arrival = max(l.next, s.lastPos+1), max(l.arrival, s.arrival)
		}
		l.commit = max(l.commit, last.baseCommit)
		l.logOffset = last.logOffset + last.end - headerBytes
		l.cursorOffset = segs[0].logOffset
		if err := l.makeDurable(last); err != nil {
			return fmt.Errorf("make %s durable: %w", last.path, err)
		}
	}
	if l.opt.Floor >= l.next {
		l.report(Damage{File: l.opt.Dir, From: l.next, To: l.opt.Floor,
			Why: "the cursor or journal knows records above the end of the log: its last segment is lost, or an old copy was restored"})
		l.next = l.opt.Floor + 1
	}
	l.durable = l.next
	l.opt.Share.use(l.waiting())
	return nil
}

// makeDurable sees to it that what recovery shows of the last segment survives a power cut: a killed process may have left it in memory
// only. A sync does not do for that: if one failed before, the pages count as clean and are not written again. So the bytes that no
// later commit proves durable are written once more as they are, which no power cut can harm.
func (l *Log) makeDurable(s *segment) error {
	if s.end == headerBytes {
		if _, err := s.file.WriteAt(s.encode(), 0); err != nil {
			return err
		}
	}
	buf := make([]byte, min(1<<20, s.end-s.doubtful))
	for at := s.doubtful; at < s.end; at += int64(len(buf)) {
		buf = buf[:min(int64(len(buf)), s.end-at)]
		if _, err := s.file.ReadAt(buf, at); err != nil {
			return err
		}
		if _, err := s.file.WriteAt(buf, at); err != nil {
			return err
		}
	}
	if err := s.file.Sync(); err != nil {
		return err
	}
	return l.opt.FS.SyncDir(l.opt.Dir)
}

// openSegments opens what is a segment of this log, in order. Foreign and unreadable files are set aside. On an error it returns those
// that are open, to be closed.
func (l *Log) openSegments() ([]*segment, error) {
	names, err := l.opt.FS.ReadDir(l.opt.Dir)
	if err != nil {
		return nil, err
	}
	var segs []*segment
	for _, n := range names {
		num, ok := parseSegmentName(n)
		if !ok {
			continue
		}
		l.lastNum = max(l.lastNum, num)
		s, err := l.openSegment(filepath.Join(l.opt.Dir, n), num)
		if err != nil {
			return segs, err
		}
		if s != nil {
			segs = append(segs, s)
		}
	}
	sort.Slice(segs, func(i, j int) bool { return segs[i].num < segs[j].num })
	return segs, nil
}

// openSegment returns nil for a file that holds nothing of this log.
func (l *Log) openSegment(path string, num uint64) (*segment, error) {
	f, err := l.opt.FS.Open(path)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	page, lost, err := readPage(f, size)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	s := &segment{path: path, file: f, sealed: true, pooled: size == l.opt.Pool.size}
	err = s.decodePage(page)
	if err == nil && s.log == l.opt.ID && s.num == num {
		s.end = size
		return s, nil
	}
	if err != nil && !errors.Is(err, errNotSegment) {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	frames := false
	if err != nil {
		frames, err = holdsFrames(f, size, &lost)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if frames {
		l.reportFile(path, size, lost.why("the segment's header is damaged", 0, size))
		return nil, nil
	}
	// A file that was being made, or a spare that another log has written since: no acknowledged record can be in it.
	return nil, l.opt.FS.Remove(path)
}

// readPage reads the first page of a file, or less where it is shorter.
func readPage(f vfs.File, size int64) (page []byte, lost holes, err error) {
	page = make([]byte, min(size, headerBytes))
	n, err := readAround(f, page, 0, &lost)
	return page[:n], lost, err
}

// holdsFrames looks for anything like a frame, whatever its salt. What the disk cannot read may be one.
func holdsFrames(f vfs.File, size int64, lost *holes) (bool, error) {
	s := scan{file: f, end: size, anySalt: true, win: window{lost: *lost}}
	_, _, ok, err := s.find(headerBytes, 0)
	*lost = s.win.lost
	return ok || len(*lost) > 0, err
}

// settleSegment finds where a segment ends: its successor says so, or its frames are walked.
func (l *Log) settleSegment(s *segment, segs []*segment, i int) error {
	l.checkChain(segs[:i], s)
	if n := successor(segs[i+1:], s); n != nil {
		s.end, s.lastPos, s.arrival = n.prevEnd, n.prevLastPos, n.baseArrival
		s.commitEnd = s.end
		return nil
	}
	t, err := findEnd(s.file, &s.segHeader, s.end)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path, err)
	}
	s.end, s.lastPos, s.arrival, s.commitEnd, s.doubtful = t.end, t.lastPos, t.arrival, t.end, t.doubtful
	l.commit = max(l.commit, t.commit)
	if t.unread == (stretch{}) {
		return nil
	}
	return l.setAside(s, t.unreadDamage(s), t.lost)
}

// checkChain reports segments that are missing between s and those before it; below the cursor they were trimmed.
func (l *Log) checkChain(before []*segment, s *segment) {
	last, missing := missingBefore(before, s)
	known := len(before) > 0 || l.opt.Cursor > 0
	if l.opt.Cursor > 0 {
		last = max(last, l.opt.Cursor-1)
	}
	if known && missing && s.prevLastPos > last {
		l.report(Damage{File: l.opt.Dir, From: last + 1, To: s.prevLastPos, Why: fmt.Sprintf("segment %d is missing before segment %d", s.prevNum, s.num)})
	}
}

// missingBefore says whether the predecessor of s is not there, and which is the last record of those that are.
func missingBefore(before []*segment, s *segment) (last record.Position, missing bool) {
	for _, b := range before {
		if b.num == s.prevNum {
			return 0, false
		}
		last = max(last, b.lastPos)
	}
	return last, true
}

// successor returns the segment that names s as the one before it, nil when there is none.
func successor(later []*segment, s *segment) *segment {
	for _, n := range later {
		if n.prevNum == s.num {
			return n
		}
	}
	return nil
}
