package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	fuse "github.com/hanwen/go-fuse/v2/fs"
)

// id names one file or folder for its whole life. Inode numbers will not do: the file system below
// gives the number of a removed file to the next one, whose data would then show under the old name.
type id uint64

const rootID id = 1

type span struct{ off, end int64 }

// state knows what is durable: file contents as blobs, folders as tables of names.
type state struct {
	mu              sync.Mutex
	live, store     string
	ids             map[uint64]id        // by inode number, of what exists now
	next            id                   //
	dirs            map[id]map[string]id // durable names, for each folder
	isDir           map[id]bool          //
	dirty           map[id][]span        // written since that file's last fsync
	strict, torn    bool                 //
	rnd             *rand.Rand           //
	fsyncs, crashes int                  //
}

func newState(dir string, strict bool, torn int64) (*state, error) {
	s := &state{live: filepath.Join(dir, "live"), store: filepath.Join(dir, "durable"),
		ids: map[uint64]id{}, next: rootID, dirs: map[id]map[string]id{}, isDir: map[id]bool{}, dirty: map[id][]span{},
		strict: strict, torn: torn != 0, rnd: rand.New(rand.NewSource(torn))}
	for _, d := range []string{s.live, s.store} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	return s, s.adopt()
}

// adopt counts what lies there at the start as durable.
func (s *state) adopt() error {
	return filepath.WalkDir(s.live, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		me, err := s.identify(p)
		if err != nil {
			return err
		}
		if p != s.live {
			parent, err := s.identify(filepath.Dir(p))
			if err != nil {
				return err
			}
			s.dirs[parent][d.Name()] = me
		}
		if d.IsDir() {
			s.dirs[me] = map[string]id{}
			return nil
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return err
		}
		return s.persist(me, f, []span{{0, st.Size()}}, st.Size())
	})
}

func inode(p string) (ino uint64, dir bool, err error) {
	var st syscall.Stat_t
	if err := syscall.Lstat(p, &st); err != nil {
		return 0, false, err
	}
	return st.Ino, st.Mode&syscall.S_IFMT == syscall.S_IFDIR, nil
}

// identify returns the id of what lies at a path below live.
func (s *state) identify(p string) (id, error) {
	ino, dir, err := inode(p)
	if err != nil {
		return 0, err
	}
	if i, ok := s.ids[ino]; ok {
		return i, nil
	}
	return s.assign(ino, dir), nil
}

func (s *state) assign(ino uint64, dir bool) id {
	i := s.next
	s.next++
	s.ids[ino], s.isDir[i] = i, dir
	return i
}

// removing runs an operation that takes the name p away and forgets whom its inode number stood for, if
// that was the last name. All under the lock, so that nobody sees the number in its next use by the old id.
func (s *state) removing(p string, op func() syscall.Errno) syscall.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	var st syscall.Stat_t
	there := syscall.Lstat(p, &st) == nil
	if e := op(); e != 0 {
		return e
	}
	if there && (st.Nlink == 1 || st.Mode&syscall.S_IFMT == syscall.S_IFDIR) {
		delete(s.ids, st.Ino)
	}
	return 0
}

func (s *state) blob(i id) string { return filepath.Join(s.store, fmt.Sprint(uint64(i))) }

func (s *state) wrote(i id, off, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dirty[i]
	if k := len(d); k > 0 && d[k-1].end == off {
		d[k-1].end += n
		return
	}
	s.dirty[i] = append(d, span{off, off + n})
}

// resized notes a change of size: what is cut off and grown again is zeros, not the old bytes.
func (s *state) resized(p string, size int64) error {
	s.mu.Lock()
	i, err := s.identify(p)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	st, err := os.Stat(p)
	if err != nil {
		return err
	}
	if lo, hi := min(size, st.Size()), max(size, st.Size()); lo < hi {
		s.wrote(i, lo, hi-lo)
	}
	return nil
}

// persist copies the given spans of the live file into its durable blob and cuts the blob to size.
func (s *state) persist(i id, src io.ReaderAt, spans []span, size int64) error {
	f, err := os.OpenFile(s.blob(i), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return err
	}
	for _, sp := range spans {
		end := min(sp.end, size)
		if sp.off >= end {
			continue
		}
		if _, err := io.Copy(io.NewOffsetWriter(f, sp.off), io.NewSectionReader(src, sp.off, end-sp.off)); err != nil {
			return err
		}
	}
	return nil
}

func (s *state) fsyncFile(i id, rel string, f *os.File) syscall.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, err := f.Stat()
	if err != nil {
		return fuse.ToErrno(err)
	}
	s.fsyncs++
	if err := s.persist(i, f, s.dirty[i], st.Size()); err != nil {
		return fuse.ToErrno(err)
	}
	delete(s.dirty, i)
	if !s.strict {
		return fuse.ToErrno(s.keepPath(rel))
	}
	return 0
}

// keepPath makes the name of a file and of the folders above it durable.
func (s *state) keepPath(rel string) error {
	for p := filepath.Clean(rel); p != "." && p != "/"; p = filepath.Dir(p) {
		me, err := s.identify(filepath.Join(s.live, p))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while open: no name to keep
		}
		if err != nil {
			return err
		}
		parent, err := s.identify(filepath.Dir(filepath.Join(s.live, p)))
		if err != nil {
			return err
		}
		if s.dirs[parent] == nil {
			s.dirs[parent] = map[string]id{}
		}
		s.dirs[parent][filepath.Base(p)] = me
	}
	return nil
}

func (s *state) fsyncDir(rel string) syscall.Errno {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := filepath.Join(s.live, rel)
	me, err := s.identify(dir)
	if err != nil {
		return fuse.ToErrno(err)
	}
	ents, err := os.ReadDir(dir)
	if err != nil {
		return fuse.ToErrno(err)
	}
	s.fsyncs++
	names := make(map[string]id, len(ents))
	for _, e := range ents {
		i, err := s.identify(filepath.Join(dir, e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fuse.ToErrno(err)
		}
		names[e.Name()] = i
	}
	s.dirs[me] = names
	return 0
}

// crash writes what a machine would find after losing power now.
func (s *state) crash(out string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crashes++
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	return s.image(rootID, out, s.live)
}

func (s *state) image(dir id, out, live string) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for name, i := range s.dirs[dir] {
		to, from := filepath.Join(out, name), filepath.Join(live, name)
		if s.isDir[i] {
			if err := s.image(i, to, from); err != nil {
				return err
			}
			continue
		}
		data, err := os.ReadFile(s.blob(i))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if s.torn && len(s.dirty[i]) > 0 {
			if now, err := os.ReadFile(from); err == nil {
				data = s.tear(data, now, s.dirty[i])
			}
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// tear lets a random part of the unsynced pages reach the disk: each page whole or not at all, size anywhere between.
func (s *state) tear(data, live []byte, spans []span) []byte {
	size := len(data)
	if len(live) > size {
		size += s.rnd.Intn(len(live) - size + 1)
	}
	out := make([]byte, size)
	copy(out, data)
	const page = 4096
	for _, sp := range spans {
		for p := sp.off; p < sp.end; p = (p/page + 1) * page {
			end := min((p/page+1)*page, sp.end, int64(len(live)), int64(size))
			if p < end && s.rnd.Intn(2) == 0 {
				copy(out[p:end], live[p:end])
			}
		}
	}
	return out
}
