package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
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
	page := make([]byte, min(size, headerBytes))
	if len(page) > 0 {
		if _, err := f.ReadAt(page, 0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
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
		frames, err = holdsFrames(f, size)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	if frames {
		l.reportFile(path, size, "the segment's header is damaged")
		return nil, nil
	}
	// A file that was being made, or a spare that another log has written since: no acknowledged record can be in it.
	return nil, l.opt.FS.Remove(path)
}

// holdsFrames looks for anything like a frame, whatever its salt.
func holdsFrames(f vfs.File, size int64) (bool, error) {
	s := scan{file: f, end: size, anySalt: true}
	_, _, ok, err := s.find(headerBytes, 0)
	return ok, err
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
	return nil
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

type damageKey struct {
	file string
	off  int64
	from record.Position
}

// first says whether this damage was not reported before.
func (l *Log) first(d Damage) bool {
	k := damageKey{d.File, d.Offset, d.From}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen[k] {
		return false
	}
	l.seen[k] = true
	return true
}

func (l *Log) report(d Damage) {
	l.opt.Logger.Error("damaged log", "stream", l.opt.Stream, "file", d.File, "offset", d.Offset, "bytes", d.Bytes,
		"from", d.From, "to", d.To, "copy", d.Copy, "err", d.Why)
	if l.opt.Damaged != nil {
		l.opt.Damaged(d)
	}
}

// reportFile moves a file beside the log. Where that fails it stays, for the next start to try again: it is never deleted.
func (l *Log) reportFile(path string, size int64, why string) {
	d := Damage{File: path, Bytes: size, Why: why}
	copyTo := filepath.Join(l.damagedDir(), filepath.Base(path))
	if err := vfs.MkdirAll(l.opt.FS, l.damagedDir()); err == nil {
		if err := l.opt.FS.Rename(path, copyTo); err == nil {
			d.Copy = copyTo
			_ = errors.Join(l.opt.FS.SyncDir(l.damagedDir()), l.opt.FS.SyncDir(l.opt.Dir)) // undone by a crash: found again
		}
	}
	l.report(d)
}

func (l *Log) damagedDir() string { return filepath.Join(filepath.Dir(l.opt.Dir), "damaged") }

// setAside copies a damaged stretch beside the log and returns the copy's name, "" when that failed.
func (l *Log) setAside(s *segment, off, n int64) string {
	name, err := copyAside(l.opt.FS, l.damagedDir(), s.file, fmt.Sprintf("%s-%08x", filepath.Base(s.path), off), off, n)
	if err != nil {
		l.opt.Logger.Error("a damaged stretch could not be copied", "stream", l.opt.Stream, "file", s.path, "offset", off, "err", err)
		return ""
	}
	return name
}

// copyAside copies n bytes of a file from off, fewer when it ends before, into dir under the name base.
func copyAside(fsys vfs.FS, dir string, from vfs.File, base string, off, n int64) (string, error) {
	if err := vfs.MkdirAll(fsys, dir); err != nil {
		return "", err
	}
	name := filepath.Join(dir, base)
	f, err := fsys.Create(name)
	if errors.Is(err, fs.ErrExist) { // of an earlier run, perhaps cut short
		f, err = fsys.Open(name)
	}
	if err != nil {
		return "", err
	}
	buf := make([]byte, min(256<<10, n))
	for at := int64(0); at < n; at += int64(len(buf)) {
		got, rerr := from.ReadAt(buf[:min(int64(len(buf)), n-at)], off+at)
		if _, err = f.WriteAt(buf[:got], at); err != nil || errors.Is(rerr, io.EOF) {
			break
		}
		if err = rerr; err != nil {
			break
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return name, fsys.SyncDir(dir)
}
