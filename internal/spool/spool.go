// Package spool holds encoded objects between the encoder and the sink: small ones in memory, larger ones in
// temporary files. What it holds is disposable: it is never synced, has no name while it exists, and is made again
// from the log after a restart. It does not know what an object is.
package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

const filePrefix = "hydrant-spool-"

// Clean makes the folder if it is missing and removes what a process that was killed left there. It touches only files that
// Buffers made. Call it before the first Buffer of that folder.
func Clean(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make spool folder: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("clean spool folder: %w", err)
	}
	var errs []error
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), filePrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("clean spool folder: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Buffer is one encoded object: written once from start to end, then read as often as needed.
// It lies in memory until it is larger than its share or the budget is used up, then in a file.
// Write is for one goroutine; readers may be used by others, also while Close is called: then they fail with fs.ErrClosed.
type Buffer struct {
	dir    string
	budget *Budget

	mu     sync.RWMutex
	chunks []*chunk // in memory: all of it. With a file: at most one chunk, what follows the file's part
	size   int64    // in all
	file   *os.File // nil while all is in memory; it has no name
	inFile int64    // bytes in the file
	err    error    // the first failure, or fs.ErrClosed: nothing can be read or written any more
}

// New returns an empty Buffer whose file, if it comes to that, lies in dir. It takes nothing before the first Write.
func New(dir string, b *Budget) *Buffer { return &Buffer{dir: dir, budget: b} }

// Write appends. An error, such as a full disk, is final: Close the Buffer and begin anew.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	done := 0
	for done < len(p) && b.err == nil {
		n, err := b.writeSome(p[done:])
		done += n
		b.size += int64(n)
		b.err = err
	}
	return done, b.err
}

// writeSome makes progress: it takes bytes of p, or room for them.
func (b *Buffer) writeSome(p []byte) (int, error) {
	used := int(b.size - b.inFile) // bytes in chunks
	if used < len(b.chunks)*chunkBytes {
		return copy(b.chunks[len(b.chunks)-1][used%chunkBytes:], p), nil
	}
	if b.file != nil {
		return b.writeFile(p)
	}
	if b.size+int64(len(p)) <= b.budget.perBuffer {
		if c := b.budget.take(); c != nil {
			b.chunks = append(b.chunks, c)
			return 0, nil
		}
	}
	return 0, b.spill()
}

// writeFile runs when the last chunk is full or missing.
func (b *Buffer) writeFile(p []byte) (int, error) {
	if err := b.flush(); err != nil {
		return 0, err
	}
	if len(p) >= chunkBytes {
		return b.toFile(p)
	}
	if len(b.chunks) == 0 {
		b.chunks = append(b.chunks, b.budget.takeAnyway())
	}
	return copy(b.chunks[0][:], p), nil
}

// spill moves what is in memory to a new file and keeps one chunk to gather small writes.
func (b *Buffer) spill() (err error) {
	if b.file, err = openUnnamed(b.dir); err != nil {
		return err
	}
	if err := b.flush(); err != nil {
		return err
	}
	for len(b.chunks) > 1 {
		b.dropLastChunk()
	}
	return nil
}

// flush writes what the chunks hold behind the file's part.
func (b *Buffer) flush() error {
	for _, c := range b.chunks {
		part := c[:min(chunkBytes, b.size-b.inFile)]
		if _, err := b.toFile(part); err != nil {
			return err
		}
	}
	return nil
}

func (b *Buffer) toFile(p []byte) (int, error) {
	n, err := b.file.WriteAt(p, b.inFile)
	b.inFile += int64(n)
	b.budget.disk.Add(int64(n))
	if err != nil {
		return n, fmt.Errorf("write spool file: %w", err)
	}
	return n, nil
}

func (b *Buffer) dropLastChunk() {
	last := len(b.chunks) - 1
	b.budget.giveBack(b.chunks[last])
	b.chunks[last] = nil
	b.chunks = b.chunks[:last]
}

// openUnnamed makes a file and removes its name at once: the space is free again when the process ends, however it ends.
func openUnnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, filePrefix)
	if err != nil {
		return nil, fmt.Errorf("make spool file: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("remove name of spool file: %w", err), f.Close())
	}
	return f, nil
}

// Size is the number of bytes written.
func (b *Buffer) Size() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.size
}

// OnDisk is the number of those bytes that are in a file.
func (b *Buffer) OnDisk() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.inFile
}

// Close gives memory and disk space back. Later calls do nothing.
func (b *Buffer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = fs.ErrClosed
	for len(b.chunks) > 0 {
		b.dropLastChunk()
	}
	if b.file == nil {
		return nil
	}
	err := b.file.Close()
	b.file = nil
	b.budget.disk.Add(-b.inFile)
	b.inFile = 0
	return err
}

// Reader returns a reader at the start of the Buffer. Each call returns one of its own; one reader is for one goroutine.
func (b *Buffer) Reader() *Reader {
	return &Reader{io.NewSectionReader(readerAt{b}, 0, b.Size()), b}
}

// Reader reads a Buffer from its start, or anywhere. Not safe for concurrent use, but for ReadAt.
type Reader struct {
	*io.SectionReader
	b *Buffer
}

// Read fails on a failed Buffer even where there is nothing to read: it must not pass for an empty object.
func (r *Reader) Read(p []byte) (int, error) {
	if err := r.b.failure(); err != nil {
		return 0, err
	}
	return r.SectionReader.Read(p)
}

func (b *Buffer) failure() error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.err
}

type readerAt struct{ b *Buffer }

// ReadAt fills p from the file, then from memory.
func (r readerAt) ReadAt(p []byte, off int64) (int, error) {
	b := r.b
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.err != nil {
		return 0, b.err
	}
	done := 0
	for done < len(p) && off < b.size {
		n, err := b.readSome(p[done:], off)
		done += n
		off += int64(n)
		if err != nil {
			return done, fmt.Errorf("read spool file: %w", err)
		}
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

func (b *Buffer) readSome(p []byte, off int64) (int, error) {
	if off < b.inFile {
		p = p[:min(int64(len(p)), b.inFile-off)]
		n, err := b.file.ReadAt(p, off)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // the file was cut behind our back; never pass a short object on as whole
		}
		return n, err
	}
	p = p[:min(int64(len(p)), b.size-off)]
	at := off - b.inFile
	return copy(p, b.chunks[at/chunkBytes][at%chunkBytes:]), nil
}
