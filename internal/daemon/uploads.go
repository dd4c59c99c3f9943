package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
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

	mu   sync.Mutex
	open map[string]upload
}

// loadUploads returns what the process before left behind.
func loadUploads(fsys vfs.FS, path string, logger *slog.Logger) (*uploads, []upload, error) {
	u := &uploads{fs: fsys, path: path, open: map[string]upload{}}
	b, err := vfs.ReadFile(fsys, path, maxMeta)
	if errors.Is(err, fs.ErrNotExist) {
		return u, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	var left []upload
	if err := json.Unmarshal(b, &left); err != nil {
		// It only saves space at the store: no reason not to start.
		logger.Error("the list of multipart uploads is damaged; what a former life left there must be aborted by hand", "file", path, "err", err)
		return u, nil, fsys.Rename(path, path+".damaged")
	}
	for _, l := range left {
		u.open[l.ID] = l
	}
	return u, left, nil
}

func (u *uploads) began(l upload) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open[l.ID] = l
	return u.save()
}

// ended forgets an upload. That is not durable at once: aborting it again does no harm.
func (u *uploads) ended(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.open, id)
}

func (u *uploads) save() error {
	list := make([]upload, 0, len(u.open))
	for _, l := range u.open {
		list = append(list, l)
	}
	b, err := json.Marshal(list)
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
