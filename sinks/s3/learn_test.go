package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"hydrant/internal/s3fake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

// What a proxy in front of the store answers, in words that are no S3.
func TestBareAnswersOfAProxy(t *testing.T) {
	for status, want := range map[int]record.Outcome{
		413: {Kind: record.Rejected, TooLarge: true},
		414: {Kind: record.Rejected},
		403: {Kind: record.Retry, Unsent: true},
		502: {Kind: record.Retry},
		504: {Kind: record.Retry},
	} {
		for _, page := range []string{"", "<html><body><hr>nginx</body></html>", "no"} {
			proxy := roundTripper(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(page)), Header: http.Header{}, Request: r}, nil
			})
			s := open(t, s3fake.New(), func(o *Options) { o.HTTPClient = &http.Client{Transport: proxy} })
			out := s.Put(context.Background(), object("k", "x"))
			if out.Kind != want.Kind || out.TooLarge != want.TooLarge || out.Unsent != want.Unsent || out.Code == "" {
				t.Errorf("%d %q: %+v, want %+v", status, page, out, want)
			}
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestTooLarge(t *testing.T) {
	for code, status := range map[string]int{"EntityTooLarge": 400, "RequestEntityTooLarge": 413} {
		fake := s3fake.New()
		fake.Refuse = func(*s3fake.Request) *s3fake.Refusal { return &s3fake.Refusal{Status: status, Code: code} }
		if out := open(t, fake, nil).Put(context.Background(), object("k", "x")); out.Kind != record.Rejected || !out.TooLarge {
			t.Errorf("%s: %+v", code, out)
		}
	}
}

// An attempt that cannot have stored anything says so: an unreadable object that is met later is not its.
func TestUnsent(t *testing.T) {
	gone := s3fake.New()
	url, stop := gone.Start()
	stop()
	s := open(t, s3fake.New(), func(o *Options) { o.Endpoint = url })
	if out := s.Put(context.Background(), object("k", "x")); !out.Unsent {
		t.Errorf("no connection: %+v", out)
	}
	for action, want := range map[s3fake.Action]bool{s3fake.CutAfter: false, s3fake.FailAfter: false, s3fake.SlowDown: false, s3fake.AccessDenied: true} {
		fake := s3fake.New()
		fake.Fault = func(*s3fake.Request) s3fake.Action { return action }
		if out := open(t, fake, nil).Put(context.Background(), object("k", "x")); out.Kind != record.Retry || out.Unsent != want {
			t.Errorf("%v: %+v", action, out)
		}
	}
}

// noKeys fails as the chain's last link does: with an answer of another service, which must not pass for the store's.
type noKeys struct{ status int }

func (n noKeys) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: n.status, Header: http.Header{"Retry-After": {"900"}}}},
		Err:      &smithy.GenericAPIError{Code: "AccessDenied", Message: "http://169.254.169.254/latest/meta-data"},
	}
}

func TestMissingCredentials(t *testing.T) {
	for _, status := range []int{403, 404, 412, 501} {
		fake := s3fake.New()
		s := open(t, fake, func(o *Options) { o.Credentials = noKeys{status} })
		out := s.Put(context.Background(), object("k", "x"))
		if out.Kind != record.Retry || out.Code != "S3.NoCredentials" || !out.Unsent || out.RetryAfter != 0 {
			t.Errorf("%d: %+v", status, out)
		}
		if out.Err == nil || !errors.Is(out.Err, errCredentials) || !strings.Contains(out.Err.Error(), "AWS_SECRET_ACCESS_KEY") {
			t.Errorf("%d: the message does not help: %v", status, out.Err)
		}
		if _, exists, err := s.Head(context.Background(), sinktest.Bucket, "k"); exists || err == nil {
			t.Errorf("%d: head: %v %v, want an error: the store was not asked", status, exists, err)
		}
		if n := fake.Requests("PutObject") + fake.Requests("HeadObject"); n != 0 {
			t.Errorf("%d requests", n)
		}
	}
}

func TestNoCredentialsAnywhere(t *testing.T) {
	for _, k := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(k, "")
	}
	s := open(t, s3fake.New(), func(o *Options) { o.Credentials = nil })
	if out := s.Put(context.Background(), object("k", "x")); out.Kind != record.Retry || out.Code != "S3.NoCredentials" {
		t.Errorf("%+v", out)
	}
}

// ignoresConditions is a store that accepts If-None-Match and does not look at it.
type ignoresConditions struct{ next http.RoundTripper }

func (i ignoresConditions) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("If-None-Match")
	return i.next.RoundTrip(r)
}

func TestStoreThatIgnoresConditions(t *testing.T) {
	fake := s3fake.New()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	var log bytes.Buffer
	s := open(t, fake, func(o *Options) {
		o.HTTPClient = &http.Client{Transport: ignoresConditions{transport}}
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	big := object("big", strings.Repeat("x", maxProbe+1))
	for _, o := range []*record.Object{big, object("a", "x"), object("b", "x")} {
		if out := s.Put(context.Background(), o); out.Kind != record.Delivered {
			t.Fatalf("%s: %+v", o.Key, out)
		}
	}
	for key, want := range map[string]int{"big": 1, "a": 2, "b": 1} {
		if n := fake.Stored(sinktest.Bucket, key); n != want {
			t.Errorf("%s was stored %d times, want %d", key, n, want)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings: %s", n, log.String())
	}
	if out := s.Put(context.Background(), object("b", "other")); out.Kind != record.Exists || out.Found == nil {
		t.Errorf("%+v: the object would have been overwritten", out)
	}
}

// A store that honours conditions is asked once; a failure of the question is no answer, and no failure of the object.
func TestConditionIsProbedOnce(t *testing.T) {
	fake := s3fake.New()
	puts := 0
	fake.Fault = func(r *s3fake.Request) s3fake.Action {
		if r.Op == "PutObject" {
			if puts++; puts == 2 {
				return s3fake.FailBefore
			}
		}
		return s3fake.None
	}
	s := open(t, fake, nil)
	for _, key := range []string{"a", "b", "c"} {
		if out := s.Put(context.Background(), object(key, "x")); out.Kind != record.Delivered {
			t.Fatalf("%s: %+v", key, out)
		}
	}
	if puts != 5 || s.unconditional.Load() {
		t.Errorf("%d puts, unconditional %v; want 5: two questions, one of them answered", puts, s.unconditional.Load())
	}
}
