package wal

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// frameAt is a frame as a test finds it in a file.
type frameAt struct {
	frameHeader
	path string
	off  int64
}

// framesOf lists the frames of a segment file, the seal left out.
func framesOf(t testing.TB, fs vfs.FS, path string) (list []frameAt) {
	t.Helper()
	f, err := fs.OpenRead(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	size, _ := f.Size()
	page := make([]byte, headerBytes)
	if _, err := f.ReadAt(page, 0); err != nil {
		t.Fatal(err)
	}
	var h segHeader
	if err := h.decode(page); err != nil {
		t.Fatal(err)
	}
	s := scan{file: f, salt: h.salt, end: size}
	for off := int64(headerBytes); ; {
		fh, ok, err := s.header(off)
		if err != nil {
			t.Fatal(err)
		}
		if !ok || fh.flags&flagSeal != 0 {
			return list
		}
		list = append(list, frameAt{fh, path, off})
		off += fh.size()
	}
}

// flip inverts one bit of a byte on disk, durably.
func flip(t testing.TB, fs vfs.FS, path string, off int64) {
	t.Helper()
	f, err := fs.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
}

// regions are offsets in a frame, one in each field, and whether a flip there must be noticed.
func (f *frameAt) regions() map[string]int64 {
	payloadEnd := frameHeaderBytes + int64(f.payload)
	tailEnd := payloadEnd + int64(f.tail())
	m := map[string]int64{
		"magic": 0, "checksum": 5, "salt": 10, "commit": 17, "previous commit": 24, "flags": 28, "position": 33,
		"arrival": 41, "payload length": 48, "high byte of payload length": 51, "record count": 52, "tail checksum": 57, "index": 60, "frames": 62,
		"first block checksum": payloadEnd, "last record end": tailEnd - 4,
	}
	if f.payload > 0 {
		m["first byte"], m["last byte"], m["middle byte"] = frameHeaderBytes, payloadEnd-1, (frameHeaderBytes+payloadEnd)/2
	}
	if tailEnd < f.size() {
		m["padding"] = tailEnd
	}
	return m
}

// damagedLog is a log of several segments with commits of one and of many frames; the last segment holds most.
func damagedLog(t *testing.T) (*vfs.Mem, *rig) {
	t.Helper()
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "one", "two")
	r.append(t, "three")
	r.close(t)
	r = openRig(t, mem, 0)
	r.append(t, "a", "", "c")
	r.together(t, mem, putOf("first"), putOf("x1", "x2"), putOf(strings.Repeat("large ", 15_000), strings.Repeat("second", 10_000), "small"), putOf("x3"))
	r.append(t, strings.Repeat("block", 20_000))
	r.append(t, "b1", "b2")
	r.append(t, "last")
	return mem, r
}

// Rule 5: a byte that flips in an acknowledged frame costs at most that put; it is reported with a copy, and everything else is read.
func TestFlippedByteInAcknowledgedFrame(t *testing.T) {
	mem, r := damagedLog(t)
	killed := mem.KillClone()
	names := []string{"d/s/log/" + segmentName(1), "d/s/log/" + segmentName(2)}
	want := r.readAll(t, 0)
	r.close(t)
	for state, disk := range map[string]*vfs.Mem{"killed": killed, "closed": mem} {
		var frames []frameAt
		for _, n := range names {
			frames = append(frames, framesOf(t, disk, n)...)
		}
		if len(frames) != 10 {
			t.Fatalf("%d frames", len(frames))
		}
		if state == "killed" { // nobody can know that the last commit was acknowledged
			frames = frames[:len(frames)-1]
		}
		for _, f := range frames {
			for region, at := range f.regions() {
				t.Run(fmt.Sprintf("%s/%d/%s", state, f.firstPos, region), func(t *testing.T) {
					checkFlip(t, disk.KillClone(), f, at, region == "padding", want)
				})
			}
		}
	}
}

func checkFlip(t *testing.T, disk *vfs.Mem, f frameAt, at int64, harmless bool, want []string) {
	flip(t, disk, f.path, f.off+at)
	r := openRig(t, disk, 0)
	defer r.close(t)
	got := r.readAll(t, 0)
	lost := missing(t, want, got)
	for _, p := range lost {
		if p < f.firstPos || p > f.lastPos() {
			t.Errorf("record %d of another put is lost", p)
		}
	}
	if harmless {
		if len(lost) > 0 || len(r.damage) > 0 {
			t.Errorf("lost %v, damage %+v", lost, r.damage)
		}
		return
	}
	if len(lost) == 0 {
		t.Error("the flip was not noticed")
	}
	if len(r.damage) != 1 {
		t.Fatalf("damage %+v, want one report", r.damage)
	}
	d := r.damage[0]
	for _, p := range lost {
		if p < d.From || p > d.To {
			t.Errorf("lost record %d is not in the range %d to %d that was reported", p, d.From, d.To)
		}
	}
	if d.From < f.firstPos || d.To > f.lastPos() {
		t.Errorf("reported %d to %d, the put holds %d to %d", d.From, d.To, f.firstPos, f.lastPos())
	}
	checkCopy(t, disk, d)
	// Another reader, and one that begins behind the damage: not reported again.
	r.readAll(t, 0)
	r.readAll(t, f.lastPos())
	r.readAll(t, f.lastPos()+1)
	if len(r.damage) != 1 {
		t.Errorf("reported again: %+v", r.damage[1:])
	}
	// New records go behind.
	id := r.append(t, "after the damage")
	if all := r.readAll(t, 0); len(all) != len(got)+1 || id.Pos <= damagedLogEnd {
		t.Errorf("%d records after one more put, position %d", len(all), id.Pos)
	}
}

const damagedLogEnd = 17 // its last position

// missing returns the positions in want that got lacks. Nothing may be in got that is not in want.
func missing(t *testing.T, want, got []string) (lost []record.Position) {
	t.Helper()
	there := map[string]int{}
	for _, g := range got {
		there[g]++
	}
	for _, w := range want {
		if there[w] == 0 {
			var p record.Position
			if _, err := fmt.Sscanf(w, "%d=", &p); err != nil {
				t.Fatal(err)
			}
			lost = append(lost, p)
		}
		if there[w] > 1 {
			t.Errorf("%.40s is read %d times", w, there[w])
		}
		delete(there, w)
	}
	for g := range there {
		t.Errorf("read what was never written: %.40s", g)
	}
	return lost
}

func checkCopy(t *testing.T, disk vfs.FS, d Damage) {
	t.Helper()
	if d.Copy == "" {
		t.Fatalf("no copy was kept: %+v", d)
	}
	copied, err := vfs.ReadFile(disk, d.Copy, 1<<26)
	if err != nil {
		t.Fatal(err)
	}
	f, err := disk.OpenRead(d.File)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	original := make([]byte, d.Bytes)
	if _, err := f.ReadAt(original, d.Offset); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(copied, original) {
		t.Error("the copy differs from the damaged stretch")
	}
}

// Rule 5: damage in the last commit but one stays damage when a crash cut the last one.
func TestFlippedByteBeforeTornTail(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "a")
	r.append(t, "acknowledged")
	frames := framesOf(t, mem, r.lastSegmentPath())
	mem.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync {
			return vfs.ErrCrashed
		}
		return nil
	})
	done := make(chan struct{})
	for range 3 {
		go func() {
			_, _ = r.log.Append(t.Context(), putOf(strings.Repeat("x", 5000)))
			done <- struct{}{}
		}()
	}
	for range 3 {
		<-done
	}
	disk := mem.KillClone()
	last := framesOf(t, disk, r.lastSegmentPath())
	for n := len(frames); n < len(last); n++ { // the cut put's payload is not whole
		flip(t, disk, last[n].path, last[n].off+frameHeaderBytes)
	}
	flip(t, disk, frames[1].path, frames[1].off+frameHeaderBytes)
	again := openRig(t, disk, 0)
	got := again.readAll(t, 0)
	if got[0] != "1=a" || len(again.damage) == 0 || again.damage[0].From != 2 || again.damage[0].To != 2 {
		t.Errorf("read %.60v, damage %+v", got, again.damage)
	}
	again.close(t)
}

// A byte that flips in a segment's header costs nothing: there are two of them. With both gone the file is kept.
func TestFlippedByteInSegmentHeader(t *testing.T) {
	mem, r := damagedLog(t)
	want := r.readAll(t, 0)
	r.close(t)
	for n := uint64(1); n <= 2; n++ {
		path := "d/s/log/" + segmentName(n)
		for at := int64(0); at < segHeaderUsed; at += 5 { // meets each field
			disk := mem.KillClone()
			flip(t, disk, path, at)
			again := openRig(t, disk, damagedLogEnd)
			if got := again.readAll(t, 0); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("segment %d, byte %d: %d records of %d", n, at, len(got), len(want))
			}
			again.noDamage(t)
			again.close(t)

			flip(t, disk, path, headerCopyAt+at)
			checkHeaderLost(t, disk, path, int(n))
		}
	}
}

func checkHeaderLost(t *testing.T, disk *vfs.Mem, path string, n int) {
	t.Helper()
	before, err := vfs.ReadFile(disk, path, 1<<26)
	if err != nil {
		t.Fatal(err)
	}
	r := openRig(t, disk, damagedLogEnd, func(o *Options) { o.Cursor = 1 })
	var set Damage
	from, to := record.Position(damagedLogEnd), record.Position(0)
	for _, d := range r.damage {
		if d.Copy != "" {
			set = d
			continue
		}
		from, to = min(from, d.From), max(to, d.To)
	}
	after, err := vfs.ReadFile(disk, set.Copy, 1<<26)
	if err != nil || !bytes.Equal(before, after) {
		t.Fatalf("the damaged segment was not kept: %v, %+v", err, r.damage)
	}
	if want := [...]record.Position{1, 4}[n-1]; from > want || n == 2 && to != damagedLogEnd || n == 1 && to < 3 {
		t.Fatalf("segment %d: reported %+v", n, r.damage)
	}
	if id := r.append(t, "next"); id.Pos != damagedLogEnd+1 {
		t.Fatalf("next position %d", id.Pos)
	}
	r.close(t)
}

// A segment whose whole front is unreadable, header and first frames, is kept, too.
func TestFrontOfSegmentLost(t *testing.T) {
	mem, r := damagedLog(t)
	path := r.lastSegmentPath()
	r.close(t)
	f, err := mem.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(make([]byte, 8<<10), 0); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	again := openRig(t, mem, damagedLogEnd)
	if ok, _ := mem.Exists("d/s/damaged/" + segmentName(2)); !ok || len(again.damage) != 2 {
		t.Errorf("kept %v, damage %+v", ok, again.damage)
	}
	again.close(t)

	// Where it cannot be moved it stays.
	mem2, r := damagedLog(t)
	path = r.lastSegmentPath()
	r.close(t)
	for at := range int64(16) {
		flip(t, mem2, path, at)
		flip(t, mem2, path, headerCopyAt+at)
	}
	mem2.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpRename {
			return errInjected
		}
		return nil
	})
	again = openRig(t, mem2, damagedLogEnd)
	if ok, _ := mem2.Exists(path); !ok {
		t.Error("a damaged segment was deleted because it could not be moved")
	}
	if len(again.damage) != 2 {
		t.Errorf("damage %+v", again.damage)
	}
	again.append(t, "goes on")
	again.close(t)
}

// A segment that became shorter is damage, not the log's end.
func TestTruncatedSegment(t *testing.T) {
	mem, r := damagedLog(t)
	want := r.readAll(t, 0)
	r.append(t, "sealed by the next opening")
	r.close(t)
	r = openRig(t, mem, 0)
	r.append(t, "in the next segment")
	r.close(t)
	path := "d/s/log/" + segmentName(2)
	frames := framesOf(t, mem, path)
	for _, cut := range []int64{headerBytes, headerBytes + 32, frames[1].off + 100, frames[3].off, frames[len(frames)-1].off} {
		disk := mem.KillClone()
		f, err := disk.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(cut); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		again := openRig(t, disk, 0)
		got := again.readAll(t, 0)
		if got[len(got)-1] != fmt.Sprint(damagedLogEnd+2, "=in the next segment") || len(again.damage) == 0 {
			t.Errorf("cut at %d: %d of %d records, damage %+v", cut, len(got), len(want)+2, again.damage)
		}
		to := record.Position(0)
		for _, d := range again.damage {
			to = max(to, d.To)
		}
		if to != damagedLogEnd+1 {
			t.Errorf("cut at %d: damage up to record %d is reported, want %d", cut, to, damagedLogEnd+1)
		}
		again.close(t)
	}
}
