// Package appendfile appends batches to files on disk, each of them once, and rotates the files; or it writes them to
// standard output. It makes one attempt a call, like every sink. It owns the files' sidecars. It knows nothing of records,
// and when a batch is tried again is delivery's business.
//
// # Keys
//
// A key is PATH/NAME: PATH is the file, absolute or below a base folder, NAME what this one batch is known by. The bucket is not looked at.
//
// # Once
//
// Beside each file, in a folder of its own, lies a sidecar: it notes where a batch is about to be appended, how long it is and its
// checksum, synced before the first byte of it is written, and the names of the last 1024 batches that arrived. What a killed process or
// a power cut left of a batch is found by it at the next use of the file: whole, it counts as delivered; torn, it is completed when
// the same batch comes again, else cut off before anything else is appended. So a file never holds half a batch in its middle, and a
// reader that follows it sees bytes appear and, for a batch that comes again, none of them twice.
//
// Two things are at least once: what standard output gets, of which nothing is remembered when the process ends; and a batch whose file somebody
// else renames, cuts or appends to between the batch's last byte and the next use of the file after a kill.
//
// # Rotation
//
// PATH becomes PATH.1, and what was PATH.1 becomes PATH.2, one durable rename at a time, the oldest first and each noted in the
// sidecar before. An interrupted rotation is ended by the next Put. Others may rotate the file too, by renaming or truncating it.
//
// A file belongs to one Store of one process at a time. Files with different rotations share a Store, and a file may get another rotation
// while it is in use: With.
package appendfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"strings"
	"time"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// Options say where files and their sidecars are.
type Options struct {
	FS       vfs.FS // default: the real disk
	StateDir string // holds the sidecars; is made when missing
	Base     string // what relative paths are below

	Rotation // of files that Put is asked for without With

	Stdout io.Writer // what the path "-" stands for; default: that of the process
	Logger *slog.Logger
	Now    func() time.Time
}

// Rotation says when a file is put aside, and for how long.
type Rotation struct {
	Size int64 // bytes that a file may reach, unless a single batch is larger; 0: any
	Keep int   // rotated files that are kept of each file; 0: all
}

// Limits of the store.
const (
	maxFiles    = 64   // files whose sidecars are held open, those in use not counted
	maxKeyBytes = 5120 // of a key: a path of 4096 and a name
	maxName     = 255  // bytes of one name in a path
	numberBytes = 10   // of that, room for the number of a rotated file
	chunkBytes  = 256 << 10
)

// Store appends to files. Safe for concurrent use: different files at once, one batch at a time for each of them.
type Store struct {
	o       Options
	fs      vfs.FS
	log     *slog.Logger
	files   files
	count   census
	printed remembered // guarded by the lock of the path "-"
}

// New makes the folder of the sidecars and looks how many there are. It touches no other file.
func New(o Options) (*Store, error) {
	switch {
	case o.StateDir == "" || o.Base == "":
		return nil, errors.New("file sink: the folder of its notes or the base folder is not set")
	case o.Size < 0 || o.Keep < 0:
		return nil, fmt.Errorf("file sink: rotation at %d bytes, keeping %d: want no negative number", o.Size, o.Keep)
	}
	o = withDefaults(o)
	s := &Store{o: o, fs: o.FS, log: o.Logger}
	s.files.m = map[string]*entry{}
	s.files.clean = map[string]struct{}{}
	if err := vfs.MkdirAll(s.fs, o.StateDir); err != nil {
		return nil, fmt.Errorf("file sink: %w", err)
	}
	if err := s.countSidecars(); err != nil {
		return nil, fmt.Errorf("file sink: %w", err)
	}
	return s, nil
}

func withDefaults(o Options) Options {
	if o.FS == nil {
		o.FS = vfs.NewOS()
	}
	if o.Stdout == nil {
		o.Stdout = os.Stdout
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Rotated is a Store whose files have a certain rotation. All of one Store share its files and their locks.
type Rotated struct {
	s *Store
	r Rotation
}

// With is the Store for files with another rotation than its options say.
func (s *Store) With(r Rotation) Rotated { return Rotated{s, r} }

// Put is Rotated.Put with the rotation of the options.
func (s *Store) Put(ctx context.Context, o *record.Object) record.Outcome {
	return s.With(s.o.Rotation).Put(ctx, o)
}

// Head is Rotated.Head with the rotation of the options.
func (s *Store) Head(ctx context.Context, bucket, key string) (found *record.Identity, exists bool, err error) {
	return s.With(s.o.Rotation).Head(ctx, bucket, key)
}

// Put makes one attempt to append the object to the file that its key names. Delivered means that all of it is there, durably; Exists, that
// a batch of this name arrived before. Missing folders are made. A context that ends is noticed between writes; a disk that
// hangs cannot be interrupted.
//
// For the path "-" Delivered means that standard output took all bytes. That is at least once: a write that
// failed is repeated from the batch's beginning, and what an earlier process wrote is not known.
func (v Rotated) Put(ctx context.Context, o *record.Object) record.Outcome {
	s := v.s
	file, name, err := v.split(o.Key)
	if err != nil {
		return failed(err, false)
	}
	e, err := s.files.lock(ctx, file)
	if err != nil {
		return failed(err, false)
	}
	defer s.files.unlock(e)
	if err := ctx.Err(); err != nil {
		return failed(err, false)
	}
	if file == stdoutPath {
		return s.print(ctx, name, o)
	}
	c, err := s.sidecarOf(e)
	if err != nil {
		return failed(err, false)
	}
	t := &turn{s: s, c: c, r: v.r}
	defer t.close()
	out := t.put(ctx, name, o)
	if c.broken {
		e.forget()
	}
	return out
}

// Head says whether a batch arrived, and with whose records. What a killed process left of it is settled for that: when
// it is torn, it is cut off, because the caller may give the key up. Nothing ever stands at the path "-" nor under a key that Put rejects.
func (v Rotated) Head(ctx context.Context, _, key string) (found *record.Identity, exists bool, err error) {
	s := v.s
	file, name, err := v.split(key)
	if err != nil || file == stdoutPath {
		return nil, false, nil
	}
	e, err := s.files.lock(ctx, file)
	if err != nil {
		return nil, false, err
	}
	defer s.files.unlock(e)
	if e.sidecar == nil {
		there, err := s.fs.Exists(s.sidecarName(file))
		if err != nil || !there {
			return nil, false, err
		}
	}
	c, err := s.sidecarOf(e)
	if err != nil {
		return nil, false, err
	}
	t := &turn{s: s, c: c, r: v.r}
	defer t.close()
	err = t.head(ctx, name)
	if c.broken {
		e.forget()
	}
	if id, ok := c.known[name]; ok && err == nil {
		return &id, true, nil
	}
	return nil, false, err
}

// Close waits for the calls that are under way and closes all files. What comes later fails.
func (s *Store) Close() error { return s.files.close() }

// split takes a key apart. Names that lead upwards are refused: values of records may be part of a path.
func (v Rotated) split(key string) (file, name string, err error) {
	at := strings.LastIndexByte(key, '/')
	if at <= 0 || at == len(key)-1 {
		return "", "", errKey
	}
	file, name = key[:at], key[at+1:]
	if file == stdoutPath {
		return file, name, nil
	}
	if len(key) > maxKeyBytes {
		return "", "", errTooLong
	}
	if file[len(file)-1] == '/' || strings.IndexByte(file, 0) >= 0 {
		return "", "", errPath
	}
	for part := range strings.SplitSeq(file, "/") {
		if part == "." || part == ".." {
			return "", "", errPath
		}
	}
	last := path.Base(file)
	if len(last) > maxName || v.r.Size > 0 && len(last) > maxName-numberBytes {
		return "", "", errTooLong
	}
	if path.IsAbs(file) {
		return path.Clean(file), name, nil
	}
	return path.Join(v.s.o.Base, file), name, nil
}
