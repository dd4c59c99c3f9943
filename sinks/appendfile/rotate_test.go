package appendfile

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

func rotating(size int64, keep int) func(*Options) {
	return func(o *Options) { o.Size, o.Keep = size, keep }
}

// write makes a file as another program would.
func write(t *testing.T, f vfs.FS, name, text string) {
	t.Helper()
	must(t, vfs.WriteFileAtomic(f, name, []byte(text)))
}

// tree is what the folder holds: names with content.
func tree(t *testing.T, f vfs.FS) string {
	t.Helper()
	names, err := f.ReadDir(base)
	must(t, err)
	var all []string
	for _, n := range names {
		all = append(all, n+"="+content(t, f, base+"/"+n))
	}
	return strings.Join(all, " ")
}

func mustBe(t *testing.T, f vfs.FS, want string) {
	t.Helper()
	if got := tree(t, f); got != want {
		t.Fatalf("%s, want %s", got, want)
	}
}

func TestRotation(t *testing.T) {
	for keep, want := range map[int]string{
		0: "f=7 f.1=56 f.2=4444 f.3=23 f.4=11", 1: "f=7 f.1=56", 2: "f=7 f.1=56 f.2=4444", 3: "f=7 f.1=56 f.2=4444 f.3=23", 9: "f=7 f.1=56 f.2=4444 f.3=23 f.4=11",
	} {
		t.Run(fmt.Sprintf("keep %d", keep), func(t *testing.T) {
			m := newMem(t)
			s := open(t, m, rotating(2, keep))
			bodies := []string{"11", "2", "3", "4444", "5", "6", "7"} // 4444 is larger than a file may be
			for i, b := range bodies {
				mustPut(t, s, fmt.Sprintf("f/%d", i), b, i+1)
			}
			mustBe(t, m, want)
			mustBe(t, m.CrashClone(vfs.CrashOptions{}), want)
			for i, b := range bodies { // those in files that are gone, too
				mustExist(t, s, fmt.Sprintf("f/%d", i), b, i+1)
			}
		})
	}
}

// Numbers with gaps, and more of them than are kept: as after a change of the configuration, or of somebody who removed one.
func TestRotationAmongOldFiles(t *testing.T) {
	for _, c := range []struct {
		keep        int
		there, want string
	}{
		{0, "f.2 f.5", "f=new f.1=old f.2=f.2 f.5=f.5"},
		{0, "f.1 f.2 f.5", "f=new f.1=old f.2=f.1 f.3=f.2 f.5=f.5"},
		{2, "f.1 f.2 f.3 f.4 f.5 f.7", "f=new f.1=old f.2=f.1 f.7=f.7"},
		{3, "f.1 f.3 f.4", "f=new f.1=old f.2=f.1 f.3=f.3"},
		{2, "f.1.gz f.x", "f=new f.1=old f.1.gz=f.1.gz f.x=f.x"},
	} {
		t.Run(c.there, func(t *testing.T) {
			m := newMem(t)
			s := open(t, m, rotating(4, c.keep))
			for _, n := range strings.Fields(c.there) {
				write(t, m, base+"/"+n, n)
			}
			write(t, m, base+"/f", "old")
			mustPut(t, s, "f/1", "new", 1)
			mustBe(t, m, c.want)
		})
	}
}

// stopAt lets the n-th operation of a kind on the file's names fail, once.
func stopAt(m *vfs.Mem, kind vfs.OpKind, n int) {
	m.SetHook(func(op vfs.Op) error {
		if op.Kind == kind && strings.HasPrefix(op.Name, base) {
			if n--; n == 0 {
				return syscall.EIO
			}
		}
		return nil
	})
}

// A rotation that is interrupted between two renames, with what others may do meanwhile.
func TestInterruptedRotation(t *testing.T) {
	const before = "f=33 f.1=22 f.2=11"
	cases := map[string]struct {
		kind   vfs.OpKind
		n      int
		others func(t *testing.T, m *vfs.Mem)
		want   string
	}{
		"first rename": {vfs.OpRename, 1, nil, "f=44 f.1=33 f.2=22 f.3=11"},
		"second":       {vfs.OpRename, 2, nil, "f=44 f.1=33 f.2=22 f.3=11"},
		"third":        {vfs.OpRename, 3, nil, "f=44 f.1=33 f.2=22 f.3=11"},
		"first sync":   {vfs.OpSyncDir, 1, nil, "f=44 f.1=33 f.2=22 f.3=11"},
		"last sync":    {vfs.OpSyncDir, 3, nil, "f=44 f.1=33 f.2=22 f.3=11"},
		"under both names": {vfs.OpRename, 2, func(t *testing.T, m *vfs.Mem) {
			must(t, m.Link(base+"/f.1", base+"/f.2"))
		}, "f=44 f.1=33 f.2=22 f.3=11"},
		"the file under both names": {vfs.OpRename, 3, func(t *testing.T, m *vfs.Mem) {
			must(t, m.Link(base+"/f", base+"/f.1"))
		}, "f=44 f.1=33 f.2=22 f.3=11"},
		"somebody took the name": {vfs.OpRename, 2, func(t *testing.T, m *vfs.Mem) {
			write(t, m, base+"/f.2", "theirs")
		}, "f=44 f.1=33 f.2=22 f.3=theirs f.4=11"},
		"somebody made the file anew": {vfs.OpSyncDir, 3, func(t *testing.T, m *vfs.Mem) {
			write(t, m, base+"/f", "z")
		}, "f=44 f.1=z f.2=33 f.3=22 f.4=11"},
		"somebody removed an old one": {vfs.OpRename, 2, func(t *testing.T, m *vfs.Mem) {
			must(t, m.Remove(base+"/f.1"))
		}, "f=44 f.1=33 f.3=11"},
		"somebody removed all": {vfs.OpRename, 3, func(t *testing.T, m *vfs.Mem) {
			for _, n := range []string{"f", "f.2", "f.3"} {
				must(t, m.Remove(base+"/"+n))
			}
		}, "f=44"},
	}
	for name, c := range cases {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				m := newMem(t)
				s := open(t, m, rotating(2, 0))
				for i, b := range []string{"11", "22", "33"} {
					mustPut(t, s, fmt.Sprintf("f/%d", i), b, i+1)
				}
				mustBe(t, m, before)
				stopAt(m, c.kind, c.n)
				if out := put(s, "f/3", "44", 4); out.Kind != record.Retry || out.Code != "File.IOError" || !out.Unsent {
					t.Fatalf("%+v", out)
				}
				m.SetHook(nil)
				if c.others != nil {
					c.others(t, m)
				}
				if restart {
					m = m.KillClone()
					s = open(t, m, rotating(2, 0))
				}
				mustPut(t, s, "f/3", "44", 4)
				mustBe(t, m, c.want)
				mustBe(t, m.CrashClone(vfs.CrashOptions{}), c.want)
				for i, b := range []string{"11", "22", "33", "44"} {
					mustExist(t, s, fmt.Sprintf("f/%d", i), b, i+1)
				}
			})
		}
	}
}

// A file that appears at the last moment under the next number is not overwritten.
func TestRotationOverwritesNothing(t *testing.T) {
	m := newMem(t)
	s := open(t, m, rotating(2, 0))
	mustPut(t, s, "f/0", "11", 1)
	m.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && strings.HasPrefix(op.Name, "/state") { // the move is noted, its name was free
			m.SetHook(nil)
			write(t, m, base+"/f.1", "theirs")
		}
		return nil
	})
	if out := put(s, "f/1", "22", 2); out.Kind != record.Retry {
		t.Fatalf("%+v", out)
	}
	mustPut(t, s, "f/1", "22", 2)
	mustBe(t, m, "f=22 f.1=11 f.2=theirs")
}

// A torn batch is completed in its file, also when the file is over its size by then.
func TestTornBatchIsNotRotated(t *testing.T) {
	m := newMem(t)
	s := open(t, m, rotating(8, 0))
	mustPut(t, s, "f/0", "11", 1)
	tear(t, m, s, object("f/1", "222222", 2), 3)
	mustPut(t, s, "f/1", "222222", 2)
	mustPut(t, s, "f/2", "3", 3)
	mustBe(t, m, "f=3 f.1=11222222")
}

func TestSameBytes(t *testing.T) {
	m := newMem(t)
	long := strings.Repeat("x", chunkBytes+5)
	write(t, m, base+"/a", long)
	c := &turn{s: open(t, m), c: &sidecar{state: newState(base + "/a")}}
	var got []bool
	for i, text := range []string{long, long[1:], long[1:] + "y", "y" + long[1:]} {
		write(t, m, fmt.Sprintf("%s/b%d", base, i), text)
		same, err := c.same(base+"/a", fmt.Sprintf("%s/b%d", base, i))
		must(t, err)
		got = append(got, same)
	}
	if !slices.Equal(got, []bool{true, false, false, false}) {
		t.Error(got)
	}
}

// TestRotationChanges: batches under an old rotation and under a new one go to one file at the same time, as when a stream's configuration
// changes, or two streams name one file. None may write over another's bytes.
func TestRotationChanges(t *testing.T) {
	m := newMem(t)
	s := open(t, m)
	const each = 60
	var wg sync.WaitGroup
	for i, r := range []Rotation{{}, {Size: 500}, {Size: 900, Keep: 100}} {
		wg.Go(func() {
			for n := range each {
				key := fmt.Sprintf("f/%d-%d", i, n)
				if out := s.With(r).Put(context.Background(), object(key, fmt.Sprintf("%s %d\n", key, n), 1+i*each+n)); out.Kind != record.Delivered {
					t.Errorf("%s: %+v", key, out)
				}
			}
		})
	}
	wg.Wait()
	text := tree(t, m)
	for i := range 3 {
		for n := range each {
			if c := strings.Count(text, fmt.Sprintf("f/%d-%d %d\n", i, n, n)); c != 1 {
				t.Errorf("batch %d-%d is there %d times", i, n, c)
			}
		}
	}
}
