package wal

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// segment is one file of a log. All fields but the file belong to the log's mutex.
type segment struct {
	segHeader
	path   string
	file   vfs.File
	pooled bool // came pre-written from the pool, or is large enough to go back there

	end       int64           // durable end: readers stop here
	lastPos   record.Position // of the last record before end; basePos-1 when there is none
	arrival   int64           // of that record
	commitEnd int64           // where the last commit ended, for the next frame's header
	doubtful  int64           // recovery cannot tell whether what lies between here and end was ever synced
	sealed    bool            // never written again
	refs      int             // readers that hold the file
}

func (s *segment) empty() bool { return s.lastPos < s.basePos }

func segmentName(num uint64) string { return fmt.Sprintf("%016x.seg", num) }

// parseSegmentName returns the segment number in a file name, false when it is not a segment's.
func parseSegmentName(name string) (uint64, bool) {
	hex, ok := strings.CutSuffix(name, ".seg")
	if !ok || len(hex) != 16 {
		return 0, false
	}
	n, err := strconv.ParseUint(hex, 16, 64)
	return n, err == nil && n > 0
}

// capacityFor picks the size class of the next segment: one class above the last one that filled up,
// so that an idle stream owns little and a busy one rolls seldom.
func (p *Pool) capacityFor(previous int64, frame int64) int64 {
	classes := [...]int64{p.size / 128, p.size / 8, p.size}
	for i, c := range classes {
		if frame > c-headerBytes {
			continue
		}
		if previous == 0 || c > previous || i == len(classes)-1 {
			return c
		}
	}
	return p.size
}

// SegmentBytes is the size of a full-grown segment, and of every file in the pool.
const SegmentBytes = 32 << 20

func random64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand
	if n := binary.LittleEndian.Uint64(b[:]); n != 0 {
		return n
	}
	return 1
}

func randomEpoch() (e record.Epoch) {
	_, _ = rand.Read(e[:])
	return e
}

// newSegment makes the file of the next segment durable, name and header, and returns it ready for its first frame.
func (l *Log) newSegment(h segHeader) (*segment, error) {
	h.salt = random64()
	h.log = l.opt.ID
	s := &segment{segHeader: h, path: filepath.Join(l.opt.Dir, segmentName(h.num))}
	var err error
	if s.file, s.pooled, err = l.segmentFile(s.path, h.capacity); err != nil {
		return nil, fmt.Errorf("new segment: %w", err)
	}
	if _, err = s.file.WriteAt(h.encode(), 0); err == nil {
		err = s.file.Sync()
	}
	if err == nil {
		err = l.opt.FS.SyncDir(l.opt.Dir)
	}
	if err != nil {
		_ = s.file.Close()
		_ = l.opt.FS.Remove(s.path) // holds no record; if it comes back after a crash, recovery finds it empty
		return nil, fmt.Errorf("new segment: %w", err)
	}
	s.end, s.commitEnd = headerBytes, headerBytes
	s.lastPos, s.arrival = h.basePos-1, h.baseArrival
	return s, nil
}

// segmentFile takes a spare from the pool, or makes a file that grows as it is written.
func (l *Log) segmentFile(path string, capacity int64) (f vfs.File, pooled bool, err error) {
	if capacity == l.opt.Pool.size {
		if f, err := l.opt.Pool.take(path); f != nil || err != nil {
			return f, true, err
		}
	}
	f, err = l.opt.FS.Create(path)
	return f, capacity == l.opt.Pool.size, err
}
