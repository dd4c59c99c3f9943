package opensearch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"hydrant/record"
)

// Codes of outcomes that are not about a document. Those of documents are the HTTP status that the cluster gave, as in Firehose.
const (
	codeAuthFailure     = "OpenSearch.AuthFailure"
	codeInvalidResponse = "OpenSearch.InvalidResponse"
	codeUnavailable     = "OpenSearch.ServiceUnavailable"
	codeThrottled       = "OpenSearch.TooManyRequests"
	codeTooLarge        = "OpenSearch.RequestTooLarge"
	codeInvalidRequest  = "OpenSearch.InvalidRequest"
	codeNameless        = "OpenSearch.NamelessFailures"
)

// maxRetryAfter bounds what a cluster may ask for.
const maxRetryAfter = 15 * time.Minute

func failed(code string, err error, unsent bool) record.Outcome {
	return record.Outcome{Kind: record.Retry, Code: code, Err: err, Unsent: unsent}
}

// itemOutcome classifies what the cluster says of a document that it did not take. What is about access, existence or load may be mended,
// and is worth another attempt; the rest is about the document.
func itemOutcome(status int, c cause) record.Outcome {
	out := record.Outcome{Kind: record.Rejected, Code: strconv.Itoa(status), Err: itemError(status, c)}
	if status == http.StatusTooManyRequests || status == http.StatusConflict || status < 400 || status >= 500 || heldByPeople(status, c) {
		out.Kind = record.Retry
	}
	return out
}

// isThere: a conflict because the document exists. An earlier attempt wrote it. What else may conflict, such as two that make an index at
// once, wrote nothing.
func isThere(c cause) bool {
	switch c.Type {
	case "version_conflict_engine_exception", "document_already_exists_exception", "":
		return true
	}
	return false
}

func itemError(status int, c cause) error {
	reason := clip(c.Reason, maxReason)
	switch {
	case c.Type != "" && reason != "":
		return errors.New(clip(c.Type, maxReason) + ": " + reason)
	case c.Type != "" || reason != "":
		return errors.New(clip(c.Type, maxReason) + reason)
	}
	return fmt.Errorf("status %d without a reason", status)
}

// heldByPeople: the index or the cluster takes no documents until somebody changes that. It is never the document's fault, whatever the status.
func heldByPeople(status int, c cause) bool {
	switch c.Type {
	case "cluster_block_exception", "index_create_block_exception", "index_closed_exception", "index_not_found_exception",
		"validation_exception": // of an index that would be created: too many shards, say
		return true
	}
	return status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound
}

// refused classifies the answer to a request that was refused as a whole. Only that it is too large is about the records. Of the cause
// nothing but its type is told.
func (s *Sink) refused(req *record.Request, resp *http.Response, c cause, began int) record.Outcome {
	out := failed("", refusal(resp.StatusCode, c), false)
	out.RetryAfter = retryAfter(resp.Header)
	switch code := resp.StatusCode; {
	case code == http.StatusRequestEntityTooLarge:
		out.Kind, out.Code, out.TooLarge, out.RetryAfter = record.Rejected, codeTooLarge, true, 0
		if s.pace.tooLarge(req.Bytes) {
			bytes, _ := s.pace.limits()
			s.log.warn("the cluster refused a request for its size; smaller ones follow", "stream", req.Stream, "limit_bytes", bytes)
		}
	case code == http.StatusUnauthorized, code == http.StatusForbidden && !heldByType(c):
		out.Code, out.Unsent = codeAuthFailure, true
		s.log.warn("the cluster refuses the credentials", "stream", req.Stream, "status", code)
	case code == http.StatusTooManyRequests:
		out.Code = codeThrottled
		s.pace.busy(began)
	case code == http.StatusServiceUnavailable:
		out.Code = codeUnavailable
		s.pace.busy(began)
	case code >= 500, code == http.StatusForbidden:
		out.Code = codeUnavailable
	case code >= 400:
		out.Code = codeInvalidRequest
	default:
		out.Code = codeInvalidResponse
	}
	return out
}

// heldByType: a 403 with such a type is a block, not a lack of permission.
func heldByType(c cause) bool { return heldByPeople(0, c) }

func refusal(status int, c cause) error {
	if c.Type == "" {
		return fmt.Errorf("opensearch: the request was answered with status %d", status)
	}
	return fmt.Errorf("opensearch: the request was answered with status %d (%s)", status, clip(c.Type, 100))
}

// absent: a gateway or the node itself says that it is not there. The others may be.
func absent(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// unanswered classifies an attempt without an answer, and has its node rest, unless it was our own side that gave up.
func (s *Sink) unanswered(a *attempt, err error) record.Outcome {
	if a.began && a.node != nil && !errors.Is(err, context.Canceled) {
		s.client.nodes.answered(a.node, false)
	}
	out := failed(unansweredCode(err), fmt.Errorf("opensearch: %w", err), !a.sent.Load())
	if out.Code == codeAuthFailure {
		s.log.warn("there are no credentials for the cluster", "err", err)
	}
	return out
}

func unansweredCode(err error) string {
	var unverified *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return "OpenSearch.Cancelled"
	case errors.Is(err, errPassword), errors.Is(err, errCredentials):
		return codeAuthFailure
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "OpenSearch.RequestTimeout"
	case errors.As(err, &unverified):
		return "OpenSearch.SSLUnverified"
	case ourCertificate(err):
		return codeAuthFailure
	}
	return "OpenSearch.ConnectionFailed"
}

// ourCertificate: the node wants a certificate of the client, or another one than this. The alert's type is crypto/tls's own, its text is of RFC 8446.
func ourCertificate(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error" && strings.Contains(op.Error(), "certificate")
}

// retryAfter reads the header in seconds or as a date, 0 without one.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil {
		return time.Duration(min(max(n, 0), int(maxRetryAfter/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(time.Until(t), 0), maxRetryAfter)
	}
	return 0
}
