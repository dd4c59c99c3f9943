package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// rig is a log on a disk, with what it reported.
type rig struct {
	fs    vfs.FS
	log   *Log
	pool  *Pool
	guard *Guard

	mu     sync.Mutex
	damage []Damage
}

// smallSegments makes the full-grown segment of a log 64 KiB, so that rolls and the pool are met soon.
func smallSegments(o *Options) { o.Pool.size = 64 << 10 }

func openRig(t testing.TB, fs vfs.FS, floor record.Position, change ...func(*Options)) *rig {
	t.Helper()
	r, err := tryRig(fs, floor, change...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tryRig opens the log d/s/log of a disk with the pool d/pool.
func tryRig(fs vfs.FS, floor record.Position, change ...func(*Options)) (*rig, error) {
	for _, d := range []string{"d/pool", "d/s/log"} {
		if err := vfs.MkdirAll(fs, d); err != nil {
			return nil, err
		}
	}
	for _, d := range []string{".", "d", "d/s"} { // an earlier run may have been stopped between making and syncing
		if err := fs.SyncDir(d); err != nil {
			return nil, err
		}
	}
	r := &rig{fs: fs, guard: NewGuard(fs, "d", 0)}
	var err error
	if r.pool, err = OpenPool(fs, "d/pool", r.guard, 4, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	opt := Options{FS: fs, Dir: "d/s/log", ID: LogID{1}, Stream: "s", Pool: r.pool, Share: r.guard.NewShare(0, 0), Floor: floor, Damaged: r.note}
	for _, c := range change {
		c(&opt)
	}
	if r.log, err = Open(opt); err != nil {
		r.pool.Close()
		return nil, err
	}
	return r, nil
}

func (r *rig) note(d Damage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.damage = append(r.damage, d)
}

func (r *rig) noDamage(t testing.TB) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.damage) > 0 {
		t.Fatalf("damage reported: %+v", r.damage)
	}
}

func (r *rig) close(t testing.TB) {
	t.Helper()
	if err := r.log.Close(); err != nil {
		t.Fatal(err)
	}
	r.pool.Close()
}

func putOf(records ...string) *record.Put {
	p := record.NewPut()
	for _, r := range records {
		p.Add([]byte(r))
	}
	return p
}

func (r *rig) append(t testing.TB, records ...string) record.ID {
	t.Helper()
	id, err := r.log.Append(context.Background(), putOf(records...))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// readAll returns "position=data" of all records from a position on.
func (r *rig) readAll(t testing.TB, from record.Position) (out []string) {
	t.Helper()
	rd := r.log.NewReader(from)
	defer rd.Close()
	for {
		f, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		err = f.Records(from, noPosition, func(rec record.Record) error {
			out = append(out, fmt.Sprintf("%d=%s", rec.Pos, rec.Data))
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAppendReadReopen(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	first := r.append(t, "a", "", "ccc")
	r.append(t, "d")
	want := "[1=a 2= 3=ccc 4=d]"
	if got := fmt.Sprint(r.readAll(t, 0)); got != want {
		t.Fatalf("read %s, want %s", got, want)
	}
	r.close(t)

	again := openRig(t, mem.CrashClone(vfs.CrashOptions{}), 0)
	if got := fmt.Sprint(again.readAll(t, 0)); got != want {
		t.Fatalf("after reopening %s, want %s", got, want)
	}
	next := again.append(t, "e")
	if next.Pos != 5 || next.Epoch == first.Epoch {
		t.Fatalf("next record is %v, want position 5 in a new epoch", next)
	}
	if got := fmt.Sprint(again.readAll(t, 3)); got != "[3=ccc 4=d 5=e]" {
		t.Fatal(got)
	}
	again.close(t)
	if len(again.damage) > 0 {
		t.Fatal(again.damage)
	}
}

func TestRollsAndTrims(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	big := make([]byte, 900<<10)
	n := 150
	for range n {
		p := record.NewPut()
		p.Add(big)
		if _, err := r.log.Append(context.Background(), p); err != nil {
			t.Fatal(err)
		}
	}
	if got := len(r.readAll(t, 0)); got != n {
		t.Fatalf("read %d records, want %d", got, n)
	}
	before := r.log.Backlog()
	if err := r.log.Trim(record.Position(n+1), before); err != nil {
		t.Fatal(err)
	}
	if b := r.log.Backlog(); b != 0 {
		t.Fatalf("backlog %d after everything was trimmed", b)
	}
	if err := r.log.Shrink(); err != nil {
		t.Fatal(err)
	}
	if b := r.log.DiskBytes(); b != headerBytes {
		t.Fatalf("an idle log takes %d bytes", b)
	}
	r.append(t, "x")
	r.close(t)
	again := openRig(t, mem, record.Position(n))
	if got := fmt.Sprint(again.readAll(t, 0)); got != fmt.Sprintf("[%d=x]", n+1) || len(again.damage) > 0 {
		t.Fatal(got, again.damage)
	}
	again.close(t)
}
