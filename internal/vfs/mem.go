package vfs

import (
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// defaultCapacity is the size of a Mem in bytes until SetCapacity is called: 1 TiB.
const defaultCapacity = 1 << 40

// Mem is a disk in memory for tests. It keeps what a power cut would leave apart from what is
// read back now: content becomes durable by File.Sync alone, names (of folders too) by SyncDir
// of their folder alone. It is stricter than most real file systems on purpose: a synced file
// whose name was not synced is lost.
//
// Files are kept by identity, as inodes: renamed, linked and removed files behave as on a real
// disk, and an open file stays usable after its last name is gone. Relative and absolute names are the
// same: both start at the root, which always exists. Safe for concurrent use.
type Mem struct {
	mu       sync.Mutex
	root     *node
	capacity int64
	used     int64 // bytes in allocated pages of all files that a live name or an open file holds
	faults
}

// NewMem returns an empty disk of 1 TiB.
func NewMem() *Mem {
	return &Mem{root: newDir(), capacity: defaultCapacity}
}

// node is a file or a folder. All fields but syncMu are guarded by Mem.mu.
type node struct {
	dir bool

	// syncMu orders the syncs of one node, so that an older one cannot undo a newer one. It is taken before Mem.mu.
	syncMu sync.Mutex

	names   map[string]*node // folder: what is seen
	durable map[string]*node // folder: what a power cut leaves
	parent  *node            // folder: where its live name is
	name    string

	content
	links int // file: live names
	opens int // file: open handles
}

func newDir() *node {
	return &node{dir: true, names: map[string]*node{}, durable: map[string]*node{}}
}

// SetCapacity sets the size of the disk in bytes. Less than what is used is allowed: then nothing can grow.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

func pathError(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// lookup finds a node by its live name.
func (m *Mem) lookup(name string) (*node, error) {
	n := m.root
	for part := range strings.SplitSeq(path.Clean("/"+name), "/") {
		if part == "" {
			continue
		}
		if !n.dir {
			return nil, syscall.ENOTDIR
		}
		next, ok := n.names[part]
		if !ok {
			return nil, syscall.ENOENT
		}
		n = next
	}
	return n, nil
}

func (m *Mem) lookupDir(name string) (*node, error) {
	n, err := m.lookup(name)
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	return n, err
}

// entry finds the folder that a name stands in, or would. The root has no such folder.
func (m *Mem) entry(name string) (dir *node, base string, err error) {
	clean := path.Clean("/" + name)
	if clean == "/" {
		return nil, "", syscall.EBUSY
	}
	dir, err = m.lookupDir(path.Dir(clean))
	return dir, path.Base(clean), err
}

// Open opens an existing file for reading and writing.
func (m *Mem) Open(name string) (File, error) { return m.open(name, true) }

// OpenRead opens an existing file for reading.
func (m *Mem) OpenRead(name string) (File, error) { return m.open(name, false) }

func (m *Mem) open(name string, write bool) (File, error) {
	if _, err := m.begin(Op{Kind: OpOpen, Name: name}); err != nil {
		return nil, pathError("open", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(name)
	if err == nil && n.dir {
		err = syscall.EISDIR
	}
	if err != nil {
		return nil, pathError("open", name, err)
	}
	n.opens++
	return &memFile{m: m, n: n, name: name, write: write}, nil
}

// Create makes a new, empty file; fs.ErrExist when the name is taken.
func (m *Mem) Create(name string) (File, error) {
	var f *memFile
	err := m.change(Op{Kind: OpCreate, Name: name}, func() error {
		dir, base, err := m.entry(name)
		if err != nil {
			return err
		}
		if dir.names[base] != nil {
			return syscall.EEXIST
		}
		n := &node{links: 1, opens: 1, content: newContent()}
		dir.names[base] = n
		f = &memFile{m: m, n: n, name: name, write: true}
		return nil
	})
	if err != nil {
		return nil, err // not f: a nil *memFile would be a non-nil File
	}
	return f, nil
}

// change runs one operation on names: the hook, then the work under the lock, unless the machine has crashed.
func (m *Mem) change(op Op, work func() error) error {
	_, err := m.begin(op)
	if err == nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		err = ErrCrashed // it may have crashed while the hook ran
		if !m.crashed {
			err = work()
		}
	}
	if err != nil {
		return pathError(op.Kind.String(), op.Name, err)
	}
	return nil
}

// Mkdir makes one folder; its parent must exist.
func (m *Mem) Mkdir(name string) error {
	return m.change(Op{Kind: OpMkdir, Name: name}, func() error {
		dir, base, err := m.entry(name)
		if err != nil {
			if err == syscall.EBUSY {
				return syscall.EEXIST // the root
			}
			return err
		}
		if dir.names[base] != nil {
			return syscall.EEXIST
		}
		n := newDir()
		n.parent, n.name = dir, base
		dir.names[base] = n
		return nil
	})
}

// Link gives a file a second name; fs.ErrExist when the name is taken.
func (m *Mem) Link(oldname, newname string) error {
	return m.change(Op{Kind: OpLink, Name: oldname, To: newname}, func() error {
		n, err := m.lookup(oldname)
		if err != nil {
			return err
		}
		dir, base, err := m.entry(newname)
		if err != nil {
			return err
		}
		if dir.names[base] != nil {
			return syscall.EEXIST
		}
		if n.dir {
			return syscall.EPERM
		}
		dir.names[base] = n
		n.links++
		return nil
	})
}

// Remove removes a file or an empty folder.
func (m *Mem) Remove(name string) error {
	return m.change(Op{Kind: OpRemove, Name: name}, func() error {
		dir, base, err := m.entry(name)
		if err != nil {
			return err
		}
		n := dir.names[base]
		if n == nil {
			return syscall.ENOENT
		}
		if len(n.names) > 0 {
			return syscall.ENOTEMPTY
		}
		delete(dir.names, base)
		m.unlinked(n)
		return nil
	})
}

// unlinked notes that a live name of a node is gone, and frees its space with the last one.
func (m *Mem) unlinked(n *node) {
	if n.dir {
		n.parent = nil
		return
	}
	n.links--
	m.release(n)
}

func (m *Mem) release(n *node) {
	if n.links == 0 && n.opens == 0 {
		m.used -= n.allocated()
	}
}

// Rename replaces newname when it exists. It is one change: both names are seen changed or neither.
// What is durable of it is decided by SyncDir of each of the two folders.
func (m *Mem) Rename(oldname, newname string) error {
	return m.change(Op{Kind: OpRename, Name: oldname, To: newname}, func() error {
		from, oldbase, err := m.entry(oldname)
		if err != nil {
			return err
		}
		to, newbase, err := m.entry(newname)
		if err != nil {
			return err
		}
		n, old := from.names[oldbase], to.names[newbase]
		if n == nil {
			return syscall.ENOENT
		}
		if n == old && !n.dir {
			return nil // POSIX: two names of one file stay as they are
		}
		if err := mayReplace(n, old, to); err != nil {
			return err
		}
		delete(from.names, oldbase)
		to.names[newbase] = n
		if old != nil {
			m.unlinked(old)
		}
		if n.dir {
			n.parent, n.name = to, newbase
		}
		return nil
	})
}

func mayReplace(n, old, to *node) error {
	for d := to; n.dir && d != nil; d = d.parent {
		if d == n {
			return syscall.EINVAL // into itself
		}
	}
	switch {
	case old == nil:
		return nil
	case old.dir:
		return syscall.EEXIST // os.Rename replaces no folder, not even an empty one
	case n.dir:
		return syscall.ENOTDIR
	}
	return nil
}

// ReadDir lists the names in a folder, sorted as strings; folders end with "/".
func (m *Mem) ReadDir(name string) ([]string, error) {
	if _, err := m.begin(Op{Kind: OpRead, Name: name}); err != nil {
		return nil, pathError("readdir", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.lookupDir(name)
	if err != nil {
		return nil, pathError("readdir", name, err)
	}
	names := make([]string, 0, len(d.names))
	for base, n := range d.names {
		if n.dir {
			base += "/"
		}
		names = append(names, base)
	}
	slices.Sort(names)
	return names, nil
}

// Exists says whether a file or folder of that name is there.
func (m *Mem) Exists(name string) (bool, error) {
	if _, err := m.begin(Op{Kind: OpOpen, Name: name}); err != nil {
		return false, pathError("stat", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	_, err := m.lookup(name)
	switch err {
	case nil:
		return true, nil
	case syscall.ENOENT:
		return false, nil
	}
	return false, pathError("stat", name, err)
}

// FreeBytes is what is left of the capacity.
func (m *Mem) FreeBytes(name string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.lookup(name); err != nil {
		return 0, pathError("statfs", name, err)
	}
	return max(0, m.capacity-m.used), nil
}

// TotalBytes is the capacity.
func (m *Mem) TotalBytes(name string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.lookup(name); err != nil {
		return 0, pathError("statfs", name, err)
	}
	return m.capacity, nil
}

// SyncDir makes the names durable that the folder had when it was called, those that were removed too. It says nothing
// of content, nor of the folder's own name. When it fails, a later one may still succeed.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	d, err := m.lookupDir(name)
	m.mu.Unlock()
	if err != nil {
		return pathError("syncdir", name, err)
	}
	d.syncMu.Lock()
	defer d.syncMu.Unlock()
	m.mu.Lock()
	names := maps.Clone(d.names)
	m.mu.Unlock()
	return m.change(Op{Kind: OpSyncDir, Name: name}, func() error {
		d.durable = names
		return nil
	})
}
