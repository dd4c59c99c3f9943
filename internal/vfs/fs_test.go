package vfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// eachFS runs a contract test on every implementation, in a fresh folder.
func eachFS(t *testing.T, test func(t *testing.T, f FS, dir string)) {
	t.Run("os", func(t *testing.T) { test(t, NewOS(), t.TempDir()) })
	t.Run("mem", func(t *testing.T) {
		m := NewMem()
		must(t, MkdirAll(m, "/data"))
		test(t, m, "/data")
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Fatalf("error is %v, want %v", got, want)
	}
}

func create(t testing.TB, f FS, name, data string) File {
	t.Helper()
	h, err := f.Create(name)
	must(t, err)
	write(t, h, 0, data)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

func write(t testing.TB, h File, off int64, data string) {
	t.Helper()
	n, err := h.WriteAt([]byte(data), off)
	if err != nil || n != len(data) {
		t.Fatalf("write: %d, %v", n, err)
	}
}

func contentOf(t testing.TB, f FS, name string) string {
	t.Helper()
	b, err := ReadFile(f, name, 1<<30)
	must(t, err)
	return string(b)
}

func wantContent(t testing.TB, f FS, name, want string) {
	t.Helper()
	if got := contentOf(t, f, name); got != want {
		t.Fatalf("%s is %.80q (%d bytes), want %.80q (%d bytes)", name, got, len(got), want, len(want))
	}
}

func wantNames(t testing.TB, f FS, dir string, want ...string) {
	t.Helper()
	got, err := f.ReadDir(dir)
	must(t, err)
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Fatalf("%s holds %q, want %q", dir, got, want)
	}
}

func TestFilesReadBackWhatWasWritten(t *testing.T) {
	eachFS(t, func(t *testing.T, f FS, dir string) {
		h := create(t, f, dir+"/a", "hello")
		write(t, h, 5000, "far")
		n, err := h.Size()
		must(t, err)
		if n != 5003 {
			t.Fatalf("size %d", n)
		}
		wantContent(t, f, dir+"/a", "hello"+strings.Repeat("\x00", 4995)+"far")
		must(t, h.Truncate(3))
		must(t, h.Truncate(6))
		wantContent(t, f, dir+"/a", "hel\x00\x00\x00")
		b := make([]byte, 4)
		got, err := h.ReadAt(b, 4)
		if got != 2 || err != io.EOF {
			t.Fatalf("read over the end: %d, %v", got, err)
		}
		got, err = h.ReadAt(b, 100)
		if got != 0 || err != io.EOF {
			t.Fatalf("read behind the end: %d, %v", got, err)
		}
		must(t, h.Sync())
		must(t, f.SyncDir(dir))
	})
}

func TestErrorsOfFiles(t *testing.T) {
	eachFS(t, func(t *testing.T, f FS, dir string) {
		h := create(t, f, dir+"/a", "x")
		must(t, f.Mkdir(dir+"/d"))
		_, err := f.Create(dir + "/a")
		wantErr(t, err, fs.ErrExist)
		_, err = f.Create(dir + "/none/a")
		wantErr(t, err, fs.ErrNotExist)
		_, err = f.Create(dir + "/a/b")
		wantErr(t, err, syscall.ENOTDIR)
		none, err := f.Open(dir + "/none")
		wantErr(t, err, fs.ErrNotExist)
		if none != nil {
			t.Fatal("a failed Open returns a file")
		}
		_, err = f.OpenRead(dir + "/none")
		wantErr(t, err, fs.ErrNotExist)
		_, err = f.Open(dir + "/d")
		wantErr(t, err, syscall.EISDIR)

		r, err := f.OpenRead(dir + "/a")
		must(t, err)
		if _, err = r.WriteAt([]byte("y"), 0); err == nil {
			t.Fatal("wrote to a file opened for reading")
		}
		if r.Truncate(0) == nil {
			t.Fatal("cut a file opened for reading")
		}
		must(t, r.Close())
		_, err = r.ReadAt(make([]byte, 1), 0)
		wantErr(t, err, fs.ErrClosed)
		wantErr(t, r.Close(), fs.ErrClosed)
		if _, err := h.WriteAt([]byte("y"), -1); err == nil {
			t.Fatal("wrote before the start")
		}
		if h.Truncate(-1) == nil {
			t.Fatal("cut to a negative size")
		}
		wantContent(t, f, dir+"/a", "x")
	})
}

func TestNames(t *testing.T) {
	eachFS(t, func(t *testing.T, f FS, dir string) {
		create(t, f, dir+"/a.b", "1")
		must(t, f.Mkdir(dir+"/a"))
		wantErr(t, f.Mkdir(dir+"/a"), fs.ErrExist)
		wantErr(t, f.Mkdir(dir+"/x/y"), fs.ErrNotExist)
		wantNames(t, f, dir, "a.b", "a/")

		must(t, f.Link(dir+"/a.b", dir+"/a/c"))
		wantErr(t, f.Link(dir+"/a.b", dir+"/a/c"), fs.ErrExist)
		wantErr(t, f.Link(dir+"/none", dir+"/z"), fs.ErrNotExist)
		must(t, f.Rename(dir+"/a.b", dir+"/a/c")) // two names of one file: nothing happens
		wantNames(t, f, dir, "a.b", "a/")

		wantErr(t, f.Remove(dir+"/a"), syscall.ENOTEMPTY)
		wantErr(t, f.Remove(dir+"/none"), fs.ErrNotExist)
		must(t, f.Remove(dir+"/a/c"))
		wantContent(t, f, dir+"/a.b", "1")
		must(t, f.Remove(dir+"/a"))
		wantNames(t, f, dir, "a.b")
		for name, want := range map[string]bool{"": true, "/a.b": true, "/none": false, "/none/x": false} {
			got, err := f.Exists(dir + name)
			must(t, err)
			if got != want {
				t.Fatalf("Exists(%q) = %v", name, got)
			}
		}
		if _, err := f.ReadDir(dir + "/none"); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		wantErr(t, f.SyncDir(dir+"/none"), fs.ErrNotExist)
		wantErr(t, f.SyncDir(dir+"/a.b"), syscall.ENOTDIR)
	})
}

func TestRename(t *testing.T) {
	eachFS(t, func(t *testing.T, f FS, dir string) {
		create(t, f, dir+"/a", "1")
		old := create(t, f, dir+"/b", "2")
		must(t, f.Rename(dir+"/a", dir+"/b"))
		wantNames(t, f, dir, "b")
		wantContent(t, f, dir+"/b", "1")
		b := make([]byte, 1)
		if _, err := old.ReadAt(b, 0); err != nil || b[0] != '2' {
			t.Fatal("the replaced file, still open, is gone", err)
		}
		must(t, f.Mkdir(dir+"/d"))
		must(t, f.Mkdir(dir+"/e"))
		create(t, f, dir+"/e/x", "3")
		wantErr(t, f.Rename(dir+"/b", dir+"/d"), fs.ErrExist)
		wantErr(t, f.Rename(dir+"/d", dir+"/b"), syscall.ENOTDIR)
		wantErr(t, f.Rename(dir+"/d", dir+"/d/in"), syscall.EINVAL)
		wantErr(t, f.Rename(dir+"/none", dir+"/n"), fs.ErrNotExist)
		wantErr(t, f.Rename(dir+"/d", dir+"/e"), fs.ErrExist)
		wantErr(t, f.Rename(dir+"/e", dir+"/d"), fs.ErrExist)
		must(t, f.Rename(dir+"/e", dir+"/d/e"))
		wantContent(t, f, dir+"/d/e/x", "3")
	})
}

func TestRemovedFileStaysUsableWhileOpen(t *testing.T) {
	eachFS(t, func(t *testing.T, f FS, dir string) {
		h := create(t, f, dir+"/a", "1")
		must(t, f.Remove(dir+"/a"))
		write(t, h, 1, "2")
		b := make([]byte, 2)
		if _, err := h.ReadAt(b, 0); err != nil || string(b) != "12" {
			t.Fatal(string(b), err)
		}
		must(t, h.Sync())
		wantNames(t, f, dir)
	})
}

func TestHelpersOnEachFS(t *testing.T) {
	eachFS(t, func(t *testing.T, f FS, dir string) {
		name := dir + "/x/y/file"
		must(t, MkdirAll(f, filepath.Dir(name)))
		must(t, MkdirAll(f, filepath.Dir(name)))
		must(t, WriteFileAtomic(f, name, []byte("one")))
		must(t, WriteFileAtomic(f, name, nil))
		wantContent(t, f, name, "")
		must(t, WriteFileAtomic(f, name, []byte("two")))
		wantContent(t, f, name, "two")
		wantNames(t, f, dir+"/x/y", "file")
		if _, err := ReadFile(f, name, 2); err == nil {
			t.Fatal("read more than the limit")
		}
		free, err := f.FreeBytes(dir)
		must(t, err)
		total, err := f.TotalBytes(dir)
		must(t, err)
		if free <= 0 || free > total {
			t.Fatalf("free %d of %d", free, total)
		}
		_, err = f.FreeBytes(dir + "/none")
		wantErr(t, err, fs.ErrNotExist)
		_, err = f.TotalBytes(dir + "/none")
		wantErr(t, err, fs.ErrNotExist)
	})
}

// The Mem does the same as the disk for any sequence of operations.
func TestMemAgreesWithTheDisk(t *testing.T) {
	for seed := range int64(30) {
		r := rand.New(rand.NewSource(seed))
		disk, dir := NewOS(), t.TempDir()
		mem := NewMem()
		for step := range 150 {
			what, a := randomStep(r, disk, dir, seed<<20+int64(step))
			_, b := randomStep(r, mem, "/", seed<<20+int64(step))
			if (a == nil) != (b == nil) {
				t.Fatalf("seed %d step %d %s: disk says %v, mem says %v", seed, step, what, a, b)
			}
			if step%10 == 0 {
				mem = mem.KillClone()
			}
		}
		if a, b := dump(t, disk, dir), dump(t, mem, "/"); !reflect.DeepEqual(a, b) {
			t.Fatalf("seed %d:\ndisk %.200v\nmem  %.200v", seed, a, b)
		}
	}
}

func randomStep(_ *rand.Rand, f FS, dir string, seed int64) (string, error) {
	r := rand.New(rand.NewSource(seed))
	pick := func() string {
		return filepath.Join(dir, []string{"a", "b", "c", "d", "d/a", "d/b", "e", "e/a"}[r.Intn(8)])
	}
	x, y := pick(), pick()
	switch r.Intn(9) {
	case 0:
		return "mkdir " + x, f.Mkdir(x)
	case 1:
		return "rename " + x + " " + y, f.Rename(x, y)
	case 2:
		return "link " + x + " " + y, f.Link(x, y)
	case 3:
		return "remove " + x, f.Remove(x)
	case 4:
		h, err := f.Create(x)
		if err == nil {
			err = h.Close()
		}
		return "create " + x, err
	}
	h, err := f.Open(x)
	if err != nil {
		return "open " + x, err
	}
	defer h.Close()
	off := int64(r.Intn(20000))
	switch r.Intn(4) {
	case 0:
		return "truncate " + x, h.Truncate(off)
	case 1:
		return "sync " + x, h.Sync()
	}
	b := make([]byte, 1+r.Intn(9000))
	_, _ = r.Read(b)
	_, err = h.WriteAt(b, off)
	return "write " + x, err
}

// dump reads a whole tree.
func dump(t testing.TB, f FS, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	var walk func(rel string)
	walk = func(rel string) {
		names, err := f.ReadDir(filepath.Join(dir, rel))
		must(t, err)
		for _, n := range names {
			name := filepath.Join(rel, n)
			if strings.HasSuffix(n, "/") {
				all[name+"/"] = ""
				walk(name)
				continue
			}
			all[name] = contentOf(t, f, filepath.Join(dir, name))
		}
	}
	walk("")
	return all
}

func fill(b byte, n int) string { return string(bytes.Repeat([]byte{b}, n)) }
