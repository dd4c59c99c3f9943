package s3fake

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// object is one stored object. It is never changed once it is in a bucket.
type object struct {
	Header   http.Header // what the client sent and a GET gives back, and the ACL
	Size     int64
	ETag     string // without quotes
	CRC32    string // base64, "" when the client sent none
	Modified time.Time

	blob blob
}

// Object is a stored object as tests look at it.
type Object struct {
	Header http.Header
	Size   int64
	ETag   string
	Body   []byte
}

// Object reads what stands under a key.
func (s *Server) Object(bucket, key string) (Object, bool) {
	s.mu.Lock()
	o := s.buckets[bucket][key]
	s.mu.Unlock()
	if o == nil {
		return Object{}, false
	}
	r, err := o.blob.open()
	if err != nil {
		return Object{}, false
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	return Object{o.Header.Clone(), o.Size, o.ETag, b}, err == nil
}

// Keys lists a bucket in order.
func (s *Server) Keys(bucket string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys(bucket)
}

func (s *Server) keys(bucket string) []string {
	keys := make([]string, 0, len(s.buckets[bucket]))
	for k := range s.buckets[bucket] {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Stored says how often something was stored under a key: above 1 means that it was overwritten.
func (s *Server) Stored(bucket, key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stored[bucket+"/"+key]
}

// Uploads is the number of multipart uploads that are open.
func (s *Server) Uploads() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.uploads)
}

// CreateBucket makes a bucket, if it is not there.
func (s *Server) CreateBucket(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.buckets[name] != nil {
		return nil
	}
	s.buckets[name] = map[string]*object{}
	return s.blobs.makeBucket(name)
}

const (
	maxKeyBytes      = 1024
	maxMetadataBytes = 2048
	maxPutBytes      = 5 << 30
	minPartBytes     = 5 << 20 // of each part but the last
)

// accept checks what can be checked before the body.
func (s *Server) accept(r *Request) error {
	if len(r.Key) > maxKeyBytes {
		return &apiError{http.StatusBadRequest, "KeyTooLongError"}
	}
	if r.HTTP.ContentLength > maxPutBytes {
		return &apiError{http.StatusBadRequest, "EntityTooLarge"}
	}
	n := 0
	for k, v := range r.HTTP.Header {
		if strings.HasPrefix(k, "X-Amz-Meta-") {
			n += len(k) - len("X-Amz-Meta-") + len(strings.Join(v, ","))
		}
	}
	if n > maxMetadataBytes {
		return &apiError{http.StatusBadRequest, "MetadataTooLarge"}
	}
	if c := r.HTTP.Header.Get("If-None-Match"); c != "" && (s.NoConditions || c != "*") {
		return &apiError{http.StatusNotImplemented, "NotImplemented"}
	}
	return nil
}

func (s *Server) putObject(w http.ResponseWriter, r *Request) error {
	if err := s.accept(r); err != nil {
		return err
	}
	o, err := s.take(r)
	if err != nil {
		return err
	}
	o.Header = kept(r.HTTP.Header)
	if err := s.publish(r, o); err != nil {
		o.blob.discard()
		return err
	}
	answer(w.Header(), o)
	w.WriteHeader(http.StatusOK)
	return nil
}

// take reads a body into a blob of its own.
func (s *Server) take(r *Request) (*object, error) {
	b, err := s.blobs.create()
	if err != nil {
		return nil, err
	}
	sums, err := receive(r.HTTP, b)
	if err == nil {
		err = b.finish()
	}
	if err != nil {
		b.discard()
		return nil, err
	}
	return &object{Size: sums.n, ETag: sums.etag(), CRC32: sums.crc32(), Modified: time.Now().UTC(), blob: b}, nil
}

// publish puts an object under its key, atomically with the check of the condition.
func (s *Server) publish(r *Request, o *object) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, ok := s.buckets[r.Bucket]
	if !ok && !s.AutoCreate {
		return errNoBucket
	}
	if !ok {
		if err := s.blobs.makeBucket(r.Bucket); err != nil {
			return err
		}
		objects = map[string]*object{}
		s.buckets[r.Bucket] = objects
	}
	old := objects[r.Key]
	if old != nil && r.HTTP.Header.Get("If-None-Match") == "*" {
		return errExists
	}
	if err := s.blobs.save(r.Bucket, r.Key, o); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	objects[r.Key] = o
	s.stored[r.Bucket+"/"+r.Key]++
	if old != nil {
		old.blob.discard()
	}
	return nil
}

// kept picks the request headers that belong to the object.
func kept(h http.Header) http.Header {
	out := http.Header{}
	for k, v := range h {
		switch k {
		case "Content-Type", "Content-Encoding", "Cache-Control", "Content-Disposition", "Content-Language", "Expires",
			"X-Amz-Storage-Class", "X-Amz-Acl", "X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id":
			out[k] = slices.Clone(v)
		}
		if strings.HasPrefix(k, "X-Amz-Meta-") {
			out[k] = slices.Clone(v)
		}
	}
	enc := strings.TrimPrefix(strings.TrimPrefix(out.Get("Content-Encoding"), "aws-chunked"), ",")
	if out.Del("Content-Encoding"); enc != "" {
		out.Set("Content-Encoding", enc)
	}
	return out
}

func answer(h http.Header, o *object) {
	h.Set("Etag", `"`+o.ETag+`"`)
	if o.CRC32 != "" {
		h.Set("X-Amz-Checksum-Crc32", o.CRC32)
	}
	for _, k := range []string{"X-Amz-Server-Side-Encryption", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"} {
		if v := o.Header.Get(k); v != "" {
			h.Set(k, v)
		}
	}
}

func (s *Server) getObject(w http.ResponseWriter, r *Request) error {
	o, err := s.find(r)
	if err != nil {
		return err
	}
	body, err := o.blob.open()
	if err != nil {
		return err
	}
	defer body.Close()
	for k, v := range o.Header {
		if k != "X-Amz-Acl" {
			w.Header()[k] = v
		}
	}
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "binary/octet-stream")
	}
	w.Header().Set("Etag", `"`+o.ETag+`"`)
	http.ServeContent(w, r.HTTP, "", o.Modified, body)
	return nil
}

func (s *Server) find(r *Request) (*object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	objects, ok := s.buckets[r.Bucket]
	if !ok {
		return nil, errNoBucket
	}
	o := objects[r.Key]
	if o == nil {
		return nil, errNoKey
	}
	return o, nil
}

func (s *Server) deleteObject(w http.ResponseWriter, r *Request) error {
	o, err := s.find(r)
	if err == errNoBucket {
		return err
	}
	if err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := s.blobs.remove(r.Bucket, r.Key); err != nil {
			return err
		}
		if s.buckets[r.Bucket][r.Key] == o {
			delete(s.buckets[r.Bucket], r.Key)
			o.blob.discard()
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
