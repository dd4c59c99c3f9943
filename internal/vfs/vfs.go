// Package vfs is the seam between the daemon's durable parts (log, journal, catalog, file store)
// and the disk: small enough to fake. OS is the real disk; Mem is one that forgets what was not
// synced and fails on demand. It knows nothing of records.
package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
)

// File is an open file. Safe for concurrent use, as far as offsets do not overlap.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes what was written durable (fdatasync: data and size, not the name).
	// After an error nothing is known about what is durable; the file must not be written again.
	Sync() error
	// Size is the length of the file in bytes.
	Size() (int64, error)
	Truncate(size int64) error
}

// FS is the part of a file system that durable code needs. Names are slash-separated paths.
// No call makes a name durable except SyncDir on its folder.
type FS interface {
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// OpenRead opens an existing file for reading.
	OpenRead(name string) (File, error)
	// Create makes a new file for reading and writing; it fails with fs.ErrExist when the name is taken.
	Create(name string) (File, error)
	// Rename replaces newname when it exists.
	Rename(oldname, newname string) error
	// Link gives a file a second name; it fails with fs.ErrExist when the name is taken.
	Link(oldname, newname string) error
	Remove(name string) error
	// Mkdir makes one folder; its parent must exist. fs.ErrExist when the name is taken.
	Mkdir(name string) error
	// ReadDir lists the names in a folder, sorted; folders end with "/".
	ReadDir(name string) ([]string, error)
	// Exists says whether a file or folder of that name is there.
	Exists(name string) (bool, error)
	// SyncDir makes the names in a folder durable, those that were removed too.
	SyncDir(name string) error
	// FreeBytes is the space that is left for this process on the disk that holds the folder.
	FreeBytes(name string) (int64, error)
	// TotalBytes is the size of that disk.
	TotalBytes(name string) (int64, error)
}

// MkdirAll makes a folder and all its missing parents, durably: it syncs the folder of each name it made and of the first that
// was there already, because who made that one may have been killed before it was synced.
func MkdirAll(f FS, dir string) error {
	dir = filepath.Clean(dir)
	parent := filepath.Dir(dir)
	ok, err := f.Exists(dir)
	if err != nil || parent == dir {
		return err
	}
	if ok {
		if err := f.SyncDir(parent); !errors.Is(err, fs.ErrPermission) { // who may not read the parent did not make this folder
			return err
		}
		return nil
	}
	if err := MkdirAll(f, parent); err != nil {
		return err
	}
	if err := f.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return f.SyncDir(parent)
}

// ReadFile reads a whole file of at most limit bytes.
func ReadFile(f FS, name string, limit int64) ([]byte, error) {
	h, err := f.OpenRead(name)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	n, err := h.Size()
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("file is larger than expected")}
	}
	b := make([]byte, n)
	if _, err := h.ReadAt(b, 0); err != nil && !(errors.Is(err, io.EOF) && n == 0) {
		return nil, err
	}
	return b, nil
}

// WriteFileAtomic replaces a file so that after a crash either the old or the new content is found, whole:
// write beside it, sync, rename, sync the folder.
func WriteFileAtomic(f FS, name string, data []byte) error {
	tmp := name + ".tmp"
	if err := f.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	h, err := f.Create(tmp)
	if err != nil {
		return err
	}
	_, err = h.WriteAt(data, 0)
	if err == nil {
		err = h.Sync()
	}
	if cerr := h.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = f.Rename(tmp, name)
	}
	if err != nil {
		return err
	}
	return f.SyncDir(filepath.Dir(name))
}
