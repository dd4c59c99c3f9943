package wal

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// unreadable lets every read fail that takes a byte of the page at off of a file, under whatever name.
func unreadable(mem *vfs.Mem, name string, off int64) {
	mem.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpRead && filepath.Base(op.Name) == name && op.Off < off+readStep && op.Off+int64(op.N) > off {
			return syscall.EIO
		}
		return nil
	})
}

// A page that the disk cannot read costs the puts that have bytes in it; the log opens, says so, and reads all others.
func TestUnreadablePage(t *testing.T) {
	mem, r := damagedLog(t)
	killed := mem.KillClone()
	want := r.readAll(t, 0)
	r.close(t)
	for state, disk := range map[string]*vfs.Mem{"killed": killed, "closed": mem} {
		for n := uint64(1); n <= 2; n++ {
			path := "d/s/log/" + segmentName(n)
			frames := framesOf(t, disk, path)
			last := frames[len(frames)-1]
			for off := int64(headerBytes); off < last.off+last.size(); off += readStep {
				t.Run(fmt.Sprintf("%s/%d/%d", state, n, off), func(t *testing.T) {
					checkUnreadable(t, disk.KillClone(), path, off, frames, want)
				})
			}
		}
	}
}

func checkUnreadable(t *testing.T, disk *vfs.Mem, path string, off int64, frames []frameAt, want []string) {
	hit := map[record.Position]bool{}
	for _, f := range frames {
		for p := f.firstPos; p <= f.lastPos(); p++ {
			hit[p] = f.off < off+readStep && f.off+f.size() > off
		}
	}
	unreadable(disk, filepath.Base(path), off)
	var found []Finding
	sum, err := Verify(disk, "d/s/log", func(f Finding) { found = append(found, f) })
	if err != nil {
		t.Fatalf("verify: %v", err)
	}
	r := openRig(t, disk, damagedLogEnd)
	got := r.readAll(t, 0)
	for _, p := range missing(t, want, got) {
		if !hit[p] {
			t.Errorf("record %d is lost; the unreadable page holds nothing of its put", p)
		}
		if !tells(r.damage, p) {
			t.Errorf("record %d is lost, and no damage tells of it: %+v", p, r.damage)
		}
	}
	if len(got) == len(want) || sum.Damaged == 0 || sum.Records != int64(len(got)) {
		t.Errorf("read %d of %d records; verify: %+v, %+v", len(got), len(want), sum, found)
	}
	for _, d := range r.damage {
		if d.File == path && (d.Copy == "" || !strings.Contains(d.Why, "the disk could not read")) {
			t.Errorf("%+v", d)
		}
	}
	r.append(t, "goes on")
	r.close(t)
}

// tells says whether a damage that names the disk covers a record.
func tells(list []Damage, p record.Position) bool {
	for _, d := range list {
		if d.From <= p && (p <= d.To || d.To == 0) && strings.Contains(d.Why, "the disk could not read") {
			return true
		}
	}
	return false
}

// The copy has what the disk could read beside the bad page, and zeros for it.
func TestCopyGoesPastAnUnreadablePage(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "first")
	r.append(t, strings.Repeat("x", 60_000))
	r.append(t, "last")
	f := framesOf(t, mem, r.lastSegmentPath())[1]
	const bad = headerBytes + 5*readStep
	unreadable(mem, filepath.Base(f.path), bad)
	if got := fmt.Sprint(r.readAll(t, 0)); got != "[1=first 3=last]" || len(r.damage) != 1 {
		t.Fatalf("read %.100s, damage %+v", got, r.damage)
	}
	d := r.damage[0]
	copied, err := vfs.ReadFile(mem, d.Copy, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("x"), 60_000)
	clear(want[bad-d.Offset : bad-d.Offset+readStep])
	if !bytes.Equal(copied, want) || !strings.Contains(d.Why, fmt.Sprintf("bytes %d to %d ", bad, bad+readStep-1)) {
		t.Errorf("%d bytes copied, %s", len(copied), d.Why)
	}
	r.close(t)
}

// With the page of its header unreadable a file is never taken for one that holds nothing, whatever else is in it.
func TestUnreadableHeaderPageIsKept(t *testing.T) {
	for _, records := range []int{0, 3} {
		mem := vfs.NewMem()
		r := openRig(t, mem, 0)
		for range records {
			r.append(t, "x")
		}
		path := "d/s/log/" + segmentName(1)
		if records == 0 {
			f, err := mem.Create(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(make([]byte, headerBytes), 0); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
		}
		r.close(t)
		unreadable(mem, filepath.Base(path), 0)
		r = openRig(t, mem, record.Position(records))
		if ok, _ := mem.Exists("d/s/damaged/" + segmentName(1)); !ok || len(r.damage) == 0 || !strings.Contains(r.damage[0].Why, "the disk could not read") {
			t.Errorf("%d records: kept %v, %+v", records, ok, r.damage)
		}
		r.append(t, "goes on")
		r.close(t)
	}
}

// A disk that neither reads nor writes was taken away: nothing is given up for it, neither while running nor at a start.
func TestDiskThatIsGoneCostsNothing(t *testing.T) {
	for _, start := range []bool{false, true} {
		mem := vfs.NewMem()
		r := openRig(t, mem, 0)
		for i := range 20 {
			r.append(t, fmt.Sprint(i, strings.Repeat("x", 2000)))
		}
		want := r.readAll(t, 0)
		if start {
			mem = mem.KillClone()
		}
		mem.SetHook(func(op vfs.Op) error {
			reads := op.Kind == vfs.OpRead && strings.HasSuffix(op.Name, ".seg")
			if reads && op.Off+int64(op.N) > 3*headerBytes || op.Kind < vfs.OpOpen {
				return syscall.EIO
			}
			return nil
		})
		if start {
			if _, err := Open(Options{FS: mem, Dir: "d/s/log", ID: LogID{1}, Pool: r.pool, Share: r.guard.NewShare(0, 0)}); err == nil {
				t.Fatal("opened")
			}
		} else {
			rd := r.log.NewReader(0)
			var err error
			for err == nil {
				_, err = rd.Next()
			}
			if !errors.Is(err, syscall.EIO) || len(r.damage) > 0 {
				t.Errorf("%v, %+v", err, r.damage)
			}
			rd.Close()
		}
		mem.SetHook(nil)
		again := r
		if start {
			again = openRig(t, mem, 0)
		}
		if got := again.readAll(t, 0); fmt.Sprint(got) != fmt.Sprint(want) || len(again.damage) > 0 {
			t.Errorf("read %d of %d records, damage %+v", len(got), len(want), again.damage)
		}
		again.close(t)
	}
}

// Other errors than EIO are no damage.
func TestOtherReadErrorsFail(t *testing.T) {
	mem := vfs.NewMem()
	r := openRig(t, mem, 0)
	r.append(t, "x")
	var reads int
	mem.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpRead {
			if reads++; reads > 1 {
				return errInjected
			}
			return syscall.EIO
		}
		return nil
	})
	rd := r.log.NewReader(0)
	if _, err := rd.Next(); !errors.Is(err, errInjected) {
		t.Error(err)
	}
	rd.Close()
	mem.SetHook(nil)
	if got := fmt.Sprint(r.readAll(t, 0)); got != "[1=x]" {
		t.Error(got)
	}
	r.noDamage(t)
	r.close(t)
}

func TestHoles(t *testing.T) {
	var h holes
	for _, s := range []stretch{{40, 50}, {10, 20}, {20, 30}, {12, 14}, {45, 60}, {100, 101}} {
		h.add(s.off, s.end-s.off)
	}
	if fmt.Sprint(h) != "[{10 30} {40 60} {100 101}]" {
		t.Fatal(h)
	}
	for _, c := range []struct {
		off, n int64
		count  int
		hold   bool
	}{{0, 10, 0, false}, {0, 11, 1, false}, {10, 20, 1, true}, {29, 1, 1, true}, {30, 10, 0, false}, {29, 12, 2, false}, {0, 200, 3, false}} {
		if _, n := h.within(c.off, c.n); n != c.count || h.hold(c.off, c.n) != c.hold {
			t.Errorf("%+v: %d", c, n)
		}
	}
}

// A start that fails closes the files it had opened.
func TestFailedOpenClosesFiles(t *testing.T) {
	mem, r := damagedLog(t)
	r.close(t)
	files := &openFiles{FS: mem}
	for _, fail := range []func(op vfs.Op) bool{
		func(op vfs.Op) bool { return op.Kind == vfs.OpOpen && strings.HasSuffix(op.Name, segmentName(2)) },
		func(op vfs.Op) bool { return op.Kind == vfs.OpRead && strings.HasSuffix(op.Name, segmentName(2)) },
		func(op vfs.Op) bool { return op.Kind == vfs.OpRead && op.Off > headerBytes },
		func(op vfs.Op) bool { return op.Kind == vfs.OpSync },
	} {
		mem.SetHook(func(op vfs.Op) error {
			if strings.HasSuffix(op.Name, ".seg") && fail(op) {
				return errInjected
			}
			return nil
		})
		if _, err := tryRig(files, 0); !errors.Is(err, errInjected) {
			t.Fatalf("opened: %v", err)
		}
		if files.n != 0 {
			t.Errorf("%d files were left open", files.n)
			files.n = 0
		}
	}
}

// openFiles counts the files that are open.
type openFiles struct {
	vfs.FS
	n int
}

func (o *openFiles) Open(name string) (vfs.File, error) {
	f, err := o.FS.Open(name)
	if err != nil {
		return nil, err
	}
	o.n++
	return &countedFile{f, o}, nil
}

type countedFile struct {
	vfs.File
	of *openFiles
}

func (c *countedFile) Close() error {
	c.of.n--
	return c.File.Close()
}

// What was set aside is never overwritten by another damage; the same one again needs no second copy.
func TestCopiesDoNotReplaceOneAnother(t *testing.T) {
	mem := vfs.NewMem()
	aside := func(data string) string {
		t.Helper()
		f, err := mem.Create("d.tmp")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("...."+data), 0); err != nil {
			t.Fatal(err)
		}
		name, err := copyAside(mem, "damaged", f, "x.seg-00000004", 4, int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		if err := mem.Remove("d.tmp"); err != nil {
			t.Fatal(err)
		}
		b, err := vfs.ReadFile(mem.CrashClone(vfs.CrashOptions{}), name, 100)
		if err != nil || string(b) != data {
			t.Errorf("%s holds %q after a power cut: %v", name, b, err)
		}
		return filepath.Base(name)
	}
	for _, step := range []struct{ data, name string }{
		{"one", "x.seg-00000004"}, {"two", "x.seg-00000004-2"}, {"one", "x.seg-00000004"}, {"tw", "x.seg-00000004-3"},
		{"three", "x.seg-00000004-4"}, {"one and more", "x.seg-00000004"}, {"two", "x.seg-00000004-2"},
	} {
		if got := aside(step.data); got != step.name {
			t.Errorf("%q was copied to %s, want %s", step.data, got, step.name)
		}
	}
}

// A segment number may come twice after the first of that number was moved away.
func TestDamagedSegmentsDoNotReplaceOneAnother(t *testing.T) {
	mem := vfs.NewMem()
	for n := range 3 {
		r := openRig(t, mem, record.Position(n))
		r.append(t, fmt.Sprint("record ", n))
		path := r.lastSegmentPath()
		r.close(t)
		for _, at := range []int64{0, headerCopyAt} {
			flip(t, mem, path, at)
		}
		openRig(t, mem, record.Position(n+1)).close(t) // moves it away
	}
	names, err := mem.ReadDir("d/s/damaged")
	if err != nil || fmt.Sprint(names) != fmt.Sprintf("[%[1]s %[1]s-2 %[1]s-3]", segmentName(1)) {
		t.Errorf("%v, %v", names, err)
	}
}
