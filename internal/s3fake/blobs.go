package s3fake

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// blobs is where bodies lie. What changes names is called under the server's lock.
type blobs interface {
	create() (blob, error)
	save(bucket, key string, o *object) error
	remove(bucket, key string) error
	makeBucket(name string) error
	removeBucket(name string) error
}

// blob is one body: written once, finished, then read by any number at a time.
type blob interface {
	io.Writer
	finish() error
	open() (io.ReadSeekCloser, error)
	discard()
}

// memory keeps bodies on the heap.
type memory struct{}

func (memory) create() (blob, error)              { return &memoryBlob{}, nil }
func (memory) save(string, string, *object) error { return nil }
func (memory) remove(string, string) error        { return nil }
func (memory) makeBucket(string) error            { return nil }
func (memory) removeBucket(string) error          { return nil }

type memoryBlob struct{ bytes.Buffer }

func (b *memoryBlob) finish() error { return nil }
func (b *memoryBlob) discard()      {}
func (b *memoryBlob) open() (io.ReadSeekCloser, error) {
	return struct {
		io.ReadSeeker
		io.Closer
	}{bytes.NewReader(b.Bytes()), io.NopCloser(nil)}, nil
}

// folder keeps bodies and names in files, so that they survive the process (not the machine: nothing is synced).
type folder struct{ dir string }

// saved is the file that names an object.
type saved struct {
	Bucket, Key, Blob string
	Object            *object
}

// UseDir keeps bodies in a folder, of which the server takes possession, and finds again what an earlier
// server left there. Call it before the first request.
func (s *Server) UseDir(dir string) error {
	f := &folder{dir}
	for _, sub := range []string{"blobs", "names", "buckets"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blobs = f
	return f.load(s)
}

func (f *folder) load(s *Server) error {
	buckets, err := os.ReadDir(filepath.Join(f.dir, "buckets"))
	if err != nil {
		return err
	}
	for _, b := range buckets {
		name, err := hex.DecodeString(b.Name())
		if err != nil {
			return fmt.Errorf("bucket %q: %w", b.Name(), err)
		}
		s.buckets[string(name)] = map[string]*object{}
	}
	names, err := filepath.Glob(filepath.Join(f.dir, "names", "*.json"))
	if err != nil {
		return err
	}
	used := map[string]bool{}
	for _, n := range names {
		var e saved
		b, err := os.ReadFile(n)
		if err == nil {
			err = json.Unmarshal(b, &e)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", n, err)
		}
		e.Object.blob = &fileBlob{name: filepath.Join(f.dir, "blobs", e.Blob)}
		if s.buckets[e.Bucket] == nil {
			s.buckets[e.Bucket] = map[string]*object{}
		}
		s.buckets[e.Bucket][e.Key] = e.Object
		s.stored[e.Bucket+"/"+e.Key]++
		used[e.Blob] = true
	}
	return f.sweep(used)
}

// sweep removes bodies that never got a name.
func (f *folder) sweep(used map[string]bool) error {
	all, err := os.ReadDir(filepath.Join(f.dir, "blobs"))
	for _, b := range all {
		if !used[b.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(f.dir, "blobs", b.Name())))
		}
	}
	return err
}

func (f *folder) create() (blob, error) {
	h, err := os.CreateTemp(filepath.Join(f.dir, "blobs"), "b")
	if err != nil {
		return nil, err
	}
	return &fileBlob{name: h.Name(), h: h}, nil
}

func (f *folder) nameFile(bucket, key string) string {
	sum := sha256.Sum256([]byte(bucket + "/" + key))
	return filepath.Join(f.dir, "names", hex.EncodeToString(sum[:])+".json")
}

func (f *folder) save(bucket, key string, o *object) error {
	b, err := json.Marshal(saved{bucket, key, filepath.Base(o.blob.(*fileBlob).name), o})
	if err != nil {
		return err
	}
	name := f.nameFile(bucket, key)
	tmp := strings.TrimSuffix(name, ".json") + ".tmp"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}

func (f *folder) remove(bucket, key string) error {
	if err := os.Remove(f.nameFile(bucket, key)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f *folder) bucketFile(name string) string {
	return filepath.Join(f.dir, "buckets", hex.EncodeToString([]byte(name)))
}

func (f *folder) makeBucket(name string) error   { return os.WriteFile(f.bucketFile(name), nil, 0o644) }
func (f *folder) removeBucket(name string) error { return os.Remove(f.bucketFile(name)) }

type fileBlob struct {
	name string
	h    *os.File // while it is written
}

func (b *fileBlob) Write(p []byte) (int, error)      { return b.h.Write(p) }
func (b *fileBlob) finish() error                    { return b.h.Close() }
func (b *fileBlob) open() (io.ReadSeekCloser, error) { return os.Open(b.name) }

// discard removes the body; readers that have it open read on.
func (b *fileBlob) discard() {
	if b.h != nil {
		_ = b.h.Close() // it may be closed already
	}
	_ = os.Remove(b.name)
}
