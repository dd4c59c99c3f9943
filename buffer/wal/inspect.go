package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"sort"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// FindingKind says what an inspection met.
type FindingKind string

// The kinds of findings. Only damage is anything to worry about.
const (
	// FoundDamage: acknowledged records cannot be read.
	FoundDamage FindingKind = "damage"
	// FoundTorn: a write that was cut at the log's end. Nobody had an answer for it. In the log of a running daemon: a write under way.
	FoundTorn FindingKind = "torn"
	// FoundLeftover: a file without records: one that was being made, or that another log uses now.
	FoundLeftover FindingKind = "leftover"
)

// Finding is one thing an inspection has to say.
type Finding struct {
	Kind FindingKind
	Damage
}

// Summary counts what an inspection read.
type Summary struct {
	Segments    int
	Frames      int
	Records     int64 // that are intact
	RecordBytes int64 // of those
	First, Last record.Position
	Damaged     int // findings of kind damage
}

// Add adds what was read of another log.
func (s *Summary) Add(o Summary) {
	s.Segments += o.Segments
	s.Frames += o.Frames
	s.Records += o.Records
	s.RecordBytes += o.RecordBytes
	s.Damaged += o.Damaged
}

// SegmentInfo describes the segment that a dumped record lies in.
type SegmentInfo struct {
	File     string
	Number   uint64
	Log      LogID
	Epoch    record.Epoch
	Base     record.Position
	Capacity int64 // bytes
}

// FrameInfo describes the frame that a dumped record lies in.
type FrameInfo struct {
	Offset   int64 // in the file
	Bytes    int64 // on disk
	Commit   uint64
	Index    int // of the frame in its commit, from 0
	OfCommit int // frames in the commit
	First    record.Position
	Records  int
	Note     string // what the put carried beside its records, as JSON; "" for nothing
}

// Verify reads all of the log in dir, every checksum, and changes nothing. report, which may be nil, is called for each finding.
// Damage is a finding; an error is what kept it from reading at all. The daemon that owns the log should not run: what it is writing looks torn.
func Verify(fsys vfs.FS, dir string, report func(Finding)) (Summary, error) {
	i := &inspection{fs: fsys, dir: dir, report: report}
	err := i.run()
	return i.sum, err
}

// Repair is Verify that also keeps a copy of each damaged stretch in the folder damaged beside the log; Finding.Copy names it.
// It changes nothing in the log: the daemon reads around damage by itself.
func Repair(fsys vfs.FS, dir string, report func(Finding)) (Summary, error) {
	i := &inspection{fs: fsys, dir: dir, report: report, keep: true}
	err := i.run()
	return i.sum, err
}

// Dump calls visit with each intact record at or behind from, in order, at most limit of them (0: all). It changes nothing.
// The record's data is valid until visit returns. What is damaged is left out: Verify tells of it.
func Dump(fsys vfs.FS, dir string, from record.Position, limit int, visit func(SegmentInfo, FrameInfo, record.Record) error) error {
	n := 0
	i := &inspection{fs: fsys, dir: dir, from: from}
	i.visit = func(s *segment, at int64, h *frameHeader, r record.Record) error {
		if n++; limit > 0 && n > limit {
			return errEnough
		}
		return visit(SegmentInfo{File: s.path, Number: s.num, Log: s.log, Epoch: s.epoch, Base: s.basePos, Capacity: s.capacity},
			FrameInfo{Offset: at, Bytes: h.size(), Commit: h.commit, Index: int(h.index), OfCommit: int(h.of), First: h.firstPos, Records: int(h.count), Note: i.note}, r)
	}
	err := i.run()
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

var errEnough = errors.New("enough")

// inspection is one pass over a log that needs nothing but its folder.
type inspection struct {
	note   string // of the frame whose records are visited
	fs     vfs.FS
	dir    string
	keep   bool // copies of what is damaged
	from   record.Position
	report func(Finding)
	visit  func(s *segment, at int64, h *frameHeader, r record.Record) error
	sum    Summary
}

func (i *inspection) run() error {
	segs, err := i.open()
	defer func() {
		for _, s := range segs {
			_ = s.file.Close() // only read
		}
	}()
	if err != nil {
		return fmt.Errorf("log %s: %w", i.dir, err)
	}
	for n, s := range segs {
		torn, err := i.settle(segs, n)
		if err == nil {
			err = i.segment(s)
		}
		if err != nil {
			return fmt.Errorf("log %s: %s: %w", i.dir, s.path, err)
		}
		if torn {
			i.found(FoundTorn, s, Damage{File: s.path, Offset: s.end, From: s.lastPos + 1, Why: "a write that was cut; nobody had an answer for it"})
		}
	}
	i.sum.Segments = len(segs)
	return nil
}

// found notes a finding; s is nil when it is not about a stretch of a segment.
func (i *inspection) found(kind FindingKind, s *segment, d Damage) {
	if kind == FoundDamage {
		i.sum.Damaged++
		if i.keep && s != nil && d.Bytes > 0 {
			name, err := copyAside(i.fs, filepath.Join(filepath.Dir(i.dir), "damaged"), s.file, asideBase(d), d.Offset, d.Bytes)
			if err != nil {
				d.Why += "; no copy could be made: " + err.Error()
			} else {
				d.Copy = name
			}
		}
	}
	if i.report != nil {
		i.report(Finding{kind, d})
	}
}

// open opens the segments of one log, oldest first. On an error it returns those that are open, to be closed.
func (i *inspection) open() (segs []*segment, err error) {
	names, err := i.fs.ReadDir(i.dir)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		num, ok := parseSegmentName(n)
		if !ok {
			continue
		}
		s, err := i.openSegment(filepath.Join(i.dir, n), num)
		if err != nil {
			return segs, err
		}
		if s != nil {
			segs = append(segs, s)
		}
	}
	sort.Slice(segs, func(a, b int) bool { return segs[a].num < segs[b].num })
	return i.sameLog(segs)
}

// openSegment returns nil for a file that holds no segment of its own name.
func (i *inspection) openSegment(path string, num uint64) (*segment, error) {
	f, err := i.fs.OpenRead(path)
	if err != nil {
		return nil, err
	}
	s := &segment{path: path, file: f}
	keep, err := i.header(s, num)
	if err != nil || !keep {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func (i *inspection) header(s *segment, num uint64) (keep bool, err error) {
	size, err := s.file.Size()
	if err != nil {
		return false, err
	}
	page, lost, err := readPage(s.file, size)
	if err != nil {
		return false, err
	}
	s.end = size
	err = s.decodePage(page)
	switch {
	case err == nil && s.num == num:
		return true, nil
	case err == nil:
		i.found(FoundLeftover, nil, Damage{File: s.path, Bytes: size, Why: fmt.Sprintf("holds segment %d, of another use of the file", s.num)})
		return false, nil
	case !errors.Is(err, errNotSegment):
		return false, err
	}
	frames, err := holdsFrames(s.file, size, &lost)
	if frames {
		why := lost.why("both copies of the segment's header are damaged; it may hold records", 0, size)
		i.found(FoundDamage, s, Damage{File: s.path, Bytes: size, Why: why})
	} else if err == nil {
		i.found(FoundLeftover, nil, Damage{File: s.path, Bytes: size, Why: "no segment yet: it was being made"})
	}
	return false, err
}

// sameLog leaves segments of another log out. The newest says which log it is.
func (i *inspection) sameLog(segs []*segment) (same []*segment, err error) {
	for _, s := range segs {
		if s.log == segs[len(segs)-1].log {
			same = append(same, s)
			continue
		}
		i.found(FoundLeftover, nil, Damage{File: s.path, Bytes: s.end, Why: "a file that another log uses now"})
		err = errors.Join(err, s.file.Close())
	}
	return same, err
}

// settle finds where a segment ends, and reports what is missing before it.
func (i *inspection) settle(segs []*segment, n int) (torn bool, err error) {
	s := segs[n]
	if n > 0 {
		if last, missing := missingBefore(segs[:n], s); missing && s.prevLastPos > last {
			i.found(FoundDamage, nil, Damage{File: i.dir, From: last + 1, To: s.prevLastPos, Why: fmt.Sprintf("segment %d is missing before segment %d", s.prevNum, s.num)})
		}
	}
	if next := successor(segs[n+1:], s); next != nil {
		s.end, s.lastPos = next.prevEnd, next.prevLastPos
		return false, nil
	}
	t, err := findEnd(s.file, &s.segHeader, s.end)
	s.end, s.lastPos = t.end, t.lastPos
	if err == nil && t.unread != (stretch{}) {
		d := t.unreadDamage(s)
		d.Why = t.lost.why(d.Why, d.Offset, d.Bytes)
		i.found(FoundDamage, s, d)
		return false, nil
	}
	return t.torn, err
}

// segment reads one segment whole.
func (i *inspection) segment(s *segment) error {
	sc := &scan{file: s.file, salt: s.salt, end: s.end}
	next := s.basePos
	for off := int64(headerBytes); off < s.end; {
		h, ok, err := sc.header(off)
		if err != nil {
			return err
		}
		if ok {
			if err := i.frame(sc, s, off, &h); err != nil {
				return err
			}
			next = h.lastPos() + 1
			off += h.size()
			continue
		}
		at, h, found, err := sc.find(off+1, 0)
		if err != nil {
			return err
		}
		to := s.lastPos + 1
		if !found {
			at = s.end
		} else {
			to = h.firstPos
		}
		why := sc.win.lost.why("frame header damaged", off, at-off)
		i.found(FoundDamage, s, Damage{File: s.path, Offset: off, Bytes: at - off, From: next, To: max(to, next) - 1, Why: why})
		off, next = at, max(to, next)
	}
	return nil
}

// frame checks one frame and hands its intact records on.
func (i *inspection) frame(sc *scan, s *segment, off int64, h *frameHeader) error {
	d := Damage{File: s.path, Offset: off, Bytes: h.size(), From: h.firstPos, To: h.lastPos()}
	b, err := sc.win.at(sc.file, off, int(h.size()), sc.ahead(), sc.end)
	if err != nil {
		return err
	}
	i.sum.Frames++
	if int64(len(b)) < h.size() {
		d.Why = "file is shorter than the frame"
		i.found(FoundDamage, s, d)
		return nil
	}
	payload, tail := splitFrame(b, h)
	if !checkTail(tail, h) {
		d.Why = sc.win.lost.why("record index damaged", d.Offset, d.Bytes)
		i.found(FoundDamage, s, d)
		return nil
	}
	var bad []int
	for k := range blocksOf(len(payload)) {
		if !blockOK(payload, tail, k) {
			bad = append(bad, k)
			d.Offset, d.Bytes = off+frameHeaderBytes+int64(k*blockBytes), int64(min(blockBytes, len(payload)-k*blockBytes))
			d.Why = sc.win.lost.why("records damaged", d.Offset, d.Bytes)
			i.found(FoundDamage, s, d)
		}
	}
	return i.records(s, off, h, payload, tail, bad)
}

func (i *inspection) records(s *segment, off int64, h *frameHeader, payload, tail []byte, bad []int) error {
	ends := tail[4*blocksOf(len(payload)):]
	i.note = string(noteOf(tail, h))
	origins := originsOf(tail, h)
	r := record.Record{ID: record.ID{Epoch: s.epoch}, ArrivalMillis: h.arrival}
	from := uint32(0)
	for k := range int(h.count) {
		to := binary.LittleEndian.Uint32(ends[4*k:])
		r.Pos, r.Data = h.firstPos+record.Position(k), payload[from:to]
		if origins != nil {
			r.Origin = &origins[k]
		}
		if !touches(bad, from, to) {
			i.sum.Records++
			i.sum.RecordBytes += int64(to - from)
			if i.sum.First == 0 {
				i.sum.First = r.Pos
			}
			i.sum.Last = r.Pos
			if i.visit != nil && r.Pos >= i.from {
				if err := i.visit(s, off, h, r); err != nil {
					return err
				}
			}
		}
		from = to
	}
	return nil
}
