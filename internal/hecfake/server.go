// Package hecfake is a strict double of Splunk's HTTP Event Collector for tests, with faults on demand: it checks token, channel,
// size and every event, hands out acknowledgement ids by channel, forgets a status once it was read, and keeps what it took in the
// order taken. It indexes nothing, knows no fields, and takes a request whole or not at all.
package hecfake

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Server is the double. Set the fields before the first request. Safe for concurrent use.
type Server struct {
	Acks     bool          // tokens have indexer acknowledgement: a channel is needed and each request gets an id
	AckDelay time.Duration // from the taking of a request to its acknowledgement
	MaxBytes int64         // of a body, unpacked; more is answered 413. Default 1 MiB
	Indexes  []string      // that the token may write to; none: all

	stop     chan struct{}
	stopOnce sync.Once

	mu       sync.Mutex
	token    string
	faults   []Fault
	events   []Event
	requests int
	channels map[string]*channel
	acks     AckMode
	polls    []Poll
}

// Event is what the collector took: one line of raw data, or one event object.
type Event struct {
	Raw     []byte          // the line without its end, or the whole object
	Event   json.RawMessage // the object's "event"; nil for raw data
	Time    json.RawMessage // the object's "time"; nil when it has none
	Channel string

	Host, Source, SourceType, Index string // of the object, or of the query for raw data
}

// New makes a collector that knows one token.
func New(token string) *Server {
	return &Server{token: token, stop: make(chan struct{}), channels: map[string]*channel{}}
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

// SetToken changes the only token that is known.
func (s *Server) SetToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// Events are those taken so far, in order, repeats included.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Event(nil), s.events...)
}

// Requests is how many requests with events came in, refused ones included.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Restart is what a restart of the indexer does: channels and all acknowledgements are forgotten, ids begin at 0 again. Events stay.
func (s *Server) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.channels = map[string]*channel{}
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/services/collector"), "/1.0")
	switch {
	case !strings.HasPrefix(r.URL.Path, "/services/collector"):
		http.NotFound(w, r)
	case path == "/health":
		write(w, reply{code: 17})
	case r.Method != http.MethodPost:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	case path == "/ack":
		s.serve(w, r, s.query)
	case path == "/raw":
		s.serve(w, r, s.collect(parseRaw))
	case path == "", path == "/event":
		s.serve(w, r, s.collect(parseEvents))
	default:
		http.NotFound(w, r)
	}
}

// serve reads the body, lets a fault have its way, checks the token and answers.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, answer func(*http.Request, []byte) reply) {
	body, code := s.read(r)
	fault := s.fault(strings.HasSuffix(r.URL.Path, "/ack"))
	work := func() reply {
		if no, bad := s.authorize(r); bad {
			return no
		}
		if code != 0 {
			return reply{code: code}
		}
		return answer(r, body)
	}
	if fault != nil {
		s.misbehave(w, r, *fault, work)
		return
	}
	write(w, work())
}

// read returns the unpacked body, or the reply code for one that is no gzip though it says so, or has too many bytes.
func (s *Server) read(r *http.Request) (body []byte, code int) {
	limit := s.MaxBytes
	if limit == 0 {
		limit = 1 << 20
	}
	defer func() { _, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 64<<20)) }() // so that the answer is read and the connection lives on
	var in io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, 6
		}
		in = z
	}
	b, err := io.ReadAll(io.LimitReader(in, limit+1))
	switch {
	case err != nil:
		return nil, 6
	case int64(len(b)) > limit:
		return nil, 27
	}
	return b, 0
}

// authorize checks the header Authorization: Splunk TOKEN.
func (s *Server) authorize(r *http.Request) (reply, bool) {
	h := r.Header.Get("Authorization")
	scheme, token, _ := strings.Cut(h, " ")
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case h == "":
		return reply{code: 2}, true
	case scheme != "Splunk" || token == "":
		return reply{code: 3}, true
	case token != s.token:
		return reply{code: 4}, true
	}
	return reply{}, false
}

// reply is an answer in the collector's own words.
type reply struct {
	code       int
	status     int // 0: the code's
	event      *int
	ackID      *int64
	acks       map[string]bool // in place of code and text
	retryAfter time.Duration
}

func write(w http.ResponseWriter, r reply) {
	status, text := codeMeaning(r.code)
	body := map[string]any{"text": text, "code": r.code}
	if r.event != nil {
		body["invalid-event-number"] = *r.event
	}
	if r.ackID != nil {
		body["ackId"] = *r.ackID
	}
	if r.acks != nil {
		body = map[string]any{"acks": r.acks}
	}
	if r.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(r.retryAfter/time.Second)))
	}
	if r.status != 0 {
		status = r.status
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// codeMeaning is the HTTP status and the text that the collector gives with a reply code.
func codeMeaning(code int) (status int, text string) {
	table := [...]struct {
		status int
		text   string
	}{
		{200, "Success"}, {403, "Token disabled"}, {401, "Token is required"}, {401, "Invalid authorization"}, {403, "Invalid token"},
		{400, "No data"}, {400, "Invalid data format"}, {400, "Incorrect index"}, {500, "Internal server error"}, {503, "Server is busy"},
		{400, "Data channel is missing"}, {400, "Invalid data channel"}, {400, "Event field is required"}, {400, "Event field cannot be blank"},
		{400, "ACK is disabled"}, {400, "Error in handling indexed fields"}, {400, "Query string authorization is not enabled"},
		{200, "HEC is healthy"}, {503, "HEC is unhealthy, queues are full"}, {503, "HEC is unhealthy, ack service unavailable"},
		{503, "HEC is unhealthy, queues are full, ack service unavailable"}, {400, "Invalid token"}, {400, "Token disabled"},
		{503, "Server is shutting down"}, {429, "Queue approaching capacity"}, {429, "ACK channel approaching capacity"},
		{429, "Queue at capacity"}, {413, "Request entity too large"},
	}
	if code < 0 || code >= len(table) {
		return http.StatusInternalServerError, "unknown"
	}
	return table[code].status, table[code].text
}
