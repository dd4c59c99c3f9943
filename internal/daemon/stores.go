package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"hydrant/config"
	"hydrant/delivery"
	"hydrant/internal/vfs"
	"hydrant/record"
	"hydrant/sinks/appendfile"
	"hydrant/sinks/filestore"
	"hydrant/sinks/s3"
)

// stores hands out the object stores that destinations name; one each, shared by all streams. Safe for concurrent use.
type stores struct {
	kind    string // config.StoreFile or config.StoreS3
	region  string
	file    *filestore.Store
	only    delivery.Sink // in place of all, when not nil
	uploads *uploads
	logger  *slog.Logger

	fs      vfs.FS
	dataDir string

	mu       sync.Mutex
	s3       map[string]*s3.Store
	appended *appendfile.Store // nil until a destination is a file
}

// files returns the store that appends to files, as it is for such a rotation. It is one for all of them: a file that two streams name, or
// that gets another rotation while older batches of it are on their way, has one owner.
func (s *stores) files(r config.Rotate) delivery.Sink {
	s.mu.Lock()
	defer s.mu.Unlock()
	rotation := appendfile.Rotation{Size: int64(r.Size), Keep: r.Keep}
	if s.appended != nil {
		return s.appended.With(rotation)
	}
	base, err := os.Getwd()
	if err != nil {
		return broken{err}
	}
	st, err := appendfile.New(appendfile.Options{FS: s.fs, StateDir: filepath.Join(s.dataDir, "files"), Base: base, Logger: s.logger})
	if err != nil {
		return broken{err}
	}
	s.appended = st
	return st.With(rotation)
}

// of returns the store of a destination, made at its first use. A store that cannot be made answers every attempt with the reason:
// the batch waits, loudly, until the configuration or the environment is mended.
func (s *stores) of(d *config.S3) delivery.Sink {
	if s.only != nil {
		return s.only
	}
	if d == nil {
		return broken{errors.New("no version of the stream says where such objects go")}
	}
	if s.kind == config.StoreFile {
		return s.file
	}
	o := s3.Options{Region: d.Region, Endpoint: d.Endpoint, PathStyle: d.PathStyle, SSE: d.SSE, KMSKey: d.KMSKey,
		StorageClass: d.StorageClass, ACL: d.ACL}
	key := reachKey(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.s3[key]; st != nil {
		return st
	}
	reach := *d
	o.OnUpload = func(bucket, key, id string) error { return s.uploads.began(upload{bucket, key, id, reach}) }
	o.OnUploadDone = s.uploads.ended
	o.Logger = s.logger
	if o.Region == "" {
		o.Region = s.region
	}
	st, err := s3.New(context.Background(), o)
	if err != nil {
		return broken{err}
	}
	s.s3[key] = st
	return st
}

// reachKey is equal for destinations that one client can serve.
func reachKey(d *config.S3) string {
	style := "default"
	if d.PathStyle != nil {
		style = strconv.FormatBool(*d.PathStyle)
	}
	return strings.Join([]string{d.Region, d.Endpoint, style, d.SSE, d.KMSKey, d.StorageClass, d.ACL}, "\x00")
}

func (s *stores) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.s3 {
		_ = st.Close()
	}
	if s.appended != nil {
		if err := s.appended.Close(); err != nil {
			s.logger.Warn("closing files that batches are appended to", "err", err)
		}
	}
}

// manifestObject is a file that says which objects are to be loaded.
func manifestObject(bucket, key string, body []byte) *record.Object {
	return &record.Object{Bucket: bucket, Key: key, Body: bytes.NewReader(body), Size: int64(len(body)), ContentType: "application/json",
		Identity: record.Identity{Role: "manifest"}}
}

// broken is a store that could not be made.
type broken struct{ err error }

func (b broken) Put(context.Context, *record.Object) record.Outcome {
	return record.Outcome{Kind: record.Retry, Code: "S3.Configuration", Err: b.err}
}

func (b broken) Head(context.Context, string, string) (*record.Identity, bool, error) {
	return nil, false, b.err
}
