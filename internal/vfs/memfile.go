package vfs

import (
	"errors"
	"io"
	"io/fs"
	"sync/atomic"
	"syscall"
)

// memFile is an open file of a Mem.
type memFile struct {
	m      *Mem
	n      *node
	name   string
	write  bool
	closed atomic.Bool
}

func (f *memFile) check(off int64, write bool) error {
	switch {
	case f.closed.Load():
		return fs.ErrClosed
	case write && !f.write:
		return syscall.EBADF
	case off < 0:
		return syscall.EINVAL
	}
	return nil
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	err := f.check(off, false)
	if err == nil {
		_, err = f.m.begin(Op{Kind: OpRead, Name: f.name, Off: off, N: len(b)})
	}
	if err != nil {
		return 0, pathError("read", f.name, err)
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	n := f.n.live.readAt(b, off)
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, off int64) (int, error) {
	if err := f.check(off, true); err != nil {
		return 0, pathError("write", f.name, err)
	}
	crashing, err := f.m.begin(Op{Kind: OpWrite, Name: f.name, Off: off, N: len(b)})
	var short ErrShort
	switch {
	case crashing:
		b = b[:len(b)/2]
	case errors.As(err, &short):
		b = b[:max(0, min(short.N, len(b)))]
	case err != nil:
		return 0, pathError("write", f.name, err)
	}
	n, werr := f.m.writeNode(f.n, b, off, crashing)
	if err == nil {
		err = werr
	}
	if err != nil {
		return n, pathError("write", f.name, err)
	}
	return n, nil
}

// writeNode writes as much as the capacity allows; on a crashed machine only if this is the write that crashed it.
func (m *Mem) writeNode(n *node, b []byte, off int64, crashing bool) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.crashed && !crashing {
		return 0, ErrCrashed
	}
	if off+int64(len(b)) > maxFileBytes {
		return 0, syscall.EFBIG
	}
	before := n.allocated()
	done := n.content.writeAt(b, off, m.capacity-m.used)
	m.used += n.allocated() - before
	if done < len(b) {
		return done, syscall.ENOSPC
	}
	return done, nil
}

// Truncate sets the size. Making a file longer leaves a hole, which takes no space until it is written.
func (f *memFile) Truncate(size int64) error {
	err := f.check(size, true)
	if err == nil && size > maxFileBytes {
		err = syscall.EFBIG
	}
	if err == nil {
		_, err = f.m.begin(Op{Kind: OpTruncate, Name: f.name, Off: size})
	}
	if err != nil {
		return pathError("truncate", f.name, err)
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.m.crashed {
		return pathError("truncate", f.name, ErrCrashed)
	}
	before := f.n.allocated()
	f.n.content.truncate(size)
	f.m.used += f.n.allocated() - before
	return nil
}

// Sync makes durable what was written before it was called; what is written while it waits in the hook stays dirty.
// When the hook fails it, the file's dirty pages become clean without being durable, as in Linux: they still read
// back, and a later Sync that succeeds does not make them durable unless they are written again.
func (f *memFile) Sync() error {
	if err := f.check(0, false); err != nil {
		return pathError("sync", f.name, err)
	}
	f.n.syncMu.Lock()
	defer f.n.syncMu.Unlock()
	f.m.mu.Lock()
	pending := f.n.content.startSync()
	f.m.mu.Unlock()

	_, err := f.m.begin(Op{Kind: OpSync, Name: f.name})

	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.m.crashed {
		err = ErrCrashed // while the hook ran
	}
	switch {
	case errors.Is(err, ErrCrashed):
		// Nobody will ask again: what was dirty stays so for CrashClone.
	case err != nil:
		f.n.content.failSync(pending)
	default:
		f.n.content.finishSync(pending)
		return nil
	}
	return pathError("sync", f.name, err)
}

func (f *memFile) Size() (int64, error) {
	if err := f.check(0, false); err != nil {
		return 0, pathError("stat", f.name, err)
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.n.live.size, nil
}

func (f *memFile) Close() error {
	if f.closed.Swap(true) {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.opens--
	f.m.release(f.n)
	return nil
}
