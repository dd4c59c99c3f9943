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
func (l *Log) recover() error {
	segs, err := l.openSegments()
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
		l.next = last.lastPos + 1
		l.arrival = last.arrival
		l.commit = max(l.commit, last.baseCommit)
		l.logOffset = last.logOffset + last.end - headerBytes
		l.cursorOffset = segs[0].logOffset
		if err := last.file.Sync(); err != nil { // what a killed process wrote may be in memory only
			return fmt.Errorf("sync %s: %w", last.path, err)
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

// openSegments opens what is a segment of this log, in order. Foreign and unreadable files are set aside.
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
			return nil, err
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
	page := make([]byte, min(size, segHeaderUsed))
	if len(page) > 0 {
		if _, err := f.ReadAt(page, 0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	s := &segment{path: path, file: f, sealed: true, pooled: size == SegmentBytes}
	err = s.decode(page)
	if err == nil && s.log == l.opt.ID && s.num == num {
		s.end = size
		return s, nil
	}
	if errors.Is(err, errNotSegment) && size > headerBytes && holdsFrames(f, size) {
		l.reportFile(path, size, "the segment's header is damaged")
	} else if err != nil && !errors.Is(err, errNotSegment) {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	// A file that was being made, or a spare that another log has written since: no acknowledged record can be in it.
	if err := f.Close(); err != nil {
		return nil, err
	}
	return nil, l.opt.FS.Remove(path)
}

// holdsFrames looks for anything like a frame, whatever its salt.
func holdsFrames(f vfs.File, size int64) bool {
	b := make([]byte, frameHeaderBytes)
	if _, err := f.ReadAt(b, headerBytes); err != nil || size < headerBytes+frameHeaderBytes {
		return false
	}
	var h frameHeader
	salt := uint64(0)
	for i := range 8 {
		salt |= uint64(b[8+i]) << (8 * i)
	}
	return h.decode(b, salt)
}

// settleSegment finds where a segment ends: its successor says so, or its frames are walked.
func (l *Log) settleSegment(s *segment, segs []*segment, i int) error {
	if i > 0 {
		l.checkChain(segs[i-1], s)
	}
	for _, n := range segs[i+1:] {
		if n.prevNum == s.num {
			s.end, s.lastPos, s.arrival = n.prevEnd, n.prevLastPos, n.baseArrival
			s.commitEnd = s.end
			return nil
		}
	}
	t, err := findEnd(s.file, &s.segHeader, s.end)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.path, err)
	}
	s.end, s.lastPos, s.arrival, s.commitEnd = t.end, t.lastPos, t.arrival, t.end
	l.commit = max(l.commit, t.commit)
	return nil
}

// checkChain reports segments that are missing between two that follow each other.
func (l *Log) checkChain(before, s *segment) {
	if s.prevNum == before.num || before.empty() || s.basePos <= before.lastPos+1 {
		return
	}
	l.report(Damage{File: l.opt.Dir, From: before.lastPos + 1, To: s.basePos - 1,
		Why: fmt.Sprintf("segments between %d and %d are missing", before.num, s.num)})
}

type damageKey struct {
	file string
	off  int64
	from record.Position
}

// report tells of damage once, and keeps a copy of the bytes.
func (l *Log) report(d Damage) {
	k := damageKey{d.File, d.Offset, d.From}
	if l.seen[k] {
		return
	}
	l.seen[k] = true
	l.opt.Logger.Error("damaged log", "stream", l.opt.Stream, "file", d.File, "offset", d.Offset, "bytes", d.Bytes,
		"from", d.From, "to", d.To, "copy", d.Copy, "err", d.Why)
	if l.opt.Damaged != nil {
		l.opt.Damaged(d)
	}
}

func (l *Log) reportFile(path string, size int64, why string) {
	d := Damage{File: path, Bytes: size, Why: why}
	copyTo := filepath.Join(filepath.Dir(l.opt.Dir), "damaged", filepath.Base(path))
	if err := vfs.MkdirAll(l.opt.FS, filepath.Dir(copyTo)); err == nil {
		if err := l.opt.FS.Rename(path, copyTo); err == nil {
			d.Copy = copyTo
		}
	}
	l.report(d)
}

// setAside copies a damaged stretch beside the log and returns the copy's name, "" when that failed.
func (l *Log) setAside(s *segment, off, n int64) string {
	dir := filepath.Join(filepath.Dir(l.opt.Dir), "damaged")
	if vfs.MkdirAll(l.opt.FS, dir) != nil {
		return ""
	}
	name := filepath.Join(dir, fmt.Sprintf("%s-%08x", filepath.Base(s.path), off))
	f, err := l.opt.FS.Create(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, 256<<10)
	for at := int64(0); at < n; at += int64(len(buf)) {
		got, rerr := s.file.ReadAt(buf[:min(int64(len(buf)), n-at)], off+at)
		if _, err := f.WriteAt(buf[:got], at); err != nil || rerr != nil {
			break
		}
	}
	if f.Sync() != nil || l.opt.FS.SyncDir(dir) != nil {
		return ""
	}
	return name
}
