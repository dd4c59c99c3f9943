package filestore

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"hydrant/internal/sinktest"
	"hydrant/internal/vfs"
	"hydrant/record"
)

const data = "/data"

func subject(t *testing.T, f vfs.FS, dir string) sinktest.Subject {
	t.Helper()
	s := New(f, dir)
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	return sinktest.Subject{Store: s, Read: func(bucket, key string) ([]byte, bool) { return read(t, s, bucket, key) }}
}

// locate gives the file that holds a key's object, and false when there is none.
func locate(s *Store, bucket, key string) (file string, exists bool, err error) {
	at, err := s.find(bucket, key)
	return filepath.Join(s.objects, at.path), at.exists, err
}

func read(t *testing.T, s *Store, bucket, key string) ([]byte, bool) {
	t.Helper()
	file, exists, err := locate(s, bucket, key)
	if err != nil {
		t.Fatal(err)
	}
	if !exists {
		return nil, false
	}
	b, err := vfs.ReadFile(s.fs, file, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b, true
}

func newMem(t *testing.T) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	if err := vfs.MkdirAll(m, data); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestContractInMemory(t *testing.T) {
	sinktest.RunObjectStore(t, func(t *testing.T) sinktest.Subject {
		m := newMem(t)
		s := subject(t, m, data)
		s.FailOnce = func() {
			m.SetHook(func(op vfs.Op) error {
				if op.Kind == vfs.OpSync {
					m.SetHook(nil)
					return syscall.EIO
				}
				return nil
			})
		}
		return s
	})
}

func TestContractOnDisk(t *testing.T) {
	sinktest.RunObjectStore(t, func(t *testing.T) sinktest.Subject { return subject(t, vfs.NewOS(), t.TempDir()) })
}

func object(key, body string, n int) *record.Object {
	return sinktest.Object(key, []byte(body), sinktest.Identity(n))
}

func mustPut(t *testing.T, s *Store, key, body string, n int) {
	t.Helper()
	if out := s.Put(context.Background(), object(key, body, n)); out.Kind != record.Delivered {
		t.Fatalf("%q: %+v", key, out)
	}
}

func mustHold(t *testing.T, s *Store, key, want string, n int) {
	t.Helper()
	got, ok := read(t, s, sinktest.Bucket, key)
	found, _, err := s.Head(context.Background(), sinktest.Bucket, key)
	if !ok || string(got) != want || err != nil || found == nil || *found != sinktest.Identity(n) {
		t.Errorf("%q holds %q of %v (%v), want %q", key, got, found, err, want)
	}
}

// An object and a folder of one name, in every order, on both disks.
func TestNamesThatCollide(t *testing.T) {
	orders := [][]string{
		{"a", "a/b"}, {"a/b", "a"}, {"a/b/c", "a/b", "a"}, {"a", "a/b", "a/b/c"}, {"a/b", "a", "a/b/c", "a/c"},
		{"a/", "a"}, {"a", "a/"}, {"a//b", "a/", "a"}, {"x/a%o", "x/a", "x/a/b", "x/a%o/b"},
	}
	for _, keys := range orders {
		for name, mk := range map[string]func() (vfs.FS, string){
			"memory": func() (vfs.FS, string) { return newMem(t), data },
			"disk":   func() (vfs.FS, string) { return vfs.NewOS(), t.TempDir() },
		} {
			t.Run(name+" "+strings.Join(keys, " "), func(t *testing.T) {
				f, dir := mk()
				s := New(f, dir)
				for i, k := range keys {
					mustPut(t, s, k, k, i+1)
				}
				s = New(f, dir) // nothing may live in memory only
				for i, k := range keys {
					mustHold(t, s, k, k, i+1)
					if out := s.Put(context.Background(), object(k, "other", 99)); out.Kind != record.Exists {
						t.Errorf("%q again: %+v", k, out)
					}
					at, _, _ := locate(s, sinktest.Bucket, k)
					if bucket, key, err := Key(strings.TrimPrefix(at, s.objects+"/")); err != nil || bucket != sinktest.Bucket || key != k {
						t.Errorf("%s names %s %q (%v), want %q", at, bucket, key, err, k)
					}
				}
			})
		}
	}
}

// A person removes a folder that the store knows.
func TestFoldersThatVanish(t *testing.T) {
	dir := t.TempDir()
	s := New(vfs.NewOS(), dir)
	mustPut(t, s, "h/1", "x", 1)
	for _, gone := range []string{"s3/contract/h", "s3", "s3-meta"} {
		if err := os.RemoveAll(filepath.Join(dir, gone)); err != nil {
			t.Fatal(err)
		}
		mustPut(t, s, "h/"+gone, "y", 2)
		mustHold(t, s, "h/"+gone, "y", 2)
	}
}

// Files that people put there are never overwritten nor taken for ours.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	s := New(vfs.NewOS(), dir)
	mustPut(t, s, "mine", "mine", 1)
	file := filepath.Join(dir, "s3", sinktest.Bucket, "mine")
	for name, body := range map[string]string{"mine": "changed by hand", "theirs": "theirs"} {
		if err := os.RemoveAll(filepath.Join(filepath.Dir(file), name)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(file), name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		if out := s.Put(context.Background(), object(name, "again", 1)); out.Kind != record.Exists || out.Found != nil {
			t.Errorf("%s: %+v, want exists and unknown", name, out)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	mustPut(t, s, "mine", "written anew", 1)
	mustHold(t, s, "mine", "written anew", 1)
}

func TestDiskFull(t *testing.T) {
	m := newMem(t)
	s := New(m, data)
	mustPut(t, s, "first", "x", 1)
	m.SetCapacity(1 << 20)
	body := bytes.Repeat([]byte("x"), 2<<20)
	out := s.Put(context.Background(), sinktest.Object("big", body, sinktest.Identity(2)))
	if out.Kind != record.Retry || out.Code != "S3.DiskFull" || !errors.Is(out.Err, syscall.ENOSPC) {
		t.Fatalf("%+v", out)
	}
	if left, err := m.ReadDir(data + "/s3-meta/tmp"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	m.SetCapacity(64 << 20)
	if out := s.Put(context.Background(), sinktest.Object("big", body, sinktest.Identity(2))); out.Kind != record.Delivered {
		t.Errorf("with room again: %+v", out)
	}
}

func TestShortBody(t *testing.T) {
	s := New(newMem(t), data)
	o := object("k", "four", 1)
	o.Size = 5
	if out := s.Put(context.Background(), o); out.Kind != record.Retry || out.Code != "S3.ReadFailed" {
		t.Errorf("%+v", out)
	}
	if _, exists, _ := s.Head(context.Background(), sinktest.Bucket, "k"); exists {
		t.Error("half an object was stored")
	}
}

func TestOpenRemovesLeftovers(t *testing.T) {
	m := newMem(t)
	s := New(m, data)
	if err := s.Open(); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Create(data + "/s3-meta/tmp/7"); err != nil {
		t.Fatal(err)
	}
	if err := New(m, data).Open(); err != nil {
		t.Fatal(err)
	}
	if left, _ := m.ReadDir(data + "/s3-meta/tmp"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// A waiting writer gives up when its context ends, though another holds the key.
func TestLockHonoursContext(t *testing.T) {
	s := New(newMem(t), data)
	unlock, err := s.keys.lock(context.Background(), sinktest.Bucket+"/k")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if out := s.Put(ctx, object("k", "x", 1)); out.Kind != record.Retry || out.Code != "S3.Cancelled" {
		t.Errorf("%+v", out)
	}
	unlock()
	mustPut(t, s, "k", "x", 1)
	if len(s.keys.m) != 0 {
		t.Errorf("%d locks are kept", len(s.keys.m))
	}
}
