package s3

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"hydrant/internal/s3fake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

// ledger is what a journal would know of uploads.
type ledger struct{ open map[string]bool }

func (l *ledger) options(o *Options) {
	o.OnUpload = func(_, _, id string) error { l.open[id] = true; return nil }
	o.OnUploadDone = func(id string) { delete(l.open, id) }
}

// openParts makes parts of 5 MiB, the least that a store takes.
func openParts(t *testing.T, fake *s3fake.Server, l *ledger) *Store {
	t.Helper()
	s := open(t, fake, l.options)
	s.maxPutBytes, s.partBytes = 6<<20, 5<<20
	return s
}

var parts = bytes.Repeat([]byte("0123456789abcdef"), 12<<20/16) // two parts and a rest

func inParts(key string) *record.Object { return sinktest.Object(key, parts, sinktest.Identity(1)) }

func TestMultipart(t *testing.T) {
	fake, l := s3fake.New(), &ledger{map[string]bool{}}
	s := openParts(t, fake, l)
	o := inParts("k")
	o.ContentEncoding = "gzip"
	if out := s.Put(context.Background(), o); out.Kind != record.Delivered {
		t.Fatalf("%+v", out)
	}
	got, _ := fake.Object(sinktest.Bucket, "k")
	if !bytes.Equal(got.Body, parts) || got.Header.Get("Content-Encoding") != "gzip" || got.Header.Get("X-Amz-Meta-Hydrant-Batch") != o.Identity.String() {
		t.Errorf("%d bytes, headers %v", len(got.Body), got.Header)
	}
	if fake.Requests("UploadPart") != 3 || !strings.HasSuffix(got.ETag, "-3") {
		t.Errorf("%d parts, tag %s", fake.Requests("UploadPart"), got.ETag)
	}
	if len(l.open) != 0 || fake.Uploads() != 0 {
		t.Errorf("uploads left: %v, %d", l.open, fake.Uploads())
	}
	if out := s.Put(context.Background(), o); out.Kind != record.Exists || out.Found == nil || *out.Found != o.Identity {
		t.Errorf("again: %+v", out)
	}
	if len(l.open) != 0 || fake.Uploads() != 0 || fake.Stored(sinktest.Bucket, "k") != 1 {
		t.Errorf("after the repeat: %v, %d", l.open, fake.Uploads())
	}
}

func TestMultipartFaults(t *testing.T) {
	for _, c := range []struct {
		op     string
		action s3fake.Action
		then   record.OutcomeKind
	}{
		{"CreateMultipartUpload", s3fake.FailBefore, record.Delivered},
		{"UploadPart", s3fake.SlowDown, record.Delivered},
		{"UploadPart", s3fake.CutBody, record.Delivered},
		{"UploadPart", s3fake.FailAfter, record.Delivered},
		{"CompleteMultipartUpload", s3fake.FailBefore, record.Delivered},
		{"CompleteMultipartUpload", s3fake.FailAfter, record.Exists},
		{"CompleteMultipartUpload", s3fake.CutAfter, record.Exists},
	} {
		t.Run(c.op+" "+c.action.String(), func(t *testing.T) {
			var armed atomic.Bool
			fake, l := s3fake.New(), &ledger{map[string]bool{}}
			fake.Fault = once(&armed, c.op, c.action)
			s := openParts(t, fake, l)
			armed.Store(true)
			if out := s.Put(context.Background(), inParts("k")); out.Kind != record.Retry {
				t.Fatalf("%+v", out)
			}
			if len(l.open) != 0 || fake.Uploads() != 0 {
				t.Errorf("uploads left: %v, %d", l.open, fake.Uploads())
			}
			if out := s.Put(context.Background(), inParts("k")); out.Kind != c.then {
				t.Errorf("second attempt: %+v", out)
			}
			if got, _ := fake.Object(sinktest.Bucket, "k"); !bytes.Equal(got.Body, parts) || fake.Stored(sinktest.Bucket, "k") != 1 {
				t.Errorf("%d bytes, stored %d times", len(got.Body), fake.Stored(sinktest.Bucket, "k"))
			}
		})
	}
}

// An upload that cannot be noted does not start; one that cannot be aborted stays noted, for the next start.
func TestUploadsAreNoted(t *testing.T) {
	fake, l := s3fake.New(), &ledger{map[string]bool{}}
	var deny atomic.Bool
	fake.Fault = func(r *s3fake.Request) s3fake.Action {
		if deny.Load() && (r.Op == "AbortMultipartUpload" || r.Op == "CompleteMultipartUpload") {
			return s3fake.AccessDenied
		}
		return s3fake.None
	}
	s := openParts(t, fake, l)
	full := errors.New("journal is full")
	note := s.o.OnUpload
	s.o.OnUpload = func(string, string, string) error { return full }
	out := s.Put(context.Background(), inParts("k"))
	if out.Kind != record.Retry || !errors.Is(out.Err, full) || out.Code != "S3.UploadNotNoted" || fake.Requests("UploadPart") != 0 || fake.Uploads() != 0 {
		t.Errorf("%+v, %d parts, %d uploads", out, fake.Requests("UploadPart"), fake.Uploads())
	}
	s.o.OnUpload = note
	deny.Store(true)
	if out := s.Put(context.Background(), inParts("k")); out.Kind != record.Retry || len(l.open) != 1 || fake.Uploads() != 1 {
		t.Fatalf("%+v, noted %v, open %d", out, l.open, fake.Uploads())
	}
	deny.Store(false)
	for id := range l.open {
		for range 2 { // the second finds nothing, which is as good
			if err := s.AbortUpload(context.Background(), sinktest.Bucket, "k", id); err != nil {
				t.Error(err)
			}
		}
	}
	if fake.Uploads() != 0 {
		t.Errorf("%d uploads open", fake.Uploads())
	}
}

// The first object may be a large one, on a store that knows no conditional writes.
func TestMultipartWithoutConditions(t *testing.T) {
	fake, l := s3fake.New(), &ledger{map[string]bool{}}
	fake.NoConditions = true
	s := openParts(t, fake, l)
	if out := s.Put(context.Background(), inParts("k")); out.Kind != record.Delivered || !s.unconditional.Load() {
		t.Fatalf("%+v", out)
	}
	if out := s.Put(context.Background(), inParts("k")); out.Kind != record.Exists || out.Found == nil {
		t.Errorf("again: %+v", out)
	}
	if len(l.open) != 0 || fake.Uploads() != 0 || fake.Stored(sinktest.Bucket, "k") != 1 {
		t.Errorf("uploads left: %v, %d", l.open, fake.Uploads())
	}
}
