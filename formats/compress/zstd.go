package compress

import (
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// zstdWindowBytes bounds what a writer, and any reader, has to hold. On log data more buys next to nothing.
const zstdWindowBytes = 1 << 20

var zstdPools [5]sync.Pool // by zstd.EncoderLevel

type zstdWriter struct {
	z    *zstd.Encoder // nil once closed
	pool *sync.Pool
}

// openZstd writes one frame with a content checksum. The encoder works in the caller's goroutine only.
func openZstd(o Options, w io.Writer) (io.WriteCloser, error) {
	level := zstd.EncoderLevelFromZstd(o.Level)
	pool := &zstdPools[level]
	if z, ok := pool.Get().(*zstd.Encoder); ok {
		z.Reset(w)
		return &zstdWriter{z, pool}, nil
	}
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(zstdWindowBytes), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, fmt.Errorf("compress: zstd: %w", err)
	}
	return &zstdWriter{z, pool}, nil
}

func (z *zstdWriter) Write(b []byte) (int, error) {
	if z.z == nil {
		return 0, ErrClosed
	}
	return z.z.Write(b)
}

func (z *zstdWriter) Close() error {
	if z.z == nil {
		return nil
	}
	err := z.z.Close()
	z.z.Reset(nil)
	z.pool.Put(z.z)
	z.z = nil
	return err
}
