package s3fake

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// Action is what happens to one request.
type Action int

// The faults.
const (
	None         Action = iota
	SlowDown            // 503 SlowDown, nothing stored
	FailBefore          // 500 InternalError, nothing stored
	FailAfter           // done, but answered 500 InternalError
	Hang                // no answer until the client gives up or the server stops; nothing stored
	HangAfter           // done, but no answer
	CutAfter            // done, then the connection is cut in place of an answer
	CutBody             // the connection is cut in the middle of the body
	Slow                // done and answered, late
	AccessDenied        // 403, nothing stored
	actions
)

func (a Action) String() string {
	if a < 0 || a >= actions {
		return fmt.Sprintf("action %d", int(a))
	}
	return [...]string{"none", "slow-down", "fail-before", "fail-after", "hang", "hang-after", "cut-after", "cut-body", "slow", "access-denied"}[a]
}

// faults counts requests and what was done to them.
type faults struct {
	fmu      sync.Mutex
	counts   map[Action]int
	requests map[string]int // by Op
	stop     chan struct{}
	stopOnce *sync.Once
}

func newFaults() faults {
	return faults{counts: map[Action]int{}, requests: map[string]int{}, stop: make(chan struct{}), stopOnce: new(sync.Once)}
}

// Release ends all hanging requests, those to come too.
func (f *faults) Release() { f.stopOnce.Do(func() { close(f.stop) }) }

// Counts says how often each action was taken.
func (f *faults) Counts() map[Action]int {
	f.fmu.Lock()
	defer f.fmu.Unlock()
	out := map[Action]int{}
	for a, n := range f.counts {
		out[a] = n
	}
	return out
}

// Requests says how many requests of an operation came in.
func (f *faults) Requests(op string) int {
	f.fmu.Lock()
	defer f.fmu.Unlock()
	return f.requests[op]
}

func (f *faults) choose(ask func(*Request) Action, r *Request) Action {
	f.fmu.Lock()
	f.requests[r.Op]++
	r.N = f.requests[r.Op]
	f.fmu.Unlock()
	var a Action
	if ask != nil {
		a = ask(r)
	}
	f.fmu.Lock()
	f.counts[a]++
	f.fmu.Unlock()
	return a
}

// inject asks what to do and does it around serve.
func (f *faults) inject(ask func(*Request) Action, r *Request, w http.ResponseWriter, delay time.Duration, serve func(http.ResponseWriter)) {
	switch f.choose(ask, r) {
	case SlowDown:
		drain(r.HTTP)
		writeError(w, r.HTTP, &apiError{http.StatusServiceUnavailable, "SlowDown"})
	case FailBefore:
		drain(r.HTTP)
		writeError(w, r.HTTP, &apiError{http.StatusInternalServerError, "InternalError"})
	case AccessDenied:
		drain(r.HTTP)
		writeError(w, r.HTTP, &apiError{http.StatusForbidden, "AccessDenied"})
	case FailAfter:
		serve(newSink())
		writeError(w, r.HTTP, &apiError{http.StatusInternalServerError, "InternalError"})
	case Hang:
		drain(r.HTTP)
		f.hang(r.HTTP)
	case HangAfter:
		serve(newSink())
		f.hang(r.HTTP)
	case CutAfter:
		serve(newSink())
		panic(http.ErrAbortHandler)
	case CutBody:
		_, _ = io.CopyN(io.Discard, r.HTTP.Body, max(r.HTTP.ContentLength, 0)/2)
		panic(http.ErrAbortHandler)
	case Slow:
		f.pause(r.HTTP, delay)
		serve(w)
	default:
		serve(w)
	}
}

// hang waits for the client to leave, which is seen only once its body was read.
func (f *faults) hang(r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-f.stop:
	}
	panic(http.ErrAbortHandler)
}

func (f *faults) pause(r *http.Request, d time.Duration) {
	if d <= 0 {
		d = 2 * time.Second
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-f.stop:
	case <-r.Context().Done():
	}
}

// drain reads what the client still sends, within reason, so that it sees the answer and not a reset.
func drain(r *http.Request) { _, _ = io.CopyN(io.Discard, r.Body, 256<<20) }

// sink takes an answer that nobody is to see.
type sink struct{ h http.Header }

func newSink() *sink                        { return &sink{http.Header{}} }
func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

// Proxied is a reverse proxy with faults. Safe for concurrent use.
type Proxied struct {
	faults
	SlowDelay time.Duration // what Slow waits, default 2 s
	fault     func(*Request) Action
	proxy     *httputil.ReverseProxy
}

// Proxy forwards to a real S3 server. Host and body go through unchanged, so that signatures stay valid: the
// client must be told the target's own address as its Host, or the server must not mind another one.
func Proxy(target *url.URL, fault func(*Request) Action) *Proxied {
	p := &Proxied{faults: newFaults(), fault: fault}
	p.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host
			if r.In.Header.Get("User-Agent") == "" {
				r.Out.Header["User-Agent"] = nil // or the proxy would add one
			}
		},
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, ExpectContinueTimeout: time.Second},
	}
	return p
}

// ServeHTTP forwards one request, or does what the fault function said.
func (p *Proxied) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req := parse(r)
	p.inject(p.fault, req, w, p.SlowDelay, func(w http.ResponseWriter) { p.proxy.ServeHTTP(w, r) })
}

// Close ends hanging requests and idle connections to the target.
func (p *Proxied) Close() {
	p.Release()
	p.proxy.Transport.(*http.Transport).CloseIdleConnections()
}
