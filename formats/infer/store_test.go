package infer

import (
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"hydrant/config/schema"
	"hydrant/internal/vfs"
)

const path = "/schema.json"

func open(t testing.TB, fsys vfs.FS) *Store {
	t.Helper()
	s, err := OpenStore(fsys, path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// record learns from records as a stream does.
func record(s *Store, records ...string) (Version, error) {
	return s.Learn(func(base []schema.Column) ([]schema.Column, bool, bool) {
		l := NewLearner(base, Limits{})
		for _, r := range records {
			l.Add([]byte(r))
		}
		return l.Columns()
	})
}

func show(v Version) string { return fmt.Sprintf("%d/%d %s", v.Number, v.Generation, body2(v.Columns)) }

func body2(cols []schema.Column) string {
	if len(cols) == 0 {
		return "-"
	}
	return body(cols)
}

// all is everything that a store says, comparable.
func all(s *Store) string {
	var b strings.Builder
	for _, v := range s.current().versions {
		b.WriteString(show(v) + "\n")
	}
	return b.String() + "seen " + body2(s.current().seen)
}

func TestStoreLearns(t *testing.T) {
	m := vfs.NewMem()
	s := open(t, m)
	if _, ok := s.Latest(); ok {
		t.Error("a new store has a version")
	}
	for _, step := range []struct{ record, want string }{
		{`{}`, "0/0 -"},
		{`{"a":1}`, "1/1 a:bigint"},
		{`{"a":2,"b":null}`, "1/1 a:bigint"},
		{`{"b":"x","s":{"x":1}}`, "2/1 a:bigint,b:string,s:struct<x:bigint>"},
		{`{"s":{"y":1}}`, "3/1 a:bigint,b:string,s:struct<x:bigint,y:bigint>"},
		{`{"a":0.5}`, "4/2 a:double,b:string,s:struct<x:bigint,y:bigint>"},
		{`{"a":"x","c":1}`, "5/3 a:string,b:string,s:struct<x:bigint,y:bigint>,c:bigint"},
		{`{"a":[1],"d":1}`, "6/3 a:string,b:string,s:struct<x:bigint,y:bigint>,c:bigint,d:bigint"},
		{`{"s":1,"e":1}`, "6/3 a:string,b:string,s:struct<x:bigint,y:bigint>,c:bigint,d:bigint"},
	} {
		v, err := record(s, step.record)
		if err != nil || show(v) != step.want {
			t.Fatalf("%s: got %s, %v; want %s", step.record, show(v), err, step.want)
		}
		latest, _ := s.Latest()
		again := open(t, m.CrashClone(vfs.CrashOptions{}))
		if got, _ := again.Latest(); show(got) != step.want || show(latest) != step.want || all(again) != all(s) {
			t.Fatalf("after a power cut: %s, want %s", all(again), step.want)
		}
	}
	for n, want := range map[int]string{0: "", 1: "1/1 a:bigint", 4: "4/2 a:double,b:string,s:struct<x:bigint,y:bigint>", 7: ""} {
		v, ok := s.Get(n)
		if ok != (want != "") || ok && show(v) != want {
			t.Errorf("version %d: %v, %s", n, ok, show(v))
		}
	}
}

func TestStoreSet(t *testing.T) {
	s := open(t, vfs.NewMem())
	for _, step := range []struct{ cols, want string }{
		{"a:int,b:string", "1/1"},
		{"a:int,b:string", "1/1"},
		{"b:string,a:int", "2/1"},
		{"b:string", "3/1"},
		{"b:string,s:struct<x:int>", "4/1"},
		{"b:string,s:struct<y:date>", "5/1"},
		{"b:string,s:struct<x:int,y:date>,a:int", "6/1"},
		{"b:string,a:bigint", "7/2"},                            // had been int in this generation
		{"b:string", "8/2"},                                     //
		{"b:string,a:int", "9/3"},                               // dropped, and back with another type
		{"b:string,s:struct<x:date>", "10/3"},                   // x was int two generations ago
		{"b:string,s:struct<x:int>", "11/4"},                    //
		{"b:string,s:array<int>", "12/5"},                       //
		{"b:string,s:array<struct<p:int>>", "13/6"},             //
		{"b:string,s:array<struct<p:int,q:int>>", "14/6"},       //
		{"b:string,s:array<struct<p:int,q:date>>", "15/7"},      //
		{"m:map<string,struct<p:int>>", "16/7"},                 //
		{"m:map<string,struct<q:int>>", "17/7"},                 //
		{"m:map<string,struct<p:date>>", "18/8"},                //
		{"m:map<int,struct<p:date>>", "19/9"},                   //
		{"d:decimal(5,2)", "20/9"}, {"d:decimal(6,2)", "21/10"}, //
		{"d:decimal(6,2),`a:b`:int", "22/10"}, {"`a:b`:string", "23/11"}, //
	} {
		v, err := s.Set(columns(t, step.cols))
		if got := fmt.Sprintf("%d/%d", v.Number, v.Generation); err != nil || got != step.want || !schema.Equal(v.Columns, columns(t, step.cols)) {
			t.Fatalf("%s: got %s, %v, want %s", step.cols, got, err, step.want)
		}
		if again := open(t, s.fs); all(again) != all(s) {
			t.Fatalf("opened again:\n%s\nwant:\n%s", all(again), all(s))
		}
	}
	for _, bad := range [][]schema.Column{nil, {{Name: "a"}}, append(columns(t, "a:int"), columns(t, "a:int")...)} {
		if _, err := s.Set(bad); err == nil {
			t.Errorf("%v was taken", bad)
		}
	}
}

func TestPrune(t *testing.T) {
	m := vfs.NewMem()
	s := open(t, m)
	if err := s.Prune(func(int) bool { return false }); err != nil || m.Ops() > 0 {
		t.Fatalf("nothing to prune: %v, %d writes", err, m.Ops())
	}
	for i := range 6 {
		if _, err := record(s, fmt.Sprintf(`{"c%d":1}`, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Prune(func(n int) bool { return n == 2 || n == 4 }); err != nil {
		t.Fatal(err)
	}
	ops := m.Ops()
	if err := s.Prune(func(n int) bool { return n < 6 }); err != nil || m.Ops() != ops {
		t.Errorf("nothing left to prune: %v, %d writes", err, m.Ops()-ops)
	}
	for _, s := range []*Store{s, open(t, m.CrashClone(vfs.CrashOptions{}))} {
		var left []int
		for n := range 9 {
			if _, ok := s.Get(n); ok {
				left = append(left, n)
			}
		}
		if !slices.Equal(left, []int{2, 4, 6}) {
			t.Errorf("versions %v are left", left)
		}
		if v, err := record(s, `{"new":1}`); err != nil || v.Number != 7 {
			t.Errorf("the next version is %s, %v", show(v), err)
		}
	}
}

// mutate makes a random change, as a stream would, and says what the store is afterwards.
func mutate(s *Store, rng *rand.Rand) error {
	switch k := rng.Intn(10); {
	case k < 7:
		_, err := record(s, randomObject(rng, 3, 2))
		return err
	case k < 8:
		typ := []string{"int", "string", "date"}[rng.Intn(3)]
		t, _ := schema.Parse("struct<x:" + typ + ">")
		_, err := s.Set(t.Fields)
		return err
	}
	return s.Prune(func(n int) bool { return n%3 == 0 })
}

func TestCrashAtEveryWriteOfTheStore(t *testing.T) {
	for mode, keep := range []float64{-1, 0, 0.5, 1} {
		for n := 1; ; n++ {
			rng := rand.New(rand.NewSource(int64(n*4 + mode)))
			m := vfs.NewMem()
			m.CrashAt(n)
			s := open(t, m)
			durable := all(s)
			for range 12 {
				if mutate(s, rng) != nil {
					break
				}
				durable = all(s)
			}
			ended := !m.Crashed()
			m.Crash()
			for life := range 3 {
				if keep < 0 {
					m = m.KillClone()
				} else {
					m = m.CrashClone(vfs.CrashOptions{Rand: rng, KeepUnsynced: keep})
				}
				s = open(t, m)
				// A change that failed may be there; nobody was told of it. What was handed out is there in any case.
				checkHandedOut(t, s, durable)
				if t.Failed() {
					t.Fatalf("mode %d, crash at write %d, life %d", mode, n, life)
				}
				durable = all(s)
				m.CrashAt(m.Ops() + 1 + rng.Intn(9))
				for mutate(s, rng) == nil {
					durable = all(s)
				}
				m.Crash()
			}
			if ended {
				break
			}
		}
	}
}

// checkHandedOut fails if the latest version that was handed out is not there as it was, or is followed by more than one other. It was
// all that there was, except when the failed change was a Prune.
func checkHandedOut(t *testing.T, s *Store, durable string) {
	t.Helper()
	lines := strings.Split(durable, "\n")
	if len(lines) < 2 {
		if v, ok := s.Latest(); ok && v.Number > 1 {
			t.Errorf("nothing was handed out, found %s", all(s))
		}
		return
	}
	last := lines[len(lines)-2]
	found := strings.Split(all(s), "\n")
	found = found[:len(found)-1]
	if i := slices.Index(found, last); i < 0 || i < len(found)-2 {
		t.Errorf("handed out:\n%s\nfound:\n%s", durable, all(s))
	}
}

func TestStoreOnABadDisk(t *testing.T) {
	for seed := range int64(30) {
		rng := rand.New(rand.NewSource(seed))
		m := vfs.NewMem()
		s := open(t, m)
		m.SetHook(func(op vfs.Op) error {
			switch {
			case op.Kind == vfs.OpRead || op.Kind == vfs.OpOpen || rng.Float64() >= 0.1:
				return nil
			case op.Kind == vfs.OpWrite:
				return vfs.ErrShort{N: rng.Intn(op.N + 1), Err: syscall.ENOSPC}
			}
			return errors.New("a bad sector")
		})
		failures := 0
		for i := range 60 {
			before := all(s)
			err := mutate(s, rng)
			if err != nil {
				failures++
				if after := all(s); after != before {
					t.Fatalf("seed %d, change %d failed (%v) and changed\n%s\nto\n%s", seed, i, err, before, after)
				}
				continue
			}
			if got := all(open(t, m.CrashClone(vfs.CrashOptions{}))); got != all(s) {
				t.Fatalf("seed %d, change %d: after a power cut\n%s\nwant\n%s", seed, i, got, all(s))
			}
		}
		if failures == 0 {
			t.Errorf("seed %d: nothing failed", seed)
		}
	}
}

func TestDamagedStoreIsAnError(t *testing.T) {
	good := `{"Format":1,"Versions":[{"Number":3,"Generation":2,"Columns":[{"Name":"a","Type":"int"}]}],"Seen":[{"Name":"a","Type":"int"},{"Name":"b","Type":"date"}]}`
	write := func(text string) *vfs.Mem {
		m := vfs.NewMem()
		if err := vfs.WriteFileAtomic(m, path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		return m
	}
	if got := all(open(t, write(good))); got != "3/2 a:int\nseen a:int,b:date" {
		t.Errorf("read as %s", got)
	}
	for _, tc := range []struct{ old, new, want string }{
		{good, "", "EOF"},
		{good, "\x00\x00\x00", "near byte 1"},
		{good, good[:40], "EOF"},
		{good, good + "{}", "text follows"},
		{`"Format":1`, `"Format":2`, "format 2 is not known"},
		{`"Format":1`, `"Colour":1,"Format":1`, "unknown field"},
		{`"Number":3`, `"Number":0`, "version 0"},
		{`"Number":3`, `"Number":"3"`, "near byte"},
		{`"Generation":2`, `"Generation":0`, "generation 0"},
		{`"Type":"int"`, `"Type":"nothing"`, `unknown type "nothing"`},
		{`[{"Name":"a","Type":"int"}]}]`, `[]}]`, "at least one column"},
		{`[{"Number":3,"Generation":2,"Columns":[{"Name":"a","Type":"int"}]}]`, `[]`, "holds no version"},
		{`"Versions":[`, `"Versions":[{"Number":4,"Generation":2,"Columns":[{"Name":"a","Type":"int"}]},`, "follows version 4"},
		{`"Versions":[`, `"Versions":[{"Number":2,"Generation":3,"Columns":[{"Name":"a","Type":"int"}]},`, "of generation 3"},
		{`"Seen":[{"Name":"a","Type":"int"}`, `"Seen":[{"Name":"a","Type":"date"}`, "do not agree"},
		{`{"Name":"b","Type":"date"}`, `{"Name":"b"}`, "has no type"},
	} {
		m := write(strings.Replace(good, tc.old, tc.new, 1))
		_, err := OpenStore(m, path)
		var damage *DamageError
		if !errors.As(err, &damage) || damage.Path != path || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "move it away") {
			t.Errorf("%s: got %v, want %q", tc.new, err, tc.want)
		}
	}
	m := write(good)
	m.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpRead {
			return syscall.EIO
		}
		return nil
	})
	if _, err := OpenStore(m, path); !errors.Is(err, syscall.EIO) {
		t.Errorf("an unreadable disk: %v", err)
	}
}

func FuzzStoreFile(f *testing.F) {
	f.Add([]byte(`{"Format":1,"Versions":[{"Number":3,"Generation":2,"Columns":[{"Name":"a","Type":"int"}]}],"Seen":[{"Name":"b","Type":"date"}]}`))
	f.Add([]byte(`{"Format":1,"Versions":[{"Number":1,"Generation":1,"Columns":[{"Name":"a","Type":"struct<x:int>"}]},{"Number":2,"Generation":1,"Columns":[{"Name":"b","Type":"int"}]}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		st, err := decode(b)
		if err != nil {
			return
		}
		text, err := encode(st)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decode(text)
		if err != nil || all(&Store{state: again}) != all(&Store{state: st}) {
			t.Fatalf("%s reads back as %s, %v", text, all(&Store{state: again}), err)
		}
	})
}

func TestTooManyVersions(t *testing.T) {
	s := open(t, vfs.NewMem())
	s.limit = 4096
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		_, err = record(s, fmt.Sprintf(`{"a%d":1}`, n))
	}
	if err == nil || !strings.Contains(err.Error(), "too many are needed") {
		t.Fatalf("after %d versions: %v", n, err)
	}
	if latest, _ := s.Latest(); latest.Number != n-1 {
		t.Errorf("the latest is %d of %d", latest.Number, n)
	}
	if err := s.Prune(func(int) bool { return false }); err != nil {
		t.Error(err)
	}
	if v, err := record(s, `{"b":1}`); err != nil || v.Number != n {
		t.Errorf("after pruning: %s, %v", show(v), err)
	}
}

func TestConcurrentUseOfAStore(t *testing.T) {
	m := vfs.NewMem()
	s := open(t, m)
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 10 {
				v, err := record(s, fmt.Sprintf(`{"w%d_%d":1}`, w, i))
				if err != nil {
					t.Error(err)
				}
				if got, ok := s.Get(v.Number); !ok || show(got) != show(v) {
					t.Errorf("version %d cannot be found again", v.Number)
				}
				if latest, _ := s.Latest(); latest.Number < v.Number {
					t.Errorf("latest is %d, %d is there", latest.Number, v.Number)
				}
			}
		})
	}
	wg.Wait()
	latest, _ := open(t, m).Latest()
	if latest.Number != 40 || len(latest.Columns) != 40 || latest.Generation != 1 {
		t.Errorf("ended with %d/%d, %d columns", latest.Number, latest.Generation, len(latest.Columns))
	}
}

// Readers must not wait while a long batch is learned from.
func TestReadersDoNotWaitForLearning(t *testing.T) {
	s := open(t, vfs.NewMem())
	_, err := s.Learn(func([]schema.Column) ([]schema.Column, bool, bool) {
		s.Latest()
		s.Get(1)
		return columns(t, "a:int"), true, false
	})
	if err != nil {
		t.Error(err)
	}
}
