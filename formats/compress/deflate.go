package compress

import (
	"archive/zip"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// Making a writer costs about a megabyte and clearing it next to nothing, so that used ones are kept, by level.
var (
	gzipPools  [10]sync.Pool
	flatePools [10]sync.Pool
)

// noTime is 0 in a gzip header: no time. This library would write Go's zero time as some date.
var noTime = time.Unix(0, 0)

type gzipWriter struct {
	z    *gzip.Writer // nil once closed
	pool *sync.Pool
}

// openGzip writes one member. The header carries no time and no name, so that equal input is equal output.
func openGzip(o Options, w io.Writer) (io.WriteCloser, error) {
	pool := &gzipPools[o.Level]
	if z, ok := pool.Get().(*gzip.Writer); ok {
		z.Reset(w)
		z.ModTime = noTime
		return &gzipWriter{z, pool}, nil
	}
	z, err := gzip.NewWriterLevel(w, o.Level)
	if err != nil {
		return nil, fmt.Errorf("compress: gzip: %w", err)
	}
	z.ModTime = noTime
	return &gzipWriter{z, pool}, nil
}

func (g *gzipWriter) Write(b []byte) (int, error) {
	if g.z == nil {
		return 0, ErrClosed
	}
	return g.z.Write(b)
}

func (g *gzipWriter) Close() error {
	if g.z == nil {
		return nil
	}
	err := g.z.Close()
	g.z.Reset(io.Discard) // the pool must not keep the caller's writer alive
	g.pool.Put(g.z)
	g.z = nil
	return err
}

// zipEpoch is the first moment that a zip can name.
var zipEpoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

type zipWriter struct {
	archive *zip.Writer
	entry   io.Writer
	closed  bool
}

// openZip streams one entry; its sizes follow it in a data descriptor, as they are not known before.
func openZip(o Options, w io.Writer) (io.WriteCloser, error) {
	name := o.EntryName
	if name == "" {
		name = "data"
	}
	a := zip.NewWriter(w)
	a.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return openFlate(o.Level, w) })
	entry, err := a.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: zipEpoch})
	if err != nil {
		return nil, fmt.Errorf("compress: zip: %w", err)
	}
	return &zipWriter{archive: a, entry: entry}, nil
}

func (z *zipWriter) Write(b []byte) (int, error) {
	if z.closed {
		return 0, ErrClosed
	}
	return z.entry.Write(b)
}

func (z *zipWriter) Close() error {
	if z.closed {
		return nil
	}
	z.closed = true
	return z.archive.Close()
}

type flateWriter struct {
	f    *flate.Writer
	pool *sync.Pool
}

func openFlate(level int, w io.Writer) (io.WriteCloser, error) {
	pool := &flatePools[level]
	if f, ok := pool.Get().(*flate.Writer); ok {
		f.Reset(w)
		return &flateWriter{f, pool}, nil
	}
	f, err := flate.NewWriter(w, level)
	if err != nil {
		return nil, err
	}
	return &flateWriter{f, pool}, nil
}

func (f *flateWriter) Write(b []byte) (int, error) { return f.f.Write(b) }

func (f *flateWriter) Close() error {
	err := f.f.Close()
	f.f.Reset(io.Discard)
	f.pool.Put(f.f)
	f.f = nil
	return err
}
