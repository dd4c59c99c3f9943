package vfs

import (
	"errors"
	"fmt"
	"io"
	"math/rand"
	"syscall"
	"testing"
)

func TestFailedSyncLosesWhatWasDirty(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", fill('a', 3*pageBytes))
	write(t, h, 0, fill('b', pageBytes))
	boom := errors.New("boom")
	m.SetHook(func(op Op) error {
		if op.Kind == OpSync {
			return boom
		}
		return nil
	})
	wantErr(t, h.Sync(), boom)
	m.SetHook(nil)
	wantContent(t, m, "a", fill('b', pageBytes)+fill('a', 2*pageBytes)) // reads back
	must(t, h.Sync())                                                   // "works", but
	wantContent(t, crash(m), "a", fill('a', 3*pageBytes))
	wantContent(t, crash(m.KillClone()), "a", fill('a', 3*pageBytes))

	write(t, h, 2*pageBytes, fill('c', pageBytes))
	must(t, h.Sync())
	wantContent(t, crash(m), "a", fill('a', 2*pageBytes)+fill('c', pageBytes))
	write(t, h, 1, "d") // written again: the whole page goes to disk
	must(t, h.Sync())
	wantContent(t, crash(m), "a", "bd"+fill('b', pageBytes-2)+fill('a', pageBytes)+fill('c', pageBytes))
}

func TestFailedSyncOfAGrowingFile(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", "start")
	write(t, h, 5, fill('x', 2*pageBytes))
	m.SetHook(failKind(OpSync, syscall.EIO))
	wantErr(t, h.Sync(), syscall.EIO)
	m.SetHook(nil)
	must(t, h.Sync())
	wantContent(t, crash(m), "a", "start")
	write(t, h, 3*pageBytes, "end")
	must(t, h.Sync())
	got := contentOf(t, crash(m), "a")
	want := "start" + fill(0, 3*pageBytes-5) + "end" // the lost pages are a hole
	if got != want {
		t.Fatalf("%d bytes, want %d; %.20q", len(got), len(want), got)
	}
	must(t, m.DropCache("a"))
	wantContent(t, m, "a", want)
}

func failKind(kind OpKind, err error) func(Op) error {
	return func(op Op) error {
		if op.Kind == kind {
			return err
		}
		return nil
	}
}

func TestHookFailsWithoutEffect(t *testing.T) {
	for kind := OpCreate; kind <= OpRead; kind++ {
		t.Run(kind.String(), func(t *testing.T) {
			m := NewMem()
			h := synced(t, m, "a", "x")
			before := dump(t, m, "/")
			m.SetHook(failKind(kind, syscall.EIO))
			calls := map[OpKind]func() error{
				OpCreate:   func() error { _, err := m.Create("b"); return err },
				OpWrite:    func() error { _, err := h.WriteAt([]byte("yy"), 0); return err },
				OpSync:     h.Sync,
				OpSyncDir:  func() error { return m.SyncDir("/") },
				OpRename:   func() error { return m.Rename("a", "b") },
				OpLink:     func() error { return m.Link("a", "b") },
				OpRemove:   func() error { return m.Remove("a") },
				OpMkdir:    func() error { return m.Mkdir("d") },
				OpTruncate: func() error { return h.Truncate(0) },
				OpOpen:     func() error { _, err := m.Open("a"); return err },
				OpRead:     func() error { _, err := h.ReadAt(make([]byte, 1), 0); return err },
			}
			wantErr(t, calls[kind](), syscall.EIO)
			m.SetHook(nil)
			if after := dump(t, m, "/"); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Fatalf("%v became %v", before, after)
			}
			must(t, calls[kind]())
		})
	}
}

func TestShortWrite(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", "")
	m.SetHook(failKind(OpWrite, ErrShort{N: 3, Err: syscall.ENOSPC}))
	n, err := h.WriteAt([]byte("hello"), 0)
	wantErr(t, err, syscall.ENOSPC)
	if n != 3 {
		t.Fatalf("wrote %d", n)
	}
	m.SetHook(failKind(OpWrite, fmt.Errorf("wrapped: %w", ErrShort{N: 99})))
	n, err = h.WriteAt([]byte("lo"), 3)
	wantErr(t, err, io.ErrShortWrite)
	if n != 2 {
		t.Fatalf("wrote %d", n)
	}
	wantContent(t, m, "a", "hello")
}

func TestCrashAt(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", "old!") // create, write, sync, syncdir
	if m.Ops() != 4 {
		t.Fatalf("%d operations", m.Ops())
	}
	m.CrashAt(6)
	write(t, h, 0, "1234")
	n, err := h.WriteAt([]byte("abcd"), 0)
	wantErr(t, err, ErrCrashed)
	if n != 2 || !m.Crashed() {
		t.Fatalf("wrote %d, crashed %v", n, m.Crashed())
	}
	_, err = h.ReadAt(make([]byte, 1), 0)
	wantErr(t, err, ErrCrashed)
	wantErr(t, h.Sync(), ErrCrashed)
	wantErr(t, m.SyncDir("/"), ErrCrashed)
	wantErr(t, m.Remove("a"), ErrCrashed)
	_, err = m.OpenRead("a")
	wantErr(t, err, ErrCrashed)
	must(t, h.Close())
	wantContent(t, m.KillClone(), "a", "ab34")
	wantContent(t, crash(m), "a", "old!")
	c := m.CrashClone(CrashOptions{Rand: rand.New(rand.NewSource(1)), KeepUnsynced: 1})
	wantContent(t, c, "a", "ab34")
	if c.Ops() != 0 || c.Crashed() {
		t.Fatal("the clone inherits the crash")
	}
}

// Nothing that waits in the hook when the machine stops may be reported as done.
func TestCrashWhileInTheHook(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", "old")
	write(t, h, 0, "new")
	var after *Mem
	m.SetHook(func(Op) error {
		if !m.Crashed() {
			m.Crash()
			after = crash(m)
		}
		return nil
	})
	wantErr(t, h.Sync(), ErrCrashed)
	wantContent(t, after, "a", "old")
	wantContent(t, crash(m), "a", "old")
}
