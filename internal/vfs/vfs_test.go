package vfs

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
)

// crashEverywhere runs work on fresh disks that crash at operation 1, 2, 3 … until none is left, and checks what is found
// after each crash, with different luck for what was not synced.
func crashEverywhere(t *testing.T, setup, work func(*Mem) error, check func(t *testing.T, after *Mem, done bool)) {
	t.Helper()
	for n := 1; ; n++ {
		m := NewMem()
		must(t, setup(m))
		m.CrashAt(m.Ops() + n)
		err := work(m)
		if m.Crashed() {
			wantErr(t, err, ErrCrashed)
		} else {
			must(t, err)
		}
		check(t, crash(m), err == nil)
		for seed := range int64(50) {
			check(t, m.CrashClone(opts(seed, 0.5)), err == nil)
		}
		check(t, m.CrashClone(opts(1, 1)), err == nil)
		check(t, m.KillClone(), err == nil)
		if err == nil {
			return
		}
	}
}

func TestWriteFileAtomicSurvivesEveryCrash(t *testing.T) {
	older, newer := fill('o', 3000), fill('n', 9000)
	crashEverywhere(t,
		func(m *Mem) error { return WriteFileAtomic(m, "f", []byte(older)) },
		func(m *Mem) error { return WriteFileAtomic(m, "f", []byte(newer)) },
		func(t *testing.T, after *Mem, done bool) {
			got := contentOf(t, after, "f")
			if got != newer && (done || got != older) {
				t.Fatalf("done %v: found %d bytes of neither version", done, len(got))
			}
			must(t, WriteFileAtomic(after, "f", []byte("again"))) // what was left does not stand in the way
			wantContent(t, crash(after), "f", "again")
		})
}

func TestMkdirAllSurvivesEveryCrash(t *testing.T) {
	crashEverywhere(t,
		func(*Mem) error { return nil },
		func(m *Mem) error { return MkdirAll(m, "a/b/c") },
		func(t *testing.T, after *Mem, done bool) {
			ok, err := after.Exists("a/b/c")
			must(t, err)
			if done && !ok {
				t.Fatal("the folder is gone")
			}
			must(t, MkdirAll(after, "a/b/c"))
		})
}

// The judge must find the mistakes it is made for.
func TestCrashesFindMissingSyncs(t *testing.T) {
	broken := map[string]func(m *Mem) error{
		"no sync": func(m *Mem) error {
			return errors.Join(put(m, "t", "new", false), m.Rename("t", "f"), m.SyncDir("/"))
		},
		"no syncdir": func(m *Mem) error {
			return errors.Join(put(m, "t", "new", true), m.Rename("t", "f"))
		},
		"sync after rename": func(m *Mem) error {
			err := errors.Join(put(m, "t", "new", false), m.Rename("t", "f"), m.SyncDir("/"))
			h, oerr := m.Open("f")
			if oerr != nil {
				return oerr
			}
			return errors.Join(err, h.Sync(), h.Close())
		},
		"remove before rename": func(m *Mem) error {
			return errors.Join(put(m, "t", "new", true), m.Remove("f"), m.SyncDir("/"), m.Rename("t", "f"), m.SyncDir("/"))
		},
	}
	for name, work := range broken {
		t.Run(name, func(t *testing.T) {
			for n := 1; ; n++ {
				m := NewMem()
				must(t, WriteFileAtomic(m, "f", []byte("old")))
				m.CrashAt(m.Ops() + n)
				err := work(m)
				got, rerr := ReadFile(crash(m), "f", 100)
				if rerr != nil || string(got) != "new" && (err == nil || string(got) != "old") {
					return // found
				}
				if err == nil {
					t.Fatal("the mistake was not found")
				}
			}
		})
	}
}

func put(m *Mem, name, data string, sync bool) error {
	h, err := m.Create(name)
	if err != nil {
		return err
	}
	_, err = h.WriteAt([]byte(data), 0)
	if sync && err == nil {
		err = h.Sync()
	}
	return errors.Join(err, h.Close())
}

func TestHelpersPassErrorsOn(t *testing.T) {
	for kind := OpCreate; kind <= OpRead; kind++ {
		m := NewMem()
		must(t, WriteFileAtomic(m, "f", []byte("old")))
		m.SetHook(failKind(kind, syscall.EIO))
		var err error
		switch kind {
		case OpCreate, OpWrite, OpSync, OpRename, OpRemove:
			err = WriteFileAtomic(m, "f", []byte("new"))
		case OpMkdir, OpSyncDir:
			err = MkdirAll(m, "d/e")
		case OpOpen, OpRead:
			_, err = ReadFile(m, "f", 100)
		default:
			continue
		}
		wantErr(t, err, syscall.EIO)
		m.SetHook(nil)
		wantContent(t, m, "f", "old")
	}
	_, err := ReadFile(NewMem(), "none", 1)
	wantErr(t, err, fs.ErrNotExist)
}

func TestOpNames(t *testing.T) {
	m := NewMem()
	var seen []string
	m.SetHook(func(op Op) error { seen = append(seen, op.String()); return nil })
	h := create(t, m, "a", "xyz")
	must(t, m.Rename("a", "b"))
	_, err := h.ReadAt(make([]byte, 2), 1)
	must(t, err)
	want := []string{"#1 create a  off=0 n=0", "#2 write a  off=0 n=3", "#3 rename a b off=0 n=0", "#3 read a  off=1 n=2"}
	for i := range want {
		if seen[i] != want[i] {
			t.Fatalf("operation %d is %q, want %q", i, seen[i], want[i])
		}
	}
	if OpKind(99).String() != "?" {
		t.Fatal(OpKind(99).String())
	}
}
