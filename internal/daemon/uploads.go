package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"hydrant/config"
	"hydrant/internal/vfs"
	"hydrant/sinks/s3"
)

// upload is a multipart upload that a process began.
type upload struct {
	Bucket, Key, ID string
	Reach           config.S3
}

// uploads remembers multipart uploads, durably, before their first part: one belongs to one process and is never resumed, so the
// next process aborts what it finds here. Safe for concurrent use.
type uploads struct {
	fs   vfs.FS
	path string

	logger *slog.Logger

	mu   sync.Mutex
	open []upload // oldest first
}

// maxUploads bounds the list: a store that can no longer be reached, or that refuses every abort, must not make it grow for ever.
const maxUploads = 1000

// loadUploads returns what the process before left behind. A list that cannot be read is put aside: it only saves space at the store,
// and is no reason not to start.
func loadUploads(fsys vfs.FS, path string, logger *slog.Logger) (*uploads, []upload, error) {
	u := &uploads{fs: fsys, path: path, logger: logger}
	b, err := vfs.ReadFile(fsys, path, maxMeta)
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil, nil
	}
	var left []upload
	if err == nil {
		err = json.Unmarshal(b, &left)
	}
	if err != nil {
		aside := path + ".damaged"
		err = errors.Join(err, fsys.Rename(path, aside))
		logger.Error("the list of multipart uploads cannot be read; what a former life left there must be aborted by hand", "file", aside, "err", err)
		return u, nil, nil
	}
	u.open = slices.Clone(left)
	return u, left, nil
}

func (u *uploads) began(l upload) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.forget(l.ID)
	u.open = append(u.open, l)
	if over := len(u.open) - maxUploads; over > 0 {
		for _, o := range u.open[:over] {
			u.logger.Warn("too many multipart uploads wait to be aborted; the oldest must be aborted by hand, or by a lifecycle rule of its bucket",
				"bucket", o.Bucket, "key", o.Key, "upload", o.ID)
		}
		u.open = slices.Clone(u.open[over:])
	}
	return u.save()
}

// ended forgets an upload. That is not durable at once: aborting it again does no harm.
func (u *uploads) ended(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.forget(id)
}

func (u *uploads) forget(id string) {
	u.open = slices.DeleteFunc(u.open, func(o upload) bool { return o.ID == id })
}

func (u *uploads) save() error {
	b, err := json.Marshal(u.open)
	if err != nil {
		return err
	}
	return vfs.WriteFileAtomic(u.fs, u.path, b)
}

// abort ends the uploads that a former process left, one after the other, and forgets them.
func (u *uploads) abort(ctx context.Context, left []upload, of func(*config.S3) any, logger *slog.Logger) {
	for _, l := range left {
		st, ok := of(&l.Reach).(*s3.Store)
		if !ok {
			continue
		}
		attempt, cancel := context.WithTimeout(ctx, 30*time.Second)
		err := st.AbortUpload(attempt, l.Bucket, l.Key, l.ID)
		cancel()
		if err != nil {
			logger.Warn("a multipart upload that was left behind could not be aborted; the next start tries again", "bucket", l.Bucket, "key", l.Key, "err", err)
			continue
		}
		u.ended(l.ID)
	}
}
