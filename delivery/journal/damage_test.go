package journal

import (
	"bytes"
	"math/rand"
	"strings"
	"testing"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// used returns a disk with a journal that has turned several times, and the bytes of the file in use.
func used(t *testing.T) (m *vfs.Mem, path string, image []byte, snapshot int) {
	t.Helper()
	m = vfs.NewMem()
	j := mustOpen(t, m)
	must(t, j.Prepare())
	for i := 0; j.gen < 3 || j.at < 2000; i++ {
		e := Entry{Batch: batch(i+1, i+1), Key: strings.Repeat("k", 200)}
		must(t, j.Add(&e))
		must(t, j.Done(e.N))
	}
	must(t, j.Sync())
	image, err := vfs.ReadFile(m, j.path[j.cur], maxFileSize)
	must(t, err)
	_, snapshot, _ = header(image)
	return m, j.path[j.cur], image, snapshot
}

// TestFlippedByteThatDropsAGenerationIsReported: wherever it is in header or snapshot.
func TestFlippedByteThatDropsAGenerationIsReported(t *testing.T) {
	m, path, image, snapshot := used(t)
	if err := mustOpen(t, m).Damaged(); err != nil {
		t.Fatalf("an intact journal is damaged: %v", err)
	}
	whole := mustOpen(t, m).Closed()
	for at := range headBytes + snapshot {
		if at >= 24 && at < headBytes {
			continue // not used
		}
		b := bytes.Clone(image)
		b[at] ^= 0x40
		c := m.CrashClone(vfs.CrashOptions{})
		must(t, vfs.WriteFileAtomic(c, path, b))
		j := mustOpen(t, c)
		if j.Damaged() == nil || !strings.Contains(j.Damaged().Error(), path) {
			t.Fatalf("byte %d: %v", at, j.Damaged())
		}
		if j.Closed() == whole {
			t.Fatalf("byte %d was not needed", at)
		}
	}
}

// TestPowerCutIsNoDamage: at any write, whatever sectors survive.
func TestPowerCutIsNoDamage(t *testing.T) {
	for seed := range int64(300) {
		m := vfs.NewMem()
		rng := rand.New(rand.NewSource(seed))
		m.CrashAt(1 + rng.Intn(150))
		j := mustOpen(t, m)
		if j.Prepare() == nil {
			script(j, rng, 80)
		}
		m.Crash()
		again := mustOpen(t, m.CrashClone(vfs.CrashOptions{Rand: rng, KeepUnsynced: []float64{0, 0.3, 0.7, 1}[seed%4]}))
		if err := again.Damaged(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// TestVersionsOfFormerObjects: whether they arrived must still be asked of their own store.
func TestVersionsOfFormerObjects(t *testing.T) {
	m := vfs.NewMem()
	j := mustOpen(t, m)
	e := Entry{Batch: batch(1, 4), Version: 5, Former: &Former{Version: 3, Role: record.RoleMain, Next: &Former{Version: 2}}}
	must(t, j.Add(&e))
	again := mustOpen(t, m.CrashClone(vfs.CrashOptions{}))
	if state(again) != state(j) {
		t.Errorf("%s\nbecame\n%s", state(j), state(again))
	}
	if v := again.Versions(); len(v) != 3 || !v[5] || !v[3] || !v[2] {
		t.Errorf("versions %v", v)
	}
	must(t, again.Done(e.N))
	if v := again.Versions(); len(v) != 0 {
		t.Errorf("versions %v of nothing", v)
	}
}
