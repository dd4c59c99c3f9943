package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
)

// failingReader fails at every read.
type failingReader struct{}

func (failingReader) ReadAt([]byte, int64) (int, error) { return 0, errDisk }

func TestVerifyFindsDamage(t *testing.T) {
	w := write(t, Options{Columns: flatColumns()}, `{"level":"a"}`, `{"user_id":1}`)
	size := int64(len(w.data))
	check := func(name string, data []byte, rows int64) {
		t.Helper()
		if err := Verify(bytes.NewReader(data), int64(len(data)), rows); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("a row more", w.data, 3)
	check("nothing", nil, 0)
	for n := range w.data {
		check(fmt.Sprintf("the first %d bytes", n), w.data[:n], 2)
	}
	check("a longer file", append(bytes.Clone(w.data), 0), 2)
	head := bytes.Clone(w.data)
	head[0] = 'X'
	check("another beginning", head, 2)
	if err := Verify(failingReader{}, size, 2); !errors.Is(err, errDisk) || errors.Is(err, ErrBroken) {
		t.Errorf("a failing disk: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	w := write(f, Options{Columns: flatColumns()}, `{"level":"a"}`)
	f.Add(w.data)
	f.Fuzz(func(t *testing.T, data []byte) {
		_ = Verify(bytes.NewReader(data), int64(len(data)), 1)
	})
}

// A damaged length in the footer does not make Verify ask for memory that the file does not have.
func TestVerifyOfDamageIsCheap(t *testing.T) {
	w := write(t, Options{Columns: flatColumns()}, `{"level":"a"}`)
	r := rand.New(rand.NewPCG(7, 8))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const rounds = 3000
	for range rounds {
		data := bytes.Clone(w.data)
		for range 1 + r.IntN(3) {
			data[len(data)-1-r.IntN(len(data))] = byte(r.Uint32())
		}
		_ = Verify(bytes.NewReader(data), int64(len(data)), 1)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / rounds; each > 1<<20 {
		t.Errorf("%d bytes for a file of %d", each, len(w.data))
	}
	if _, err := walkStruct(bytes.Repeat([]byte{0x19}, 1<<20), 0); err == nil {
		t.Error("a million lists inside each other were walked")
	}
}
