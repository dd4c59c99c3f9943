package osfake

import (
	"net/http"
)

// FaultKind is how one request is met.
type FaultKind int

// The kinds of faults.
const (
	Answer   FaultKind = iota // with Status, Type and RetryAfter; takes nothing
	Bare                      // with Status and a page that is no answer of a cluster; takes nothing
	Hang                      // no answer until the client gives up or the server stops; takes nothing
	Cut                       // the connection is closed in place of an answer; takes nothing
	CutAfter                  // the same, but everything was done
	Garbage                   // 200 and something that is no answer to a bulk request; takes nothing
	Short                     // done, but the answer lacks its last item
)

// Fault is what happens to one request.
type Fault struct {
	Kind       FaultKind
	Status     int    // for Answer and Bare
	Type       string // of the error, for Answer
	RetryAfter int    // seconds, for Answer and Bare
}

// Fail has the next requests meet these faults, one each.
func (s *Server) Fail(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

func (s *Server) fault() *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) == 0 {
		return nil
	}
	f := s.faults[0]
	s.faults = s.faults[1:]
	return &f
}

func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, f Fault, work func() reply) {
	switch f.Kind {
	case Answer:
		no := whole(f.Status, f.Type, "as the test wants it")
		no.retryAfter = f.RetryAfter
		write(w, no)
	case Bare:
		write(w, reply{status: f.Status, retryAfter: f.RetryAfter, body: "<html>no cluster</html>"})
	case Hang:
		select {
		case <-r.Context().Done():
		case <-s.stop:
		}
		panic(http.ErrAbortHandler)
	case Cut:
		panic(http.ErrAbortHandler)
	case CutAfter:
		work()
		panic(http.ErrAbortHandler)
	case Garbage:
		write(w, reply{status: http.StatusOK, body: map[string]any{"hello": []int{1, 2}}})
	case Short:
		done := work()
		if b, ok := done.body.(bulkAnswer); ok && len(b.Items) > 0 {
			b.Items = b.Items[:len(b.Items)-1]
			done.body = b
		}
		write(w, done)
	}
}
