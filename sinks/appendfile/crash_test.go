package appendfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"slices"
	"strings"
	"syscall"
	"testing"

	"hydrant/internal/sinktest"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// batch is what the crash tests put; a file's bodies differ from their first byte on, so that a file can be taken apart again.
type batch struct {
	file, name, body string
	n                int
}

func (b batch) key() string            { return b.file + "/" + b.name }
func (b batch) object() *record.Object { return object(b.key(), b.body, b.n) }

// script puts into two files, one of them in a new folder: sizes within a sector, over pages, and none.
func script() []batch {
	var all []batch
	for i, size := range []int{100, 5000, 0, 300, 9000, 40} {
		for _, file := range []string{"f", "new/folder/g"} {
			if file == "f" || i%2 == 0 {
				body := strings.Repeat(fmt.Sprintf("%d %s\n", i, file), size)[:size]
				all = append(all, batch{file, fmt.Sprintf("batch-%d", i), body, i + 1})
			}
		}
	}
	return all
}

func run(s *Store, all []batch) (outs []record.Outcome) {
	for _, b := range all {
		outs = append(outs, s.Put(context.Background(), b.object()))
	}
	return outs
}

// arrived says whether an outcome counts as delivered.
func (b batch) arrived(out record.Outcome) bool {
	return out.Kind == record.Delivered || out.Kind == record.Exists && out.Found != nil && *out.Found == sinktest.Identity(b.n)
}

// history is all that a file and its rotated ones hold, oldest first.
func history(t testing.TB, f vfs.FS, file string) string {
	t.Helper()
	name := base + "/" + file
	at := strings.LastIndexByte(name, '/')
	names, err := f.ReadDir(name[:at])
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	must(t, err)
	type part struct {
		n    int
		text string
	}
	var parts []part
	for _, n := range names {
		rest, ok := strings.CutPrefix(n, name[at+1:])
		num := 0
		if !ok || rest != "" && !parseNumber(rest, &num) {
			continue
		}
		parts = append(parts, part{num, content(t, f, name[:at+1]+n)})
	}
	slices.SortFunc(parts, func(a, b part) int { return b.n - a.n })
	var all strings.Builder
	for _, p := range parts {
		all.WriteString(p.text)
	}
	return all.String()
}

func parseNumber(s string, n *int) bool {
	_, err := fmt.Sscanf(s, ".%d", n)
	return err == nil
}

// expected is the history of a file that got all batches in order, once.
func expected(all []batch, file string) string {
	var b strings.Builder
	for _, x := range all {
		if x.file == file {
			b.WriteString(x.body)
		}
	}
	return b.String()
}

func filesOf(all []batch) []string {
	var names []string
	for _, b := range all {
		if !slices.Contains(names, b.file) {
			names = append(names, b.file)
		}
	}
	return names
}

// redo replays everything, as delivery does after a start. After that and one more power cut every batch must be there once, whole and in order.
func redo(t *testing.T, m *vfs.Mem, all []batch, mk func(vfs.FS) *Store) {
	t.Helper()
	s := mk(m)
	for i, out := range run(s, all) {
		if !all[i].arrived(out) {
			t.Fatalf("replay of %s: %+v", all[i].key(), out)
		}
	}
	must(t, s.Close())
	after := m.CrashClone(vfs.CrashOptions{})
	for _, file := range filesOf(all) {
		for how, disk := range map[string]vfs.FS{"now": m, "after a power cut": after} {
			if got, want := history(t, disk, file), expected(all, file); got != want {
				t.Fatalf("%s %s: %d bytes, want %d:\n%.200q\n%.200q", file, how, len(got), len(want), got, want)
			}
		}
	}
	s = mk(after)
	for i, out := range run(s, all) {
		if out.Kind != record.Exists || !all[i].arrived(out) {
			t.Fatalf("%s once more: %+v", all[i].key(), out)
		}
	}
	must(t, s.Close())
}

// without replays all but one batch, whose records delivery gave another key: nothing torn may be left of it, nor may others suffer.
func without(t *testing.T, m *vfs.Mem, all []batch, skip int, mk func(vfs.FS) *Store) {
	t.Helper()
	s := mk(m)
	gone := all[skip]
	found, exists, err := s.Head(context.Background(), "", gone.key())
	must(t, err)
	rest := slices.Delete(slices.Clone(all), skip, skip+1)
	for i, out := range run(s, rest) {
		if !rest[i].arrived(out) {
			t.Fatalf("replay of %s: %+v", rest[i].key(), out)
		}
	}
	must(t, s.Close())
	want := rest
	if exists {
		if found == nil || *found != sinktest.Identity(gone.n) {
			t.Fatalf("head of %s: %v", gone.key(), found)
		}
		want = all
	}
	for _, file := range filesOf(all) {
		if got := history(t, m.CrashClone(vfs.CrashOptions{}), file); got != expected(want, file) {
			t.Fatalf("%s without %s (there: %v): %.200q", file, gone.key(), exists, got)
		}
	}
}

// delivered checks that what Put answered for is there, before anything is put again.
func delivered(t *testing.T, disk vfs.FS, all []batch, outs []record.Outcome) (last int) {
	t.Helper()
	for _, file := range filesOf(all) {
		text := history(t, disk, file)
		for i, b := range all {
			if b.file != file || !b.arrived(outs[i]) {
				continue
			}
			last = i
			rest, ok := strings.CutPrefix(text, b.body)
			if !ok {
				t.Fatalf("%s was delivered; the file goes on %.60q", b.key(), text)
			}
			text = rest
		}
	}
	return last
}

// crashes runs all batches on disks that crash at operation 1, 2, 3 … and checks what is found after each crash: of what was not
// synced nothing, something or everything is left; or only the process died. Each is crashed once more while it recovers.
func crashes(t *testing.T, all []batch, least int, mk func(vfs.FS) *Store) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	for n := 1; ; n++ {
		m := newMem(t)
		s := mk(m)
		m.CrashAt(m.Ops() + n)
		outs := run(s, all)
		_ = s.Close()
		if !m.Crashed() {
			if n < least {
				t.Fatalf("only %d operations", n)
			}
			return
		}
		r := rand.New(rand.NewSource(seed + int64(n)))
		for _, keep := range []float64{-1, 0, 0.3, 0.7, 1} {
			after := m.KillClone()
			if keep >= 0 {
				after = m.CrashClone(vfs.CrashOptions{Rand: r, KeepUnsynced: keep})
			}
			t.Run(fmt.Sprintf("operation %d, kept %v", n, keep), func(t *testing.T) {
				next := 0
				if slices.ContainsFunc(outs, func(o record.Outcome) bool { return o.Kind == record.Delivered }) {
					next = delivered(t, once(t, after, all), all, outs) + 1
				}
				if next < len(all) {
					without(t, after.KillClone(), all, next, mk)
				}
				again := after.KillClone()
				again.CrashAt(again.Ops() + 1 + r.Intn(12))
				second := mk(again)
				run(second, all)
				_ = second.Close()
				redo(t, again.CrashClone(vfs.CrashOptions{Rand: r, KeepUnsynced: r.Float64()}), all, mk)
				redo(t, after, all, mk)
			})
		}
	}
}

// once gives the disk back as it is, unless a power cut left a file under two names in the middle of a rotation: then as the next process leaves it.
func once(t *testing.T, m *vfs.Mem, all []batch) vfs.FS {
	t.Helper()
	names, err := m.ReadDir(base)
	must(t, err)
	if !slices.Contains(names, "f.1") {
		return m
	}
	c := m.KillClone()
	s, err := New(Options{FS: c, StateDir: "/state/files", Base: base})
	must(t, err)
	defer s.Close()
	for _, file := range filesOf(all) {
		mustPut(t, s, file+"/end", "", 99)
	}
	return c
}

func TestCrashEverywhere(t *testing.T) {
	crashes(t, script(), 40, func(f vfs.FS) *Store { return openBare(f, Options{}) })
}

// openBare opens a store on a disk that may have crashed: then all its calls fail.
func openBare(f vfs.FS, o Options) *Store {
	o.FS, o.StateDir, o.Base = f, "/state/files", base
	s, err := New(o)
	if err != nil {
		return &Store{files: files{closed: true, m: map[string]*entry{}}}
	}
	return s
}

// Rotation at every few batches, all old files kept, so that every batch can be looked for.
func TestCrashWhileRotating(t *testing.T) {
	var all []batch
	for i := range 7 {
		all = append(all, batch{"f", fmt.Sprintf("batch-%d", i), strings.Repeat(fmt.Sprintf("%d\n", i), 200), i + 1})
	}
	crashes(t, all, 60, func(f vfs.FS) *Store { return openBare(f, Options{Rotation: Rotation{Size: 900}}) })
}

// Every single operation fails once; the store goes on in the same process. What a failed sync lost must be durable in the end.
func TestFailureEverywhere(t *testing.T) {
	for _, rotate := range []int64{0, 6000} {
		for n, more := 1, true; more; n++ {
			m := newMem(t)
			s := openBare(m, Options{Rotation: Rotation{Size: rotate}})
			at, failed := m.Ops()+n, false
			m.SetHook(func(op vfs.Op) error {
				if op.Seq == at && op.Kind <= vfs.OpTruncate && !failed {
					failed = true
					return syscall.EIO
				}
				return nil
			})
			all := script()
			for _, b := range all {
				out := s.Put(context.Background(), b.object())
				if out.Kind == record.Retry {
					out = s.Put(context.Background(), b.object())
				}
				if !b.arrived(out) {
					t.Fatalf("operation %d fails: %s: %+v", n, b.key(), out)
				}
			}
			must(t, s.Close())
			redo(t, m.CrashClone(vfs.CrashOptions{}), all, func(f vfs.FS) *Store { return openBare(f, Options{Rotation: Rotation{Size: rotate}}) })
			more = failed
		}
	}
}

// Whoever reads the file while it grows sees the beginning of what it will be, at every moment, through failures and kills of the process.
func TestFollowersSeeABeginning(t *testing.T) {
	all := script()
	want := expected(all, "f")
	for n := 1; ; n++ {
		m := newMem(t)
		seen := 0
		look := func(disk *vfs.Mem) {
			text := history(t, disk, "f")
			if !strings.HasPrefix(want, text) || len(text) < seen {
				t.Fatalf("crash at %d: %d bytes, %d before: %.100q", n, len(text), seen, text)
			}
			seen = len(text)
		}
		watch := func(disk *vfs.Mem) {
			disk.SetHook(func(op vfs.Op) error {
				if op.Kind <= vfs.OpTruncate {
					look(disk.KillClone())
				}
				return nil
			})
		}
		watch(m)
		s := openBare(m, Options{})
		m.CrashAt(n)
		run(s, all)
		_ = s.Close()
		over := !m.Crashed()
		m = m.KillClone()
		watch(m)
		if _, err := m.ReadDir(base); err == nil {
			s = openBare(m, Options{})
			run(s, all)
			must(t, s.Close())
			look(m)
			if seen != len(want) {
				t.Fatalf("%d bytes in the end", seen)
			}
		}
		if over {
			return
		}
	}
}
