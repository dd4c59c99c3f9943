package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
	"sync/atomic"
)

const (
	blockBytes   = 512
	segmentShift = 26 // segments of 64 MiB
	segmentBytes = 1 << segmentShift
	extentHead   = 12 // offset of the lane's extent before it, plus 1; length
	writeBytes   = 256 << 10
	laneTotal    = 24 << 20 // of all Lanes that share a LaneBudget
	laneEach     = 8 << 20
	laneKeeps    = 64 << 10 // what Lanes may always hold, however much the others do
)

// LaneBudget is the memory that Lanes share. Safe for concurrent use.
type LaneBudget struct{ used atomic.Int64 }

// MemoryBytes is what the Lanes hold in memory now.
func (b *LaneBudget) MemoryBytes() int64 { return b.used.Load() }

type block [blockBytes]byte

// Lanes gathers bytes by lane: thousands of them are filled side by side, in one pass over their source, in memory that does not
// grow with their bytes. What does not fit goes to disposable files that have no name, written from front to back.
//
// Safe for concurrent use. A Lane's own Append and Seal are for one goroutine.
type Lanes struct {
	dir    string
	budget *LaneBudget
	room   func() error

	mu    sync.Mutex
	dirty []*Lane // hold blocks, or did before they were closed
	ended int     // lanes closed since dirty was last looked through
	held  int64   // bytes of blocks in use
	free  []*block
	segs  map[int64]*segment
	end   int64 // where the next extent goes: segment number << segmentShift | offset
	buf   []byte
	full  error // files cannot take more: what was appended since is in memory

	closed bool
}

// ErrFull is what Append returns when memory is used up and files cannot take more. What was appended is kept all the same, and can be
// read: close lanes, then call Retry.
var ErrFull = errors.New("the spool is full")

// segment is one file. It is closed when no lane begins in it or before it.
type segment struct {
	file  *os.File
	lanes int // that have their first extent here
}

// Lane is one of them: bytes in the order in which they were appended.
type Lane struct {
	l      *Lanes
	blocks []*block
	tail   int   // bytes in blocks
	last   int64 // its last extent, -1 for none
	first  int64 // number of the segment of its first extent
	size   int64
	gone   bool
}

// NewLanes returns Lanes whose files, if it comes to that, lie in dir. room is asked before something is written there; an error says
// why nothing may be. It may be nil.
func NewLanes(dir string, b *LaneBudget, room func() error) *Lanes {
	if room == nil {
		room = func() error { return nil }
	}
	return &Lanes{dir: dir, budget: b, room: room, segs: map[int64]*segment{}}
}

// NewLane returns an empty lane.
func (l *Lanes) NewLane() *Lane { return &Lane{l: l, last: -1} }

// Size is the number of bytes appended.
func (n *Lane) Size() int64 { return n.size }

// Append adds bytes. After ErrFull they are in memory, whatever that takes: go on only as far as must be. fs.ErrClosed is final.
func (n *Lane) Append(parts ...[]byte) error {
	l := n.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return fs.ErrClosed
	}
	for _, p := range parts {
		l.put(n, p)
	}
	if l.full == nil && (l.held > laneEach || l.held > laneKeeps && l.budget.used.Load() > laneTotal) {
		l.full = l.flush()
	}
	if l.full != nil {
		return fmt.Errorf("%w: %w", ErrFull, l.full)
	}
	return nil
}

// Retry lets files be tried again after ErrFull.
func (l *Lanes) Retry() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = nil
}

func (l *Lanes) put(n *Lane, p []byte) {
	if n.tail == 0 && len(p) > 0 {
		l.dirty = append(l.dirty, n)
	}
	for len(p) > 0 {
		at := n.tail % blockBytes
		if at == 0 {
			n.blocks = append(n.blocks, l.take())
		}
		c := copy(n.blocks[len(n.blocks)-1][at:], p)
		n.tail, n.size, p = n.tail+c, n.size+int64(c), p[c:]
	}
}

func (l *Lanes) take() *block {
	l.held += blockBytes
	l.budget.used.Add(blockBytes)
	if k := len(l.free); k > 0 {
		b := l.free[k-1]
		l.free = l.free[:k-1]
		return b
	}
	return new(block)
}

func (l *Lanes) giveBack(n *Lane) {
	bytes := int64(len(n.blocks)) * blockBytes
	l.held -= bytes
	l.budget.used.Add(-bytes)
	if len(l.free)*blockBytes < laneEach {
		l.free = append(l.free, n.blocks...)
	}
	n.blocks, n.tail = nil, 0
}

// flush writes what lanes hold, one extent each. What could not be written stays in memory.
func (l *Lanes) flush() error {
	if err := l.room(); err != nil {
		return err
	}
	for len(l.dirty) > 0 {
		n, err := l.group()
		if err != nil {
			return err
		}
		l.dirty = l.dirty[n:]
	}
	l.dirty, l.free = nil, nil // most were in use at once; what comes next may be much less
	return nil
}

// group writes the extents of the first dirty lanes in one piece, and says how many lanes that were.
func (l *Lanes) group() (n int, err error) {
	if used := l.end & (segmentBytes - 1); used > 0 && used+writeBytes > segmentBytes {
		l.end = (l.end>>segmentShift + 1) << segmentShift
	}
	at := l.end
	seg, err := l.segment(at >> segmentShift)
	if err != nil {
		return 0, err
	}
	l.buf = l.buf[:0]
	for _, lane := range l.dirty {
		if len(l.buf) > 0 && len(l.buf)+extentHead+lane.tail > writeBytes {
			break
		}
		n++
		if lane.tail > 0 {
			l.extent(lane)
		}
	}
	if _, err := seg.file.WriteAt(l.buf, at&(segmentBytes-1)); err != nil {
		return 0, fmt.Errorf("write spool file: %w", err)
	}
	l.written(l.dirty[:n], seg)
	return n, nil
}

// extent adds a lane's bytes to the write buffer.
func (l *Lanes) extent(n *Lane) {
	var head [extentHead]byte
	binary.LittleEndian.PutUint64(head[:], uint64(n.last+1))
	binary.LittleEndian.PutUint32(head[8:], uint32(n.tail))
	l.buf = append(l.buf, head[:]...)
	for i, b := range n.blocks {
		l.buf = append(l.buf, b[:min(blockBytes, n.tail-i*blockBytes)]...)
	}
}

// written lets go of what is in the file now.
func (l *Lanes) written(lanes []*Lane, seg *segment) {
	for _, n := range lanes {
		if n.tail == 0 {
			continue
		}
		if n.last < 0 {
			n.first = l.end >> segmentShift
			seg.lanes++
		}
		n.last = l.end
		l.end += int64(extentHead + n.tail)
		l.giveBack(n)
	}
	if cap(l.buf) > 2*writeBytes {
		l.buf = nil
	}
}

func (l *Lanes) segment(i int64) (*segment, error) {
	if s := l.segs[i]; s != nil {
		return s, nil
	}
	f, err := openUnnamed(l.dir)
	if err != nil {
		return nil, err
	}
	s := &segment{file: f}
	l.segs[i] = s
	return s, nil
}

// Close gives the lane's memory and space back. Later calls do nothing.
func (n *Lane) Close() {
	l := n.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if n.gone || l.closed {
		return
	}
	n.gone = true
	l.giveBack(n)
	if l.ended++; l.ended > len(l.dirty)/2 {
		l.dirty = slices.DeleteFunc(l.dirty, func(n *Lane) bool { return n.tail == 0 })
		l.ended = 0
	}
	if n.last < 0 {
		return
	}
	if s := l.segs[n.first]; s != nil {
		s.lanes--
	}
	l.reclaim()
}

// reclaim closes the segments before the first in which a lane begins.
func (l *Lanes) reclaim() {
	oldest := l.end >> segmentShift
	for i, s := range l.segs {
		if s.lanes > 0 {
			oldest = min(oldest, i)
		}
	}
	for i, s := range l.segs {
		if i < oldest {
			_ = s.file.Close()
			delete(l.segs, i)
		}
	}
}

// Close gives all files back. Reads that are under way fail.
func (l *Lanes) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	for _, s := range l.segs {
		_ = s.file.Close()
	}
	clear(l.segs)
	l.budget.used.Add(-l.held)
	l.held, l.dirty, l.free, l.buf = 0, nil, nil, nil
}

// DiskBytes is the space that the files take.
func (l *Lanes) DiskBytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segs) == 0 {
		return 0
	}
	return int64(len(l.segs)-1)*segmentBytes + l.end&(segmentBytes-1)
}

// Held is what is in memory.
func (l *Lanes) Held() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}
