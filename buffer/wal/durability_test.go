package wal

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// lastSegmentPath is the file of the newest segment of the rig's log.
func (r *rig) lastSegmentPath() string {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return r.log.lastSegment().path
}

// together appends puts so that all but the first end in one commit: the first one's sync waits until the others are queued.
func (r *rig) together(t testing.TB, mem *vfs.Mem, puts ...*record.Put) {
	t.Helper()
	release, blocked := make(chan struct{}), make(chan struct{})
	var once sync.Once
	mem.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, ".seg") {
			once.Do(func() { close(blocked); <-release })
		}
		return nil
	})
	var wg sync.WaitGroup
	add := func(p *record.Put) {
		wg.Go(func() {
			if _, err := r.log.Append(context.Background(), p); err != nil {
				t.Error(err)
			}
		})
	}
	add(puts[0])
	<-blocked
	for i, p := range puts[1:] {
		add(p)
		for r.queued() < i+1 {
			runtime.Gosched()
		}
	}
	close(release)
	wg.Wait()
	mem.SetHook(nil)
}

func (r *rig) queued() int {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return len(r.log.queue)
}

// Rule 4: nobody sees a record before the sync of its commit returned, and what was seen is there after a power cut.
func TestReaderNeverSeesUnsynced(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "seen")
	syncing, release := make(chan struct{}), make(chan struct{})
	var block atomic.Bool
	block.Store(true)
	mem.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && block.CompareAndSwap(true, false) {
			close(syncing)
			<-release
		}
		return nil
	})
	done := make(chan error)
	go func() {
		_, err := r.log.Append(context.Background(), putOf("not yet"))
		done <- err
	}()
	<-syncing
	if got := fmt.Sprint(r.readAll(t, 0)); got != "[1=seen]" {
		t.Errorf("a reader saw %s while the sync was under way", got)
	}
	if r.log.Has(2) {
		t.Error("the log said that it grew before the sync returned")
	}
	grown := make(chan error)
	go func() { grown <- r.log.Wait(context.Background(), 2, time.Hour, nil) }()
	if r.log.End() != 2 {
		t.Errorf("durable end %d, want 2", r.log.End())
	}
	close(release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := <-grown; err != nil || !r.log.Has(2) {
		t.Errorf("nobody was told that the log grew: %v", err)
	}
	want := "[1=seen 2=not yet]"
	if got := fmt.Sprint(r.readAll(t, 0)); got != want {
		t.Errorf("read %s, want %s", got, want)
	}
	after := openRig(t, mem.CrashClone(vfs.CrashOptions{}), 0)
	if got := fmt.Sprint(after.readAll(t, 0)); got != want {
		t.Errorf("after a power cut %s, want %s", got, want)
	}
	after.close(t)
	r.close(t)
}

// Rule 4: a record of a killed process that recovery shows to readers has to survive a power cut right after.
func TestRecoveryMakesDurableWhatItShows(t *testing.T) {
	for name, fault := range map[string]error{"killed before the sync": vfs.ErrCrashed, "killed after a failed sync": syscall.EIO} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			r := openRig(t, mem, 0)
			r.append(t, "first")
			mem.SetHook(func(op vfs.Op) error {
				if op.Kind == vfs.OpSync {
					return fault
				}
				return nil
			})
			if _, err := r.log.Append(context.Background(), putOf("doubtful")); err == nil {
				t.Fatal("acknowledged without a sync")
			}
			disk := mem.KillClone()
			again := openRig(t, disk, 0)
			shown := fmt.Sprint(again.readAll(t, 0))
			after := openRig(t, disk.CrashClone(vfs.CrashOptions{}), 0)
			if got := fmt.Sprint(after.readAll(t, 0)); got != shown {
				t.Errorf("recovery showed %s, after a power cut there is %s", shown, got)
			}
			after.noDamage(t)
			after.close(t)
			again.close(t)
		})
	}
}

// Rule 3: the last segment is lost; positions that were ever noted are not given out again.
func TestLastSegmentLost(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "a", "b")
	r.close(t)
	r = openRig(t, mem, 0)
	old := r.append(t, "c", "d")
	lost := r.lastSegmentPath()
	r.close(t)
	if err := mem.Remove(lost); err != nil {
		t.Fatal(err)
	}
	r = openRig(t, mem, 4)
	if len(r.damage) != 1 || r.damage[0].From != 3 || r.damage[0].To != 4 {
		t.Fatalf("damage %+v, want records 3 to 4", r.damage)
	}
	if id := r.append(t, "e"); id.Pos != 5 || id.Epoch == old.Epoch {
		t.Fatalf("next record %v, want position 5 in a new epoch", id)
	}
	if got := fmt.Sprint(r.readAll(t, 0)); got != "[1=a 2=b 5=e]" {
		t.Fatal(got)
	}
	r.close(t)
	r = openRig(t, mem, 5)
	r.noDamage(t)
	r.close(t)
}

// Rule 3: a segment in the middle is lost; exactly its records are reported, the others are read.
func TestMiddleSegmentLost(t *testing.T) {
	mem := vfs.NewMem()
	var paths []string
	for _, s := range []string{"a", "b", "c", "d"} {
		r := openRig(t, mem, 0)
		r.append(t, s)
		paths = append(paths, r.lastSegmentPath())
		r.close(t)
	}
	for _, lost := range [][]int{{0}, {1}, {2}, {0, 1}, {1, 2}, {0, 1, 2}} {
		c := mem.KillClone()
		for _, i := range lost {
			if err := c.Remove(paths[i]); err != nil {
				t.Fatal(err)
			}
		}
		r := openRig(t, c, 4, func(o *Options) { o.Cursor = 1 })
		from, to := record.Position(lost[0]+1), record.Position(lost[len(lost)-1]+1)
		if len(r.damage) != 1 || r.damage[0].From != from || r.damage[0].To != to {
			t.Errorf("lost %v: damage %+v, want records %d to %d", lost, r.damage, from, to)
		}
		if got := len(r.readAll(t, 0)); got != 4-len(lost) {
			t.Errorf("lost %v: %d records are read", lost, got)
		}
		r.close(t)
	}
}

// Rules 1 and 3: an old copy of the data directory is put back; new records share no identity with those that are gone.
func TestOldSnapshotRestored(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "a")
	r.close(t)
	snapshot := mem.CrashClone(vfs.CrashOptions{})

	r = openRig(t, mem, 0)
	gone := r.append(t, "b", "c")
	r.close(t)

	for floor := record.Position(0); floor <= 3; floor++ { // 0, 1: cursor and journal were restored, too
		r = openRig(t, snapshot.KillClone(), floor)
		if missing := floor > 1; missing != (len(r.damage) == 1) {
			t.Errorf("floor %d: damage %+v", floor, r.damage)
		}
		id := r.append(t, "new")
		if id.Epoch == gone.Epoch || id.Pos <= floor {
			t.Errorf("floor %d: new record is %v, a lost one was %v", floor, id, gone)
		}
		r.close(t)
	}
}

// Rule 1: a stream that is deleted and made again under its name is another log.
func TestSameNameNewLog(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	old := r.append(t, "old")
	r.close(t)
	r = openRig(t, mem, 0, func(o *Options) { o.ID = LogID{2} })
	if got := r.readAll(t, 0); len(got) != 0 {
		t.Fatalf("the new log reads %v of the old one", got)
	}
	if id := r.append(t, "new"); id == old {
		t.Fatalf("the identity %v was given out twice", id)
	}
	r.close(t)
}

// Rule 6: what a recycled file holds from an earlier use is never taken for records.
func TestOldBytesInRecycledSegment(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0, smallSegments)
	used := map[string]bool{}
	for n := 0; len(used) == 0 && n < 1000; n++ {
		r.append(t, strings.Repeat("old bytes ", 300))
		r.pool.wg.Wait()
		if err := r.log.Trim(r.log.End(), 0); err != nil {
			t.Fatal(err)
		}
		r.log.mu.Lock()
		if s := r.log.lastSegment(); s.pooled && r.log.segs[0] == s && n > 100 {
			used[s.path] = true
		}
		r.log.mu.Unlock()
	}
	// A crash at any point of the reused file: frames of the same length as before, at the same offsets.
	for n := range 40 {
		r.append(t, strings.Repeat("new bytes ", 300))
		want := fmt.Sprint(r.readAll(t, 0))
		for seed := range int64(3) {
			again := openRig(t, mem.CrashClone(randomCrash(seed, float64(seed)/2)), 0, smallSegments)
			if got := fmt.Sprint(again.readAll(t, 0)); got != want {
				t.Fatalf("put %d: after a crash %d bytes of records instead of %d", n, len(got), len(want))
			}
			again.noDamage(t)
			again.close(t)
		}
	}
	r.close(t)
}

// Rule 6: after a failed sync nothing is acknowledged on the strength of a later sync of that file, and the file is never written again.
func TestFailedSyncIsNeverRetried(t *testing.T) {
	mem := vfs.NewMem()
	now := time.Unix(1000, 0)
	r := openRig(t, mem, 0, func(o *Options) { o.Now = func() time.Time { return now } })
	r.append(t, "a")
	poisoned := r.lastSegmentPath()
	failed := false
	mem.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && !failed {
			failed = true
			return syscall.EIO
		}
		if failed && op.Name == poisoned && (op.Kind == vfs.OpWrite || op.Kind == vfs.OpSync) {
			t.Errorf("%v on the segment whose sync failed", op)
		}
		return nil
	})
	id, err := r.log.Append(context.Background(), putOf("lost"))
	var un *record.Unavailable
	if !errors.As(err, &un) || un.RetryAfter <= 0 {
		t.Fatalf("a put whose sync failed: %v, %v", id, err)
	}
	if _, err := r.log.Append(context.Background(), putOf("too early")); !errors.As(err, &un) || r.log.Trouble() == nil {
		t.Fatalf("a put before the log tries again: %v", err)
	}
	now = now.Add(un.RetryAfter)
	if next := r.append(t, "b"); next.Pos <= id.Pos || r.log.Trouble() != nil {
		t.Errorf("position %d is given out again after a put that may be on disk had it", next.Pos)
	}
	if err := mem.DropCache(poisoned); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*vfs.Mem{mem.CrashClone(vfs.CrashOptions{}), mem.CrashClone(randomCrash(1, 1)), mem.KillClone()} {
		again := openRig(t, c, 0)
		if got := again.readAll(t, 0); len(got) != 2 || !strings.HasSuffix(got[0], "=a") || !strings.HasSuffix(got[1], "=b") {
			t.Errorf("read %v, want a and b", got)
		}
		again.noDamage(t)
		again.close(t)
	}
	r.close(t)
}

// Rule 6: a failed roll leaves no claim about its predecessor that a later frame makes wrong.
func TestFailedShrinkThenAppend(t *testing.T) {
	for _, kind := range []vfs.OpKind{vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpSyncDir} {
		mem := vfs.NewMem()
		r := openRig(t, mem, 0)
		r.append(t, "a")
		if err := r.log.Trim(2, 1<<40); err != nil {
			t.Fatal(err)
		}
		fail := true
		mem.SetHook(func(op vfs.Op) error {
			if op.Kind == kind && fail {
				fail = false
				return syscall.ENOSPC
			}
			return nil
		})
		if err := r.log.Shrink(); err == nil {
			t.Fatalf("%v: shrinking said nothing of the error", kind)
		}
		r.append(t, "b")
		for i, c := range []*vfs.Mem{mem.CrashClone(vfs.CrashOptions{}), mem.CrashClone(randomCrash(1, 1)), mem.KillClone()} {
			again := openRig(t, c, 0)
			if got := again.readAll(t, 2); len(got) != 1 || !strings.HasSuffix(got[0], "=b") {
				t.Errorf("%v, disk %d: read %v, want b", kind, i, got)
			}
			again.noDamage(t)
			again.close(t)
		}
		r.close(t)
	}
}

// Rule 7: all of a put or nothing, whatever the power cut leaves of the write.
func TestPutIsAllOrNothing(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "a")
	part := strings.Repeat("x", 30<<10)
	mem.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			return vfs.ErrCrashed
		}
		return nil
	})
	if _, err := r.log.Append(context.Background(), putOf(part, part, part, part, part)); err == nil {
		t.Fatal("acknowledged without a sync")
	}
	for seed := range int64(200) {
		again := openRig(t, mem.CrashClone(randomCrash(seed, 0.9)), 0)
		if n := len(again.readAll(t, 0)); n != 1 && n != 6 {
			t.Fatalf("seed %d: %d records of a put of 5 are there", seed, n-1)
		}
		again.noDamage(t)
		again.close(t)
	}
}

// Rule 7: the largest put there may be always fits, as the first one and behind others.
func TestLargestPut(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "small")
	big := record.NewPut()
	for range record.MaxPutRecords {
		big.Add([]byte("sixteen bytes ok"))
	}
	if big.Bytes() != record.MaxPutBytes {
		t.Fatalf("%d bytes", big.Bytes())
	}
	for range 2 {
		if _, err := r.log.Append(context.Background(), big); err != nil {
			t.Fatal(err)
		}
	}
	r.together(t, mem, putOf("first"), big, big)
	n := 0
	rd := r.log.NewReader(0)
	for f, err := rd.Next(); err == nil; f, err = rd.Next() {
		if err := f.Records(0, noPosition, func(record.Record) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	rd.Close()
	if want := 4*record.MaxPutRecords + 2; n != want {
		t.Errorf("%d records, want %d", n, want)
	}
	over := record.NewPut()
	over.Add(make([]byte, record.MaxPutBytes+1))
	if _, err := r.log.Append(context.Background(), over); err == nil {
		t.Error("a put above the limit was taken")
	}
	r.noDamage(t)
	r.close(t)
}
