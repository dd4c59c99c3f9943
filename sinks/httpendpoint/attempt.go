package httpendpoint

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"

	"hydrant/record"
)

// progress says how far an attempt came. The transport reports it from its own goroutines.
type progress struct {
	connected    atomic.Bool // before this nothing was sent
	answering    atomic.Bool
	badHandshake atomic.Bool
}

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { p.connected.Store(true) },
		GotFirstResponseByte: func() { p.answering.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				p.badHandshake.Store(true)
			}
		},
	}
}

// attempt sends a body with so many items, once.
func (s *Sink) attempt(ctx context.Context, req *record.Request, data []byte, items int) record.Outcome {
	secret, err := s.secrets.get()
	if err != nil {
		return record.Outcome{Kind: record.Retry, Code: codeNoCredentials, Err: err, Unsent: true}
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	b := &body{data: data}
	defer b.end()
	var p progress
	// Not by way of an http.Client: nothing is to be followed, and its errors repeat the URL.
	resp, err := s.transport.RoundTrip(s.newRequest(httptrace.WithClientTrace(ctx, p.trace()), req, secret, b))
	if err != nil {
		return failed(ctx, err, &p)
	}
	defer resp.Body.Close()
	a := readAnswer(resp)
	if a.err != nil {
		a.failure = failed(ctx, a.err, &p)
	}
	a.early = !b.whole()
	out := s.judge(a, req, items)
	s.learn(out, a.status, req, items, secret)
	if out.Err != nil {
		out.Err = conceal(out.Err, req, s.confidential(secret))
	}
	return out
}

// readAnswer reads no more than an answer may have. What follows a switch of protocols is no answer: it is the connection itself, which
// no context ends any more.
func readAnswer(resp *http.Response) *answer {
	a := &answer{status: resp.StatusCode, header: resp.Header, tooLong: resp.ContentLength > maxAnswerBytes}
	if a.tooLong || a.status == http.StatusSwitchingProtocols {
		return a
	}
	a.body, a.err = io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	a.tooLong = len(a.body) > maxAnswerBytes
	return a
}

// learn keeps what an answer says about requests to come.
func (s *Sink) learn(out record.Outcome, status int, req *record.Request, items int, secret http.Header) {
	switch {
	case out.Kind == record.Delivered:
		s.limit.accepted()
	case status == http.StatusRequestEntityTooLarge && items > 1:
		if now, news := s.limit.refused(req.Bytes); news {
			s.log.Warn("the endpoint refuses the size of a request: smaller ones from now on", "stream", req.Stream, "sink", "http",
				"requestBytes", req.Bytes, "limitBytes", now)
		}
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		s.secrets.forget(secret)
	}
}
