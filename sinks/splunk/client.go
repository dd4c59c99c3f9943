package splunk

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of one HTTP request.
const (
	dialTimeout   = 10 * time.Second
	idleTimeout   = 10 * time.Second // below the 12 s after which a busy collector closes idle connections itself
	maxHeader     = 64 << 10         // bytes of an answer's header
	maxAnswer     = 1 << 20          // bytes of an answer's body
	maxCookies    = 16
	maxIdlePerURL = 8
)

// newClient follows no redirects: they would carry the token to another host. HTTP/2 is left out, as one stuck connection would then hold
// up both records and acknowledgements.
func newClient(o *Options) *http.Client {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		ResponseHeaderTimeout:  o.Timeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    maxIdlePerURL,
		MaxResponseHeaderBytes: maxHeader,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if o.TLS != nil {
		t.TLSClientConfig = o.TLS.Clone()
	}
	return &http.Client{Transport: t, Jar: &jar{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// call is what is asked of the collector.
type call struct {
	path    string // below the collector's URL
	channel string
	query   url.Values // may be nil; is not changed
	body    []byte
	gzip    bool
}

// answer is what it said.
type answer struct {
	status     int
	retryAfter time.Duration
	body       []byte
	token      string // that it was asked with
}

// callError is why there is no answer.
type callError struct {
	err  error
	sent bool // there was a connection, over which any part of the request may have gone
	tls  bool // the TLS handshake failed
}

func (e *callError) Error() string { return e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

// exchange asks once. The error is a *callError.
func (s *Sink) exchange(ctx context.Context, c call) (answer, error) {
	token, err := s.tokens.get()
	if err != nil {
		return answer{}, &callError{err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	var sent, tlsFailed atomic.Bool // the transport may still call the trace when it has returned
	req, err := s.newRequest(httptrace.WithClientTrace(ctx, trace(&sent, &tlsFailed)), c, token)
	if err != nil {
		return answer{}, &callError{err: err}
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return answer{}, &callError{err: cause(err), sent: sent.Load(), tls: tlsFailed.Load()}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return answer{}, &callError{err: fmt.Errorf("answer of status %d: %w", resp.StatusCode, err), sent: true}
	}
	return answer{status: resp.StatusCode, retryAfter: retryAfter(resp.Header), body: body, token: token}, nil
}

func (s *Sink) newRequest(ctx context.Context, c call, token string) (*http.Request, error) {
	q := url.Values{"channel": {c.channel}}
	for k, v := range c.query {
		q[k] = v
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+c.path+"?"+q.Encode(), bytes.NewReader(c.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Splunk "+token)
	req.Header.Set("X-Splunk-Request-Channel", c.channel)
	req.Header.Set("Content-Type", "application/json")
	if c.path == "/raw" {
		req.Header.Set("Content-Type", "text/plain")
	}
	if c.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	return req, nil
}

// trace notes how far a request came.
func trace(sent, tlsFailed *atomic.Bool) *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { sent.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				tlsFailed.Store(true)
			}
		},
	}
}

// cause takes off the URL that net/http puts around an error: it says nothing new.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// jar keeps the cookies by which load balancers find the node that a channel lives on: acknowledgements are known to that one only.
// There is one host and no redirects, so that a name is enough.
type jar struct {
	mu      sync.Mutex
	cookies []*http.Cookie // at most maxCookies
}

// SetCookies keeps what an answer set; new names beyond maxCookies are not kept.
func (j *jar) SetCookies(_ *url.URL, set []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, c := range set {
		kept := make([]*http.Cookie, 0, len(j.cookies)+1) // a new slice: Cookies hands the old one out
		for _, old := range j.cookies {
			if old.Name != c.Name {
				kept = append(kept, old)
			}
		}
		if c.MaxAge >= 0 && len(kept) < maxCookies {
			kept = append(kept, &http.Cookie{Name: c.Name, Value: c.Value})
		}
		j.cookies = kept
	}
}

// Cookies are all that are kept.
func (j *jar) Cookies(*url.URL) []*http.Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.cookies
}
