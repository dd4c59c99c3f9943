package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"hydrant/internal/s3fake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

func object(key, body string) *record.Object {
	return sinktest.Object(key, []byte(body), sinktest.Identity(1))
}

// What a fault looks like to delivery, and that the next attempt ends as it must.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		action s3fake.Action
		code   string
		then   record.OutcomeKind
	}{
		{s3fake.SlowDown, "S3.SlowDown", record.Delivered},
		{s3fake.FailBefore, "S3.InternalError", record.Delivered},
		{s3fake.FailAfter, "S3.InternalError", record.Exists},
		{s3fake.CutAfter, "S3.ConnectionFailed", record.Exists},
		{s3fake.CutBody, "S3.ConnectionFailed", record.Delivered},
		{s3fake.AccessDenied, "S3.AccessDenied", record.Delivered},
	} {
		t.Run(c.action.String(), func(t *testing.T) {
			var armed atomic.Bool
			fake := s3fake.New()
			fake.Fault = once(&armed, "PutObject", c.action)
			s := open(t, fake, nil)
			armed.Store(true)
			o := object("k", strings.Repeat("body", 1<<20))
			out := s.Put(context.Background(), o)
			if out.Kind != record.Retry || out.Code != c.code || out.Err == nil {
				t.Fatalf("%+v, want retry with %s", out, c.code)
			}
			if n := fake.Requests("PutObject"); n != 1 {
				t.Errorf("%d requests: an attempt is one request", n)
			}
			out = s.Put(context.Background(), o)
			if out.Kind != c.then || c.then == record.Exists && (out.Found == nil || *out.Found != o.Identity) {
				t.Errorf("second attempt: %+v", out)
			}
			if n := fake.Stored(sinktest.Bucket, "k"); n != 1 {
				t.Errorf("stored %d times", n)
			}
		})
	}
}

// What the store answers decides between another attempt and the error prefix.
func TestClassification(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		kind   record.OutcomeKind
	}{
		{400, "KeyTooLongError", record.Rejected},
		{400, "EntityTooLarge", record.Rejected},
		{400, "MetadataTooLarge", record.Rejected},
		{400, "InvalidRequest", record.Rejected},
		{400, "InvalidArgument", record.Rejected},
		{403, "AccessDenied", record.Retry},
		{403, "InvalidAccessKeyId", record.Retry},
		{403, "SignatureDoesNotMatch", record.Retry},
		{404, "NoSuchBucket", record.Retry},
		{409, "ConditionalRequestConflict", record.Retry},
		{409, "OperationAborted", record.Retry},
		{409, "ObjectParentIsFile", record.Rejected},
		{400, "BadDigest", record.Retry},
		{400, "RequestTimeout", record.Retry},
		{400, "ExpiredToken", record.Retry},
		{400, "KMS.DisabledException", record.Retry},
		{429, "TooManyRequests", record.Retry},
		{500, "InternalError", record.Retry},
		{501, "NotImplemented", record.Retry},
		{503, "ServiceUnavailable", record.Retry},
	} {
		t.Run(c.code, func(t *testing.T) {
			fake := s3fake.New()
			fake.Refuse = func(r *s3fake.Request) *s3fake.Refusal {
				if r.Op == "PutObject" {
					return &s3fake.Refusal{Status: c.status, Code: c.code}
				}
				return nil
			}
			out := open(t, fake, nil).Put(context.Background(), object("k", "x"))
			if out.Kind != c.kind || out.Code != "S3."+c.code || out.Err == nil {
				t.Errorf("%+v, want %v", out, c.kind)
			}
		})
	}
}

// As long as nothing was stored with an ACL or a key of the configuration, InvalidRequest may be about those.
func TestConfigurationIsNotTheObject(t *testing.T) {
	var refuse atomic.Bool
	refuse.Store(true)
	fake := s3fake.New()
	fake.Refuse = func(r *s3fake.Request) *s3fake.Refusal {
		if r.Op == "PutObject" && refuse.Load() {
			return &s3fake.Refusal{Status: 400, Code: "InvalidRequest"}
		}
		return nil
	}
	s := open(t, fake, func(o *Options) { o.ACL = "bucket-owner-full-control" })
	if out := s.Put(context.Background(), object("k", "x")); out.Kind != record.Retry {
		t.Errorf("first object: %+v, want retry", out)
	}
	refuse.Store(false)
	if out := s.Put(context.Background(), object("k", "x")); out.Kind != record.Delivered {
		t.Fatalf("%+v", out)
	}
	refuse.Store(true)
	if out := s.Put(context.Background(), object("k2", "x")); out.Kind != record.Rejected {
		t.Errorf("once it worked: %+v, want rejected", out)
	}
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{"7": 7 * time.Second, "": 0, "soon": 0, "-3": 0, "99999999999999": maxRetryAfter, "Mon, 02 Jan 2006 15:04:05 GMT": 0} {
		fake := s3fake.New()
		fake.Refuse = func(*s3fake.Request) *s3fake.Refusal {
			return &s3fake.Refusal{Status: 503, Code: "SlowDown", RetryAfter: header}
		}
		if out := open(t, fake, nil).Put(context.Background(), object("k", "x")); out.RetryAfter != want {
			t.Errorf("Retry-After %q: %v, want %v", header, out.RetryAfter, want)
		}
	}
}

func TestNoSuchBucketIsRetried(t *testing.T) {
	o := object("k", "x")
	o.Bucket = "missing"
	if out := open(t, s3fake.New(), nil).Put(context.Background(), o); out.Kind != record.Retry || out.Code != "S3.NoSuchBucket" {
		t.Errorf("%+v", out)
	}
}

func TestUnreachable(t *testing.T) {
	fake := s3fake.New()
	url, stop := fake.Start()
	stop()
	s := open(t, s3fake.New(), func(o *Options) { o.Endpoint = url })
	if out := s.Put(context.Background(), object("k", "x")); out.Kind != record.Retry || out.Code != "S3.ConnectionFailed" {
		t.Errorf("%+v", out)
	}
	if _, exists, err := s.Head(context.Background(), sinktest.Bucket, "k"); exists || err == nil {
		t.Errorf("head: %v %v, want an error: nothing is proven", exists, err)
	}
}

// Those who may write but not read cannot tell whose object it is.
func TestUnreadable(t *testing.T) {
	fake := s3fake.New()
	fake.Fault = func(r *s3fake.Request) s3fake.Action {
		if r.Op == "HeadObject" {
			return s3fake.AccessDenied
		}
		return s3fake.None
	}
	s := open(t, fake, nil)
	_ = s.Put(context.Background(), object("k", "x"))
	if out := s.Put(context.Background(), object("k", "x")); out.Kind != record.Exists || !out.Unreadable || out.Found != nil {
		t.Errorf("%+v", out)
	}
	if _, _, err := s.Head(context.Background(), sinktest.Bucket, "k"); err == nil {
		t.Error("head: 403 proves nothing")
	}
}

// Not ours: an object without an identity, or with one that cannot be read.
func TestForeignObject(t *testing.T) {
	fake := s3fake.New()
	s := open(t, fake, nil)
	for _, meta := range []string{"", "v9;stream=x", "nonsense"} {
		r, _ := http.NewRequest(http.MethodPut, s.o.Endpoint+"/"+sinktest.Bucket+"/k"+meta, strings.NewReader("theirs"))
		r.Header.Set("x-amz-meta-hydrant-batch", meta)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		out := s.Put(context.Background(), object("k"+meta, "mine"))
		if out.Kind != record.Exists || out.Found != nil || out.Unreadable {
			t.Errorf("%q: %+v", meta, out)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// A store without conditional writes is recognised by its first object, warned about once, and never overwritten.
func TestStoreWithoutConditions(t *testing.T) {
	fake := s3fake.New()
	fake.NoConditions = true
	var log bytes.Buffer
	s := open(t, fake, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	s.maxPutBytes, s.partBytes = 12<<20, 5<<20
	for _, key := range []string{"a", "b"} {
		if out := s.Put(context.Background(), object(key, "x")); out.Kind != record.Delivered {
			t.Fatalf("%+v", out)
		}
	}
	if n := fake.Requests("PutObject"); n != 3 {
		t.Errorf("%d puts, want 3: the refusal is remembered", n)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings: %s", n, log.String())
	}
	if out := s.Put(context.Background(), object("a", "other")); out.Kind != record.Exists || out.Found == nil {
		t.Errorf("%+v", out)
	}
	if out := s.Put(context.Background(), object("big", strings.Repeat("x", 13<<20))); out.Kind != record.Delivered {
		t.Errorf("in parts: %+v", out)
	}
}

// A single refused request does not turn a store into one without conditions.
func TestRefusalOfOneObjectIsNotLearned(t *testing.T) {
	fake := s3fake.New()
	fake.Refuse = func(r *s3fake.Request) *s3fake.Refusal {
		if r.Key == "bad" && r.Op == "PutObject" {
			return &s3fake.Refusal{Status: 400, Code: "InvalidArgument"}
		}
		return nil
	}
	s := open(t, fake, nil)
	if out := s.Put(context.Background(), object("bad", "x")); out.Kind != record.Rejected {
		t.Errorf("%+v", out)
	}
	if s.unconditional.Load() {
		t.Error("conditional writes were given up")
	}
}

func TestHeaders(t *testing.T) {
	fake := s3fake.New()
	var seen http.Header
	fake.Fault = func(r *s3fake.Request) s3fake.Action {
		if r.Op == "PutObject" {
			seen = r.HTTP.Header.Clone()
		}
		return s3fake.None
	}
	s := open(t, fake, func(o *Options) {
		o.SSE, o.KMSKey, o.StorageClass, o.ACL = "kms", "alias/lake", "STANDARD_IA", "private"
	})
	o := object("k", "x")
	o.ContentEncoding = "gzip"
	if out := s.Put(context.Background(), o); out.Kind != record.Delivered {
		t.Fatalf("%+v", out)
	}
	for k, want := range map[string]string{
		"If-None-Match": "*", "Content-Type": "application/octet-stream", "Content-Encoding": "gzip", "X-Amz-Meta-Hydrant-Batch": o.Identity.String(),
		"X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "alias/lake", "X-Amz-Storage-Class": "STANDARD_IA",
		"X-Amz-Acl": "private", "X-Amz-Checksum-Crc32": "jNwWgw==", "Content-Length": "1", "X-Amz-Trailer": "",
	} {
		if got := seen.Get(k); got != want {
			t.Errorf("%s: %q, want %q", k, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	noEnvironment(t)
	no := false
	for _, c := range []struct {
		name     string
		o        Options
		env      string
		endpoint string
		path     bool
	}{
		{"AWS", Options{}, "", "", false},
		{"endpoint", Options{Endpoint: "http://127.0.0.1:9"}, "", "http://127.0.0.1:9", true},
		{"environment", Options{}, "http://127.0.0.1:8", "http://127.0.0.1:8", true},
		{"option wins", Options{Endpoint: "http://127.0.0.1:9"}, "http://127.0.0.1:8", "http://127.0.0.1:9", true},
		{"host style", Options{Endpoint: "http://127.0.0.1:9", PathStyle: &no}, "", "http://127.0.0.1:9", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("AWS_ENDPOINT_URL_S3", c.env)
			s, err := New(context.Background(), c.o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			o := s.client.Options()
			got := ""
			if o.BaseEndpoint != nil {
				got = *o.BaseEndpoint
			}
			if got != c.endpoint || o.UsePathStyle != c.path || o.Region != "us-east-1" || o.Retryer.MaxAttempts() != 1 {
				t.Errorf("endpoint %q, path style %v, region %s, attempts %d", got, o.UsePathStyle, o.Region, o.Retryer.MaxAttempts())
			}
		})
	}
	if _, err := New(context.Background(), Options{SSE: "rot13"}); err == nil {
		t.Error("an unknown encryption was accepted")
	}
}

type broken struct{ *bytes.Reader }

var errDisk = errors.New("bad sector")

func (b broken) Read(p []byte) (int, error) { return 0, errDisk }

func TestBodyThatCannotBeRead(t *testing.T) {
	s := open(t, s3fake.New(), nil)
	o := object("k", "abc")
	o.Body = broken{bytes.NewReader([]byte("abc"))}
	if out := s.Put(context.Background(), o); out.Kind != record.Retry || out.Code != "S3.ReadFailed" || !errors.Is(out.Err, errDisk) {
		t.Errorf("%+v", out)
	}
	o = object("k", "abc")
	o.Size = 4
	if out := s.Put(context.Background(), o); out.Kind != record.Retry || !errors.Is(out.Err, io.ErrUnexpectedEOF) {
		t.Errorf("short body: %+v", out)
	}
}

func TestAttemptTimeout(t *testing.T) {
	for size, want := range map[int64]time.Duration{0: 60 * time.Second, 64 << 20: 188 * time.Second, 5 << 40: 60*time.Second + (5<<40/minRate)*time.Second} {
		if got := attemptTimeout(size); got != want {
			t.Errorf("%d bytes: %v, want %v", size, got, want)
		}
	}
}

func FuzzHeader(f *testing.F) {
	for _, s := range []string{"", "v1;a=b", "日本", "%25%3B", "%80", "\x00\x7f ", "%E6%", "%2520%20"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, partition string) {
		id := sinktest.Identity(3)
		id.Partition = partition
		h := toHeader(id.String())
		for i := range len(h) {
			if !visible(h[i]) {
				t.Fatalf("byte %x in a header", h[i])
			}
		}
		if back := fromHeader(h); back != id.String() {
			t.Fatalf("%q came back as %q", id.String(), back)
		}
		_ = fromHeader(partition)
	})
}
