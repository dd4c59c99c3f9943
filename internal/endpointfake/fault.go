package endpointfake

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Kind is what happens to one request.
type Kind int

// The kinds of a fault.
const (
	None        Kind = iota
	Status           // answers Fault.Status, takes nothing
	StatusAfter      // takes it, answers Fault.Status
	Hang             // no answer until the client gives up or the server stops; takes nothing
	HangAfter        // takes it, no answer
	CutBody          // cuts the connection in the middle of the body
	Cut              // reads all, takes nothing, cuts the connection in place of an answer
	CutAfter         // takes it, cuts the connection in place of an answer
	CutAnswer        // takes it, cuts the connection in the middle of a good answer
	Drip             // takes it, answers well, a byte at a time
	WrongEcho        // takes nothing, answers 200 for another request id
	WrongType        // takes nothing, answers 200 with a good body of another content type
	Encoded          // takes nothing, answers 200 with a good body and a Content-Encoding
	Garbage          // takes nothing, answers 200 with a page of HTML
	Huge             // takes nothing, answers 200 with 2 MiB
	Redirect         // takes nothing, answers 307 to the path /elsewhere of itself
	EarlyAnswer      // answers 200 before it has read the body, takes nothing
)

// Fault is what the server does with one request in place of serving it. The zero value is none.
type Fault struct {
	Kind       Kind
	Status     int    // of Status and StatusAfter
	RetryAfter string // header of Status and StatusAfter, "" for none
	Message    string // errorMessage of Status and StatusAfter
}

// before does the faults that take nothing; false: it was none of them.
func (s *Server) before(w http.ResponseWriter, r *http.Request, req *Request, f Fault) bool {
	switch f.Kind {
	case CutBody:
		_, _ = io.CopyN(io.Discard, r.Body, max(r.ContentLength, 0)/2)
		panic(http.ErrAbortHandler)
	case EarlyAnswer:
		s.early(w, req)
		return true
	case None, StatusAfter, HangAfter, CutAfter, CutAnswer, Drip:
		return false
	}
	drain(r)
	switch f.Kind {
	case Status:
		s.answerFault(w, req, f)
	case Hang:
		s.hang(r)
	case Cut:
		panic(http.ErrAbortHandler)
	case WrongEcho:
		s.answer(w, http.StatusOK, "00000000-0000-0000-0000-000000000000", "")
	case WrongType:
		write(w, http.StatusOK, "text/plain", body(req.ID, ""))
	case Encoded:
		w.Header().Set("Content-Encoding", "identity")
		s.answer(w, http.StatusOK, req.ID, "")
	case Garbage:
		write(w, http.StatusOK, "text/html", []byte("<html><body>It works!</body></html>"))
	case Huge:
		write(w, http.StatusOK, "application/json", make([]byte, 2<<20))
	case Redirect:
		w.Header().Set("Location", "/elsewhere")
		s.answer(w, http.StatusTemporaryRedirect, req.ID, "")
	}
	return true
}

// after does the faults of a request that was taken; false: it was none of them.
func (s *Server) after(w http.ResponseWriter, r *http.Request, req *Request, f Fault) bool {
	switch f.Kind {
	case StatusAfter:
		s.answerFault(w, req, f)
	case HangAfter:
		s.hang(r)
	case CutAfter:
		panic(http.ErrAbortHandler)
	case CutAnswer:
		b := body(req.ID, "")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = w.Write(b[:len(b)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case Drip:
		s.drip(w, r, body(req.ID, ""))
	default:
		return false
	}
	return true
}

// early answers while most of a large body is still on its way, then leaves.
func (s *Server) early(w http.ResponseWriter, req *Request) {
	w.Header().Set("Connection", "close")
	_ = http.NewResponseController(w).EnableFullDuplex() // or the body would be read before the answer
	s.answer(w, http.StatusOK, req.ID, "")
	_ = http.NewResponseController(w).Flush()
	s.hang(req.HTTP)
}

func (s *Server) answerFault(w http.ResponseWriter, req *Request, f Fault) {
	if f.RetryAfter != "" {
		w.Header().Set("Retry-After", f.RetryAfter)
	}
	s.answer(w, f.Status, req.ID, f.Message)
}

// answer is one of the protocol; receivers of plain bodies say nothing but a status.
func (s *Server) answer(w http.ResponseWriter, status int, id, message string) {
	if s.Shape == Firehose {
		write(w, status, "application/json", body(id, message))
		return
	}
	if status == http.StatusOK {
		status = http.StatusNoContent
	}
	w.WriteHeader(status)
	if message != "" && status != http.StatusNoContent {
		_, _ = io.WriteString(w, message)
	}
}

// body is the protocol's answer. Its time is a constant: nobody may depend on it.
func body(id, message string) []byte {
	b, err := json.Marshal(struct {
		RequestID    string `json:"requestId"`
		Timestamp    int64  `json:"timestamp"`
		ErrorMessage string `json:"errorMessage,omitempty"`
	}{id, 1_795_000_000_000, message})
	if err != nil {
		panic(fmt.Sprintf("endpointfake: strings that cannot be written: %v", err))
	}
	return b
}

func write(w http.ResponseWriter, status int, contentType string, b []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(status)
	_, _ = w.Write(b)
}

// hang waits for the client to leave, which is seen only once its body was read.
func (s *Server) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.stop:
	}
	panic(http.ErrAbortHandler)
}

func (s *Server) drip(w http.ResponseWriter, r *http.Request, b []byte) {
	every := s.DripEvery
	if every <= 0 {
		every = 10 * time.Millisecond
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range b {
		select {
		case <-tick.C:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		case <-s.stop:
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(b[i : i+1])
		_ = http.NewResponseController(w).Flush()
	}
}

// drain reads what the client still sends, within reason, so that it sees the answer and not a reset.
func drain(r *http.Request) { _, _ = io.CopyN(io.Discard, r.Body, 256<<20) }
