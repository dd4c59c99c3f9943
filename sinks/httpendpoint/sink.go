// Package httpendpoint sends records to HTTP servers: to receivers of Firehose's HTTP endpoint protocol, whose answers say whether a
// request was taken, and to plain ones, for which a status of 2xx says so. A call makes one attempt and classifies what became of it;
// retrying, back-off, halving and what happens to rejected records are delivery's business.
//
// A request's id is the same on every attempt with the same records, and so is every byte of its body: a receiver that remembers ids
// takes records once.
package httpendpoint

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/klauspost/compress/gzip"

	"hydrant/record"
)

// Limits of one attempt.
const (
	maxAnswerBytes  = 1 << 20  // the protocol's limit, for headers and body each
	maxRequestBytes = 64 << 20 // the protocol's limit of a body before compression
	maxRecords      = 10_000   // the protocol's limit
	dialTimeout     = 10 * time.Second
	tlsTimeout      = 10 * time.Second
	idleTimeout     = 45 * time.Second // below what servers and balancers usually wait, so that we leave first
)

// Sink is one endpoint and one way of writing to it. Safe for concurrent use.
type Sink struct {
	o         Options
	url       *url.URL
	fixed     http.Header // headers of every request that are no secret
	secrets   *headers
	limit     *limit
	encode    encoder
	transport *http.Transport
	log       *slog.Logger
	scratch   sync.Pool // of *scratch
}

// New checks the options. It connects to nobody and asks for no secret. Close the sink when done.
func New(o Options) (*Sink, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("httpendpoint: %w", err)
	}
	address, err := parseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("httpendpoint: %w", err)
	}
	return &Sink{
		o: o, url: address, fixed: o.fixedHeaders(), secrets: newHeaders(o), limit: newLimit(o.maxBytes()),
		encode: o.encoder(), transport: newTransport(o), log: o.Logger,
		scratch: sync.Pool{New: func() any { return new(scratch) }},
	}, nil
}

// newTransport: nothing may wait for an answer for ever. HTTP/2 is left out, as it gives nothing to one request at a time.
func newTransport(o Options) *http.Transport {
	d := &net.Dialer{Timeout: dialTimeout}
	only1 := new(http.Protocols)
	only1.SetHTTP1(true)
	t := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            d.DialContext,
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  o.Timeout,
		MaxResponseHeaderBytes: maxAnswerBytes,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    4,
		WriteBufferSize:        64 << 10,
		DisableCompression:     true, // an answer is to have no Content-Encoding
		Protocols:              only1,
	}
	if o.TLS != nil {
		t.TLSClientConfig = o.TLS.Clone()
	} else {
		t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return t
}

// Send makes one attempt. A local refusal of a record (see Options.Body) is a verdict of its own, whatever becomes of the others.
// Send keeps nothing of req.
func (s *Sink) Send(ctx context.Context, req *record.Request) record.Reply {
	if ctx.Err() != nil {
		return record.Reply{Outcome: failed(ctx, ctx.Err(), new(progress))}
	}
	sc := s.scratch.Get().(*scratch)
	defer s.scratch.Put(sc)
	var reply record.Reply
	var n int
	sc.plain, n, reply.Verdicts = s.encode(sc.plain[:0], req)
	if n == 0 {
		reply.Outcome = record.Outcome{Kind: record.Delivered} // of no item: each has its verdict
		return reply
	}
	reply.Outcome = s.attempt(ctx, req, sc.body(s.o.ContentEncoding), n)
	return reply
}

// Limits is what the endpoint takes at once: one request at a time, for the order, and of no more bytes than it has refused as too
// large lately.
func (s *Sink) Limits() record.RequestLimits {
	return record.RequestLimits{Records: s.o.MaxRecords, Bytes: s.limit.bytes(), Concurrent: 1}
}

// Describe names an item as Firehose's error record of an HTTP endpoint does: by a dataId that is the item's for ever.
func (s *Sink) Describe(item *record.Item) []record.Field {
	id, sub := item.Name()
	return []record.Field{{Name: "dataId", Value: fmt.Sprintf("%s.%d.%d", id.Epoch, id.Pos, sub)}}
}

// Close ends idle connections. Calls that are under way are not affected.
func (s *Sink) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// scratch is what a request is built in.
type scratch struct {
	plain  []byte
	packed bytes.Buffer
	gzip   *gzip.Writer
}

// body is the finished body, valid until the scratch is used again.
func (sc *scratch) body(encoding string) []byte {
	if encoding != encodingGzip {
		return sc.plain
	}
	sc.packed.Reset()
	if sc.gzip == nil {
		sc.gzip, _ = gzip.NewWriterLevel(&sc.packed, gzip.BestSpeed) // the level is valid
	}
	sc.gzip.Reset(&sc.packed)
	_, _ = sc.gzip.Write(sc.plain) // a buffer takes everything
	_ = sc.gzip.Close()
	return sc.packed.Bytes()
}

func (s *Sink) newRequest(ctx context.Context, req *record.Request, secret http.Header, b *body) *http.Request {
	h := s.fixed.Clone()
	if s.o.Plain {
		h.Set("Idempotency-Key", req.ID)
	} else {
		h.Set("X-Amz-Firehose-Request-Id", req.ID)
	}
	for name, v := range secret {
		h[name] = v
	}
	// Without GetBody the transport never repeats a request by itself, the Idempotency-Key notwithstanding.
	out := &http.Request{Method: http.MethodPost, URL: s.url, Host: s.url.Host, Header: h, Body: b, ContentLength: int64(len(b.data)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}
	return out.WithContext(ctx)
}
