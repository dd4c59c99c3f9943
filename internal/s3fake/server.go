// Package s3fake is a strict S3 server for tests, with faults on demand: it stores objects atomically, honours If-None-Match,
// checks every checksum that it is sent, and counts what it did. It speaks path style only, checks no
// signatures and keeps no versions. Proxy puts the same faults in front of a real server.
package s3fake

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Server is the fake. Set the fields before the first request. Safe for concurrent use.
type Server struct {
	AutoCreate bool                      // buckets appear with their first object; else NoSuchBucket
	Fault      func(r *Request) Action   // asked once for each request; nil means none
	SlowDelay  time.Duration             // what Slow waits before it answers, default 2 s
	Refuse     func(r *Request) *Refusal // an answer in place of the real one; nil means none

	// NoConditions makes the server answer 501 to If-None-Match, as stores do that know no conditional writes.
	NoConditions bool

	faults

	mu      sync.Mutex
	buckets map[string]map[string]*object
	uploads map[string]*upload
	stored  map[string]int // bucket/key -> how often something was stored under it
	nextID  uint64
	blobs   blobs
}

// Refusal is an answer of the caller's choice.
type Refusal struct {
	Status     int
	Code       string
	RetryAfter string
}

// New returns an empty server that holds its objects in memory.
func New() *Server {
	return &Server{
		faults:  newFaults(),
		buckets: map[string]map[string]*object{}, uploads: map[string]*upload{}, stored: map[string]int{},
		blobs: memory{},
	}
}

// Start serves on a loopback port of its own choice. stop ends hanging requests, too, and waits for all.
func (s *Server) Start() (url string, stop func()) {
	h := httptest.NewServer(s)
	var once sync.Once
	return h.URL, func() {
		once.Do(func() {
			s.Release()
			h.Close()
		})
	}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := parse(r)
	w.Header().Set("X-Amz-Request-Id", "fake")
	if s.Refuse != nil {
		if no := s.Refuse(req); no != nil {
			drain(r)
			if no.RetryAfter != "" {
				w.Header().Set("Retry-After", no.RetryAfter)
			}
			writeError(w, r, &apiError{no.Status, no.Code})
			return
		}
	}
	s.inject(s.Fault, req, w, s.SlowDelay, func(w http.ResponseWriter) {
		if err := s.serve(w, req); err != nil {
			drain(r)
			writeError(w, r, err)
		}
	})
}

// Request is one request as the protocol names it.
type Request struct {
	Op          string // PutObject, HeadObject, GetObject, DeleteObject, ListObjectsV2, CreateMultipartUpload, UploadPart, …
	Bucket, Key string
	UploadID    string
	N           int // 1 for the first request of this Op, counted by the server
	HTTP        *http.Request
}

func parse(r *http.Request) *Request {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	q := r.URL.Query()
	req := &Request{Bucket: bucket, Key: key, UploadID: q.Get("uploadId"), HTTP: r}
	switch {
	case bucket == "":
		req.Op = "ListBuckets"
	case key == "":
		req.Op = bucketOp(r.Method, q.Has("uploads"), q.Has("location"))
	case q.Has("uploads"):
		req.Op = "CreateMultipartUpload"
	case q.Has("uploadId"):
		req.Op = map[string]string{"PUT": "UploadPart", "POST": "CompleteMultipartUpload", "DELETE": "AbortMultipartUpload"}[r.Method]
	default:
		req.Op = map[string]string{"PUT": "PutObject", "GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}[r.Method]
	}
	return req
}

func bucketOp(method string, uploads, location bool) string {
	switch {
	case method == "GET" && uploads:
		return "ListMultipartUploads"
	case method == "GET" && location:
		return "GetBucketLocation"
	}
	return map[string]string{"PUT": "CreateBucket", "GET": "ListObjectsV2", "HEAD": "HeadBucket", "DELETE": "DeleteBucket"}[method]
}

func (s *Server) serve(w http.ResponseWriter, r *Request) error {
	switch r.Op {
	case "PutObject":
		return s.putObject(w, r)
	case "GetObject", "HeadObject":
		return s.getObject(w, r)
	case "DeleteObject":
		return s.deleteObject(w, r)
	case "CreateMultipartUpload":
		return s.createUpload(w, r)
	case "UploadPart":
		return s.uploadPart(w, r)
	case "CompleteMultipartUpload":
		return s.completeUpload(w, r)
	case "AbortMultipartUpload":
		return s.abortUpload(w, r)
	case "ListObjectsV2", "ListBuckets", "ListMultipartUploads", "GetBucketLocation":
		return s.list(w, r)
	case "CreateBucket", "HeadBucket", "DeleteBucket":
		return s.bucket(w, r)
	}
	return &apiError{http.StatusMethodNotAllowed, "MethodNotAllowed"}
}

func (s *Server) bucket(w http.ResponseWriter, r *Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, ok := s.buckets[r.Bucket]
	switch {
	case r.Op == "CreateBucket" && ok:
		return &apiError{http.StatusConflict, "BucketAlreadyOwnedByYou"}
	case r.Op == "CreateBucket":
		s.buckets[r.Bucket] = map[string]*object{}
		w.Header().Set("Location", "/"+r.Bucket)
		return s.blobs.makeBucket(r.Bucket)
	case !ok:
		return errNoBucket
	case r.Op == "DeleteBucket" && len(objects) > 0:
		return &apiError{http.StatusConflict, "BucketNotEmpty"}
	case r.Op == "DeleteBucket":
		delete(s.buckets, r.Bucket)
		w.WriteHeader(http.StatusNoContent)
		return s.blobs.removeBucket(r.Bucket)
	}
	return nil
}

// apiError is an answer with the protocol's code.
type apiError struct {
	status int
	code   string
}

func (e *apiError) Error() string { return e.code }

var (
	errNoBucket = &apiError{http.StatusNotFound, "NoSuchBucket"}
	errNoKey    = &apiError{http.StatusNotFound, "NoSuchKey"}
	errNoUpload = &apiError{http.StatusNotFound, "NoSuchUpload"}
	errExists   = &apiError{http.StatusPreconditionFailed, "PreconditionFailed"}
	errDigest   = &apiError{http.StatusBadRequest, "BadDigest"}
)

func writeError(w http.ResponseWriter, r *http.Request, err error) {
	api := &apiError{http.StatusInternalServerError, "InternalError"}
	if !errors.As(err, &api) {
		w.Header().Set("X-Fake-Error", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Del("Etag")
	w.Header().Del("Last-Modified")
	w.WriteHeader(api.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<Error><Code>" + api.code + "</Code><Message>" + api.code + "</Message></Error>"))
	}
}
