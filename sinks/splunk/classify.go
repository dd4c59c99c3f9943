package splunk

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"hydrant/record"
)

// maxRetryAfter bounds what a collector may ask for.
const maxRetryAfter = 15 * time.Minute

var (
	errBlank  = errors.New("splunk: the record is empty or holds only white space")
	errClosed = errors.New("the sink is closed")
)

// reply is what a collector answers.
type reply struct {
	Code  *int   `json:"code"`
	AckID *int64 `json:"ackId"`
}

// about is what a reply code speaks of.
type about int

const (
	aboutState  about = iota // of the collector: worth another attempt
	aboutAccess              // the token: worth another attempt once it is mended
	aboutData                // what was sent: stays the same however often it is sent
)

// meaning of a reply code.
type meaning struct {
	name  string // Firehose's, behind "Splunk."
	about about
	text  string
}

// meaningOf knows every code that a collector may refuse a request with.
func meaningOf(code int) (meaning, bool) {
	m, ok := map[int]meaning{
		1:  {"DisabledToken", aboutAccess, "the token is disabled"},
		2:  {"InvalidToken", aboutAccess, "a token is required"},
		3:  {"InvalidToken", aboutAccess, "the authorization is invalid"},
		4:  {"InvalidToken", aboutAccess, "the token is unknown"},
		5:  {"InvalidDataFormat", aboutData, "the request holds no data"},
		6:  {"InvalidDataFormat", aboutData, "the format of the data is invalid"},
		7:  {"InvalidIndex", aboutData, "the index is unknown or the token may not write to it"},
		8:  {"ServerError", aboutState, "internal error"},
		9:  {"IndexerBusy", aboutState, "the server is busy"},
		10: {"ProxyWithoutStickySessions", aboutState, "the channel did not arrive"},
		11: {"ProxyWithoutStickySessions", aboutState, "the channel is not known to the node that answered"},
		12: {"InvalidDataFormat", aboutData, "an event has no member event"},
		13: {"InvalidDataFormat", aboutData, "the member event of an event is blank"},
		14: {"DisabledAck", aboutState, "indexer acknowledgement is disabled for the token"},
		15: {"InvalidDataFormat", aboutData, "an indexed field of an event is invalid"},
		16: {"InvalidToken", aboutAccess, "authorization by query is not enabled"},
		18: {"IndexerBusy", aboutState, "the queues are full"},
		19: {"IndexerBusy", aboutState, "the acknowledgement service is unavailable"},
		20: {"IndexerBusy", aboutState, "the queues are full and the acknowledgement service is unavailable"},
		21: {"InvalidToken", aboutAccess, "the token is invalid"},
		22: {"DisabledToken", aboutAccess, "the token is disabled"},
		23: {"IndexerBusy", aboutState, "the server is shutting down"},
	}[code]
	return m, ok
}

// judge reads an answer. ok: the request was accepted, and only then is the reply of use. Nothing of the answer's text is told: it may hold
// what was sent. records is how many were sent.
func judge(a answer, records int) (r reply, out record.Outcome, ok bool) {
	valid := json.Unmarshal(a.body, &r) == nil && r.Code != nil
	if a.status == http.StatusOK && valid && *r.Code == 0 {
		return r, out, true
	}
	m, known := byStatus(a.status), false
	if valid {
		if k, is := meaningOf(*r.Code); is && fits(k, a.status) {
			m, known = k, true
		}
	}
	out = record.Outcome{Kind: record.Retry, Code: "Splunk." + m.name, RetryAfter: a.retryAfter, Err: fmt.Errorf("splunk: %s (status %d)", m.text, a.status)}
	if known {
		out.Err = fmt.Errorf("splunk: %s (status %d, code %d)", m.text, a.status, *r.Code)
	}
	switch {
	case m.about == aboutData:
		out.Kind, out.RetryAfter, out.TooLarge = record.Rejected, 0, records > 1
	case m.about == aboutAccess, a.status == http.StatusNotFound:
		out.Unsent = true
	}
	return r, out, false
}

// fits: a code is believed only under a status that a collector gives it with, above all one that rejects data for ever.
func fits(m meaning, status int) bool {
	switch status {
	case http.StatusOK, http.StatusRequestEntityTooLarge:
		return false
	case http.StatusUnauthorized, http.StatusForbidden:
		return m.about == aboutAccess
	case http.StatusBadRequest:
		return true
	}
	return m.about != aboutData
}

// byStatus is for answers without a code: of a proxy, of something that is no collector, or of a code that is not known.
func byStatus(status int) meaning {
	switch {
	case status >= 200 && status < 300:
		return meaning{"ServerError", aboutState, "the answer is not a collector's"}
	case status >= 300 && status < 400:
		return meaning{"InvalidEndpoint", aboutState, "the endpoint redirects"}
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return meaning{"InvalidToken", aboutAccess, "access is denied"}
	case status == http.StatusRequestEntityTooLarge:
		return meaning{"RequestTooLarge", aboutData, "the request is too large"}
	case status == http.StatusRequestTimeout:
		return meaning{"ConnectionTimeout", aboutState, "the request took too long"}
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return meaning{"IndexerBusy", aboutState, "the server is busy"}
	case status >= 500:
		return meaning{"ServerError", aboutState, "the server failed"}
	}
	return meaning{"InvalidEndpoint", aboutState, "the endpoint is not a collector's"}
}

// unanswered classifies a request that got no answer. What surely sent nothing is said to be unsent.
func unanswered(err error) record.Outcome {
	out := record.Outcome{Kind: record.Retry, Code: "Splunk." + unansweredCode(err), Err: fmt.Errorf("splunk: %w", err)}
	var c *callError
	out.Unsent = errors.As(err, &c) && !c.sent
	return out
}

func unansweredCode(err error) string {
	var c *callError
	var unverified *tls.CertificateVerificationError
	var timeout interface{ Timeout() bool }
	sent := errors.As(err, &c) && c.sent
	switch {
	case errors.Is(err, errToken):
		return "InvalidToken"
	case errors.Is(err, context.Canceled), errors.Is(err, errClosed):
		return "Cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "ConnectionTimeout"
	case errors.As(err, &unverified):
		return "SSLUnverified"
	case c != nil && c.tls:
		return "SSLHandshake"
	case !sent:
		return "InvalidEndpoint" // no such host, or nobody listens there
	}
	return "ConnectionClosed"
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
