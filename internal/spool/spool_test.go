package spool

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func random(seed int64, n int) []byte {
	p := make([]byte, n)
	_, _ = rand.New(rand.NewSource(seed)).Read(p)
	return p
}

// writeAll writes in pieces of up to piece bytes.
func writeAll(t testing.TB, b *Buffer, data []byte, piece int) {
	t.Helper()
	r := rand.New(rand.NewSource(int64(piece)))
	for len(data) > 0 {
		n := min(len(data), 1+r.Intn(piece))
		got, err := b.Write(data[:n])
		if err != nil || got != n {
			t.Fatalf("write: %d, %v", got, err)
		}
		data = data[n:]
	}
}

func wantRead(t testing.TB, b *Buffer, want []byte) {
	t.Helper()
	got, err := io.ReadAll(b.Reader())
	must(t, err)
	if !bytes.Equal(got, want) || b.Size() != int64(len(want)) {
		t.Fatalf("read %d bytes (Size %d), want %d, or other bytes", len(got), b.Size(), len(want))
	}
}

func wantHeld(t testing.TB, b *Budget, memory, disk int64) {
	t.Helper()
	if b.MemoryBytes() != memory || b.DiskBytes() != disk {
		t.Fatalf("%d bytes of memory and %d of disk are held, want %d and %d", b.MemoryBytes(), b.DiskBytes(), memory, disk)
	}
}

func TestReadsBackWhatWasWritten(t *testing.T) {
	const limit = 4 * chunkBytes
	sizes := []int{0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, limit - 1, limit, limit + 1, 10*chunkBytes + 7}
	budgets := map[string]int64{"plenty": 64 << 20, "two chunks": 2 * chunkBytes, "none": -1}
	for name, total := range budgets {
		for _, size := range sizes {
			for _, piece := range []int{7, 1000, chunkBytes, 3 * chunkBytes, 20 * chunkBytes} {
				t.Run(fmt.Sprintf("%s/%d by %d", name, size, piece), func(t *testing.T) {
					budget := NewBudget(total, limit)
					b := New(t.TempDir(), budget)
					data := random(int64(size), size)
					writeAll(t, b, data, piece)
					wantRead(t, b, data)
					wantRead(t, b, data)
					if inMemory := b.OnDisk() == 0; total > limit && size <= limit && !inMemory {
						t.Fatalf("%d bytes went to disk", b.OnDisk())
					}
					if size > limit+chunkBytes && b.OnDisk() < int64(size-chunkBytes) {
						t.Fatalf("only %d bytes are on disk", b.OnDisk())
					}
					if budget.DiskBytes() != b.OnDisk() || budget.MemoryBytes() > max(total, chunkBytes) {
						t.Fatalf("%d bytes of memory, %d of disk", budget.MemoryBytes(), budget.DiskBytes())
					}
					must(t, b.Close())
					must(t, b.Close())
					wantHeld(t, budget, 0, 0)
				})
			}
		}
	}
}

func TestReaderBehavesAsAReader(t *testing.T) {
	for _, limit := range []int64{-1, 2 * chunkBytes, 10 * chunkBytes} {
		b := New(t.TempDir(), NewBudget(0, limit))
		data := random(1, 5*chunkBytes+100)
		writeAll(t, b, data, 5000)
		must(t, iotest.TestReader(b.Reader(), data))
		must(t, b.Close())
	}
}

func TestReadersAreIndependent(t *testing.T) {
	b := New(t.TempDir(), NewBudget(0, 2*chunkBytes))
	defer b.Close()
	data := random(1, 5*chunkBytes)
	writeAll(t, b, data, 5000)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r := b.Reader()
			for range 3 {
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				if _, err := r.Seek(0, io.SeekStart); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func TestSharedBudgetIsABound(t *testing.T) {
	const total = 8 * chunkBytes
	budget := NewBudget(total, 4*chunkBytes)
	dir := t.TempDir()
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := range 10 {
				b := New(dir, budget)
				data := random(int64(g*100+i), 1+i*chunkBytes*2/3)
				writeAll(t, b, data, 9000)
				if got := budget.MemoryBytes(); got > total+16*chunkBytes {
					t.Errorf("%d bytes of memory", got)
				}
				wantRead(t, b, data)
				must(t, b.Close())
			}
		})
	}
	wg.Wait()
	wantHeld(t, budget, 0, 0)
}

func TestBudgetUsedUpGoesToTheFileAtOnce(t *testing.T) {
	budget := NewBudget(2*chunkBytes, 0)
	first, second := New(t.TempDir(), budget), New(t.TempDir(), budget)
	writeAll(t, first, random(1, 2*chunkBytes), chunkBytes)
	wantHeld(t, budget, 2*chunkBytes, 0)
	data := random(2, 3*chunkBytes)
	writeAll(t, second, data, 100)
	if second.OnDisk() < 2*chunkBytes {
		t.Fatalf("%d bytes on disk", second.OnDisk())
	}
	wantRead(t, second, data)
	must(t, first.Close())
	must(t, second.Close())
	third := New(t.TempDir(), budget)
	writeAll(t, third, random(3, 2*chunkBytes), chunkBytes)
	wantHeld(t, budget, 2*chunkBytes, 0) // what was given back can be had again
	must(t, third.Close())
}

func TestFileHasNoName(t *testing.T) {
	dir := t.TempDir()
	b := New(dir, NewBudget(0, -1))
	writeAll(t, b, random(1, 100000), 1000)
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 0 {
		t.Fatalf("%v stands in the folder", entries)
	}
	must(t, b.Close())
}

// /dev/full answers every write with ENOSPC.
func fullDisk(t *testing.T, b *Budget) *Buffer {
	t.Helper()
	f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	must(t, err)
	return &Buffer{budget: b, file: f}
}

func TestFullDisk(t *testing.T) {
	for _, piece := range []int{100, chunkBytes * 2} {
		budget := NewBudget(0, 0)
		b := fullDisk(t, budget)
		var err error
		for range 1 + chunkBytes/100 {
			if _, err = b.Write(make([]byte, piece)); err != nil {
				break
			}
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("pieces of %d: error is %v", piece, err)
		}
		if n, err := b.Write([]byte("more")); n != 0 || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("a write after the failure: %d, %v", n, err)
		}
		if _, err := b.Reader().Read(make([]byte, 1)); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("a read after the failure: %v", err)
		}
		must(t, b.Close())
		wantHeld(t, budget, 0, 0)
	}
}

func TestMissingFolderIsAnErrorOfWrite(t *testing.T) {
	budget := NewBudget(0, chunkBytes)
	b := New(filepath.Join(t.TempDir(), "none"), budget)
	_, err := b.Write(make([]byte, chunkBytes))
	must(t, err)
	if _, err = b.Write([]byte("x")); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	must(t, b.Close())
	wantHeld(t, budget, 0, 0)
}

func TestCutFileIsNotAShortObject(t *testing.T) {
	b := New(t.TempDir(), NewBudget(0, -1))
	defer b.Close()
	writeAll(t, b, random(1, 5*chunkBytes), 1000)
	must(t, b.file.Truncate(100))
	if _, err := io.ReadAll(b.Reader()); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
}

func TestUseAfterClose(t *testing.T) {
	b := New(t.TempDir(), NewBudget(0, 0))
	writeAll(t, b, []byte("data"), 4)
	r := b.Reader()
	must(t, b.Close())
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := b.Write([]byte("x")); !errors.Is(err, fs.ErrClosed) {
		t.Fatal(err)
	}
}

// An HTTP client may still read a body when its call has returned: it must never see another object's bytes.
func TestReaderRacesWithClose(t *testing.T) {
	budget := NewBudget(0, 0)
	for i := range 100 {
		b := New(t.TempDir(), budget)
		data := bytes.Repeat([]byte{byte(i)}, 3*chunkBytes)
		writeAll(t, b, data, chunkBytes)
		r := b.Reader()
		var wg sync.WaitGroup
		wg.Go(func() {
			got, err := io.ReadAll(r)
			if err != nil && !errors.Is(err, fs.ErrClosed) || !bytes.Equal(got, data[:len(got)]) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
		must(t, b.Close())
		wg.Wait()
	}
}

func TestClean(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "spool")
	must(t, Clean(dir))
	must(t, os.WriteFile(filepath.Join(dir, filePrefix+"123"), []byte("left"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "foreign"), nil, 0o600))
	must(t, os.Mkdir(filepath.Join(dir, filePrefix+"folder"), 0o700))
	must(t, Clean(dir))
	entries, err := os.ReadDir(dir)
	must(t, err)
	if len(entries) != 2 || entries[0].Name() != "foreign" {
		t.Fatalf("%v are left", entries)
	}
	file := filepath.Join(dir, "foreign")
	if Clean(file) == nil {
		t.Fatal("cleaned a file")
	}
}

func BenchmarkSmallWritesToFile(b *testing.B) {
	budget, dir := NewBudget(0, -1), b.TempDir()
	p := make([]byte, 500)
	b.SetBytes(int64(len(p)))
	buf := New(dir, budget)
	defer buf.Close()
	for i := range b.N {
		if i%200000 == 0 {
			must(b, buf.Close())
			buf = New(dir, budget)
		}
		if _, err := buf.Write(p); err != nil {
			b.Fatal(err)
		}
	}
}
