package parquet

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// workspace is what writing one page takes. It goes back to the pool after each, so that thousands of open files
// share a few.
type workspace struct {
	body, packed []byte
	idx          []uint32
	hybrid       hybrid
	zstd         *zstd.Encoder
	gzip         *gzip.Writer
	header, gz   bytes.Buffer
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// release gives the workspace back, but for buffers that an unusual record made large.
func (s *workspace) release() {
	if cap(s.body)+cap(s.packed)+4*cap(s.idx)+4*cap(s.hybrid.groups) <= maxKeptBytes {
		workspaces.Put(s)
	}
}

const maxKeptBytes = 16 << 20

func codecOf(name string) (format.CompressionCodec, error) {
	switch name {
	case "", "snappy":
		return format.Snappy, nil
	case "gzip":
		return format.Gzip, nil
	case "zstd":
		return format.Zstd, nil
	case "none":
		return format.Uncompressed, nil
	}
	return 0, fmt.Errorf("compression %q: want snappy, gzip, zstd or none", name)
}

// compress appends the compressed form of src to dst. Level 1 of gzip and zstd, as for whole objects: half the CPU of
// higher ones for a tenth more bytes.
func (s *workspace) compress(dst, src []byte, codec format.CompressionCodec) ([]byte, error) {
	switch codec {
	case format.Snappy:
		at := len(dst)
		dst = grow(dst, s2.MaxEncodedLen(len(src)))
		return dst[:at+len(s2.EncodeSnappy(dst[at:cap(dst)], src))], nil
	case format.Zstd:
		if s.zstd == nil {
			var err error
			s.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
				zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true), zstd.WithEncoderCRC(false))
			if err != nil {
				return nil, fmt.Errorf("zstd: %w", err)
			}
		}
		return s.zstd.EncodeAll(src, dst), nil
	case format.Gzip:
		return s.deflate(dst, src)
	}
	return append(dst, src...), nil
}

func (s *workspace) deflate(dst, src []byte) (_ []byte, err error) {
	s.gz.Reset()
	if s.gzip == nil {
		if s.gzip, err = gzip.NewWriterLevel(&s.gz, 1); err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
	}
	s.gzip.Reset(&s.gz)
	if _, err = s.gzip.Write(src); err == nil {
		err = s.gzip.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return append(dst, s.gz.Bytes()...), nil
}

// grow makes room for n more bytes behind b.
func grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	bigger := make([]byte, len(b), max(len(b)+n, 2*cap(b)))
	copy(bigger, b)
	return bigger
}
