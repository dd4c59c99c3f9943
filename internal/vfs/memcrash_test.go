package vfs

import (
	"math/rand"
	"slices"
	"strings"
	"testing"
)

func opts(seed int64, keep float64) CrashOptions {
	return CrashOptions{Rand: rand.New(rand.NewSource(seed)), KeepUnsynced: keep}
}

func TestTornWritesKeepWholeSectors(t *testing.T) {
	m := NewMem()
	const pages = 64
	h := synced(t, m, "a", fill('o', pages*pageBytes))
	write(t, h, 0, fill('n', pages*pageBytes))
	newSectors, mixedPages, wholePages := 0, 0, 0
	for seed := range int64(20) {
		got := contentOf(t, m.CrashClone(opts(seed, 0.5)), "a")
		if len(got) != pages*pageBytes {
			t.Fatalf("seed %d: %d bytes", seed, len(got))
		}
		for p := 0; p < len(got); p += pageBytes {
			n := 0
			for s := p; s < p+pageBytes; s += sectorBytes {
				sector := got[s : s+sectorBytes]
				switch sector {
				case fill('n', sectorBytes):
					n++
				case fill('o', sectorBytes):
				default:
					t.Fatalf("seed %d: a sector is torn", seed)
				}
			}
			newSectors += n
			switch n {
			case 0, pageBytes / sectorBytes:
				wholePages++
			default:
				mixedPages++
			}
		}
	}
	all := 20 * pages * pageBytes / sectorBytes
	if newSectors < all*4/10 || newSectors > all*6/10 || mixedPages == 0 || wholePages == 0 {
		t.Fatalf("%d of %d sectors survived, %d pages mixed, %d whole", newSectors, all, mixedPages, wholePages)
	}
	wantContent(t, m.CrashClone(opts(1, 1)), "a", fill('n', pages*pageBytes))
	wantContent(t, m.CrashClone(opts(1, 0)), "a", fill('o', pages*pageBytes))
}

func TestSyncedContentAlwaysSurvives(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", fill('o', 3000))
	write(t, h, 3000, fill('n', 20000))
	sizes := map[int]bool{}
	for seed := range int64(200) {
		got := contentOf(t, m.CrashClone(opts(seed, 0.3)), "a")
		if len(got) < 3000 || len(got) > 23000 || got[:3000] != fill('o', 3000) {
			t.Fatalf("seed %d: %d bytes", seed, len(got))
		}
		if strings.Trim(got[3000:], "n\x00") != "" {
			t.Fatalf("seed %d: the tail holds what was never written", seed)
		}
		sizes[len(got)] = true
	}
	if len(sizes) < 20 || !sizes[23000] {
		t.Fatalf("only %d different sizes", len(sizes))
	}
}

func TestSizeAfterUnsyncedTruncate(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", fill('o', 9000))
	must(t, h.Truncate(100))
	for seed := range int64(100) {
		got := contentOf(t, m.CrashClone(opts(seed, 0.5)), "a")
		if len(got) < 100 || len(got) > 9000 || got[:100] != fill('o', 100) || strings.Trim(got, "o\x00") != "" {
			t.Fatalf("seed %d: %d bytes", seed, len(got))
		}
	}
	wantContent(t, m.CrashClone(opts(1, 1)), "a", fill('o', 100))
}

func TestUnsyncedNamesSurviveByChance(t *testing.T) {
	m := NewMem()
	synced(t, m, "old", "1")
	synced(t, m, "replaced", "2")
	create(t, m, "new", "3")
	must(t, m.Remove("old"))
	create(t, m, "tmp", "4")
	must(t, m.Rename("tmp", "replaced"))
	seen := map[string]bool{}
	for seed := range int64(100) {
		c := m.CrashClone(opts(seed, 0.5))
		names, err := c.ReadDir("/")
		must(t, err)
		if !slices.Contains(names, "replaced") {
			t.Fatalf("seed %d: the replaced name is gone: %q", seed, names)
		}
		seen[strings.Join(names, " ")] = true
	}
	for _, want := range []string{"old replaced", "new replaced", "new old replaced", "replaced"} {
		if !seen[want] {
			t.Fatalf("never %q: %v", want, seen)
		}
	}
	all := m.CrashClone(opts(1, 1))
	wantNames(t, all, "/", "new", "replaced")
	wantContent(t, all, "replaced", "4")
}

// A file that had a durable name, and still has a name, is found under one of them.
func TestRenameNeverLosesADurableFile(t *testing.T) {
	m := NewMem()
	must(t, MkdirAll(m, "x"))
	must(t, MkdirAll(m, "y"))
	synced(t, m, "x/a", "A")
	synced(t, m, "y/b", "B")
	must(t, m.Rename("x/a", "y/a"))
	must(t, m.Rename("y/b", "y/c"))
	must(t, m.Rename("y/c", "x/a"))
	for seed := range int64(300) {
		c := m.CrashClone(opts(seed, 0.5))
		found := ""
		for _, data := range dump(t, c, "/") {
			found += data
		}
		if !strings.Contains(found, "A") || !strings.Contains(found, "B") {
			t.Fatalf("seed %d: only %q is left of A and B: %v", seed, found, dump(t, c, "/"))
		}
	}
}

func TestSameSeedSameDisk(t *testing.T) {
	m := NewMem()
	must(t, m.Mkdir("d"))
	for _, n := range []string{"a", "b", "c", "d/e", "d/f"} {
		create(t, m, n, fill(n[0], 30000))
	}
	a, b := dump(t, m.CrashClone(opts(7, 0.5)), "/"), dump(t, m.CrashClone(opts(7, 0.5)), "/")
	if len(a) != len(b) {
		t.Fatal("different names")
	}
	for k := range a {
		if a[k] != b[k] {
			t.Fatalf("%s differs", k)
		}
	}
}

func TestWriteBackChangesNothingThatIsSeen(t *testing.T) {
	m := NewMem()
	h := synced(t, m, "a", fill('0', 3*pageBytes))
	for i := range 50 {
		write(t, h, int64(i*200), fill(byte('a'+i%26), 300))
		before := contentOf(t, m, "a")
		m.WriteBack(opts(int64(i), 0.5))
		wantContent(t, m, "a", before)
	}
	before := contentOf(t, m, "a")
	if contentOf(t, crash(m), "a") == fill('0', 3*pageBytes) {
		t.Fatal("nothing was written back")
	}
	must(t, h.Sync())
	wantContent(t, crash(m), "a", before)
}

// After any sequence of operations: what was synced with its name is there, byte for byte, whatever the chances;
// and an older version of each sector is the only alternative to the newest.
func TestRandomHistory(t *testing.T) {
	for seed := range int64(40) {
		r := rand.New(rand.NewSource(seed))
		m := NewMem()
		h := synced(t, m, "a", "")
		const size = 5 * pageBytes
		live, disk, cut := make([]byte, 0, size), []byte{}, size
		for range 60 {
			switch r.Intn(6) {
			case 0:
				must(t, h.Sync())
				disk, cut = slices.Clone(live), size
			case 1:
				n := r.Intn(size)
				cut = min(cut, n)
				must(t, h.Truncate(int64(n)))
				live = append(live, make([]byte, max(0, n-len(live)))...)[:n]
			default:
				off, n := r.Intn(size-1), 1+r.Intn(pageBytes)
				n = min(n, size-off)
				b := []byte(fill(byte(1+r.Intn(255)), n))
				write(t, h, int64(off), string(b))
				live = append(live, make([]byte, max(0, off+n-len(live)))...)
				copy(live[off:], b)
			}
			if r.Intn(10) == 0 {
				m = m.KillClone()
				var err error
				h, err = m.Open("a")
				must(t, err)
			}
			wantContent(t, m, "a", string(live))
			wantContent(t, crash(m), "a", string(disk))
			wantContent(t, m.CrashClone(opts(seed, 1)), "a", string(live))
			checkMix(t, contentOf(t, m.CrashClone(opts(seed, 0.5)), "a"), live, disk, cut)
		}
	}
}

// checkMix demands that each byte is the live one, the durable one, or zero behind
// the lowest size the file had since the last sync.
func checkMix(t *testing.T, got string, live, disk []byte, cut int) {
	t.Helper()
	lo, hi := min(len(live), len(disk), cut), max(len(live), len(disk))
	if len(got) < lo || len(got) > hi {
		t.Fatalf("%d bytes, not within %d and %d", len(got), lo, hi)
	}
	for i := range len(got) {
		ok := got[i] == 0 && i >= lo || i < len(live) && got[i] == live[i] || i < len(disk) && got[i] == disk[i]
		if !ok {
			t.Fatalf("byte %d is %d, of neither version", i, got[i])
		}
	}
}
