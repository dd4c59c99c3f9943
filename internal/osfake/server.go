// Package osfake is a strict double of the _bulk endpoint of OpenSearch for tests, with faults on demand: it checks the framing and each
// action, creates indices as they are written to, knows data streams, answers 409 for a document that is there, and keeps what it took
// in the order taken. It indexes nothing: mappings, searches and pipelines do not exist, and only the action create is known.
package osfake

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// Server is the double. Set the fields before the first request. Safe for concurrent use.
type Server struct {
	Username     string // with SetPassword: basic authentication that requests must have; "": none
	MaxBytes     int64  // of a body as it is sent; more is answered 413. Default 100 MiB
	NoAutoCreate bool   // indices are there only once AddIndex or AddDataStream made them
	Shuffle      bool   // items that fail come in the opposite order, as those that an ingest pipeline refuses may
	Unfiltered   bool   // filter_path is not known: answers have all their fields

	// Judge is asked about each document before it is taken, one at a time, in order; nil, or nil from it, refuses none.
	Judge func(Document) *Refusal

	stop     chan struct{}
	stopOnce sync.Once

	bulk sync.Mutex // one bulk request at a time, so that documents have an order

	mu       sync.Mutex
	password string
	faults   []Fault
	indices  map[string]*index
	taken    []Document
	requests []Request
	nextID   int
}

// Document is one that was sent. Source is byte for byte as it was sent, without the newline.
type Document struct {
	Index, ID string // ID is "" in what Judge is asked about an action without one
	Source    []byte
}

// Refusal is the answer about one document that is not taken.
type Refusal struct {
	Status       int
	Type, Reason string
}

// Request is one that came in, whatever became of it.
type Request struct {
	Method, Path string
	Query        url.Values
	Header       http.Header
	Bytes        int64 // of the body as it was sent
}

type index struct {
	stream bool
	ids    map[string]bool
}

// New makes a server that holds nothing.
func New() *Server {
	return &Server{stop: make(chan struct{}), indices: map[string]*index{}}
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

// Release ends all hanging requests, those to come too.
func (s *Server) Release() { s.stopOnce.Do(func() { close(s.stop) }) }

// SetPassword changes the password of Username.
func (s *Server) SetPassword(p string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.password = p
}

// AddIndex makes an index.
func (s *Server) AddIndex(name string) { s.add(name, false) }

// AddDataStream makes a data stream: its documents must have an @timestamp.
func (s *Server) AddDataStream(name string) { s.add(name, true) }

func (s *Server) add(name string, stream bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.indices[name] = &index{stream: stream, ids: map[string]bool{}}
}

// Documents are those taken so far, in the order taken.
func (s *Server) Documents() []Document {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Document(nil), s.taken...)
}

// Requests are those that came in so far, in order.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	s.note(r, int64(len(raw)))
	if r.URL.Path != "/_bulk" || r.Method != http.MethodPost {
		write(w, whole(http.StatusBadRequest, "illegal_argument_exception", "no handler found for uri ["+r.URL.Path+"] and method ["+r.Method+"]"))
		return
	}
	work := func() reply { return s.answer(r, raw) }
	if f := s.fault(); f != nil {
		s.misbehave(w, r, *f, work)
		return
	}
	write(w, work())
}

func (s *Server) note(r *http.Request, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Header: r.Header.Clone(), Bytes: size})
}

// answer checks what comes before the first action, and takes the documents.
func (s *Server) answer(r *http.Request, raw []byte) reply {
	limit := s.MaxBytes
	if limit == 0 {
		limit = 100 << 20
	}
	switch {
	case int64(len(raw)) > limit:
		return reply{status: http.StatusRequestEntityTooLarge} // without a body, as Netty answers
	case !s.authorized(r):
		return whole(http.StatusUnauthorized, "security_exception", "missing or wrong credentials")
	case r.ContentLength < 0:
		return whole(http.StatusBadRequest, "illegal_argument_exception", "a body of unknown length")
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-ndjson") && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json"):
		return whole(http.StatusNotAcceptable, "", "Content-Type header ["+r.Header.Get("Content-Type")+"] is not supported")
	}
	body, err := unpack(r.Header.Get("Content-Encoding"), raw)
	if err != nil {
		return whole(http.StatusBadRequest, "zip_exception", err.Error())
	}
	filter := r.URL.Query().Get("filter_path")
	return s.take(body, filter != "" && !s.Unfiltered, strings.Contains(filter, "_id"))
}

func (s *Server) authorized(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	user, password, ok := r.BasicAuth()
	return s.Username == "" || ok && user == s.Username && password == s.password
}

func unpack(encoding string, raw []byte) ([]byte, error) {
	if encoding != "gzip" {
		return raw, nil
	}
	z, err := gzip.NewReader(strings.NewReader(string(raw)))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

// reply is an answer. Its body is written as JSON, nil as none.
type reply struct {
	status     int
	retryAfter int // seconds, 0 without
	body       any
}

// whole is the answer to a request that is refused as a whole.
func whole(status int, typ, reason string) reply {
	e := map[string]any{"type": typ, "reason": reason}
	return reply{status: status, body: map[string]any{"error": map[string]any{"root_cause": []any{e}, "type": typ, "reason": reason}, "status": status}}
}

func write(w http.ResponseWriter, r reply) {
	if r.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(r.retryAfter))
	}
	if r.body != nil {
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	}
	w.WriteHeader(r.status)
	if r.body != nil {
		_ = json.NewEncoder(w).Encode(r.body)
	}
}
