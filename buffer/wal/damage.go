package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"hydrant/internal/vfs"
	"hydrant/record"
)

type damageKey struct {
	file string
	off  int64
	from record.Position
}

func (d Damage) key() damageKey { return damageKey{d.File, d.Offset, d.From} }

// first says whether this damage was not reported before.
func (l *Log) first(d Damage) bool {
	k := d.key()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen[k] {
		return false
	}
	l.seen[k] = true
	return true
}

// notYet lets a damage be reported again.
func (l *Log) notYet(d Damage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.seen, d.key())
}

func (l *Log) report(d Damage) {
	l.opt.Logger.Error("damaged log", "stream", l.opt.Stream, "file", d.File, "offset", d.Offset, "bytes", d.Bytes,
		"from", d.From, "to", d.To, "copy", d.Copy, "err", d.Why)
	if l.opt.Damaged != nil {
		l.opt.Damaged(d)
	}
}

// reportFile moves a file beside the log. Where that fails it stays, for the next start to try again: it is never deleted.
func (l *Log) reportFile(path string, size int64, why string) {
	d := Damage{File: path, Bytes: size, Why: why}
	if copyTo, err := l.asideName(filepath.Base(path)); err == nil {
		if err := l.opt.FS.Rename(path, copyTo); err == nil {
			d.Copy = copyTo
			_ = errors.Join(l.opt.FS.SyncDir(l.damagedDir()), l.opt.FS.SyncDir(l.opt.Dir)) // undone by a crash: found again
		}
	}
	l.report(d)
}

func (l *Log) damagedDir() string { return filepath.Join(filepath.Dir(l.opt.Dir), "damaged") }

// asideName makes the folder for what is damaged and returns a name in it that is free.
func (l *Log) asideName(base string) (string, error) {
	dir := l.damagedDir()
	if err := vfs.MkdirAll(l.opt.FS, dir); err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		name := numbered(dir, base, n)
		if taken, err := l.opt.FS.Exists(name); err != nil || !taken {
			return name, err
		}
	}
}

func numbered(dir, base string, n int) string {
	if n > 1 {
		base = fmt.Sprintf("%s-%d", base, n)
	}
	return filepath.Join(dir, base)
}

// unreadDamage is what recovery has to say when it ended where the disk could not read.
func (t *tailState) unreadDamage(s *segment) Damage {
	return Damage{File: s.path, Offset: t.unread.off, Bytes: t.unread.end - t.unread.off, From: t.lastPos + 1, Why: "the log's end is unreadable"}
}

// setAside copies a damaged stretch beside the log and reports it. That no copy can be kept is no error: the log goes on. Only where
// the disk could not read it, and does not write either, is it left for later.
func (l *Log) setAside(s *segment, d Damage, lost holes) error {
	var err error
	d.Copy, err = copyAside(l.opt.FS, l.damagedDir(), s.file, asideBase(d), d.Offset, d.Bytes)
	if err != nil {
		l.opt.Logger.Error("a damaged stretch could not be copied", "stream", l.opt.Stream, "file", s.path, "offset", d.Offset, "err", err)
		if _, unread := lost.within(d.Offset, d.Bytes); unread > 0 && gone(err) {
			l.notYet(d)
			return fmt.Errorf("the disk reads and writes with errors: %w", err)
		}
	}
	d.Why = lost.why(d.Why, d.Offset, d.Bytes)
	l.report(d)
	return nil
}

func asideBase(d Damage) string { return fmt.Sprintf("%s-%08x", filepath.Base(d.File), d.Offset) }

// copyAside copies n bytes of a file from off, fewer when it ends before, into dir under the name base, numbered where another damage
// has it. What the disk cannot read is zeros in the copy. A copy of the same bytes that is there already is used again.
func copyAside(fsys vfs.FS, dir string, from vfs.File, base string, off, n int64) (string, error) {
	if err := vfs.MkdirAll(fsys, dir); err != nil {
		return "", err
	}
	src := &source{file: from, off: off, n: n}
	name, f, err := asideFile(fsys, dir, base, src)
	if err != nil {
		return "", err
	}
	// Written even if it is there: nobody knows whether the one who wrote it before came to sync it.
	err = src.each(func(b []byte, at int64) (bool, error) {
		_, err := f.WriteAt(b, at)
		return true, err
	})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	return name, fsys.SyncDir(dir)
}

// asideFile opens the copy that is there already, or makes a file of a free name.
func asideFile(fsys vfs.FS, dir, base string, src *source) (name string, f vfs.File, err error) {
	for n := 1; ; n++ {
		name = numbered(dir, base, n)
		if f, err = fsys.Create(name); !errors.Is(err, fs.ErrExist) {
			return name, f, err
		}
		if f, err = fsys.Open(name); err != nil {
			return "", nil, err
		}
		same, err := src.same(f)
		if err == nil && same {
			return name, f, nil
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return "", nil, err
		}
	}
}

// source is a damaged stretch of a file.
type source struct {
	file vfs.File
	off  int64
	n    int64
	lost holes
}

// each calls do with the stretch piece by piece, until it returns false or an error.
func (s *source) each(do func(b []byte, at int64) (bool, error)) error {
	buf := make([]byte, min(256<<10, s.n))
	for at := int64(0); at < s.n; {
		b := buf[:min(int64(len(buf)), s.n-at)]
		got, err := readAround(s.file, b, s.off+at, &s.lost)
		if err != nil || got == 0 {
			return err
		}
		if more, err := do(b[:got], at); err != nil || !more {
			return err
		}
		at += int64(got)
	}
	return nil
}

// same says whether a file holds just the stretch, or its beginning: a copy that was cut short, which writing it completes.
func (s *source) same(f vfs.File) (bool, error) {
	size, err := f.Size()
	if err != nil {
		return false, err
	}
	same, end := true, int64(0)
	err = s.each(func(b []byte, at int64) (bool, error) {
		end = at + int64(len(b))
		have := make([]byte, min(int64(len(b)), max(size-at, 0)))
		_, err := f.ReadAt(have, at)
		same = bytes.Equal(have, b[:len(have)]) && (err == nil || len(have) == 0) // one that cannot be read is none
		return same, nil
	})
	return same && size <= end, err
}
