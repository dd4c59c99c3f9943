package httpin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"hydrant/internal/bodies"
	"hydrant/record"
)

// httpError is an answer that is no success.
type httpError struct {
	Status     int
	Type       string // for programs; stable
	Message    string // for people
	RetryAfter time.Duration
}

func (e *httpError) Error() string { return e.Type + ": " + e.Message }

func problem(status int, kind, message string) *httpError {
	return &httpError{Status: status, Type: kind, Message: message}
}

func unavailable(message string, after time.Duration) *httpError {
	return &httpError{Status: http.StatusServiceUnavailable, Type: "unavailable", Message: message, RetryAfter: after}
}

// problemOf is the answer for err. What nobody foresaw is logged and told without its details.
func (h *handler) problemOf(stream string, err error) *httpError {
	var known *httpError
	var busy *record.Unavailable
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &busy):
		return unavailable(busy.Reason, busy.RetryAfter)
	case errors.Is(err, record.ErrStreamNotFound):
		return problem(http.StatusNotFound, "stream_not_found", fmt.Sprintf("There is no stream %.64q.", stream))
	case errors.Is(err, ErrNoToken), errors.Is(err, ErrWrongToken):
		return problem(http.StatusUnauthorized, "unauthorized", "A token that is known is needed: Authorization: Bearer TOKEN, or the access key of the Firehose protocol.")
	case errors.Is(err, ErrForbidden):
		return problem(http.StatusForbidden, "forbidden", "The token may not put records into this stream.")
	case errors.Is(err, record.ErrStreamDeleting):
		return problem(http.StatusNotFound, "stream_deleting", fmt.Sprintf("The stream %q is being deleted.", stream))
	case errors.Is(err, record.ErrReplayFull):
		return problem(http.StatusConflict, "replay_full", fmt.Sprintf("So many error records came back to the stream %q that it can remember no more; put the rest into another stream with the same destination.", stream))
	case errors.Is(err, record.ErrStopping):
		return unavailable("The daemon is shutting down.", 0)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable("The request was cancelled.", 0)
	}
	if kind := bodyProblem(bodies.Status(err)); kind != "" {
		return problem(bodies.Status(err), kind, err.Error())
	}
	h.opts.Logger.Error("http request failed", slog.String("stream", stream), slog.Any("err", err))
	return problem(http.StatusInternalServerError, "internal", "The request failed because of an internal error.")
}

// bodyProblem names what is wrong with a body that was answered with status; "" when it is not the body.
func bodyProblem(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "bad_body"
	case http.StatusRequestTimeout:
		return "timeout"
	case http.StatusRequestEntityTooLarge:
		return "too_large"
	case http.StatusUnsupportedMediaType:
		return "unsupported_encoding"
	}
	return ""
}

// retryAfter is a wait in whole seconds, at least one.
func retryAfter(d time.Duration) string {
	return strconv.FormatInt(int64(max(1, (d+time.Second-1)/time.Second)), 10)
}

// tell sets the headers that go with the status.
func (e *httpError) tell(header http.Header) {
	switch e.Status {
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", retryAfter(e.RetryAfter))
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", "Bearer")
	}
}

func (h *handler) fail(w http.ResponseWriter, e *httpError) {
	h.opts.Metrics.request(e.Status)
	e.tell(w.Header())
	type inner struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	b, err := json.Marshal(struct {
		Error inner `json:"error"`
	}{inner{e.Type, e.Message}})
	if err != nil { // two strings always encode
		panic(err)
	}
	write(w, e.Status, b)
}

func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{"application/json"}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away will ask again
}
