package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"
)

// fault is one way in which S3 fails.
type fault string

const (
	none         fault = ""
	slowDown     fault = "503 before"
	internal     fault = "500 before"
	hang         fault = "hang"
	cutBefore    fault = "cut before"
	cutBody      fault = "cut in the body"
	storedError  fault = "500 after store"
	storedCut    fault = "cut after store"
	storedHang   fault = "hang after store"
	storedButLag fault = "late answer"
)

type weight struct {
	f        fault
	perMille int
}

// weights says how often each fault comes; the rest passes.
func weights() []weight {
	return []weight{{slowDown, 40}, {internal, 30}, {hang, 10}, {cutBefore, 20}, {cutBody, 20}, {storedError, 150}, {storedCut, 40}, {storedHang, 10}, {storedButLag, 20}}
}

const hangTime = 8 * time.Second

// proxy stands between the daemon and the S3 server and fails on purpose. Safe for concurrent use.
type proxy struct {
	target string // host:port of the server
	addr   string
	server *http.Server
	client *http.Transport
	done   chan struct{}

	mu      sync.Mutex
	rnd     *rand.Rand
	healthy bool
	outage  time.Time // until then nothing works
	counts  map[fault]int
	stored  map[string]string // identity by path, of what the server took
	over    int               // objects that took the place of another one
}

func startProxy(target string, seed uint64) (*proxy, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("fault proxy: %w", err)
	}
	p := &proxy{target: target, addr: ln.Addr().String(), done: make(chan struct{}), counts: map[fault]int{}, stored: map[string]string{},
		rnd: rand.New(rand.NewPCG(seed, 1)), client: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(p.done)
		_ = p.server.Serve(ln) // ends with close
	}()
	return p, nil
}

func (p *proxy) close() {
	_ = p.server.Close()
	<-p.done
	p.client.CloseIdleConnections()
}

// heal ends all faults.
func (p *proxy) heal(healthy bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.healthy, p.outage = healthy, time.Time{}
}

// breakFor makes every request fail for a while.
func (p *proxy) breakFor(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.outage = time.Now().Add(d)
}

func (p *proxy) count(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[f]++
}

func (p *proxy) counted(f fault) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[f]
}

func (p *proxy) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var s []string
	for f, n := range p.counts {
		s = append(s, fmt.Sprintf("%s %d", f, n))
	}
	sort.Strings(s)
	return strings.Join(s, ", ")
}

func (p *proxy) pick(method string) fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.healthy {
		return none
	}
	if time.Now().Before(p.outage) {
		return []fault{slowDown, internal, cutBefore}[p.rnd.IntN(3)]
	}
	n := p.rnd.IntN(1000)
	for _, w := range weights() {
		if n < w.perMille {
			if method != http.MethodPut && strings.Contains(string(w.f), "after store") {
				return none
			}
			return w.f
		}
		n -= w.perMille
	}
	return none
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := p.pick(r.Method)
	switch f {
	case none:
		p.pass(w, r)
	case slowDown:
		p.count(f)
		refuse(w, http.StatusServiceUnavailable, "SlowDown")
	case internal:
		p.count(f)
		refuse(w, http.StatusInternalServerError, "InternalError")
	case hang:
		p.count(f)
		wait(r.Context(), hangTime)
		panic(http.ErrAbortHandler)
	case cutBefore:
		p.count(f)
		panic(http.ErrAbortHandler)
	case cutBody:
		p.count(f)
		_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
		panic(http.ErrAbortHandler)
	case storedError, storedCut, storedHang, storedButLag:
		p.after(w, r, f)
	}
}

// after lets the server do what was asked and then spoils the answer.
func (p *proxy) after(w http.ResponseWriter, r *http.Request, f fault) {
	resp, err := p.forward(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK { // refused, such as 412: nothing was stored, so nothing is spoiled
		answer(w, resp)
		return
	}
	p.count(f)
	switch f {
	case storedError:
		refuse(w, http.StatusInternalServerError, "InternalError")
	case storedHang:
		wait(r.Context(), hangTime)
		panic(http.ErrAbortHandler)
	case storedButLag:
		wait(r.Context(), 2*time.Second)
		answer(w, resp)
	default:
		panic(http.ErrAbortHandler)
	}
}

func (p *proxy) pass(w http.ResponseWriter, r *http.Request) {
	resp, err := p.forward(r)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	answer(w, resp)
}

// forward sends the request on with its Host, which is part of the signature.
func (p *proxy) forward(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", p.target, ""
	out.Header.Del("Connection")
	resp, err := p.client.RoundTrip(out)
	if err == nil && r.Method == http.MethodPut && resp.StatusCode == http.StatusOK {
		p.note(r.URL.RequestURI(), r.Header.Get("X-Amz-Meta-Hydrant-Batch"))
	}
	return resp, err
}

// note remembers who an object is.
func (p *proxy) note(path, identity string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before, ok := p.stored[path]; ok && before != identity {
		p.over++
	}
	p.stored[path] = identity
}

// rewrites is how often an object took the place of another one.
func (p *proxy) rewrites() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.over
}

func answer(w http.ResponseWriter, resp *http.Response) {
	for k, v := range resp.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = io.Copy(w, resp.Body)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>on purpose</Message></Error>`, code)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
