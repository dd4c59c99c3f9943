package wal

import (
	"fmt"
	"sync"
	"time"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// Guard watches over the disk that all logs of a data directory share: it keeps a floor of free space,
// so that a full disk can always drain, and it keeps the guaranteed share of each stream free of the backlog
// of the others. Safe for concurrent use.
type Guard struct {
	fs       vfs.FS
	dir      string
	minFree  int64
	mu       sync.Mutex
	promised int64 // guaranteed bytes that their streams do not use yet
}

// NewGuard watches the disk that holds dir; below minFree bytes of free space puts are refused.
func NewGuard(fs vfs.FS, dir string, minFree int64) *Guard {
	return &Guard{fs: fs, dir: dir, minFree: minFree}
}

// Share is what one stream may take of the disk.
type Share struct {
	guard      *Guard
	maxBacklog int64
	guaranteed int64
	used       int64
	behind     int64  // what waits in the log behind this one
	front      *Share // of the log that this one's records come from, nil: from outside
}

// NewShare registers a stream. Its backlog may grow to maxBacklog bytes (0: without limit but the disk's);
// guaranteed bytes stay free for it whatever the others do.
func (g *Guard) NewShare(maxBacklog, guaranteed int64) *Share {
	s := &Share{guard: g, maxBacklog: maxBacklog, guaranteed: guaranteed}
	g.mu.Lock()
	g.promised += guaranteed
	g.mu.Unlock()
	return s
}

// Behind is the share of a log of what became of a stream's records. What waits there counts as the stream's; puts are never refused there,
// because their records were accepted: whoever moves them stops in time.
func (s *Share) Behind() *Share { return &Share{guard: s.guard, front: s} }

func (s *Share) open(used int64) int64 { return max(0, s.guaranteed-used) }

// use notes how many bytes of the stream wait for delivery now.
func (s *Share) use(used int64) {
	s.guard.mu.Lock()
	defer s.guard.mu.Unlock()
	if s.front != nil {
		s.used = used
		s.front.change(s.front.used, used)
		return
	}
	s.change(used, s.behind)
}

// change is called with the guard's lock.
func (s *Share) change(used, behind int64) {
	s.guard.promised += s.open(used+behind) - s.open(s.used+s.behind)
	s.used, s.behind = used, behind
}

// Used is how many bytes wait in the log, and those of the stream that may wait in all its logs: 0 for any number.
func (s *Share) Used() (used, limit int64) {
	s.guard.mu.Lock()
	defer s.guard.mu.Unlock()
	if s.front != nil {
		return s.used, s.front.maxBacklog
	}
	return s.used, s.maxBacklog
}

// Resize changes the stream's limits.
func (s *Share) Resize(maxBacklog, guaranteed int64) {
	s.guard.mu.Lock()
	defer s.guard.mu.Unlock()
	s.guard.promised -= s.open(s.used + s.behind)
	s.maxBacklog, s.guaranteed = maxBacklog, guaranteed
	s.guard.promised += s.open(s.used + s.behind)
}

// Promised is the sum of what streams are guaranteed and do not use.
func (g *Guard) Promised() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.promised
}

// Leave gives the stream's share back. More calls do nothing.
func (s *Share) Leave() {
	s.guard.mu.Lock()
	s.guard.promised -= s.open(s.used + s.behind)
	s.guaranteed = 0
	s.guard.mu.Unlock()
}

// admit says why n more bytes may not be taken in, with waiting bytes in the backlog already.
func (s *Share) admit(waiting, n int64) error {
	if s.front != nil {
		return nil
	}
	s.guard.mu.Lock()
	waiting += s.behind
	limit, guaranteed, others := s.maxBacklog, s.guaranteed, s.guard.promised-s.open(waiting)
	s.guard.mu.Unlock()
	if limit > 0 && waiting+n > limit && waiting > 0 { // a put that is larger than the limit has its turn when nothing else waits
		return &record.Unavailable{
			Reason:     fmt.Sprintf("the backlog is full: %d of %d bytes (max_backlog) wait for delivery", waiting, limit),
			RetryAfter: time.Second,
		}
	}
	free, err := s.guard.fs.FreeBytes(s.guard.dir)
	if err != nil {
		return &record.Unavailable{Reason: "free disk space cannot be read: " + err.Error(), RetryAfter: time.Second}
	}
	if waiting+n <= guaranteed {
		others = 0
	}
	if free-n-others < s.guard.minFree {
		return &record.Unavailable{
			Reason: fmt.Sprintf("the disk is full: %d bytes are free; %d are kept free (min_free) and %d are guaranteed to other streams",
				free, s.guard.minFree, others),
			RetryAfter: time.Second,
		}
	}
	return nil
}

// Low says that the disk is below its floor: spares and retained records should go.
func (g *Guard) Low() bool {
	free, err := g.fs.FreeBytes(g.dir)
	return err == nil && free < g.minFree+2*SegmentBytes
}
