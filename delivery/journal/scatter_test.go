package journal

import (
	"encoding/json"
	"math/rand"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

type place2 struct {
	pos record.Position
	sub uint16
}

// TestSetAgainstAMap drives a Set and a map through the same random calls.
func TestSetAgainstAMap(t *testing.T) {
	for seed := range int64(50) {
		rng := rand.New(rand.NewSource(seed))
		s, want := NewSet(), map[place2]bool{}
		base := record.Position(rng.Int63n(1 << 45))
		for range 300 {
			p := place2{base + record.Position(rng.Intn(400)), uint16(rng.Intn(3) * rng.Intn(1000))}
			switch rng.Intn(12) {
			case 0:
				from := base + record.Position(rng.Intn(100))
				s.RemoveBelow(from)
				for q := range want {
					if q.pos < from {
						delete(want, q)
					}
				}
			case 1:
				o := NewSet()
				o.Add(p.pos, p.sub)
				s = s.Minus(o)
				delete(want, p)
			case 2:
				b, err := json.Marshal(s.Pack())
				must(t, err)
				s = &Set{}
				must(t, json.Unmarshal(b, s))
			case 3:
				first, last := base+record.Position(rng.Intn(200)), base+record.Position(200+rng.Intn(200))
				part := s.Between(first, last)
				n := 0
				for q := range want {
					if in := q.pos >= first && q.pos <= last; in != part.Has(q.pos, q.sub) {
						t.Fatalf("seed %d: %v between %d and %d", seed, q, first, last)
					} else if in {
						n++
					}
				}
				if part.Len() != n {
					t.Fatalf("seed %d: %d between, want %d", seed, part.Len(), n)
				}
			default:
				s.Add(p.pos, p.sub)
				want[p] = true
			}
			any := false
			for q := range want {
				any = any || q.pos == p.pos
			}
			if s.Has(p.pos, p.sub) != want[p] || s.HasAny(p.pos) != any || s.Len() != len(want) || s.Empty() != (len(want) == 0) {
				t.Fatalf("seed %d: %v: has %v any %v len %d, want %v %v %d", seed, p, s.Has(p.pos, p.sub), s.HasAny(p.pos), s.Len(), want[p], any, len(want))
			}
		}
	}
	var none *Set
	if none.Has(1, 0) || none.HasAny(1) || !none.Empty() || none.Len() != 0 || !none.Clone().Empty() {
		t.Error("no set holds something")
	}
}

// TestWhatIsSettledIsKept: positions that are settled beyond the floor, eras and the floor survive turns and crashes, in a space
// that does not grow with them.
func TestWhatIsSettledIsKept(t *testing.T) {
	m := vfs.NewMem()
	j := mustOpen(t, m)
	must(t, j.BeginScatter(1))
	must(t, j.AddEra(Era{From: 5000, Version: 2}))
	for i := range 3000 { // every other record is delivered, one at a time
		only := NewSet()
		only.Add(record.Position(2*i+2), 0)
		e := Entry{Batch: batch(2*i+2, 2*i+2), Scattered: true, Only: only.Pack(), Version: 1}
		must(t, j.Add(&e))
		must(t, j.Done(e.N))
	}
	must(t, j.Sync())
	check := func(j *Journal) {
		t.Helper()
		s := j.Scattered()
		if s.Done.Len() != 3000 || s.Done.Has(1, 0) || !s.Done.Has(6000, 0) || len(s.Eras) != 2 || s.Floor.Pos != 0 || j.Settled().Pos != 0 {
			t.Fatalf("%d settled, eras %v, floor %v", s.Done.Len(), s.Eras, s.Floor)
		}
		if got := j.Backlog(1, 6001); got != 3000 {
			t.Errorf("a backlog of %d", got)
		}
	}
	check(mustOpen(t, m.CrashClone(vfs.CrashOptions{})))
	check(j)
	if j.size[0] > 64<<10 || j.size[1] > 64<<10 {
		t.Errorf("files of %d and %d bytes", j.size[0], j.size[1])
	}
	must(t, j.Raise(Mark{Pos: 5001, Offset: 77}, nil))
	must(t, j.Sync())
	again := mustOpen(t, m.CrashClone(vfs.CrashOptions{}))
	s := again.Scattered()
	if s.Done.Len() != 500 || len(s.Eras) != 1 || s.Eras[0].Version != 2 || again.Cursor() != (Mark{Pos: 5001, Offset: 77}) {
		t.Errorf("%d settled, eras %v, cursor %v", s.Done.Len(), s.Eras, again.Cursor())
	}
	must(t, again.EndScatter())
	if again.Scattered() != nil || again.Cursor().Pos != 6001 {
		t.Errorf("after the end: %v, cursor %v", again.Scattered(), again.Cursor())
	}
}

// TestSplitKeepsEveryPosition: what an entry turns into settles the entry's records, however the machine ends.
func TestSplitKeepsEveryPosition(t *testing.T) {
	for n := 1; ; n++ {
		m := vfs.NewMem()
		j := mustOpen(t, m)
		must(t, j.Prepare())
		must(t, j.BeginScatter(1))
		set := func(from, to int) *Set {
			s := NewSet()
			for p := from; p <= to; p++ {
				s.Add(record.Position(p), 0)
			}
			return s.Pack()
		}
		e := Entry{Batch: batch(1, 10), Scattered: true, Only: set(1, 10)}
		must(t, j.Add(&e))
		m.CrashAt(m.Ops() + n)
		a, b := e, e
		b.N, a.Only, b.Only = 0, set(1, 4), set(5, 10)
		_ = j.Split(e.N, &a, &b)
		_ = j.Done(b.N)
		_ = j.Sync()
		ended := !m.Crashed()
		m.Crash()
		again := mustOpen(t, m.CrashClone(vfs.CrashOptions{Rand: rand.New(rand.NewSource(int64(n))), KeepUnsynced: 0.5}))
		all := again.Scattered().Done
		for _, p := range again.Pending() {
			all.Or(p.Only)
		}
		if all.Len() != 10 {
			t.Fatalf("crash at write %d: %d of 10 records are accounted for", n, all.Len())
		}
		if ended {
			return
		}
	}
}
