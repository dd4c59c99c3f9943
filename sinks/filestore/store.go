// Package filestore is the embedded object store: buckets are folders, objects are files, durable when
// Put says so. It makes one attempt a call, like every sink.
//
// # Layout
//
//	DATA/s3/BUCKET/KEY               the object's bytes and nothing else
//	DATA/s3-meta/ids/BUCKET/HH/HASH  key, place, size and identity; HASH is the SHA-256 of the key, HH its first two digits
//	DATA/s3-meta/tmp/                objects that are being written; emptied by Open
//
// # Names
//
// A key is stored under its own name wherever a folder can hold it. Else one rule applies, which Path and Key
// implement and which can be undone. Bytes that are unsafe (percent sign, control characters, what is no UTF-8; the dots of the parts "." and ".."; a slash in
// a bucket's name) are written %XX. An empty part is %z. A part that is longer than 250 bytes then goes on in a
// folder: every name of it but the last ends with %m. An object whose name is already a folder's gets %o at its end, a folder
// whose name is already an object's gets %p: keys "a" and "a/b" lie at "a" and "a%p/b", or at "a%o" and "a/b",
// by who came first. The file under ids says which.
//
// # Order of durability
//
// The bytes are synced under a temporary name; then the identity, its folder and all folders above it; then the
// object's folders; then the object appears by a link, which never replaces anything; then its folder is synced. So an object that is seen after a
// crash is whole and its identity is known, and one that Put reported delivered is seen.
//
// The data directory belongs to one process. People may read, move and delete objects at any time.
package filestore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"sync/atomic"
	"syscall"

	"hydrant/internal/vfs"
	"hydrant/record"
)

const maxKeyBytes = 1024

// Store is the object store of one data directory. Safe for concurrent use.
type Store struct {
	fs      vfs.FS
	objects string // DATA/s3
	ids     string // DATA/s3-meta/ids
	tmp     string // DATA/s3-meta/tmp
	folders folders
	keys    keyLocks
	lastTmp atomic.Uint64
}

// New returns the store in a data directory, which must exist. It touches no file.
func New(f vfs.FS, dataDir string) *Store {
	dataDir = path.Clean(dataDir)
	return &Store{
		fs:      f,
		objects: path.Join(dataDir, "s3"),
		ids:     path.Join(dataDir, "s3-meta", "ids"),
		tmp:     path.Join(dataDir, "s3-meta", "tmp"),
		folders: folders{fs: f, base: dataDir, known: map[string]struct{}{}},
		keys:    keyLocks{m: map[string]*keyLock{}},
	}
}

// Open removes what an earlier process left half written. Call it before the first Put.
func (s *Store) Open() error {
	if err := s.folders.ensure(s.tmp); err != nil {
		return fmt.Errorf("file store: %w", err)
	}
	left, err := s.fs.ReadDir(s.tmp)
	if err != nil {
		return fmt.Errorf("file store: %w", err)
	}
	for _, name := range left {
		if err := s.fs.Remove(path.Join(s.tmp, name)); err != nil {
			return fmt.Errorf("file store: %w", err)
		}
	}
	return nil
}

// Put makes one attempt to store the object under its key. Delivered means durable. A context that
// ends is noticed between writes; a disk that hangs cannot be interrupted.
func (s *Store) Put(ctx context.Context, o *record.Object) record.Outcome {
	if o.Key == "" || o.Bucket == "" {
		return record.Outcome{Kind: record.Rejected, Code: "S3.InvalidRequest", Err: errNoKey}
	}
	if len(o.Key) > maxKeyBytes {
		return record.Outcome{Kind: record.Rejected, Code: "S3.KeyTooLongError", Err: errKeyTooLong}
	}
	unlock, err := s.keys.lock(ctx, o.Bucket+"/"+o.Key)
	if err != nil {
		return failed(err)
	}
	defer unlock()
	if err := ctx.Err(); err != nil {
		return failed(err)
	}
	at, err := s.find(o.Bucket, o.Key)
	switch {
	case err != nil:
		return failed(err)
	case at.exists:
		return s.taken(at)
	}
	tmp, err := s.spool(ctx, o)
	if tmp != "" {
		defer s.fs.Remove(tmp) //nolint:errcheck // what stays behind goes with the next Open
	}
	if err != nil {
		return failed(err)
	}
	return s.publish(o, tmp)
}

// taken answers for a key that holds an object already. An earlier process may have been killed between showing
// the object and syncing its name, so that the name is made durable before anybody counts on it.
func (s *Store) taken(at place) record.Outcome {
	dir := path.Dir(path.Join(s.objects, at.path))
	err := s.folders.ensure(dir)
	if err == nil {
		err = s.fs.SyncDir(dir)
	}
	if err != nil {
		return failed(err)
	}
	return record.Outcome{Kind: record.Exists, Found: at.identity}
}

// Head reads whose object stands at a key; found is nil when its identity is not known.
func (s *Store) Head(_ context.Context, bucket, key string) (found *record.Identity, exists bool, err error) {
	at, err := s.find(bucket, key)
	return at.identity, at.exists, err
}

// ReadObject reads an object from its beginning. The reader is the caller's to close.
func (s *Store) ReadObject(_ context.Context, bucket, key string) (io.ReadCloser, error) {
	at, err := s.find(bucket, key)
	if err == nil && !at.exists {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("read an object: %w", err)
	}
	f, err := s.fs.OpenRead(path.Join(s.objects, at.path))
	if err != nil {
		return nil, fmt.Errorf("read an object: %w", err)
	}
	size, err := f.Size()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read an object: %w", err), f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, 0, size), f}, nil
}

// AbortUpload does nothing: this store has no uploads in parts.
func (s *Store) AbortUpload(context.Context, string, string, string) error { return nil }

const chunkBytes = 256 << 10

// spool writes the body under a temporary name and makes its content durable. tmp is set as soon as there is a file.
func (s *Store) spool(ctx context.Context, o *record.Object) (tmp string, err error) {
	if _, err := o.Body.Seek(0, io.SeekStart); err != nil {
		return "", fmt.Errorf("%w: %w", errBody, err)
	}
	h, tmp, err := s.create()
	if err != nil {
		return "", err
	}
	err = s.fill(ctx, h, o)
	if err == nil {
		err = h.Sync()
	}
	if cerr := h.Close(); err == nil {
		err = cerr
	}
	return tmp, err
}

func (s *Store) create() (h vfs.File, name string, err error) {
	if err := s.folders.ensure(s.tmp); err != nil {
		return nil, "", err
	}
	for range 1000 {
		name = path.Join(s.tmp, strconv.FormatUint(s.lastTmp.Add(1), 10))
		h, err = s.fs.Create(name)
		if !errors.Is(err, fs.ErrExist) {
			return h, name, err
		}
	}
	return nil, "", err
}

func (s *Store) fill(ctx context.Context, h vfs.File, o *record.Object) error {
	buf := make([]byte, max(1, min(o.Size, chunkBytes)))
	for off := int64(0); off < o.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := io.ReadFull(o.Body, buf[:min(int64(len(buf)), o.Size-off)])
		if err != nil {
			return fmt.Errorf("%w: %w", errBody, err)
		}
		if _, err := h.WriteAt(buf[:n], off); err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

var (
	errNoKey      = errors.New("file store: bucket or key is empty")
	errKeyTooLong = errors.New("file store: the key is longer than 1024 bytes")
	errBody       = errors.New("file store: the object's bytes could not be read")
	errInTheWay   = errors.New("file store: another object stands in the way")
)

// failed classifies an error: only a name that the disk cannot hold is the object's fault.
func failed(err error) record.Outcome {
	out := record.Outcome{Kind: record.Retry, Code: "S3.InternalError", Err: err}
	switch {
	case errors.Is(err, syscall.ENAMETOOLONG):
		out.Kind, out.Code = record.Rejected, "S3.KeyTooLongError"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		out.Code = "S3.DiskFull"
	case errors.Is(err, context.Canceled):
		out.Code = "S3.Cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		out.Code = "S3.RequestTimeout"
	case errors.Is(err, errBody):
		out.Code = "S3.ReadFailed"
	}
	return out
}
