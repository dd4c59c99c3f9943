package json

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

func TestFraming(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		want string
	}{
		{"newline added", []string{`{"a":1}`, `{"b":2}`}, "{\"a\":1}\n{\"b\":2}\n"},
		{"newline kept", []string{"{}\n", "{}\n"}, "{}\n{}\n"},
		{"mixed", []string{"{}\n", "{}"}, "{}\n{}\n"},
		{"carriage return is data", []string{"x\r\n", "y\r"}, "x\r\ny\r\n"},
		{"inner newlines are data", []string{"a\nb"}, "a\nb\n"},
		{"two newlines stay", []string{"a\n\n"}, "a\n\n"},
		{"empty record", []string{"", ""}, "\n\n"},
		{"not JSON", []string{"\x00\xff"}, "\x00\xff\n"},
		{"none", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			e := New(&out)
			for _, r := range c.in {
				if err := e.Write([]byte(r)); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			if out.String() != c.want {
				t.Errorf("got %q, want %q", out.String(), c.want)
			}
		})
	}
}

// Records of sizes around the buffer's must come out whole and in order.
func TestSizesAroundTheBuffer(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	sizes := []int{0, 1, bufferBytes - 2, bufferBytes - 1, bufferBytes, bufferBytes + 1, 3 * bufferBytes}
	for range 40 {
		sizes = append(sizes, rnd.IntN(2*bufferBytes))
	}
	rnd.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	var got, want bytes.Buffer
	e := New(&got)
	for i, n := range sizes {
		rec := bytes.Repeat([]byte{byte('a' + i%26)}, n)
		if err := e.Write(rec); err != nil {
			t.Fatal(err)
		}
		want.Write(rec)
		want.WriteByte('\n')
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("output differs")
	}
}

var errDisk = errors.New("disk full")

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestErrorIsFinal(t *testing.T) {
	e := New(&failing{after: 1})
	big := make([]byte, bufferBytes-1)
	for range 2 {
		if err := e.Write(big); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Write(big); !errors.Is(err, errDisk) {
		t.Fatalf("got %v", err)
	}
	if err := e.Write([]byte("x")); !errors.Is(err, errDisk) {
		t.Errorf("write after an error: %v", err)
	}
	if err := e.Close(); !errors.Is(err, errDisk) {
		t.Errorf("close after an error: %v", err)
	}
}

func TestWriteAllocatesNothing(t *testing.T) {
	e := New(io.Discard)
	rec := make([]byte, 670)
	if n := testing.AllocsPerRun(5000, func() { _ = e.Write(rec) }); n != 0 {
		t.Errorf("%v allocations a record", n)
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
