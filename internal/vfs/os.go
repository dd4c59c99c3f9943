package vfs

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// OS is the real disk. The zero value is ready; it holds no state and is safe for concurrent use.
// Files are made with mode 0644 and folders with 0755 (before the umask), so that people can read what was delivered.
type OS struct{}

// NewOS returns the real disk.
func NewOS() FS { return OS{} }

// Open opens an existing file for reading and writing.
func (OS) Open(name string) (File, error) { return openOS(name, os.O_RDWR, 0) }

// OpenRead opens an existing file for reading.
func (OS) OpenRead(name string) (File, error) { return openOS(name, os.O_RDONLY, 0) }

// Create makes a new file; fs.ErrExist when the name is taken.
func (OS) Create(name string) (File, error) {
	return openOS(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
}

func openOS(name string, flag int, mode fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err // not f: a nil *os.File would be a non-nil File
	}
	return osFile{f}, nil
}

// Rename replaces newname when it exists.
func (OS) Rename(oldname, newname string) error { return os.Rename(oldname, newname) }

// Link gives a file a second name; fs.ErrExist when the name is taken.
func (OS) Link(oldname, newname string) error { return os.Link(oldname, newname) }

// Remove removes a file or an empty folder.
func (OS) Remove(name string) error { return os.Remove(name) }

// Mkdir makes one folder.
func (OS) Mkdir(name string) error { return os.Mkdir(name, 0o755) }

// ReadDir lists the names in a folder, sorted as strings; folders end with "/". Symbolic links count as files.
func (OS) ReadDir(name string) ([]string, error) {
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
		if e.IsDir() {
			names[i] += "/"
		}
	}
	slices.Sort(names) // the slash changes the order: "a.b" comes before "a/"
	return names, nil
}

// Exists says whether a file or folder of that name is there.
func (OS) Exists(name string) (bool, error) {
	_, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// SyncDir makes the names in a folder durable.
func (OS) SyncDir(name string) error {
	d, err := os.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// FreeBytes is the space that is left for this process; what is reserved for root does not count.
func (OS) FreeBytes(name string) (int64, error) {
	st, err := statfs(name)
	if err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

// TotalBytes is the size of the disk that holds the folder.
func (OS) TotalBytes(name string) (int64, error) {
	st, err := statfs(name)
	if err != nil {
		return 0, err
	}
	return int64(st.Blocks) * int64(st.Bsize), nil
}

func statfs(name string) (unix.Statfs_t, error) {
	var st unix.Statfs_t
	err := retryEINTR(func() error { return unix.Statfs(name, &st) })
	if err != nil {
		return st, &fs.PathError{Op: "statfs", Path: name, Err: err}
	}
	return st, nil
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Sync goes through SyscallConn, which keeps the descriptor from being closed and reused meanwhile.
func (f osFile) Sync() error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	err = c.Control(func(fd uintptr) {
		serr = retryEINTR(func() error { return dataSync(int(fd)) })
	})
	if err != nil {
		serr = fs.ErrClosed // the only reason that Control does not call
	}
	if serr != nil {
		return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: serr}
	}
	return nil
}

// retryEINTR repeats a system call that a signal interrupted before it did anything.
func retryEINTR(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
