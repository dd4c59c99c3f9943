package bodies

import (
	"bytes"
	"errors"
	"io"
	"net/http/httptest"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func gzipped(t testing.TB, b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// zstded compresses as a stream, so that the frame does not declare its size.
func zstded(t testing.TB, b []byte, opts ...zstd.EOption) []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out, append(opts, zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(w, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestUnpack(t *testing.T) {
	r := NewReader(Limits{})
	for _, n := range []int{0, 1, 400, 513, 100_000, 1 << 20, 16 << 20} {
		want := make([]byte, n)
		copy(want, pattern(min(n, 1<<20)))
		for coding, packed := range map[string][]byte{
			"gzip": gzipped(t, want), "zstd": zstded(t, want, zstd.WithZeroFrames(true)), "GZIP": gzipped(t, want),
			"x-gzip": gzipped(t, want), "identity": want, "": want,
		} {
			b, err := r.Read(httptest.NewRecorder(), request(bytes.NewReader(packed), -1, "Content-Encoding", coding), "gzip", "zstd")
			if err != nil {
				t.Fatalf("%s of %d: %v", coding, n, err)
			}
			if !bytes.Equal(b.Bytes(), want) {
				t.Fatalf("%s of %d: other bytes came out", coding, n)
			}
			b.Release()
		}
	}
	if s := r.Stats(); s != (Stats{}) {
		t.Errorf("after all: %+v", s)
	}
}

func TestUnpackTakesSeveralMembers(t *testing.T) {
	r := NewReader(Limits{})
	for coding, member := range map[string][]byte{"gzip": gzipped(t, []byte("ab")), "zstd": zstded(t, []byte("ab"))} {
		b, err := r.Read(httptest.NewRecorder(), request(bytes.NewReader(bytes.Repeat(member, 3)), -1, "Content-Encoding", coding), coding)
		if err != nil || string(b.Bytes()) != "ababab" {
			t.Fatalf("%s: %v", coding, err)
		}
		b.Release()
	}
}

func TestUnpackRefuses(t *testing.T) {
	text := pattern(100_000)
	gz, zs := gzipped(t, text), zstded(t, text)
	flipped := func(b []byte) []byte {
		c := bytes.Clone(b)
		c[len(c)/2] ^= 0xff
		return c
	}
	wide := zstded(t, pattern(20 << 20)[:15<<20], zstd.WithWindowSize(16<<20))
	for _, tc := range []struct {
		name, coding string
		body         []byte
		want         error
	}{
		{"gzip cut", "gzip", gz[:len(gz)-9], ErrCorrupt},
		{"gzip damaged", "gzip", flipped(gz), ErrCorrupt},
		{"gzip with more behind", "gzip", append(bytes.Clone(gz), "more"...), ErrCorrupt},
		{"gzip empty", "gzip", nil, ErrCorrupt},
		{"gzip is text", "gzip", []byte("hello, this is no gzip"), ErrCorrupt},
		{"zstd cut", "zstd", zs[:len(zs)-9], ErrCorrupt},
		{"zstd damaged", "zstd", flipped(zs), ErrCorrupt},
		{"zstd empty", "zstd", nil, ErrCorrupt},
		{"zstd is text", "zstd", []byte("hello, this is no zstd"), ErrCorrupt},
		{"zstd window", "zstd", wide, ErrCorrupt},
		{"gzip too large", "gzip", gzipped(t, make([]byte, 16<<20+1)), ErrTooLarge},
		{"zstd too large", "zstd", zstded(t, make([]byte, 16<<20+1)), ErrTooLarge},
		{"unknown", "br", gz, ErrEncoding},
		{"twice", "gzip, gzip", gz, ErrEncoding},
	} {
		r := NewReader(Limits{})
		_, err := r.Read(httptest.NewRecorder(), request(bytes.NewReader(tc.body), -1, "Content-Encoding", tc.coding), "gzip", "zstd")
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
		if s := r.Stats(); s.HeldBytes != 0 {
			t.Errorf("%s: %d bytes still held", tc.name, s.HeldBytes)
		}
	}
	if _, err := NewReader(Limits{}).Read(httptest.NewRecorder(), request(bytes.NewReader(zs), -1, "Content-Encoding", "zstd"), "gzip"); !errors.Is(err, ErrEncoding) {
		t.Errorf("zstd where only gzip is allowed: %v", err)
	}
}

// Ten gigabytes of zeros in a body of a few megabytes: refused, without room for them.
func TestUnpackBombs(t *testing.T) {
	zeros := make([]byte, 64<<20)
	for coding, member := range map[string][]byte{"gzip": gzipped(t, zeros), "zstd": zstded(t, zeros)} {
		bomb := bytes.Repeat(member, 160)
		if len(bomb) > 16<<20 {
			t.Fatalf("%s bomb of %d bytes does not fit", coding, len(bomb))
		}
		r := NewReader(Limits{})
		before := heap()
		for range 5 {
			_, err := r.Read(httptest.NewRecorder(), request(bytes.NewReader(bomb), -1, "Content-Encoding", coding), coding)
			if !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%s: got %v", coding, err)
			}
		}
		if grown := heap() - before; grown > 90<<20 {
			t.Errorf("%s: heap grew by %d", coding, grown)
		}
		if held := r.Stats().HeldBytes; held != 0 {
			t.Errorf("%s: %d bytes still held", coding, held)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	for _, s := range []string{"", "a", "hello hello hello hello"} {
		f.Add(gzipped(f, []byte(s)))
		f.Add(zstded(f, []byte(s)))
	}
	r := NewReader(Limits{MaxBytes: 1 << 20})
	f.Fuzz(func(t *testing.T, packed []byte) {
		for _, coding := range []string{"gzip", "zstd"} {
			b, err := r.Read(httptest.NewRecorder(), request(bytes.NewReader(packed), -1, "Content-Encoding", coding), coding)
			if err == nil {
				if len(b.Bytes()) > 1<<20 {
					t.Fatalf("%d bytes", len(b.Bytes()))
				}
				b.Release()
			}
		}
		if s := r.Stats(); s.HeldBytes != 0 {
			t.Fatalf("%+v", s)
		}
	})
}
