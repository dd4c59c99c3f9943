package appendfile

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"hydrant/internal/sinktest"
	"hydrant/internal/vfs"
)

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// crowded makes a folder of n sidecars, the older ones first; change may alter the i-th.
func crowded(t *testing.T, n int, at time.Time, change func(i int, s *state)) *vfs.Mem {
	m := newMem(t)
	must(t, vfs.MkdirAll(m, "/state/files"))
	names := &Store{o: Options{StateDir: "/state/files"}}
	for i := range n {
		s := newState(fmt.Sprintf("%s/f%d", base, i))
		s.used = at.Add(time.Duration(i) * time.Second).UnixMilli()
		change(i, &s)
		h, err := m.Create(names.sidecarName(s.file))
		must(t, err)
		_, err = h.WriteAt([]byte(s.lines()), 0)
		must(t, err)
		must(t, h.Close())
	}
	return m
}

func sidecars(t *testing.T, m *vfs.Mem) (n int) {
	t.Helper()
	names, err := m.ReadDir("/state/files")
	must(t, err)
	for _, name := range names {
		if strings.HasSuffix(name, sidecarSuffix) {
			n++
		}
	}
	return n
}

// The oldest sidecars go when there are too many: not soon after a start, and none that is in use, waits for something or is young.
func TestOldSidecarsAreRemoved(t *testing.T) {
	begin := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	m := crowded(t, maxSidecars, begin, func(i int, s *state) {
		switch i {
		case 0:
			s.open = &intent{name: "open", id: sinktest.Identity(1)}
		case 1:
			s.moving = 0
		}
	})
	c := &clock{begin.Add(keepFor + 24*time.Hour)}
	s := open(t, m, func(o *Options) { o.Now = c.now })
	mustPut(t, s, "f2/n", "x", 1)
	mustPut(t, s, "new/1", "x", 1)
	if n := sidecars(t, m); n != maxSidecars+1 {
		t.Fatalf("%d sidecars soon after the start", n)
	}
	c.at = c.at.Add(settleFor)
	mustPut(t, s, "new2/1", "x", 1)
	if n := sidecars(t, m); n != maxSidecars*3/4+1 { // and the new one, which is written after
		t.Fatalf("%d sidecars are left", n)
	}
	for i, want := range map[int]bool{0: true, 1: true, 2: true, 3: false, 100: false, maxSidecars - 1: true} {
		there, err := m.Exists(s.sidecarName(fmt.Sprintf("%s/f%d", base, i)))
		must(t, err)
		if there != want {
			t.Errorf("sidecar %d is there: %v", i, there)
		}
	}
}

// Young ones stay, however many; what cannot be removed holds nothing up.
func TestYoungSidecarsStay(t *testing.T) {
	begin := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	m := crowded(t, maxSidecars+10, begin, func(i int, s *state) {
		if i == 0 {
			s.used = begin.Add(-2 * keepFor).UnixMilli()
		}
	})
	c := &clock{begin}
	s := open(t, m, func(o *Options) { o.Now = c.now })
	c.at = c.at.Add(2 * settleFor)
	m.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpRemove && strings.HasSuffix(op.Name, sidecarSuffix) {
			return syscall.EIO
		}
		return nil
	})
	mustPut(t, s, "new/1", "x", 1)
	if n := sidecars(t, m); n != maxSidecars+11 {
		t.Fatalf("%d sidecars", n)
	}
	if s.count.at <= maxSidecars {
		t.Error("it is tried again at once")
	}
}

// The sidecars' folder may vanish while the store runs.
func TestStateFolderVanishes(t *testing.T) {
	m := newMem(t)
	s := open(t, m)
	must(t, m.Remove("/state/files"))
	mustPut(t, s, "f/1", "x", 1)
	mustExist(t, open(t, m.CrashClone(vfs.CrashOptions{})), "f/1", "x", 1)
}
