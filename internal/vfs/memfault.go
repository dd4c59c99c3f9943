package vfs

import (
	"errors"
	"fmt"
	"io"
)

// OpKind names what a Mem is asked to do.
type OpKind int

// All kinds up to OpTruncate change the disk and are counted by Mem.Ops.
const (
	OpCreate OpKind = iota + 1
	OpWrite
	OpSync
	OpSyncDir
	OpRename
	OpLink
	OpRemove
	OpMkdir
	OpTruncate
	OpOpen // Open, OpenRead, Exists
	OpRead // ReadAt, ReadDir
)

func (k OpKind) String() string {
	names := [...]string{"?", "create", "write", "sync", "syncdir", "rename", "link", "remove", "mkdir", "truncate", "open", "read"}
	if k < 0 || int(k) >= len(names) {
		k = 0
	}
	return names[k]
}

func (k OpKind) mutates() bool { return k <= OpTruncate }

// Op is one operation, before it is done.
type Op struct {
	Kind OpKind
	Name string // as the caller wrote it; of an open file the name it was opened by
	To   string // the new name, for Rename and Link
	Seq  int    // number of this mutating operation, from 1; for others, of the last one before
	Off  int64  // for Read and Write; the new size for Truncate
	N    int    // bytes to read or write
}

func (o Op) String() string {
	return fmt.Sprintf("#%d %s %s %s off=%d n=%d", o.Seq, o.Kind, o.Name, o.To, o.Off, o.N)
}

// ErrCrashed is the answer to every operation from the crash on.
var ErrCrashed = errors.New("vfs: the machine has crashed")

// ErrShort is for a hook to return: it lets the first N bytes through and then fails.
// For other operations it is an error as any other.
type ErrShort struct {
	N   int
	Err error // the cause; io.ErrShortWrite when nil
}

func (e ErrShort) Error() string { return fmt.Sprintf("wrote %d bytes: %v", e.N, e.Unwrap()) }

func (e ErrShort) Unwrap() error {
	if e.Err == nil {
		return io.ErrShortWrite
	}
	return e.Err
}

// faults is the part of a Mem that fails on demand. Guarded by Mem.mu.
type faults struct {
	hook    func(Op) error
	ops     int
	crashAt int // 0: never
	crashed bool
}

// SetHook sets a function that is asked before every operation; nil takes it away. An error of it fails
// the operation without effect, except that ErrShort writes a part, and that a failed Sync loses what it should
// have made durable (see File.Sync of the returned files). The hook is called without a lock: it may wait, and
// may call the Mem, CrashClone too. It may be called from many goroutines at once.
func (m *Mem) SetHook(hook func(Op) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = hook
}

// Ops counts the mutating operations so far, those that failed too.
func (m *Mem) Ops() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ops
}

// CrashAt lets the n-th mutating operation (counted as Ops does) and every operation after it fail with ErrCrashed.
// If the n-th is a write, its first half is written. Zero takes a crash that has not happened yet back.
func (m *Mem) CrashAt(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crashAt = n
}

// Crash stops the machine now: every operation from here on fails with ErrCrashed, those that wait in the hook too.
func (m *Mem) Crash() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crashed = true
}

// Crashed says whether the crash has happened.
func (m *Mem) Crashed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.crashed
}

// begin counts the operation and asks the hook. crashing says that this very operation is the crash.
func (m *Mem) begin(op Op) (crashing bool, err error) {
	m.mu.Lock()
	if m.crashed {
		m.mu.Unlock()
		return false, ErrCrashed
	}
	if op.Kind.mutates() {
		m.ops++
		if m.crashAt > 0 && m.ops >= m.crashAt {
			m.crashed = true
			m.mu.Unlock()
			return true, ErrCrashed
		}
	}
	op.Seq = m.ops
	hook := m.hook
	m.mu.Unlock()
	if hook == nil {
		return false, nil
	}
	return false, hook(op)
}
