package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// inspect verifies a log and returns summary and findings; the disk may not change by it.
func inspect(t *testing.T, disk *vfs.Mem, dir string) (Summary, []Finding) {
	t.Helper()
	ops := disk.Ops()
	var list []Finding
	sum, err := Verify(disk, dir, func(f Finding) { list = append(list, f) })
	if err != nil {
		t.Fatal(err)
	}
	if disk.Ops() != ops {
		t.Error("verifying changed the disk")
	}
	n := 0
	for _, f := range list {
		if f.Kind == FoundDamage {
			n++
		}
	}
	if n != sum.Damaged {
		t.Errorf("%d findings of damage, the summary says %d", n, sum.Damaged)
	}
	return sum, list
}

func TestVerifySound(t *testing.T) {
	mem, r := damagedLog(t)
	for _, state := range []string{"open", "closed", "empty"} {
		sum, list := inspect(t, mem, "d/s/log")
		if len(list) > 0 || sum.Segments != 2 || sum.Frames != 10 || sum.Records != damagedLogEnd || sum.First != 1 || sum.Last != damagedLogEnd {
			t.Errorf("%s: %+v, %+v", state, sum, list)
		}
		if state == "open" {
			r.close(t)
		}
	}
	if err := vfs.MkdirAll(mem, "d/new/log"); err != nil {
		t.Fatal(err)
	}
	if sum, list := inspect(t, mem, "d/new/log"); sum != (Summary{}) || len(list) > 0 {
		t.Errorf("an empty log: %+v %+v", sum, list)
	}
	if _, err := Verify(mem, "d/none", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// Verify finds each flip that a reader would find, and Repair keeps a copy.
func TestVerifyFindsEveryFlip(t *testing.T) {
	mem, r := damagedLog(t)
	r.close(t)
	for n := uint64(1); n <= 2; n++ {
		for _, f := range framesOf(t, mem, "d/s/log/"+segmentName(n)) {
			for region, at := range f.regions() {
				disk := mem.KillClone()
				flip(t, disk, f.path, f.off+at)
				sum, list := inspect(t, disk, "d/s/log")
				if region == "padding" {
					if len(list) > 0 {
						t.Errorf("padding: %+v", list)
					}
					continue
				}
				if len(list) != 1 || list[0].Kind != FoundDamage || list[0].From < f.firstPos || list[0].To > f.lastPos() || sum.Records >= damagedLogEnd {
					t.Errorf("frame %d, %s: %+v, %+v", f.firstPos, region, sum, list)
					continue
				}
				var fixed []Finding
				again, err := Repair(disk, "d/s/log", func(f Finding) { fixed = append(fixed, f) })
				if err != nil || again != sum || len(fixed) != 1 {
					t.Fatalf("repair: %v, %+v, %+v", err, again, fixed)
				}
				checkCopy(t, disk, fixed[0].Damage)
			}
		}
	}
}

func TestVerifyFindsMissingAndForeign(t *testing.T) {
	mem := vfs.NewMem()
	for range 4 {
		r := openRig(t, mem, 0)
		r.append(t, "a", "b")
		r.close(t)
	}
	if err := mem.Remove("d/s/log/" + segmentName(2)); err != nil {
		t.Fatal(err)
	}
	if err := mem.Rename("d/s/log/"+segmentName(3), "d/s/log/"+segmentName(9)); err != nil {
		t.Fatal(err)
	}
	f, err := mem.Create("d/s/log/" + segmentName(10))
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	other := openRig(t, mem, 0, func(o *Options) {
		o.Dir, o.ID = "d/o/log", LogID{7}
		if err := vfs.MkdirAll(mem, o.Dir); err != nil {
			t.Fatal(err)
		}
	})
	other.append(t, "not ours")
	other.close(t)
	if err := mem.Link("d/o/log/"+segmentName(1), "d/s/log/"+segmentName(2)); err != nil {
		t.Fatal(err)
	}
	sum, list := inspect(t, mem, "d/s/log")
	kinds := map[FindingKind]int{}
	for _, f := range list {
		kinds[f.Kind]++
		if f.Kind == FoundDamage && (f.From != 3 || f.To != 6) {
			t.Errorf("missing %d to %d, want 3 to 6", f.From, f.To)
		}
	}
	if kinds[FoundDamage] != 1 || kinds[FoundLeftover] != 3 || sum.Records != 4 {
		t.Errorf("%+v %+v", sum, list)
	}
}

func TestVerifyTornTailIsNoDamage(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "a")
	mem.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite {
			return vfs.ErrShort{N: 3000}
		}
		return nil
	})
	if _, err := r.log.Append(t.Context(), putOf(strings.Repeat("x", 10_000))); err == nil {
		t.Fatal("a short write was acknowledged")
	}
	mem.SetHook(nil)
	sum, list := inspect(t, mem.KillClone(), "d/s/log")
	if sum.Records != 1 || sum.Damaged != 0 {
		t.Errorf("%+v %+v", sum, list)
	}
	r.close(t)
}

func TestDump(t *testing.T) {
	mem, r := damagedLog(t)
	want := r.readAll(t, 0)
	r.close(t)
	for _, c := range []struct {
		from  record.Position
		limit int
	}{{0, 0}, {1, 3}, {5, 0}, {5, 4}, {damagedLogEnd, 9}, {damagedLogEnd + 1, 0}} {
		var got []string
		err := Dump(mem, "d/s/log", c.from, c.limit, func(s SegmentInfo, f FrameInfo, rec record.Record) error {
			if s.Epoch != rec.Epoch || rec.Pos < f.First || rec.Pos >= f.First+record.Position(f.Records) || f.Index >= f.OfCommit || s.Log != (LogID{1}) {
				t.Errorf("%+v %+v %v", s, f, rec.ID)
			}
			got = append(got, fmt.Sprintf("%d=%s", rec.Pos, rec.Data))
			return nil
		})
		expect := want[min(max(int(c.from), 1)-1, len(want)):]
		if c.limit > 0 {
			expect = expect[:min(c.limit, len(expect))]
		}
		if err != nil || fmt.Sprint(got) != fmt.Sprint(expect) {
			t.Errorf("from %d, limit %d: %v, %d records, want %d", c.from, c.limit, err, len(got), len(expect))
		}
	}
	stop := errors.New("stop")
	if err := Dump(mem, "d/s/log", 0, 0, func(SegmentInfo, FrameInfo, record.Record) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestFindLogs(t *testing.T) {
	mem := vfs.NewMem()
	for _, d := range []string{"data/streams/a~1/log", "data/streams/b~2/log", "data/streams/broken", "data/pool"} {
		if err := vfs.MkdirAll(mem, d); err != nil {
			t.Fatal(err)
		}
	}
	f, err := mem.Create(filepath.Join("data/streams/b~2/log", segmentName(1)))
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	for dir, want := range map[string]string{
		"data":                 "[data/streams/a~1/log data/streams/b~2/log]",
		"data/streams/a~1":     "[data/streams/a~1/log]",
		"data/streams/b~2/log": "[data/streams/b~2/log]",
		"data/streams/a~1/log": "[data/streams/a~1/log]",
	} {
		if got, err := FindLogs(mem, dir); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v %v, want %s", dir, got, err, want)
		}
	}
	for _, dir := range []string{"data/pool", "data/streams/broken", "nowhere"} {
		if got, err := FindLogs(mem, dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v %v", dir, got, err)
		}
	}
}
