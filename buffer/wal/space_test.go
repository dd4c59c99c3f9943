package wal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// Rule 8: idle streams own next to nothing of the disk, and no goroutine each.
func TestThousandIdleStreams(t *testing.T) {
	const streams = 1000
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	before := runtime.NumGoroutine()
	logs := make([]*Log, streams)
	for i := range logs {
		dir := fmt.Sprintf("d/streams/%d/log", i)
		if err := vfs.MkdirAll(mem, dir); err != nil {
			t.Fatal(err)
		}
		opt := r.log.opt
		opt.Dir, opt.ID, opt.Share = dir, LogID{byte(i), byte(i >> 8), 1}, r.guard.NewShare(0, 0)
		var err error
		if logs[i], err = Open(opt); err != nil {
			t.Fatal(err)
		}
	}
	big := bytes.Repeat([]byte("x"), 400<<10)
	for i, l := range logs {
		for n := range 1 + i%10/9*3 { // some were busy once
			p := record.NewPut()
			p.Add(big[:1000+n*100_000])
			if _, err := l.Append(context.Background(), p); err != nil {
				t.Fatal(err)
			}
			p.Release()
		}
		rd := l.NewReader(0) // a reader that waits at the end must not keep the space
		for f, err := rd.Next(); err == nil; f, err = rd.Next() {
			if err := l.Trim(f.Last()+1, f.EndOffset()); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Shrink(); err != nil {
			t.Fatal(err)
		}
		if b := l.DiskBytes(); b != headerBytes || l.Backlog() != 0 {
			t.Fatalf("log %d: %d bytes on disk, %d waiting", i, b, l.Backlog())
		}
		rd.Close()
	}
	r.pool.wg.Wait()
	r.pool.Release()
	total, _ := mem.TotalBytes("d")
	free, _ := mem.FreeBytes("d")
	if used := total - free; used > streams*headerBytes {
		t.Errorf("%d idle streams take %d bytes", streams, used)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines more for idle streams", n-before)
	}
	for _, l := range logs {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r.close(t)
}

// Rule 8: a file that a slow reader holds is not reused under it, nor removed, until the reader has gone on.
func TestSlowReaderOfRecycledFile(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0, smallSegments)
	want := []string{}
	fill := func(tag string, n int) {
		for i := range n {
			data := fmt.Sprintf("%s %d %s", tag, i, strings.Repeat(tag, 2000))
			id := r.append(t, data)
			r.pool.wg.Wait()
			want = append(want, fmt.Sprintf("%d=%s", id.Pos, data))
		}
	}
	fill("before", 40)
	slow := r.log.NewReader(0)
	f, err := slow.Next()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := r.log.Trim(r.log.End(), 1<<40); err != nil { // the other reader is far ahead
			t.Fatal(err)
		}
		fill("after", 20)
	}
	for i := 0; ; i++ {
		err := f.Records(0, noPosition, func(rec record.Record) error {
			if got := fmt.Sprintf("%d=%s", rec.Pos, rec.Data); got != want[i] {
				t.Fatalf("record %d: a slow reader got %.40s, want %.40s", i, got, want[i])
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if f, err = slow.Next(); err != nil {
			if i != len(want)-1 {
				t.Fatalf("the reader stopped after %d of %d records: %v", i+1, len(want), err)
			}
			break
		}
	}
	r.noDamage(t)
	slow.Close()
	if err := r.log.Trim(r.log.End(), 1<<40); err != nil {
		t.Fatal(err)
	}
	if n := len(r.log.segs); n != 1 {
		t.Errorf("%d segments are kept after the reader has gone", n)
	}
	r.close(t)
}

// Rule 26: one stream whose destination is stuck fills the disk; the others still have what they were promised.
func TestStuckStreamLeavesGuaranteedShare(t *testing.T) {
	mem := vfs.NewMem()
	mem.SetCapacity(64 << 20)
	const guaranteed, minFree = 8 << 20, 2 << 20
	guard := NewGuard(mem, "d", minFree)
	shared := func(dir string) func(*Options) {
		return func(o *Options) {
			if err := vfs.MkdirAll(mem, dir); err != nil {
				t.Fatal(err)
			}
			o.Dir, o.ID, o.Share = dir, LogID{dir[2]}, guard.NewShare(0, guaranteed)
		}
	}
	stuck, other := openRig(t, mem, 0, shared("d/a/log")), openRig(t, mem, 0, shared("d/b/log"))
	n := fillUntilRefused(t, stuck.log)
	if n < 40<<20 {
		t.Errorf("the stuck stream was refused after %d bytes already", n)
	}
	if free, _ := mem.FreeBytes("d"); free < guaranteed+minFree {
		t.Errorf("%d bytes are free, %d are guaranteed", free, guaranteed)
	}
	if n := fillUntilRefused(t, other.log); n < guaranteed-300<<10 {
		t.Errorf("the other stream got %d bytes of its guaranteed %d", n, guaranteed)
	}
	if free, _ := mem.FreeBytes("d"); free < minFree-100<<10 {
		t.Errorf("%d bytes are free, %d were to be kept", free, minFree)
	}
	other.close(t)
	stuck.close(t)
}

func fillUntilRefused(t *testing.T, l *Log) (bytes int) {
	t.Helper()
	data := make([]byte, 200<<10)
	for {
		p := record.NewPut()
		p.Add(data)
		_, err := l.Append(context.Background(), p)
		p.Release()
		var un *record.Unavailable
		if errors.As(err, &un) {
			if un.RetryAfter <= 0 || un.Reason == "" {
				t.Errorf("refused with %+v", un)
			}
			return bytes
		}
		if err != nil {
			t.Fatal(err)
		}
		bytes += len(data)
	}
}

// Rule 26: a disk that is full, with a floor or without, refuses puts, loses nothing and takes puts again when there is room.
func TestDiskFullRefusesAndResumes(t *testing.T) {
	for _, minFree := range []int64{0, 1 << 20} {
		mem := vfs.NewMem()
		mem.SetCapacity(20 << 20)
		now := time.Unix(1000, 0)
		guard := NewGuard(mem, "d", minFree)
		r := openRig(t, mem, 0, smallClasses, func(o *Options) {
			o.Now = func() time.Time { return now }
			o.Share = guard.NewShare(0, 0)
		})
		for round := range 3 {
			n := fillUntilRefused(t, r.log)
			if n < 10<<20 {
				t.Fatalf("min_free %d, round %d: refused after %d bytes", minFree, round, n)
			}
			if _, err := r.log.Append(context.Background(), putOf(string(make([]byte, 400<<10)))); err == nil {
				t.Fatal("a full disk took a put")
			}
			want := n / (200 << 10)
			from := r.log.cursor
			if got := len(r.readAll(t, from)); got != want {
				t.Fatalf("min_free %d, round %d: %d records of %d are read", minFree, round, got, want)
			}
			again := openRig(t, mem.CrashClone(vfs.CrashOptions{}), 0, smallClasses)
			if got := len(again.readAll(t, from)); got != want {
				t.Fatalf("min_free %d, round %d: %d records of %d after a power cut", minFree, round, got, want)
			}
			again.noDamage(t)
			now = now.Add(time.Minute)
			if err := r.log.Trim(r.log.End(), 1<<40); err != nil {
				t.Fatal(err)
			}
		}
		r.noDamage(t)
		r.close(t)
	}
}

// smallClasses makes a full-grown segment 2 MiB.
func smallClasses(o *Options) { o.Pool.size = 2 << 20 }

// Rules 21 and 26: the backlog limit counts what waits in the log.
func TestBacklogFull(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.close(t)
	r = openRig(t, mem, 0, func(o *Options) { o.Share = r.guard.NewShare(1<<20, 0) })
	n := fillUntilRefused(t, r.log)
	if want := 5 * 200 << 10; n != want {
		t.Fatalf("took %d bytes with a limit of 1 MiB, want %d", n, want)
	}
	refused := func(put string) bool {
		_, err := r.log.Append(context.Background(), putOf(put))
		var un *record.Unavailable
		return errors.As(err, &un) && strings.Contains(un.Reason, "max_backlog")
	}
	if refused("a small one still fits") {
		t.Error("a put that fits was refused")
	}
	if !refused(strings.Repeat("x", 24<<10)) {
		t.Error("a put that does not fit was taken")
	}
	rd := r.log.NewReader(0)
	f, err := rd.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.log.Trim(f.Last()+1, f.EndOffset()); err != nil {
		t.Fatal(err)
	}
	rd.Close()
	if n := fillUntilRefused(t, r.log); n != 200<<10 {
		t.Errorf("after one put was delivered there was room for %d bytes", n)
	}
	backlog := r.log.Backlog()
	cursor, offset := r.log.cursor, r.log.cursorOffset
	r.close(t)
	r = openRig(t, mem, cursor-1)
	if err := r.log.Trim(cursor, offset); err != nil {
		t.Fatal(err)
	}
	if got := r.log.Backlog(); got != backlog {
		t.Errorf("backlog %d after reopening, want %d", got, backlog)
	}
	r.close(t)
}

// Rule 11: arrival never decreases, whatever the clock does, over rolls and restarts.
func TestArrivalNeverDecreases(t *testing.T) {
	mem := vfs.NewMem()
	now := time.Unix(1_700_000_000, 0)
	clock := func(o *Options) { o.Now = func() time.Time { return now } }
	for _, step := range []time.Duration{0, time.Hour, -2 * time.Hour, time.Second, -24 * time.Hour} {
		r := openRig(t, mem, 0, clock, smallSegments)
		now = now.Add(step)
		for range 10 {
			r.append(t, string(make([]byte, 10<<10)))
			now = now.Add(-time.Minute)
		}
		r.close(t)
	}
	r := openRig(t, mem, 0, clock, smallSegments)
	rd := r.log.NewReader(0)
	last := int64(0)
	n := 0
	for f, err := rd.Next(); err == nil; f, err = rd.Next() {
		if f.ArrivalMillis() < last {
			t.Fatalf("frame %d: arrival %d behind %d", n, f.ArrivalMillis(), last)
		}
		last = f.ArrivalMillis()
		n++
	}
	if n != 50 {
		t.Errorf("%d frames", n)
	}
	rd.Close()
	r.close(t)
}

// Two logs share a pool; after a crash no file of it may belong to both.
func TestPoolNeverHandsOutAFileInUse(t *testing.T) {
	for seed := range int64(60) {
		mem := vfs.NewMem()
		r := openRig(t, mem, 0, smallSegments)
		for i := range 30 + int(seed)%7 {
			r.append(t, strings.Repeat(fmt.Sprint(i), 3000))
			r.pool.wg.Wait()
			if i%10 == 9 {
				if err := r.log.Trim(r.log.End()-5, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := r.readAll(t, r.log.cursor)
		disk := mem.CrashClone(randomCrash(seed, 0.5))
		again := openRig(t, disk, 0, smallSegments)
		other := openRig(t, disk, 0, smallSegments, func(o *Options) {
			o.Dir, o.ID, o.Pool = filepath.Join("d", "other"), LogID{9}, again.pool
			if err := vfs.MkdirAll(disk, o.Dir); err != nil {
				t.Fatal(err)
			}
		})
		for range 30 {
			other.append(t, strings.Repeat("other", 600))
		}
		if got := again.readAll(t, r.log.cursor); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: %d records left of %d after another log took a spare", seed, len(got), len(want))
		}
		again.noDamage(t)
		other.close(t)
		again.close(t)
		r.close(t)
	}
}

// Segments that were trimmed may come back after a power cut, but never with a gap, which would look like damage.
func TestTrimIsUndoneInOrder(t *testing.T) {
	for seed := range int64(40) {
		mem := vfs.NewMem()
		for range 6 {
			r := openRig(t, mem, 0)
			r.append(t, "a")
			r.close(t)
		}
		r := openRig(t, mem, 0)
		crash := 1 + int(seed)%12
		mem.CrashAt(mem.Ops() + crash)
		_ = r.log.Trim(5, 0)
		again := openRig(t, mem.CrashClone(randomCrash(seed, 0.5)), 0)
		if got := again.readAll(t, 5); fmt.Sprint(got) != "[5=a 6=a]" {
			t.Errorf("seed %d: %v", seed, got)
		}
		again.noDamage(t)
		again.close(t)
	}
}
