package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	lockName       = "LOCK"
	maxHolderBytes = 1024
)

// LockedError says that another process, or another part of this one, holds the folder.
type LockedError struct {
	Path   string // the lock file
	Holder string // what the holder wrote of itself; "" when it cannot be read
}

func (e *LockedError) Error() string {
	holder := e.Holder
	if holder == "" {
		holder = "another process"
	}
	return fmt.Sprintf("the data directory %s is in use: held by %s", filepath.Dir(e.Path), holder)
}

// HolderText names this process for Lock.
func HolderText(start time.Time) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("pid %d on %s since %s", os.Getpid(), host, start.UTC().Format(time.RFC3339))
}

// errIsFile is why a path that is no folder cannot be a data directory.
var errIsFile = errors.New("is a file; name a folder")

// Lock takes the folder for this process, without waiting, by an advisory lock on its file LOCK,
// and writes holder (at most 1 KiB) into it. When it is taken already the error is a *LockedError.
// The kernel frees the lock when the process ends, however it ends; the file stays behind on purpose,
// because removing it would let two processes lock two files of the same name.
// unlock may be called more than once.
func Lock(dir, holder string) (unlock func() error, err error) {
	name := filepath.Join(dir, lockName)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if errors.Is(err, unix.ENOTDIR) {
		return nil, &fs.PathError{Op: "data directory", Path: dir, Err: errIsFile}
	}
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := flock(f); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = &LockedError{Path: name, Holder: readHolder(f)}
		} else {
			err = &fs.PathError{Op: "flock", Path: name, Err: err}
		}
		return nil, errors.Join(err, f.Close())
	}
	// The text is for people. The lock holds without it, on a full disk too, so a failure here is no reason not to start.
	_ = writeHolder(f, holder)
	return sync.OnceValue(func() error {
		_ = f.Truncate(0) // a hint only: nobody holds it now
		return f.Close()
	}), nil
}

func flock(f *os.File) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lerr error
	err = c.Control(func(fd uintptr) {
		lerr = retryEINTR(func() error { return unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) })
	})
	return errors.Join(err, lerr)
}

func writeHolder(f *os.File, holder string) error {
	holder = holder[:min(len(holder), maxHolderBytes)]
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(holder), 0)
	return err
}

// readHolder never fails: the text may be missing, or be written just now.
func readHolder(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxHolderBytes))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
