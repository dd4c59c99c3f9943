package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand"
	"os"
	"testing"
)

func contents(t *testing.T, n *Lane) []byte {
	t.Helper()
	var got []byte
	if err := n.Read(func(p []byte) error { got = append(got, p...); return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestLanesGiveBackWhatWentIn fills, reads and closes lanes at random, far beyond what memory may hold.
func TestLanesGiveBackWhatWentIn(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	budget := &LaneBudget{}
	l := NewLanes(t.TempDir(), budget, nil)
	type pair struct {
		lane *Lane
		want []byte
	}
	var open []pair
	total := 0
	for total < 24<<20 {
		if len(open) < 300 {
			open = append(open, pair{lane: l.NewLane()})
		}
		i := rng.Intn(len(open))
		p := &open[i]
		data := make([]byte, rng.Intn(2000)+1)
		if rng.Intn(500) == 0 {
			data = make([]byte, 1<<20)
		}
		rng.Read(data)
		cut := rng.Intn(len(data))
		if err := p.lane.Append(data[:cut], data[cut:]); err != nil {
			t.Fatal(err)
		}
		p.want = append(p.want, data...)
		total += len(data)
		if rng.Intn(400) == 0 {
			if !bytes.Equal(contents(t, p.lane), p.want) || p.lane.Size() != int64(len(p.want)) {
				t.Fatalf("lane %d does not hold what was appended", i)
			}
			p.lane.Close()
			open[i] = open[len(open)-1]
			open = open[:len(open)-1]
		}
		if budget.MemoryBytes() > laneEach+2<<20 {
			t.Fatalf("%d bytes in memory", budget.MemoryBytes())
		}
	}
	if l.DiskBytes() == 0 {
		t.Error("nothing went to disk")
	}
	for i, p := range open {
		if !bytes.Equal(contents(t, p.lane), p.want) {
			t.Fatalf("lane %d does not hold what was appended", i)
		}
		p.lane.Close()
	}
	if len(l.segs) > 1 || budget.MemoryBytes() != 0 || len(l.dirty) != 0 {
		t.Errorf("%d files, %d bytes and %d lanes are held for nothing", len(l.segs), budget.MemoryBytes(), len(l.dirty))
	}
	l.Close()
}

// TestLanesFreeTheirFiles: files go as soon as no lane begins in them or before.
func TestLanesFreeTheirFiles(t *testing.T) {
	l := NewLanes(t.TempDir(), &LaneBudget{}, nil)
	defer l.Close()
	one := make([]byte, 1<<20)
	for range 400 {
		n := l.NewLane()
		if err := n.Append(one); err != nil {
			t.Fatal(err)
		}
		n.Close()
	}
	if d := l.DiskBytes(); d > segmentBytes {
		t.Errorf("%d bytes of files for no lane", d)
	}
}

func TestLanesShareTheirMemory(t *testing.T) {
	budget := &LaneBudget{}
	one := make([]byte, 1000)
	for range 100 { // streams
		l := NewLanes(t.TempDir(), budget, nil)
		defer l.Close()
		for range 2000 {
			if err := l.NewLane().Append(one); err != nil {
				t.Fatal(err)
			}
		}
	}
	if used := budget.MemoryBytes(); used > laneTotal+100*laneKeeps+1<<20 {
		t.Errorf("%d bytes in memory", used)
	}
}

// TestLanesOnAFullDisk: what does not fit stays in memory and can be read; when there is room again, it goes on.
func TestLanesOnAFullDisk(t *testing.T) {
	var why error
	l := NewLanes(t.TempDir(), &LaneBudget{}, func() error { return why })
	defer l.Close()
	n, other := l.NewLane(), l.NewLane()
	var want []byte
	add := func() error {
		data := []byte(fmt.Sprintf("%0999d", len(want)))
		want = append(want, data...)
		if err := other.Append(data[:10]); err != nil && !errors.Is(err, ErrFull) {
			t.Fatal(err)
		}
		return n.Append(data)
	}
	for range 20_000 {
		if err := add(); err != nil {
			t.Fatal(err)
		}
	}
	why = errors.New("too little is free")
	var err error
	for range 20_000 {
		if err = add(); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrFull) || !errors.Is(err, why) {
		t.Fatalf("nothing more may be written: %v", err)
	}
	for range 100 {
		_ = add()
	}
	if !bytes.Equal(contents(t, n), want) {
		t.Fatal("a lane does not hold what was appended")
	}
	why = nil
	l.Retry()
	for range 20_000 {
		if err := add(); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(contents(t, n), want) || l.DiskBytes() == 0 {
		t.Fatal("a lane does not hold what was appended")
	}
}

func TestLanesWhoseFolderIsGone(t *testing.T) {
	dir := t.TempDir()
	l := NewLanes(dir, &LaneBudget{}, nil)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	n := l.NewLane()
	var err error
	for range 10_000 {
		if err = n.Append(make([]byte, 1000)); err != nil {
			break
		}
	}
	if !errors.Is(err, fs.ErrNotExist) || len(contents(t, n)) != int(n.Size()) {
		t.Fatalf("no file can be made: %v", err)
	}
	l.Close()
	if err := n.Read(func([]byte) error { return nil }); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("closed lanes are read: %v", err)
	}
	n.Close()
}

func BenchmarkLanes(b *testing.B) {
	for _, lanes := range []int{10, 10_000} {
		b.Run(fmt.Sprint(lanes), func(b *testing.B) {
			rec := make([]byte, 670)
			b.SetBytes(int64(len(rec)))
			b.ReportAllocs()
			l := NewLanes(b.TempDir(), &LaneBudget{}, nil)
			defer l.Close()
			all := make([]*Lane, lanes)
			i := 0
			for b.Loop() {
				k := i * 7919 % lanes
				i++
				if all[k] == nil {
					all[k] = l.NewLane()
				}
				if err := all[k].Append(rec); err != nil {
					b.Fatal(err)
				}
				if all[k].Size() > 1<<20 {
					_ = all[k].Read(func([]byte) error { return nil })
					all[k].Close()
					all[k] = nil
				}
			}
		})
	}
}
