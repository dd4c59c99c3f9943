// Package answers keeps what destinations said of the records that they refused: finished error records, durable before the error
// object is written, because a destination that is asked again may answer otherwise. One file holds those of one entry and one error
// type. It knows no destination, and not when a file is needed no more.
package answers

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"strings"

	"hydrant/internal/vfs"
	"hydrant/record"
)

const (
	magic     = "HYDRANS1"
	headBytes = 8  // of a line: length, checksum
	fixBytes  = 18 // position, number within the record, digest
	suffix    = ".answers"
	// maxLine bounds an error record: a record of 16 MiB in base64, and what is said of it.
	maxLine  = 32 << 20
	bufBytes = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged is what Read returns for a file that is not whole.
var ErrDamaged = errors.New("the file of answers is damaged")

// Answer is one error record.
type Answer struct {
	Pos  record.Position
	Sub  uint16
	Sum  uint64 // digest of the accepted record's bytes
	Line []byte // the error record as JSON, with its newline
}

// Store is the folder of a reader's answers. Safe for concurrent use on different names. It makes nothing before the first answer.
type Store struct {
	fs  vfs.FS
	dir string
}

// New returns the store of a folder, whose parent must exist.
func New(fsys vfs.FS, dir string) *Store { return &Store{fs: fsys, dir: dir} }

func (s *Store) path(name string) string { return filepath.Join(s.dir, name+suffix) }

// Writer collects the answers of one file. Not safe for concurrent use.
type Writer struct {
	s    *Store
	name string
	file vfs.File // nil before the buffer was full once
	at   int64
	buf  []byte
}

// Create begins a file; nothing is on the disk before it is large, or committed.
func (s *Store) Create(name string) *Writer {
	return &Writer{s: s, name: name, buf: append(make([]byte, 0, bufBytes), magic...)}
}

// Name is what Read takes.
func (w *Writer) Name() string { return w.name }

// Add appends an answer. After an error the writer is of no use but to Abort.
func (w *Writer) Add(a Answer) error {
	var head [headBytes + fixBytes]byte
	le := binary.LittleEndian
	le.PutUint64(head[8:], uint64(a.Pos))
	le.PutUint16(head[16:], a.Sub)
	le.PutUint64(head[18:], a.Sum)
	le.PutUint32(head[0:], uint32(fixBytes+len(a.Line)))
	le.PutUint32(head[4:], crc32.Update(crc32.Checksum(head[8:], castagnoli), castagnoli, a.Line))
	w.buf = append(append(w.buf, head[:]...), a.Line...)
	if len(w.buf) < bufBytes {
		return nil
	}
	return w.flush()
}

func (w *Writer) flush() error {
	if err := w.open(); err != nil {
		return fmt.Errorf("answers: %w", err)
	}
	if _, err := w.file.WriteAt(w.buf, w.at); err != nil {
		return fmt.Errorf("answers: %w", err)
	}
	w.at += int64(len(w.buf))
	w.buf = w.buf[:0]
	return nil
}

func (w *Writer) open() error {
	if w.file != nil {
		return nil
	}
	if err := vfs.MkdirAll(w.s.fs, w.s.dir); err != nil {
		return err
	}
	path := w.s.path(w.name)
	// One that an earlier life began and never journaled.
	if err := w.s.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := w.s.fs.Create(path)
	w.file = f
	return err
}

// Commit makes the file durable, its name too, and closes it.
func (w *Writer) Commit() error {
	err := w.flush()
	if err == nil {
		err = w.file.Sync()
	}
	if w.file != nil {
		if cerr := w.file.Close(); err == nil {
			err = cerr
		}
		w.file = nil
	}
	if err == nil {
		err = w.s.fs.SyncDir(w.s.dir)
	}
	if err != nil {
		return fmt.Errorf("answers: %w", err)
	}
	return nil
}

// Abort forgets the file.
func (w *Writer) Abort() {
	if w.file != nil {
		_ = w.file.Close()
		_ = w.s.fs.Remove(w.s.path(w.name)) // else the next start removes it
		w.file = nil
	}
	w.buf = nil
}

// Read calls visit with each answer of a file, in the order they were added. The line is valid until visit returns.
func (s *Store) Read(name string, visit func(Answer) error) error {
	f, err := s.fs.OpenRead(s.path(name))
	if err != nil {
		return fmt.Errorf("answers: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("answers: %w", err)
	}
	return read(f, size, visit)
}

func read(f vfs.File, size int64, visit func(Answer) error) error {
	var head [headBytes]byte
	if size < int64(len(magic)) || !readAt(f, head[:len(magic)], 0) || string(head[:]) != magic {
		return fmt.Errorf("%w: it has no header", ErrDamaged)
	}
	var line []byte
	for at := int64(len(magic)); at < size; {
		if !readAt(f, head[:], at) {
			return fmt.Errorf("%w: it ends at byte %d", ErrDamaged, at)
		}
		n := int64(binary.LittleEndian.Uint32(head[:]))
		if n < fixBytes || n > maxLine || at+headBytes+n > size {
			return fmt.Errorf("%w: the length at byte %d", ErrDamaged, at)
		}
		if int64(cap(line)) < n {
			line = make([]byte, n)
		}
		line = line[:n]
		if !readAt(f, line, at+headBytes) || crc32.Checksum(line, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
			return fmt.Errorf("%w: the checksum at byte %d", ErrDamaged, at)
		}
		le := binary.LittleEndian
		if err := visit(Answer{Pos: record.Position(le.Uint64(line)), Sub: le.Uint16(line[8:]), Sum: le.Uint64(line[10:]), Line: line[fixBytes:]}); err != nil {
			return err
		}
		at += headBytes + n
	}
	return nil
}

func readAt(f vfs.File, b []byte, at int64) bool {
	n, _ := f.ReadAt(b, at)
	return n == len(b)
}

// Remove removes a file. It is a hint, as Keep is.
func (s *Store) Remove(name string) { _ = s.fs.Remove(s.path(name)) }

// Keep removes all files but these, and does not care when it cannot: the next start tries again.
func (s *Store) Keep(names map[string]bool) {
	all, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return
	}
	for _, n := range all {
		if name, ok := strings.CutSuffix(n, suffix); ok && !names[name] {
			_ = s.fs.Remove(filepath.Join(s.dir, n))
		}
	}
}
