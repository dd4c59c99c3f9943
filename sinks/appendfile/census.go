package appendfile

import (
	"cmp"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"hydrant/internal/vfs"
)

// Limits of the sidecars on disk. They are soft: those of files that were appended to within keepFor stay, however many they are.
const (
	maxSidecars = 4096
	keepFor     = 7 * 24 * time.Hour
	// settleFor is how long a process leaves all sidecars alone after its start: what an earlier one did not see the end of comes again in that time.
	settleFor = time.Hour
)

// census counts the sidecars on disk, so that those of files that nobody appends to any more are removed now and then.
type census struct {
	mu      sync.Mutex
	n       int // about; others may remove some
	at      int // the next clearing
	started time.Time
}

func (s *Store) countSidecars() error {
	names, err := s.fs.ReadDir(s.o.StateDir)
	if err != nil {
		return err
	}
	s.count.started, s.count.at = s.o.Now(), maxSidecars
	for _, n := range names {
		if strings.HasSuffix(n, sidecarSuffix) {
			s.count.n++
		}
	}
	return nil
}

// oneMore counts a new sidecar and clears away old ones when there are too many.
func (s *Store) oneMore() {
	c := &s.count
	if !c.mu.TryLock() {
		return // somebody is clearing; a count that is a little low does no harm
	}
	defer c.mu.Unlock()
	c.n++
	if c.n <= c.at || s.o.Now().Sub(c.started) < settleFor {
		return
	}
	if err := s.clear(); err != nil {
		s.log.Warn("old notes on files could not be removed", "err", err)
	}
	c.at = max(maxSidecars, c.n+maxSidecars/4)
}

// idle is a sidecar of a file that was not appended to for long.
type idle struct {
	name string
	file string
	used int64
}

// clear removes the oldest sidecars until three quarters of the limit are left.
func (s *Store) clear() error {
	names, err := s.fs.ReadDir(s.o.StateDir)
	if err != nil {
		return err
	}
	var old []idle
	s.count.n = 0
	for _, n := range names {
		if !strings.HasSuffix(n, sidecarSuffix) {
			continue
		}
		s.count.n++
		if i, ok := s.isIdle(path.Join(s.o.StateDir, n)); ok {
			old = append(old, i)
		}
	}
	slices.SortFunc(old, func(a, b idle) int { return cmp.Compare(a.used, b.used) })
	for _, i := range old {
		if s.count.n <= maxSidecars*3/4 {
			break
		}
		gone, err := s.files.unused(i.file, func() error { return s.fs.Remove(i.name) })
		if err != nil {
			return err
		}
		if gone {
			s.count.n--
		}
	}
	return nil
}

// isIdle reads a sidecar. One that waits for something, or cannot be read, is never old.
func (s *Store) isIdle(name string) (idle, bool) {
	b, err := vfs.ReadFile(s.fs, name, maxSidecarBytes)
	if err != nil {
		return idle{}, false
	}
	st, damaged := parse(string(b))
	if damaged || st.open != nil || st.moving >= 0 {
		return idle{}, false
	}
	i := idle{name: name, file: st.file, used: st.used}
	return i, s.sidecarName(i.file) == name && s.o.Now().UnixMilli()-i.used > keepFor.Milliseconds()
}
