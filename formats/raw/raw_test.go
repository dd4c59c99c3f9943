package raw

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestConcatenates(t *testing.T) {
	var got, want bytes.Buffer
	e := New(&got)
	for i, n := range []int{0, 1, 5, bufferBytes - 7, bufferBytes, 2, bufferBytes + 1, 3 * bufferBytes, 1, 0} {
		rec := bytes.Repeat([]byte{byte(i), '\n'}, n/2+1)[:n]
		if err := e.Write(rec); err != nil {
			t.Fatal(err)
		}
		want.Write(rec)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("got %d bytes, want %d, or they differ", got.Len(), want.Len())
	}
}

func TestErrorIsFinal(t *testing.T) {
	r, w := io.Pipe()
	cause := errors.New("gone")
	_ = r.CloseWithError(cause)
	e := New(w)
	if err := e.Write([]byte("x")); err != nil {
		t.Fatal("a buffered record cannot fail:", err)
	}
	if err := e.Write(make([]byte, bufferBytes)); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
	if err := e.Close(); !errors.Is(err, cause) {
		t.Errorf("close: %v", err)
	}
}

func BenchmarkWrite(b *testing.B) {
	e := New(io.Discard)
	rec := bytes.Repeat([]byte("x"), 670)
	b.SetBytes(int64(len(rec)))
	b.ReportAllocs()
	for b.Loop() {
		if err := e.Write(rec); err != nil {
			b.Fatal(err)
		}
	}
}
