package appendfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"hydrant/internal/vfs"
)

const (
	sidecarSuffix   = ".notes"
	damagedSuffix   = ".damaged"
	maxSidecarBytes = 64 << 20
	maxLines        = 2 * maxKnown // beyond what the state itself takes; then the sidecar is written anew
)

// sidecar is what is noted of one file, in memory and on disk. It belongs to who has the file's turn.
type sidecar struct {
	fs   vfs.FS
	name string // its own
	h    vfs.File
	size int64 // bytes in it
	grew int   // lines since it was written anew
	state

	// broken: a write or sync of it failed, so that it is not known what it holds. It must not be written any more.
	broken bool
	named  bool // the file's name is durable, as far as this process knows
	told   bool // somebody was told that others write to the file
}

func (s *Store) sidecarName(file string) string {
	sum := sha256.Sum256([]byte(file))
	return path.Join(s.o.StateDir, hex.EncodeToString(sum[:16])+sidecarSuffix)
}

// sidecarOf opens the sidecar of a file, or makes one. One that another process wrote is written anew: a sync of it may
// have failed there, and then parts of what reads well would not be durable.
func (s *Store) sidecarOf(e *entry) (*sidecar, error) {
	if e.sidecar != nil {
		return e.sidecar, nil
	}
	c := &sidecar{fs: s.fs, name: s.sidecarName(e.file), state: newState(e.file)}
	b, err := vfs.ReadFile(s.fs, c.name, maxSidecarBytes)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err != nil && !fresh {
		return nil, fmt.Errorf("%w: %w", errSidecar, err)
	}
	damaged := false
	if !fresh {
		c.state, damaged = parse(string(b))
		c.file = e.file
	}
	if damaged {
		if err := s.setAside(c.name, b); err != nil {
			return nil, err
		}
	}
	if fresh {
		s.oneMore()
	}
	if s.files.wasClean(e.file) && !fresh && !damaged {
		err = c.reopen(int64(len(b)))
	} else {
		err = c.rewrite()
	}
	if err != nil {
		return nil, err
	}
	e.sidecar = c
	return c, nil
}

// setAside keeps a copy of a sidecar that is about to be repaired.
func (s *Store) setAside(name string, b []byte) error {
	s.log.Error("the notes on a file are damaged; a batch that is offered to it again may be appended twice", "copy", name+damagedSuffix)
	if err := vfs.WriteFileAtomic(s.fs, name+damagedSuffix, b); err != nil {
		return fmt.Errorf("%w: %w", errSidecar, err)
	}
	return nil
}

// rewrite replaces the sidecar by one that says the same in as few lines as possible.
func (c *sidecar) rewrite() error {
	if c.h != nil {
		_ = c.h.Close()
		c.h = nil
	}
	text := c.lines()
	err := vfs.WriteFileAtomic(c.fs, c.name, []byte(text))
	if errors.Is(err, fs.ErrNotExist) { // somebody removed the folder
		if err = vfs.MkdirAll(c.fs, path.Dir(c.name)); err == nil {
			err = vfs.WriteFileAtomic(c.fs, c.name, []byte(text))
		}
	}
	if err != nil {
		c.broken = true
		return fmt.Errorf("%w: %w", errSidecar, err)
	}
	return c.reopen(int64(len(text)))
}

func (c *sidecar) reopen(size int64) error {
	h, err := c.fs.Open(c.name)
	if err != nil {
		c.broken = true
		return fmt.Errorf("%w: %w", errSidecar, err)
	}
	c.h, c.size, c.grew = h, size, 0
	return nil
}

// note adds a line and makes its change. With sync it is durable then, and all before it.
func (c *sidecar) note(line string, sync bool) error {
	if c.grew >= maxLines {
		if err := c.rewrite(); err != nil {
			return err
		}
	}
	text := seal(line)
	_, err := c.h.WriteAt([]byte(text), c.size)
	if err == nil && sync {
		err = c.h.Sync()
	}
	if err == nil {
		err = c.apply(line)
	}
	if err != nil {
		c.broken = true
		return fmt.Errorf("%w: %w", errSidecar, err)
	}
	c.size += int64(len(text))
	c.grew++
	return nil
}
