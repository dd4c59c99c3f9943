package opensearch

import (
	"context"
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

	"github.com/opensearch-project/opensearch-go/v4/opensearchtransport"
)

// Limits of one HTTP request.
const (
	dialTimeout   = 5 * time.Second
	tlsTimeout    = 10 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 64 << 10 // bytes of an answer's header
	maxIdleANode  = 64
	wireBufferLen = 64 << 10
)

// errURL does not quote the URL, which may hold a password.
var errURL = errors.New("the URL of a node is not of the form http(s)://host[:port][/path], without credentials, query and fragment")

// client speaks HTTP to the nodes through the library.
type client struct {
	lib   *opensearchtransport.Client
	http  *http.Transport
	nodes *nodes
	url   url.URL // of _bulk; the node's is put in front
	named string  // its query when answers are to name documents
	gzip  bool
}

func newClient(o *Options) (*client, error) {
	urls, err := nodeURLs(o.URLs)
	if err != nil {
		return nil, err
	}
	c := &client{http: newTransport(o), nodes: &nodes{}, url: url.URL{Path: "/_bulk"}, gzip: o.ContentEncoding == "gzip"}
	q := url.Values{"filter_path": {filter}}
	if o.Pipeline != "" {
		q.Set("pipeline", o.Pipeline)
	}
	c.url.RawQuery = q.Encode()
	q.Set("filter_path", filterIDs)
	c.named = q.Encode()
	cfg := opensearchtransport.Config{
		URLs: urls, Transport: wire{c.http}, Router: c.nodes, SkipConnectionShuffle: true, DisableRetry: true,
		// The library polls nodes for their health, statistics and shards for as long as this context lives, and would do so without
		// our credentials.
		Context: ended(), HealthCheck: opensearchtransport.NoOpHealthCheck, NodeStatsInterval: -1, MaxRetryClusterHealth: -1,
	}
	if o.SigV4Service != "" {
		if cfg.Signer, err = newSigner(o); err != nil {
			return nil, err
		}
	}
	if c.lib, err = opensearchtransport.New(cfg); err != nil {
		return nil, fmt.Errorf("make the client: %w", err)
	}
	return c, nil
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func nodeURLs(texts []string) ([]*url.URL, error) {
	var out []*url.URL
	for _, t := range texts {
		u, err := url.Parse(t)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, errURL
		}
		out = append(out, u)
	}
	return out, nil
}

// newTransport leaves HTTP/2 out, as one stuck connection would then hold up every request to its node.
func newTransport(o *Options) *http.Transport {
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  o.Timeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    maxIdleANode,
		MaxResponseHeaderBytes: maxHeader,
		WriteBufferSize:        wireBufferLen,
		DisableCompression:     true, // answers are short
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	if o.TLS != nil {
		t.TLSClientConfig = o.TLS.Clone()
	}
	return t
}

func (c *client) close() error {
	err := c.lib.Close()
	c.http.CloseIdleConnections() // the library does not see it behind wire
	return err
}

// attempt is one request and how far it came.
type attempt struct {
	ctx   context.Context // carries the attempt itself
	node  *node           // nil: none was chosen
	began bool            // the request was given to HTTP
	sent  atomic.Bool     // there was a connection, over which any part of it may have gone; the transport may still set it later
}

type attemptKey struct{}

func attemptOf(ctx context.Context) *attempt {
	a, _ := ctx.Value(attemptKey{}).(*attempt)
	return a
}

func newAttempt(ctx context.Context) *attempt {
	a := &attempt{}
	ctx = context.WithValue(ctx, attemptKey{}, a)
	a.ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { a.sent.Store(true) }})
	return a
}

// wire is the last step before HTTP. It puts back the attempt's own context: the library may have put another limit of time around
// it, which it takes from the environment.
type wire struct{ t *http.Transport }

// RoundTrip implements http.RoundTripper. It follows no redirects.
func (w wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if a := attemptOf(r.Context()); a != nil {
		a.began = true
		if r.Context() != a.ctx {
			r = r.WithContext(a.ctx)
		}
	}
	return w.t.RoundTrip(r)
}

// post sends a body once. The caller closes the answer's body; payload must not change until its shut has returned.
func (c *client) post(a *attempt, p *payload, named bool, basic func(*http.Request)) (*http.Response, error) {
	u := c.url
	if named {
		u.RawQuery = c.named
	}
	r := (&http.Request{
		Method: http.MethodPost, URL: &u, Header: http.Header{"Content-Type": {"application/x-ndjson"}, "Accept": {"application/json"}},
		ContentLength: int64(len(p.b)), Body: p.reader(), GetBody: p.again,
	}).WithContext(a.ctx)
	if c.gzip {
		r.Header.Set("Content-Encoding", "gzip")
	}
	if basic != nil {
		basic(r)
	}
	resp, err := c.lib.Stream(r)
	if err != nil && resp != nil {
		resp.Body.Close()
		resp = nil
	}
	return resp, err
}

var errAttemptOver = errors.New("opensearch: the attempt is over")

// payload is the bytes of a request. The transport may read on for a moment after it has returned an answer; shut ends that, so that
// the memory may be used again.
type payload struct {
	mu   sync.Mutex
	b    []byte
	over bool
}

func (p *payload) shut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.b, p.over = nil, true
}

func (p *payload) reader() *payloadReader { return &payloadReader{p: p} }

// again is for a connection that turned out to be closed before anything was written to it.
func (p *payload) again() (io.ReadCloser, error) { return p.reader(), nil }

type payloadReader struct {
	p  *payload
	at int
}

// Read implements io.Reader.
func (r *payloadReader) Read(b []byte) (int, error) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if r.p.over {
		return 0, errAttemptOver
	}
	if r.at == len(r.p.b) {
		return 0, io.EOF
	}
	n := copy(b, r.p.b[r.at:])
	r.at += n
	return n, nil
}

// Close implements io.Closer.
func (r *payloadReader) Close() error { return nil }
