package hecfake

import (
	"net/http"
	"strings"
	"time"
)

// FaultKind is how one request is met.
type FaultKind int

// The kinds of faults.
const (
	Answer   FaultKind = iota // with Code, in the collector's words; takes nothing
	Bare                      // with Status and a page that is no reply of a collector; takes nothing
	Hang                      // no answer until the client gives up or the server stops; takes nothing
	Cut                       // the connection is closed in place of an answer; takes nothing
	CutAfter                  // the same, but everything was done
	NoAckID                   // done, but the answer has no id
)

// Fault is what happens to one request.
type Fault struct {
	Kind       FaultKind
	Code       int           // reply code, for Answer
	Status     int           // HTTP status, for Bare; for Answer in place of the code's own
	Event      *int          // invalid-event-number, for Answer
	RetryAfter time.Duration // whole seconds
	Ack        bool          // meets the next question for acknowledgements, not the next request with events
}

// Next queues faults, one for each request of its kind to come.
func (s *Server) Next(f ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f...)
}

// fault counts a request and takes its fault out of the queue; nil when it has none.
func (s *Server) fault(ack bool) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !ack {
		s.requests++
	}
	for i, f := range s.faults {
		if f.Ack == ack {
			s.faults = append(s.faults[:i:i], s.faults[i+1:]...)
			return &f
		}
	}
	return nil
}

// misbehave meets a request with a fault; work does what the request asks for.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, f Fault, work func() reply) {
	switch f.Kind {
	case Answer:
		write(w, reply{code: f.Code, status: f.Status, event: f.Event, retryAfter: f.RetryAfter})
	case Bare:
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte("<html>" + strings.Repeat(".", 100) + "</html>"))
	case Hang:
		select {
		case <-r.Context().Done():
		case <-s.stop:
		}
		panic(http.ErrAbortHandler)
	case CutAfter:
		work()
		panic(http.ErrAbortHandler)
	case NoAckID:
		out := work()
		out.ackID = nil
		write(w, out)
	default:
		panic(http.ErrAbortHandler)
	}
}
