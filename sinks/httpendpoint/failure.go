package httpendpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"

	"hydrant/record"
)

// The codes of error records. Those of the second group are not Firehose's.
const (
	codeTimeout     = "HttpEndpoint.RequestTimeout"
	codeTooLong     = "HttpEndpoint.ResponseTooLarge"
	codeInvalid     = "HttpEndpoint.InvalidResponseFromDestination"
	codeDestination = "HttpEndpoint.DestinationException"
	codeConnect     = "HttpEndpoint.ConnectionFailed"
	codeReset       = "HttpEndpoint.ConnectionReset"
	codeHandshake   = "HttpEndpoint.SSLHandshakeFailure"

	codeCancelled     = "HttpEndpoint.Cancelled"
	codeNoCredentials = "HttpEndpoint.NoCredentials"
	codeInvalidRecord = "HttpEndpoint.InvalidRecord"
)

// failed is the outcome of an attempt without an answer. All such are worth another attempt.
func failed(ctx context.Context, err error, p *progress) record.Outcome {
	out := record.Outcome{Kind: record.Retry, Unsent: !p.connected.Load()}
	switch {
	case ctx.Err() != nil:
		// Whatever the transport ran into, this is why: it closes connections when the time is over.
		out.Code, out.Err = codeTimeout, fmt.Errorf("no answer from the endpoint: %w", ctx.Err())
		if errors.Is(ctx.Err(), context.Canceled) {
			out.Code = codeCancelled
		}
		return out
	case p.badHandshake.Load() && !p.connected.Load(), refusedByTLS(err):
		out.Code = codeHandshake
	case !p.connected.Load():
		out.Code = codeConnect
	case timedOut(err):
		out.Code = codeTimeout
	case p.answering.Load() && !broken(err):
		out.Code = codeInvalid
	default:
		out.Code = codeReset
	}
	out.Err = fmt.Errorf("no answer from the endpoint: %w", describe(err, out.Code))
	return out
}

// refusedByTLS: with TLS 1.3 a server refuses a client's certificate only after the client believes to be through.
func refusedByTLS(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

func timedOut(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// broken: the connection ended, rather than carry something that is no HTTP.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

var errNoHTTP = errors.New("what came is no HTTP, or has more headers than an answer may have")

// describe leaves out what the transport cites of an answer that it does not understand: it may be what we sent.
func describe(err error, code string) error {
	if code == codeInvalid {
		return errNoHTTP
	}
	return err
}
