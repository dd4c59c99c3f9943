// Command lossyfs mounts a folder so that a power cut can be staged: lossyfs [-torn SEED] [-strict] MOUNT STATE.
//
// Everything works as usual while it runs. On SIGUSR1 it writes STATE/after-crash: what a machine would find after
// losing power at that instant, that is, only data that had been fsynced (plus, with -torn, a random part of the
// data that had not), under only those names that were durable. It prints "crash image N" when the image is whole.
//
// A name, a folder's too, becomes durable when the folder it stands in is fsynced; unless -strict, also when the
// file itself is (as ext4 does).
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

type node struct {
	fs.LoopbackNode
	s *state
}

func (n *node) rel() string { return n.Path(n.Root()) }

type handle struct {
	n *node
	f *os.File
	i id
}

func (n *node) open(flags uint32, mode uint32, path string) (*handle, syscall.Errno) {
	fd, err := syscall.Open(path, int(flags)&^syscall.O_APPEND|syscall.O_CLOEXEC, mode)
	if err != nil {
		return nil, fs.ToErrno(err)
	}
	n.s.mu.Lock()
	defer n.s.mu.Unlock()
	i, err := n.s.identify(path)
	if err != nil {
		_ = syscall.Close(fd)
		return nil, fs.ToErrno(err)
	}
	return &handle{n, os.NewFile(uintptr(fd), path), i}, 0
}

func (n *node) Open(_ context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_ACCMODE == syscall.O_WRONLY {
		flags = flags&^syscall.O_ACCMODE | syscall.O_RDWR // fsync reads the data back
	}
	path := filepath.Join(n.s.live, n.rel())
	if flags&syscall.O_TRUNC != 0 {
		if err := n.s.resized(path, 0); err != nil {
			return nil, 0, fs.ToErrno(err)
		}
	}
	h, e := n.open(flags, 0, path)
	if e != 0 {
		return nil, 0, e
	}
	return h, fuse.FOPEN_DIRECT_IO, 0
}

func (n *node) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	ino, fh, ff, e := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	if e != 0 {
		return nil, nil, 0, e
	}
	if r, ok := fh.(fs.FileReleaser); ok {
		r.Release(ctx)
	}
	h, e := ino.Operations().(*node).open(syscall.O_RDWR, 0, filepath.Join(n.s.live, n.rel(), name))
	if e != 0 {
		return nil, nil, 0, e
	}
	return ino, h, ff | fuse.FOPEN_DIRECT_IO, 0
}

func (n *node) Unlink(ctx context.Context, name string) syscall.Errno {
	return n.s.removing(filepath.Join(n.s.live, n.rel(), name), func() syscall.Errno { return n.LoopbackNode.Unlink(ctx, name) })
}

func (n *node) Rmdir(ctx context.Context, name string) syscall.Errno {
	return n.s.removing(filepath.Join(n.s.live, n.rel(), name), func() syscall.Errno { return n.LoopbackNode.Rmdir(ctx, name) })
}

func (n *node) Rename(ctx context.Context, name string, to fs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	target := filepath.Join(n.s.live, to.EmbeddedInode().Path(n.Root()), newName)
	op := func() syscall.Errno { return n.LoopbackNode.Rename(ctx, name, to, newName, flags) }
	if flags != 0 { // exchange and no-replace take no name away
		n.s.mu.Lock()
		defer n.s.mu.Unlock()
		return op()
	}
	return n.s.removing(target, op)
}

func (n *node) Fsync(_ context.Context, fh fs.FileHandle, _ uint32) syscall.Errno {
	if h, ok := fh.(*handle); ok {
		return n.s.fsyncFile(h.i, n.rel(), h.f)
	}
	return n.s.fsyncDir(n.rel())
}

// OpendirHandle exists for the sake of Fsyncdir: the library's own handle would sync the folder below and tell us nothing.
func (n *node) OpendirHandle(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	h, ff, e := n.LoopbackNode.OpendirHandle(ctx, flags)
	if e != 0 {
		return nil, 0, e
	}
	d, ok := h.(dirStream)
	if !ok {
		return nil, 0, syscall.EIO
	}
	return &folder{d, n}, ff, 0
}

type dirStream interface {
	fs.FileReaddirenter
	fs.FileSeekdirer
	fs.FileReleasedirer
}

type folder struct {
	dirStream
	n *node
}

func (f *folder) Fsyncdir(context.Context, uint32) syscall.Errno { return f.n.s.fsyncDir(f.n.rel()) }

func (n *node) Getattr(ctx context.Context, _ fs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	return n.LoopbackNode.Getattr(ctx, nil, out)
}

func (n *node) Setattr(ctx context.Context, _ fs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if err := n.s.resized(filepath.Join(n.s.live, n.rel()), int64(size)); err != nil {
			return fs.ToErrno(err)
		}
	}
	return n.LoopbackNode.Setattr(ctx, nil, in, out)
}

func (h *handle) Read(_ context.Context, b []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	k, err := h.f.ReadAt(b, off)
	if err != nil && err != io.EOF {
		return nil, fs.ToErrno(err)
	}
	return fuse.ReadResultData(b[:k]), 0
}

func (h *handle) Write(_ context.Context, b []byte, off int64) (uint32, syscall.Errno) {
	k, err := h.f.WriteAt(b, off)
	h.n.s.wrote(h.i, off, int64(k))
	return uint32(k), fs.ToErrno(err)
}

func (h *handle) Flush(context.Context) syscall.Errno   { return 0 }
func (h *handle) Release(context.Context) syscall.Errno { return fs.ToErrno(h.f.Close()) }

// Allocate counts as a write: the zeros it makes visible are not durable before the next fsync either.
func (h *handle) Allocate(_ context.Context, off, n uint64, mode uint32) syscall.Errno {
	if err := syscall.Fallocate(int(h.f.Fd()), mode, int64(off), int64(n)); err != nil {
		return fs.ToErrno(err)
	}
	h.n.s.wrote(h.i, int64(off), int64(n))
	return 0
}

func main() {
	torn := flag.Int64("torn", 0, "random seed; also lets part of the unsynced data survive")
	strict := flag.Bool("strict", false, "a name is durable only after its folder was fsynced")
	flag.Parse()
	if flag.NArg() != 2 {
		log.Fatal("usage: lossyfs [-torn SEED] [-strict] MOUNT STATE")
	}
	mount, dir := flag.Arg(0), flag.Arg(1)
	s, err := newState(dir, *strict, *torn)
	must(err)
	srv, err := fs.Mount(mount, tree(s), &fs.Options{MountOptions: fuse.MountOptions{FsName: "lossyfs", Name: "lossyfs", DirectMount: true}})
	must(err)
	sig := make(chan os.Signal, 8)
	signal.Notify(sig, syscall.SIGUSR1, syscall.SIGTERM, os.Interrupt)
	fmt.Println("mounted") // from here on a signal is obeyed
	go obey(sig, s, filepath.Join(dir, "after-crash"), srv)
	srv.Wait()
}

func tree(s *state) fs.InodeEmbedder {
	var st syscall.Stat_t
	must(syscall.Stat(s.live, &st))
	root := &fs.LoopbackRoot{Path: s.live, Dev: uint64(st.Dev)}
	root.NewNode = func(r *fs.LoopbackRoot, _ *fs.Inode, _ string, _ *syscall.Stat_t) fs.InodeEmbedder {
		return &node{fs.LoopbackNode{RootData: r}, s}
	}
	root.RootNode = &node{fs.LoopbackNode{RootData: root}, s}
	return root.RootNode
}

func obey(sig <-chan os.Signal, s *state, out string, srv *fuse.Server) {
	for x := range sig {
		if x != syscall.SIGUSR1 {
			_ = srv.Unmount()
			continue
		}
		if err := s.crash(out); err != nil {
			log.Println("crash image:", err)
			fmt.Println("crash failed")
			continue
		}
		fmt.Println("crash image", s.crashes, "fsyncs", s.fsyncs)
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
