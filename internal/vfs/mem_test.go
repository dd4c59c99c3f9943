package vfs

import (
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// crash is what a power cut leaves when nothing unsynced survives.
func crash(m *Mem) *Mem { return m.CrashClone(CrashOptions{}) }

func synced(t testing.TB, m *Mem, name, data string) File {
	t.Helper()
	h := create(t, m, name, data)
	must(t, h.Sync())
	must(t, m.SyncDir(dirOf(name)))
	return h
}

func dirOf(name string) string { return "/" + name[:strings.LastIndex(name, "/")+1] }

func TestContentIsDurableOnlyAfterSync(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", "old")
	write(t, h, 0, "newer")
	wantContent(t, crash(m), "a", "old")
	wantContent(t, m, "a", "newer")
	wantContent(t, m.KillClone(), "a", "newer")
	wantContent(t, crash(m.KillClone()), "a", "old")
	must(t, h.Sync())
	wantContent(t, crash(m), "a", "newer")
	wantContent(t, crash(crash(m)), "a", "newer")
}

func TestNameIsDurableOnlyAfterSyncDir(t *testing.T) {
	m := NewMem()
	h := create(t, m, "a", "x")
	must(t, h.Sync())
	wantNames(t, crash(m), "/")
	must(t, m.SyncDir("/"))
	wantContent(t, crash(m), "a", "x")

	create(t, m, "b", "never synced")
	must(t, m.SyncDir("/"))
	wantContent(t, crash(m), "b", "") // the name, without content
}

func TestFolderIsDurableOnlyAfterSyncDirOfItsParent(t *testing.T) {
	m := NewMem()
	must(t, m.Mkdir("d"))
	synced(t, m, "d/a", "x")
	wantNames(t, crash(m), "/")
	must(t, m.SyncDir("/"))
	wantContent(t, crash(m), "d/a", "x")

	must(t, MkdirAll(m, "e/f/g"))
	synced(t, m, "e/f/g/a", "y")
	wantContent(t, crash(m), "e/f/g/a", "y")
}

func TestRemovedNameReappearsUntilSyncDir(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", "x")
	must(t, m.Remove("a"))
	must(t, h.Close())
	wantContent(t, crash(m), "a", "x")
	wantNames(t, m.KillClone(), "/")
	wantContent(t, crash(m.KillClone()), "a", "x")
	must(t, m.SyncDir("/"))
	wantNames(t, crash(m), "/")
}

func TestNewFileUnderARemovedNameDoesNotTouchTheOld(t *testing.T) {
	m := NewMem()
	synced(t, m, "a", "old")
	must(t, m.Remove("a"))
	h := create(t, m, "a", "new")
	must(t, h.Sync())
	wantContent(t, crash(m), "a", "old")
	must(t, m.SyncDir("/"))
	wantContent(t, crash(m), "a", "new")
}

func TestRenameDurability(t *testing.T) {
	m := NewMem()
	synced(t, m, "final", "old")
	h := create(t, m, "tmp", "new")
	must(t, m.Rename("tmp", "final"))
	wantContent(t, crash(m), "final", "old")
	must(t, m.SyncDir("/"))
	wantContent(t, crash(m), "final", "") // renamed before the content was synced: the classic mistake
	must(t, h.Sync())
	wantContent(t, crash(m), "final", "new")
	wantNames(t, crash(m), "/", "final")
}

func TestRenameAcrossFoldersNeedsBothSyncs(t *testing.T) {
	setup := func() *Mem {
		m := NewMem()
		must(t, MkdirAll(m, "x"))
		must(t, MkdirAll(m, "y"))
		synced(t, m, "x/a", "1")
		must(t, m.Rename("x/a", "y/a"))
		return m
	}
	m := setup()
	wantNames(t, crash(m), "x", "a")
	must(t, m.SyncDir("y"))
	wantNames(t, crash(m), "x", "a")
	wantNames(t, crash(m), "y", "a") // one file with two names
	c := crash(m)
	h, err := c.Open("x/a")
	must(t, err)
	write(t, h, 0, "2")
	wantContent(t, c, "y/a", "2")
	must(t, m.SyncDir("x"))
	wantNames(t, crash(m), "x")
	wantContent(t, crash(m), "y/a", "1")

	m = setup()
	must(t, m.SyncDir("x")) // the wrong order: lost for now
	wantNames(t, crash(m), "x")
	wantNames(t, crash(m), "y")
	must(t, m.SyncDir("y"))
	wantContent(t, crash(m), "y/a", "1")
}

func TestMovedFolderIsFoundOnceAfterACrash(t *testing.T) {
	m := NewMem()
	for _, d := range []string{"p", "q", "p/d"} {
		must(t, MkdirAll(m, d))
	}
	synced(t, m, "p/d/a", "1")
	must(t, m.Rename("p/d", "q/d"))
	must(t, m.SyncDir("q"))
	found := 0
	for name := range dump(t, crash(m), "/") {
		if strings.HasSuffix(name, "d/a") {
			found++
		}
	}
	if found != 1 {
		t.Fatalf("the folder stands in %d places", found)
	}
	must(t, m.Rename("p", "q/d/p")) // and a chain of folders that could become a ring
	must(t, m.SyncDir("q/d"))
	dump(t, crash(m), "/")
	dump(t, crash(m.KillClone()), "/")
}

func TestLinkDurability(t *testing.T) {
	m := NewMem()
	must(t, MkdirAll(m, "d"))
	h := create(t, m, "tmp", "x")
	must(t, h.Sync())
	must(t, m.Link("tmp", "d/a"))
	wantNames(t, crash(m), "/", "d/")
	must(t, m.SyncDir("d"))
	must(t, m.Remove("tmp"))
	wantContent(t, crash(m), "d/a", "x")
	wantNames(t, crash(m), "/", "d/")
}

func TestTruncateIsDurableOnlyAfterSync(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", fill('a', 10000))
	must(t, h.Truncate(5000))
	wantContent(t, crash(m), "a", fill('a', 10000))
	must(t, h.Truncate(9000))
	must(t, h.Sync())
	wantContent(t, crash(m), "a", fill('a', 5000)+fill(0, 4000)) // nothing old shows again
	wantContent(t, m, "a", fill('a', 5000)+fill(0, 4000))
	write(t, h, 8999, "bb")
	must(t, h.Truncate(0))
	must(t, h.Sync())
	wantContent(t, crash(m), "a", "")
}

func TestSyncCoversOnlyWhatWasWrittenBefore(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", fill('0', 2*pageBytes))
	write(t, h, 0, "1")
	var killed *Mem
	m.SetHook(func(op Op) error {
		if op.Kind != OpSync {
			return nil
		}
		write(t, h, 0, "2")
		write(t, h, 2*pageBytes, "longer")
		killed = m.KillClone()
		return nil
	})
	must(t, h.Sync())
	wantContent(t, crash(m), "a", "1"+fill('0', 2*pageBytes-1))
	m.SetHook(nil)
	must(t, h.Sync())
	want := "2" + fill('0', 2*pageBytes-1) + "longer"
	wantContent(t, crash(m), "a", want)
	k, err := killed.Open("a")
	must(t, err)
	must(t, k.Sync())
	wantContent(t, crash(killed), "a", want)
}

func TestSyncWithATruncateInBetween(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", fill('0', 3*pageBytes))
	write(t, h, 2*pageBytes, "1")
	m.SetHook(func(op Op) error {
		if op.Kind == OpSync {
			return h.Truncate(10)
		}
		return nil
	})
	must(t, h.Sync())
	m.SetHook(nil)
	wantContent(t, crash(m), "a", fill('0', 2*pageBytes)+"1"+fill('0', pageBytes-1))
	must(t, h.Truncate(20))
	must(t, h.Sync())
	wantContent(t, crash(m), "a", fill('0', 10)+fill(0, 10))
}

func TestSyncDirCoversOnlyTheNamesFromBefore(t *testing.T) {
	m := NewMem()
	create(t, m, "a", "")
	m.SetHook(func(op Op) error {
		if op.Kind == OpSyncDir {
			create(t, m, "b", "")
		}
		return nil
	})
	must(t, m.SyncDir("/"))
	wantNames(t, crash(m), "/", "a")
	wantNames(t, m, "/", "a", "b")
}

func TestCapacity(t *testing.T) {
	m := NewMem()
	m.SetCapacity(4 * pageBytes)
	h := create(t, m, "a", fill('a', 3*pageBytes))
	n, err := h.WriteAt([]byte(fill('b', 2*pageBytes)), 3*pageBytes)
	wantErr(t, err, syscall.ENOSPC)
	if n != pageBytes {
		t.Fatalf("wrote %d", n)
	}
	wantFree(t, m, 0)
	write(t, h, 0, fill('c', 4*pageBytes)) // overwriting needs no room
	must(t, h.Sync())
	must(t, h.Truncate(10*pageBytes)) // nor does a hole, until
	_, err = h.WriteAt([]byte("x"), 9*pageBytes)
	wantErr(t, err, syscall.ENOSPC)
	must(t, h.Truncate(pageBytes+1))
	wantFree(t, m, 2*pageBytes)

	must(t, m.Link("a", "b"))
	must(t, m.Remove("a"))
	must(t, h.Close())
	wantFree(t, m, 2*pageBytes)
	h, err = m.Open("b")
	must(t, err)
	must(t, m.Remove("b"))
	wantFree(t, m, 2*pageBytes) // still open
	must(t, h.Close())
	wantFree(t, m, 4*pageBytes)
	total, err := m.TotalBytes("/")
	must(t, err)
	if total != 4*pageBytes {
		t.Fatalf("total %d", total)
	}
	m.SetCapacity(-1)
	wantFree(t, m, 0)
}

func wantFree(t testing.TB, m *Mem, want int64) {
	t.Helper()
	got, err := m.FreeBytes("/")
	must(t, err)
	if got != want {
		t.Fatalf("%d bytes free, want %d", got, want)
	}
}

func TestClonesCountTheirSpace(t *testing.T) {
	m := NewMem()
	m.SetCapacity(10 * pageBytes)
	synced(t, m, "a", fill('a', 3*pageBytes))
	h := synced(t, m, "gone", fill('a', 2*pageBytes))
	must(t, m.Remove("gone"))
	must(t, h.Close())
	create(t, m, "new", fill('n', pageBytes))
	wantFree(t, m, 6*pageBytes)
	wantFree(t, m.KillClone(), 6*pageBytes)
	wantFree(t, crash(m), 5*pageBytes) // "gone" is back, "new" is not
}

func TestClonesShareNothing(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", fill('a', 2*pageBytes))
	write(t, h, 0, "b")
	k, c := m.KillClone(), crash(m)
	kept := m.CrashClone(CrashOptions{Rand: rand.New(rand.NewSource(1)), KeepUnsynced: 1})
	write(t, h, 0, "zz")
	must(t, h.Sync())
	for _, clone := range []*Mem{k, c, kept} {
		f, err := clone.Open("a")
		must(t, err)
		write(t, f, pageBytes, "y")
	}
	wantContent(t, m, "a", "zz"+fill('a', 2*pageBytes-2))
	wantContent(t, crash(m), "a", "zz"+fill('a', 2*pageBytes-2))
	wantContent(t, k, "a", "b"+fill('a', pageBytes-1)+"y"+fill('a', pageBytes-1))
	wantContent(t, crash(k), "a", fill('a', 2*pageBytes))
	wantContent(t, kept, "a", "b"+fill('a', pageBytes-1)+"y"+fill('a', pageBytes-1))
	wantContent(t, c, "a", fill('a', pageBytes)+"y"+fill('a', pageBytes-1))
}

func TestConcurrentUse(t *testing.T) {
	m := NewMem()
	shared := synced(t, m, "shared", "")
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 50 {
				name := fmt.Sprintf("f%d", g)
				must(t, WriteFileAtomic(m, name, []byte(fill(byte(g), 5000))))
				write(t, shared, int64(g*10000), fill(byte(g), 9000))
				must(t, shared.Sync())
				if i%10 == 0 {
					dump(t, crash(m), "/")
					m.WriteBack(CrashOptions{Rand: rand.New(rand.NewSource(int64(g))), KeepUnsynced: 0.5})
				}
			}
		})
	}
	wg.Wait()
	c := crash(m)
	for g := range 8 {
		wantContent(t, c, fmt.Sprintf("f%d", g), fill(byte(g), 5000))
		if got := contentOf(t, c, "shared"); got[g*10000:g*10000+9000] != fill(byte(g), 9000) {
			t.Fatalf("stretch %d is wrong", g)
		}
	}
}

func BenchmarkMemAppendAndSync(b *testing.B) {
	data := make([]byte, 100<<10)
	b.SetBytes(int64(len(data)))
	m := NewMem()
	h := create(b, m, "a", "")
	for i := range b.N {
		if _, err := h.WriteAt(data, int64(i%1000)*int64(len(data))+7); err != nil {
			b.Fatal(err)
		}
		must(b, h.Sync())
	}
}
