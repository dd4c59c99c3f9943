// Package endpointfake is a strict receiver of HTTP requests with records, for tests, with faults on demand: of Firehose's HTTP endpoint
// protocol, and of plain bodies. It checks every header and every byte of a body, remembers what was wrong, takes a request once
// however often it comes, and insists that the same id always names the same records. It keeps everything in memory, stores nothing
// and speaks no TLS of its own: it is an ordinary http.Handler.
package endpointfake

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"time"
)

// The shapes of a body.
const (
	Firehose  = ""           // Firehose's protocol
	NDJSON    = "ndjson"     // records with a newline behind each
	JSONArray = "json-array" // an array of JSON values
	Loki      = "loki"       // Loki's push
)

// Server is the fake. Set the fields before the first request. Safe for concurrent use.
type Server struct {
	Shape        string                 // Firehose, NDJSON, JSONArray or Loki
	AccessKey    string                 // that requests must carry, 401 for another; "" means that none may be sent
	SourceARN    string                 // that requests must carry; "" means any
	Headers      map[string]string      // that requests must carry besides, 403 for another value
	Labels       map[string]string      // of Loki's only stream
	MaxBodyBytes int64                  // unpacked; a larger body is answered 413. Default 64 MiB
	Refuse       func(data []byte) bool // a record that makes the receiver answer 400 to its whole request
	Fault        func(r *Request) Fault // asked once for each request; nil means none
	DripEvery    time.Duration          // what Drip waits before each byte, default 10 ms

	stop     chan struct{}
	stopOnce sync.Once

	mu         sync.Mutex
	requests   int
	repeats    int
	taken      map[string]digest // by request id
	received   [][]byte
	violations []string
}

// Request is what a Fault is chosen by.
type Request struct {
	N    int    // 1 for the first request that the server got
	ID   string // the request's id as its header says, unchecked
	HTTP *http.Request
}

// New returns a receiver of Firehose's protocol that has taken nothing yet.
func New() *Server {
	return &Server{stop: make(chan struct{}), taken: map[string]digest{}}
}

// Start serves on a loopback port of its own choice. stop ends hanging requests, too, and waits for all.
func (s *Server) Start() (url string, stop func()) {
	h := httptest.NewServer(s)
	return h.URL, func() {
		s.Release()
		h.Close()
	}
}

// Release ends all hanging and dripping requests, those to come too.
func (s *Server) Release() { s.stopOnce.Do(func() { close(s.stop) }) }

// Received are the data of all records taken, in the order taken, without those of repeated requests.
func (s *Server) Received() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([][]byte(nil), s.received...)
}

// Requests says how many requests came in, whatever became of them.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Repeats says how many requests were taken already when they came.
func (s *Server) Repeats() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.repeats
}

// Violations are what was wrong with requests, in the words of the answers. What a sender cannot know beforehand is none: a key or
// header that is not accepted, a size, a refused record.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.violations...)
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := s.count(r)
	var f Fault
	if s.Fault != nil {
		f = s.Fault(req)
	}
	if s.before(w, r, req, f) {
		return
	}
	p, no := s.read(r)
	if no == nil {
		no = s.take(p)
	}
	if no != nil {
		s.refuse(w, r, req, no)
		return
	}
	if !s.after(w, r, req, f) {
		s.answer(w, http.StatusOK, req.ID, "")
	}
}

func (s *Server) count(r *http.Request) *Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	return &Request{N: s.requests, ID: r.Header.Get(s.idHeader()), HTTP: r}
}

func (s *Server) idHeader() string {
	if s.Shape == Firehose {
		return "X-Amz-Firehose-Request-Id"
	}
	return "Idempotency-Key"
}

// payload is a request that passed all checks.
type payload struct {
	id      string
	digest  digest
	records [][]byte
}

// take keeps the records of a request that it has not seen, and checks one that it has.
func (s *Server) take(p *payload) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, seen := s.taken[p.id]
	if seen && before != p.digest {
		return violation("request id %s named another body before", p.id)
	}
	if seen {
		s.repeats++
		return nil
	}
	s.taken[p.id] = p.digest
	s.received = append(s.received, p.records...)
	return nil
}

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, req *Request, no *refusal) {
	if no.violation {
		s.mu.Lock()
		s.violations = append(s.violations, no.reason)
		s.mu.Unlock()
	}
	drain(r)
	s.answer(w, no.status, req.ID, no.reason)
}
