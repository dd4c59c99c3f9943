package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

func batch(first, last int) record.Batch {
	return record.Batch{First: record.ID{Pos: record.Position(first)}, Last: record.ID{Pos: record.Position(last)}, Count: last - first + 1,
		StartOffset: int64(first) * 100, EndOffset: int64(last+1) * 100, ArrivalMillis: 946684800000, Bytes: 100}
}

func mustOpen(t testing.TB, fsys vfs.FS) *Journal {
	t.Helper()
	j, err := Open(fsys, "/", "main")
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// state is everything that a journal says, comparable.
func state(j *Journal) string {
	b, err := json.Marshal(struct {
		Open           []Entry
		Closed, Cursor Mark
		Noted          record.Position
	}{j.Pending(), j.Closed(), j.Cursor(), j.Noted()})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestPreparedJournalKeepsItsFirstEntries(t *testing.T) {
	for _, prepared := range []bool{true, false} {
		m := vfs.NewMem()
		j := mustOpen(t, m)
		if prepared {
			must(t, j.Prepare())
		}
		e := Entry{Batch: batch(1, 5), Bucket: "b", Key: "k"}
		must(t, j.Add(&e))
		again := mustOpen(t, m.CrashClone(vfs.CrashOptions{}))
		if p := again.Pending(); len(p) != 1 || p[0] != e {
			t.Fatalf("prepared %v: found %+v, want %+v", prepared, p, e)
		}
	}
}

func TestCursorAndMarks(t *testing.T) {
	j := mustOpen(t, vfs.NewMem())
	if j.Noted() != 0 || j.Cursor() != (Mark{}) {
		t.Fatalf("a new journal notes %d and stands at %+v", j.Noted(), j.Cursor())
	}
	a, b := Entry{Batch: batch(1, 5), Version: 1}, Entry{Batch: batch(6, 9), Version: 2}
	must(t, j.Add(&a, &b))
	steps := []struct {
		do     func() error
		cursor record.Position
		open   int
	}{
		{func() error { return nil }, 1, 2},
		{func() error { return j.Done(b.N) }, 1, 1},
		{func() error { return j.Split(a.N, &Entry{Batch: batch(1, 2)}, &Entry{Batch: batch(3, 5)}) }, 1, 2},
		{func() error { return j.Done(j.Pending()[0].N) }, 3, 1},
		{func() error { return j.Done(j.Pending()[0].N) }, 10, 0},
	}
	for i, s := range steps {
		must(t, s.do())
		if j.Cursor().Pos != s.cursor || len(j.Pending()) != s.open || j.Noted() != 9 || j.Closed().Pos != 10 {
			t.Errorf("step %d: %s", i, state(j))
		}
	}
	if j.Cursor().Offset != 1000 {
		t.Errorf("the cursor stands at offset %d", j.Cursor().Offset)
	}
}

// script drives a journal through n random calls. It returns every state it went through, and the index of the last one that
// was promised to be durable. It ends at the first error.
func script(j *Journal, rng *rand.Rand, n int) (states []string, durable int) {
	states = append(states, state(j))
	next := int(j.Noted()) + 1
	for range n {
		sync := true
		var err error
		open := j.Pending()
		switch k := rng.Intn(10); {
		case k < 4 || len(open) == 0:
			e := Entry{Batch: batch(next, next+rng.Intn(9)), Key: strings.Repeat("k", rng.Intn(300)), Version: 1}
			next = int(e.Batch.Last.Pos) + 1
			err = j.Add(&e)
		case k < 7:
			err, sync = j.Done(open[rng.Intn(len(open))].N), false
		case k < 8:
			e := open[rng.Intn(len(open))]
			e.Attempts++
			err = j.Replace(e)
		case k < 9:
			e := open[rng.Intn(len(open))]
			left, right := e, e
			left.N, right.N, left.Key, right.Key = 0, 0, "left", "right"
			err = j.Split(e.N, &left, &right)
		default:
			err = j.Sync()
		}
		states = append(states, state(j)) // after an error, too: it may be on disk
		if err != nil {
			return states, durable
		}
		if sync {
			durable = len(states) - 1
		}
	}
	return states, durable
}

func checkState(t *testing.T, m vfs.FS, states []string, durable int) {
	t.Helper()
	got := state(mustOpen(t, m))
	for _, s := range states[durable:] {
		if s == got {
			return
		}
	}
	t.Fatalf("found after the crash:\n%s\nwhich is none of the %d states since the last durable one:\n%s", got, len(states)-durable, states[durable])
}

func TestCrashAtEveryWrite(t *testing.T) {
	for mode, keep := range []float64{-1, 0, 0.5, 1} {
		for n := 1; ; n++ {
			rng := rand.New(rand.NewSource(int64(n*4 + mode)))
			m := vfs.NewMem()
			m.CrashAt(n)
			j := mustOpen(t, m)
			if j.Prepare() != nil {
				continue
			}
			states, durable := script(j, rng, 60)
			ended := !m.Crashed()
			m.Crash()
			for life := range 3 { // and the machine goes down again and again
				if keep < 0 {
					m = m.KillClone()
				} else {
					m = m.CrashClone(vfs.CrashOptions{Rand: rng, KeepUnsynced: keep})
				}
				checkState(t, m, states, durable)
				m.CrashAt(1 + rng.Intn(12))
				states, durable = script(mustOpen(t, m), rng, 6)
				m.Crash()
				if t.Failed() {
					t.Fatalf("mode %d, crash at write %d, life %d", mode, n, life)
				}
			}
			if ended {
				break
			}
		}
	}
}

// TestKilledThenPowerCut: what a killed process left in memory is not durable because it can be read. Sync makes it so.
func TestKilledThenPowerCut(t *testing.T) {
	m := vfs.NewMem()
	j := mustOpen(t, m)
	a := Entry{Batch: batch(1, 5)}
	must(t, j.Add(&a))
	must(t, j.Done(a.N)) // lazy
	m = m.KillClone()
	j = mustOpen(t, m)
	if j.Cursor().Pos != 6 {
		t.Fatalf("the cursor stands at %d", j.Cursor().Pos)
	}
	must(t, j.Sync()) // from here on the log may be trimmed up to the cursor
	again := mustOpen(t, m.CrashClone(vfs.CrashOptions{}))
	if again.Cursor().Pos != 6 {
		t.Errorf("after Sync and a power cut the cursor stands at %d: what lies before it may be trimmed", again.Cursor().Pos)
	}
}

func TestFailuresOfTheDisk(t *testing.T) {
	for seed := range int64(40) {
		rng := rand.New(rand.NewSource(seed))
		m := vfs.NewMem()
		j := mustOpen(t, m)
		must(t, j.Prepare())
		chance := []float64{0.02, 0.1, 0.3}[seed%3]
		m.SetHook(func(op vfs.Op) error {
			if op.Kind == vfs.OpRead || rng.Float64() >= chance {
				return nil
			}
			if op.Kind == vfs.OpWrite {
				return vfs.ErrShort{N: rng.Intn(op.N + 1), Err: syscall.ENOSPC}
			}
			return errors.New("a bad sector")
		})
		promised := map[uint64]Entry{}
		for i := range 60 {
			e := Entry{Batch: batch(1+i, 1+i), Key: strings.Repeat("k", rng.Intn(400))}
			for j.Add(&e) != nil { // an entry that could not be written is written again
			}
			promised[e.N] = e
			if rng.Intn(2) == 0 {
				_ = j.Done(e.N)
				delete(promised, e.N)
			}
			if rng.Intn(8) > 0 {
				continue
			}
			// Power cut: every entry that was promised is there, once.
			found := map[uint64]Entry{}
			for _, p := range mustOpen(t, m.CrashClone(vfs.CrashOptions{Rand: rng, KeepUnsynced: 0.5})).Pending() {
				found[p.N] = p
			}
			for n, want := range promised {
				if found[n] != want {
					t.Fatalf("seed %d, after %d entries: %d was promised and is not there", seed, i, n)
				}
			}
		}
		if len(j.Pending()) != len(promised) {
			t.Fatalf("seed %d: %d entries are open, want %d", seed, len(j.Pending()), len(promised))
		}
	}
}

func TestFailedTurnHidesNothing(t *testing.T) {
	m := vfs.NewMem()
	j := mustOpen(t, m)
	must(t, j.Prepare())
	first := Entry{Batch: batch(1, 1)}
	must(t, j.Add(&first))
	for m.Ops() >= 0 { // until the next entry must turn to the other file, whose sync then fails
		before := j.gen
		syncs := 0
		m.SetHook(func(op vfs.Op) error {
			if op.Kind == vfs.OpSync && strings.Contains(op.Name, filepath.Base(j.path[1-j.cur])) {
				syncs++
				return errors.New("once")
			}
			return nil
		})
		e := Entry{Batch: batch(2, 2), Key: strings.Repeat("k", 1000)}
		err := j.Add(&e)
		m.SetHook(nil)
		if err == nil {
			must(t, j.Done(e.N))
			continue
		}
		if syncs == 0 || j.gen != before {
			t.Fatalf("another failure: %v", err)
		}
		break
	}
	m.WriteBack(vfs.CrashOptions{Rand: rand.New(rand.NewSource(1)), KeepUnsynced: 1}) // the kernel writes it after all
	last := Entry{Batch: batch(3, 3), Key: "short"}
	must(t, j.Add(&last))
	again := mustOpen(t, m.CrashClone(vfs.CrashOptions{}))
	if again.Closed().Pos != 4 {
		t.Fatalf("the entry that was added after the failure is hidden: %s", state(again))
	}
}

func TestFullDiskAfterPrepare(t *testing.T) {
	m := vfs.NewMem()
	j := mustOpen(t, m)
	must(t, j.Prepare())
	free, err := m.FreeBytes("/")
	must(t, err)
	total, err := m.TotalBytes("/")
	must(t, err)
	m.SetCapacity(total - free)
	for i := range 500 { // many turns, with as much open as a runner has
		var open []*Entry
		for k := range 2 {
			open = append(open, &Entry{Batch: batch(10*i+k, 10*i+k), Key: strings.Repeat("k", 900), Bucket: "b"})
		}
		if err := j.Add(open...); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
		for _, e := range open {
			must(t, j.Done(e.N))
		}
	}
	must(t, j.Sync())
	if again := mustOpen(t, m.CrashClone(vfs.CrashOptions{})); len(again.Pending()) != 0 || again.Noted() != 4991 {
		t.Fatal(state(again))
	}
}

func TestTurnKeepsEverything(t *testing.T) {
	m := vfs.NewMem()
	j := mustOpen(t, m)
	for i := range 300 { // grows far beyond the first size
		must(t, j.Add(&Entry{Batch: batch(i+1, i+1), Key: fmt.Sprint(i)}))
	}
	if j.gen < 4 {
		t.Errorf("only %d generations", j.gen)
	}
	again := mustOpen(t, m.CrashClone(vfs.CrashOptions{}))
	if state(again) != state(j) || len(again.Pending()) != 300 {
		t.Fatal("entries are missing")
	}
	if names, err := m.ReadDir("/"); err != nil || len(names) != 2 {
		t.Errorf("files: %v, %v", names, err)
	}
}

func TestSplitRepeatedAfterAFailureAddsNothing(t *testing.T) {
	m := vfs.NewMem()
	j := mustOpen(t, m)
	e := Entry{Batch: batch(1, 4)}
	must(t, j.Add(&e))
	left, right := Entry{Batch: batch(1, 2)}, Entry{Batch: batch(3, 4)}
	m.SetHook(func(op vfs.Op) error {
		if op.Kind < vfs.OpOpen {
			return errors.New("no")
		}
		return nil
	})
	for range 3 {
		if j.Split(e.N, &left, &right) == nil {
			t.Fatal("the failure went unnoticed")
		}
	}
	m.SetHook(nil)
	must(t, j.Split(e.N, &left, &right))
	again := mustOpen(t, m.CrashClone(vfs.CrashOptions{}))
	if len(again.Pending()) != 2 || again.Pending()[0] != left || again.Pending()[1] != right {
		t.Fatal(state(again))
	}
}

func FuzzLoad(f *testing.F) {
	m := vfs.NewMem()
	j := mustOpen(f, m)
	must(f, j.Add(&Entry{Batch: batch(1, 5), Key: "k"}))
	must(f, j.Add(&Entry{Batch: batch(6, 9), Key: "l"}))
	good, err := vfs.ReadFile(m, j.path[j.cur], maxFileSize)
	must(f, err)
	f.Add(good)
	f.Add(good[:headBytes+3])
	f.Add([]byte(magic))
	f.Add([]byte{})
	long := bytes.Clone(good)
	long[16], long[17] = 0xff, 0xff
	f.Add(long)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := vfs.NewMem()
		must(t, vfs.WriteFileAtomic(m, "/main-a.journal", b))
		j, err := Open(m, "/", "main")
		if err != nil {
			return
		}
		before := state(j)
		must(t, j.Add(&Entry{Batch: batch(1000, 1000)})) // whatever was found, it can go on
		again := mustOpen(t, m.CrashClone(vfs.CrashOptions{}))
		if state(again) != state(j) {
			t.Fatalf("%s\nbecame\n%s", before, state(again))
		}
	})
}
