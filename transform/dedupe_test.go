package transform

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"hydrant/config"
	"hydrant/record"
)

func deduping(d config.Dedupe) config.Stream { return steps(config.Processor{Dedupe: &d}) }

func openStaged(t testing.TB, s config.Stream) *Staged {
	t.Helper()
	c, err := NewStaged(s, nil, time.UTC, Env{Stream: "s", Account: "0", Region: "r"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// stage gives what becomes of records, and the deltas.
func stage(t testing.TB, c *Staged, recs ...record.Record) (out [][]string, deltas [][]byte) {
	t.Helper()
	products, err := c.Process(context.Background(), recs, func() {})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range products {
		var made []string
		for _, d := range p.Records {
			if d.Failure != nil {
				made = append(made, "!"+d.Failure.Code)
			} else {
				made = append(made, string(d.Data))
			}
		}
		out, deltas = append(out, made), append(deltas, slices.Clone(p.Delta))
	}
	return out, deltas
}

func at(millis int64, data string) record.Record {
	return record.Record{ArrivalMillis: millis, Data: []byte(data)}
}

func TestDedupe(t *testing.T) {
	c := openStaged(t, deduping(config.Dedupe{Key: ".id", Window: config.Duration(10 * time.Second), MaxKeys: 1000, Missing: "keep"}))
	for _, x := range []struct {
		millis int64
		data   string
		want   string
	}{
		{0, `{"id":1,"n":1}`, "kept"},
		{0, `{"id":1,"n":2}`, "dropped"},
		{9_999, `{"id":1,"n":3}`, "dropped"},
		{10_000, `{"id":1,"n":4}`, "kept"}, // a window since the one that was kept, whatever came meanwhile
		{10_001, `{"id":"1","n":5}`, "kept"},
		{10_002, `{"id":null,"n":6}`, "kept"},
		{10_002, `{"n":7}`, "kept"},
		{10_003, `{"id":{"a":[1]},"n":8}`, "kept"},
		{10_004, `{"id":{"a": [ 1 ]},"n":9}`, "dropped"},
		{10_005, `no JSON`, "failed"},
	} {
		got := "kept"
		switch out, _ := stage(t, c, at(x.millis, x.data)); {
		case len(out[0]) == 0:
			got = "dropped"
		case out[0][0] != x.data:
			got = "failed"
		}
		if got != x.want {
			t.Errorf("%s at %d is %s, want %s", x.data, x.millis, got, x.want)
		}
	}
	for missing, want := range map[string]int{"drop": 0, "fail": 1} {
		c := openStaged(t, deduping(config.Dedupe{Key: ".id", Window: config.Duration(time.Second), MaxKeys: 1000, Missing: missing}))
		if out, _ := stage(t, c, at(0, `{}`)); len(out[0]) != want {
			t.Errorf("missing: %s gives %q", missing, out)
		}
	}
	whole := openStaged(t, deduping(config.Dedupe{Window: config.Duration(time.Second), MaxKeys: 1000, Missing: "keep"}))
	if out, _ := stage(t, whole, at(0, "a"), at(0, "a\n"), at(0, "b")); len(out[0]) != 1 || len(out[1]) != 0 || len(out[2]) != 1 {
		t.Errorf("%q", out)
	}
}

// TestDedupeIsBounded: the oldest key is forgotten early, and memory per key is what the guide says.
func TestDedupeIsBounded(t *testing.T) {
	c := openStaged(t, deduping(config.Dedupe{Window: config.Duration(time.Hour), MaxKeys: 100_000, Missing: "keep"}))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 300_000 {
		stage(t, c, at(int64(i), fmt.Sprint(i)))
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if per := int64(after.HeapAlloc-before.HeapAlloc) / 100_000; per > 150 {
		t.Errorf("%d bytes a key", per)
	}
	out, _ := stage(t, c, at(300_000, "299999"), at(300_000, "0"))
	if len(out[0]) != 0 || len(out[1]) != 1 {
		t.Errorf("%q", out)
	}
	runtime.KeepAlive(c)
}

// TestStateFromSnapshotAndDeltas: a life that takes over knows what the one before knew, wherever that ended; and what all lives give together is
// what a plain count over the whole input gives.
func TestStateFromSnapshotAndDeltas(t *testing.T) {
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		s := deduping(config.Dedupe{Key: ".id", Window: config.Duration(5 * time.Second), MaxKeys: 1000 + rnd.IntN(2)*1000, Missing: "keep"})
		live := openStaged(t, s)
		saved, since := live.Snapshot(), [][]byte(nil)
		first, now := map[int]int64{}, int64(0)
		for range 400 {
			now += rnd.Int64N(400)
			id := rnd.IntN(50)
			out, deltas := stage(t, live, at(now, fmt.Sprintf(`{"id":%d,"at":%d}`, id, now)))
			since = append(since, deltas...)
			kept, seen := first[id]
			if want := !seen || kept+5000 <= now; want != (len(out[0]) == 1) {
				t.Fatalf("seed %d: id %d at %d was kept: %v", seed, id, now, len(out[0]) == 1)
			} else if want {
				first[id] = now
			}
			switch rnd.IntN(10) {
			case 0: // saved
				saved, since = live.Snapshot(), nil
			case 1: // killed
				next := openStaged(t, s)
				if err := next.Restore(saved); err != nil {
					t.Fatal(err)
				}
				for _, d := range since {
					if err := next.Apply(d); err != nil {
						t.Fatal(err)
					}
				}
				live = next
			}
		}
	}
}

// FuzzDedupeState: whatever stands on the disk, an error or a state.
func FuzzDedupeState(f *testing.F) {
	c := openStaged(f, deduping(config.Dedupe{Window: config.Duration(time.Hour), MaxKeys: 1000, Missing: "keep"}))
	_, deltas := stage(f, c, at(1, "a"), at(2, "b"))
	f.Add(c.Snapshot(), deltas[0])
	f.Add([]byte{0, 200}, bytes.Repeat([]byte{255}, 30))
	f.Fuzz(func(t *testing.T, snapshot, delta []byte) {
		c := openStaged(t, deduping(config.Dedupe{Window: config.Duration(time.Hour), MaxKeys: 1000, Missing: "keep"}))
		if c.Restore(snapshot) == nil {
			_ = c.Apply(delta)
		}
	})
}

func BenchmarkDedupe(b *testing.B) {
	for name, key := range map[string]string{"whole": "", "key": ".trace_id"} {
		b.Run(name, func(b *testing.B) {
			c := openStaged(b, deduping(config.Dedupe{Key: key, Window: config.Duration(time.Minute), MaxKeys: 100_000, Missing: "keep"}))
			rnd := rand.New(rand.NewPCG(1, 2))
			var recs []record.Record
			size := 0
			for i := range 1000 {
				recs = append(recs, at(0, event(rnd, i)))
				size += len(recs[i].Data)
			}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for n := int64(0); b.Loop(); n++ {
				for i := range recs {
					recs[i].ArrivalMillis = n * 61_000
				}
				if _, err := c.Process(context.Background(), recs, func() {}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
