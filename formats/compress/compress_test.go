package compress

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

var codecs = []string{None, Gzip, Snappy, HadoopSnappy, Zip, Zstd}

// logLines is about n bytes of NDJSON that compresses as logs do.
func logLines(n int) []byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, `{"ts":"2026-11-21T10:%02d:%02d.%03dZ","level":"info","host":"web-%d","path":"/api/v1/items/%d","status":%d,"bytes":%d,"trace":"%016x"}`+"\n",
			i/60%60, i%60, rnd.IntN(1000), rnd.IntN(40), rnd.IntN(90000), 200+rnd.IntN(4)*100, rnd.IntN(1<<20), rnd.Uint64())
	}
	return b.Bytes()[:n]
}

func noise(n int) []byte {
	rnd := rand.New(rand.NewPCG(3, 4))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func encode(t testing.TB, o Options, data []byte, cut int) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := o.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	for len(data) > 0 {
		k := min(cut, len(data))
		if n, err := w.Write(data[:k]); err != nil || n != k {
			t.Fatal(n, err)
		}
		data = data[k:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// decode reads with implementations other than the one that wrote; zstd, for which there is none
// in Go, is read back by another implementation in the end-to-end tests.
func decode(t testing.TB, codec string, b []byte) []byte {
	t.Helper()
	out, err := tryDecode(codec, b)
	if err != nil {
		t.Fatalf("%s: %v", codec, err)
	}
	return out
}

func tryDecode(codec string, b []byte) ([]byte, error) {
	switch codec {
	case Gzip:
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(r)
	case Snappy:
		return readXerial(b)
	case HadoopSnappy:
		return readHadoop(b)
	case Zip:
		return unzip(b)
	case Zstd:
		r, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return r.DecodeAll(b, nil)
	}
	return b, nil
}

func unzip(b []byte) ([]byte, error) {
	a, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, err
	}
	if len(a.File) != 1 {
		return nil, fmt.Errorf("%d entries", len(a.File))
	}
	r, err := a.File[0].Open()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestRoundTrip(t *testing.T) {
	inputs := map[string][]byte{
		"empty": nil, "one byte": {7}, "log lines": logLines(150 << 10), "noise": noise(100 << 10), "zeros": make([]byte, 300<<10),
		"block-1": logLines(blockBytes - 1), "block": logLines(blockBytes), "block+1": logLines(blockBytes + 1), "3 blocks of noise": noise(3 * blockBytes),
	}
	for _, codec := range codecs {
		c, _ := lookup(codec)
		for _, level := range slices.Compact([]int{0, min(1, c.levels), min(2, c.levels), min(3, c.levels), min(6, c.levels), c.levels}) {
			for name, in := range inputs {
				got := decode(t, codec, encode(t, Options{Codec: codec, Level: level}, in, 10000))
				if !bytes.Equal(got, in) {
					t.Errorf("%s level %d, %s: differs", codec, level, name)
				}
			}
		}
	}
}

// Retried batches must be the same bytes, though records arrive in other portions and writers were used before.
func TestOutputDependsOnInputOnly(t *testing.T) {
	in := logLines(300_001)
	for _, codec := range codecs {
		c, _ := lookup(codec)
		for _, level := range slices.Compact([]int{0, min(6, c.levels)}) {
			o := Options{Codec: codec, Level: level, EntryName: "e"}
			want := encode(t, o, in, len(in))
			for _, cut := range []int{13, 4096, 70_000} {
				encode(t, o, noise(50_000), 999) // leaves a used writer in the pool
				if !bytes.Equal(encode(t, o, in, cut), want) {
					t.Errorf("%s level %d: cut at %d gives other bytes", codec, level, cut)
				}
			}
		}
	}
}

func TestGzipHeader(t *testing.T) {
	b := encode(t, Options{Codec: Gzip}, []byte("x"), 1)
	if b[3] != 0 || binary.LittleEndian.Uint32(b[4:]) != 0 {
		t.Errorf("flags %x, time %x: want none", b[3], b[4:8])
	}
	r, _ := gzip.NewReader(bytes.NewReader(b))
	r.Multistream(false)
	if _, err := io.ReadAll(r); err != nil {
		t.Fatal(err)
	}
}

func TestZipEntry(t *testing.T) {
	b := encode(t, Options{Codec: Zip, EntryName: "logs-1-2026"}, logLines(1000), 100)
	a, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	f := a.File[0]
	if f.Name != "logs-1-2026" || f.Method != zip.Deflate || !f.Modified.Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)) || f.UncompressedSize64 != 1000 {
		t.Errorf("%+v", f.FileHeader)
	}
}

func TestSnappyContainers(t *testing.T) {
	x := encode(t, Options{Codec: Snappy}, noise(blockBytes+5), 1000)
	if want := []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1}; !bytes.Equal(x[:16], want) {
		t.Errorf("header % x", x[:16])
	}
	first, rest, err := take(x[16:])
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := binary.Uvarint(first); n != blockBytes {
		t.Errorf("first block holds %d bytes, want %d", n, blockBytes)
	}
	if second, tail, err := take(rest); err != nil || len(tail) != 0 {
		t.Errorf("second block: %d bytes, then %d, %v", len(second), len(tail), err)
	}
	h := encode(t, Options{Codec: HadoopSnappy}, noise(blockBytes+5), 1000)
	if got := binary.BigEndian.Uint32(h); got != blockBytes {
		t.Errorf("first block length %d", got)
	}
	if empty := encode(t, Options{Codec: HadoopSnappy}, nil, 1); len(empty) != 0 {
		t.Errorf("an empty object has %d bytes", len(empty))
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		codec, ext, enc string
		levels          int
	}{
		{None, "", "", 0}, {Gzip, ".gz", "gzip", 9}, {Snappy, ".snappy", "snappy-java", 0},
		{HadoopSnappy, ".snappy", "hadoop-snappy", 0}, {Zip, ".zip", "zip", 9}, {Zstd, ".zst", "", 22}, {"lzw", "", "", 0},
	} {
		known, _ := lookup(c.codec)
		if Extension(c.codec) != c.ext || ContentEncoding(c.codec) != c.enc || known.levels != c.levels {
			t.Errorf("%s: %q %q %d", c.codec, Extension(c.codec), ContentEncoding(c.codec), known.levels)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, o := range []Options{{Codec: "lzw"}, {Codec: ""}, {Codec: Gzip, Level: 10}, {Codec: Gzip, Level: -1}, {Codec: None, Level: 1}, {Codec: Snappy, Level: 1}, {Codec: HadoopSnappy, Level: 2}, {Codec: Zstd, Level: 23}} {
		if _, err := o.NewWriter(io.Discard); err == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

var errDisk = errors.New("disk full")

type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func TestWriterErrorsAndUseAfterClose(t *testing.T) {
	in := noise(2 << 20)
	for _, codec := range codecs {
		w, err := Options{Codec: codec}.NewWriter(&full{left: 100_000})
		if err != nil {
			t.Fatal(err)
		}
		_, werr := w.Write(in)
		if cerr := w.Close(); !errors.Is(werr, errDisk) && !errors.Is(cerr, errDisk) {
			t.Errorf("%s: the disk's error is lost: %v, %v", codec, werr, cerr)
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Errorf("%s: a closed writer takes data", codec)
		}
		_ = w.Close()
		if got := decode(t, codec, encode(t, Options{Codec: codec}, in[:99999], 777)); !bytes.Equal(got, in[:99999]) {
			t.Errorf("%s: a failed writer spoils the next", codec)
		}
	}
}

// The heap must not grow with the object.
func TestMemoryIsBounded(t *testing.T) {
	in := logLines(1 << 20)
	for _, codec := range codecs {
		w, err := Options{Codec: codec}.NewWriter(io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write(in)
		before := heap()
		for range 12 {
			_, _ = w.Write(in)
		}
		if grown := int64(heap()) - int64(before); grown > 6<<20 {
			t.Errorf("%s: the heap grew by %d bytes over 12 MiB", codec, grown)
		}
		if err := w.Close(); err != nil {
			t.Error(codec, err)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// FuzzDecoders: the test's own decoders must survive anything, or they prove nothing.
func FuzzDecoders(f *testing.F) {
	for _, codec := range []string{Snappy, HadoopSnappy} {
		f.Add(encode(f, Options{Codec: codec}, logLines(5000), 100))
	}
	f.Add([]byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = readXerial(b)
		_, _ = readHadoop(b)
	})
}

// FuzzRoundTrip: any bytes, any cut, every codec.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("{}\n"), 1)
	f.Add(bytes.Repeat([]byte("ab"), 40000), 4097)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		cut = max(1, min(cut, 1<<20))
		for _, codec := range codecs {
			if got := decode(t, codec, encode(t, Options{Codec: codec}, in, cut)); !bytes.Equal(got, in) {
				t.Fatalf("%s: differs", codec)
			}
		}
	})
}

func BenchmarkCodec(b *testing.B) {
	in := logLines(8 << 20)
	for _, c := range []Options{{Codec: None}, {Codec: Gzip}, {Codec: Gzip, Level: 5}, {Codec: Snappy}, {Codec: HadoopSnappy}, {Codec: Zip}, {Codec: Zstd}, {Codec: Zstd, Level: 3}} {
		b.Run(fmt.Sprintf("%s-%d", c.Codec, c.Level), func(b *testing.B) {
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			var out count
			for b.Loop() {
				w, err := c.NewWriter(&out)
				if err != nil {
					b.Fatal(err)
				}
				for p := in; len(p) > 0; p = p[min(128<<10, len(p)):] {
					_, _ = w.Write(p[:min(128<<10, len(p))])
				}
				_ = w.Close()
			}
			b.ReportMetric(100*float64(out)/float64(b.N)/float64(len(in)), "%out")
		})
	}
}

type count int64

func (c *count) Write(p []byte) (int, error) {
	*c += count(len(p))
	return len(p), nil
}
