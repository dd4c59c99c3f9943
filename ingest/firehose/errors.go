package firehose

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"
	"unicode"
	"unicode/utf8"

	"hydrant/config"
	"hydrant/internal/bodies"
	"hydrant/record"
)

// apiError is an answer of the API that is no success.
type apiError struct {
	Status     int
	Type       string
	Message    string
	RetryAfter time.Duration // with 503
}

func (e *apiError) Error() string { return e.Type + ": " + e.Message }

func badRequest(kind, message string) *apiError {
	return &apiError{Status: http.StatusBadRequest, Type: kind, Message: message}
}

func invalidArgument(message string) *apiError {
	return badRequest("InvalidArgumentException", message)
}

func serialization(err error) *apiError {
	return badRequest("SerializationException", "The request body could not be read: "+err.Error())
}

func unavailable(message string, after time.Duration) *apiError {
	return &apiError{
		Status: http.StatusServiceUnavailable, Type: "ServiceUnavailableException",
		Message: message, RetryAfter: after,
	}
}

// defaultRetryAfter is the hint where the refusal came without one.
const defaultRetryAfter = time.Second

// bodyError is the answer to a body that could not be read.
func bodyError(err error) *apiError {
	var busy *record.Unavailable
	if errors.As(err, &busy) {
		return slowDown(busy)
	}
	kind := "InternalFailure"
	switch bodies.Status(err) {
	case http.StatusRequestEntityTooLarge:
		kind = "RequestEntityTooLargeException"
	case http.StatusRequestTimeout:
		kind = "RequestTimeoutException"
	case http.StatusUnsupportedMediaType:
		kind = "UnsupportedMediaTypeException"
	case http.StatusBadRequest:
		kind = "SerializationException"
	case http.StatusServiceUnavailable:
		return unavailable("The request was cancelled.", defaultRetryAfter)
	}
	return &apiError{Status: bodies.Status(err), Type: kind, Message: err.Error()}
}

func slowDown(u *record.Unavailable) *apiError {
	message := "Slow down."
	if first, n := utf8.DecodeRuneInString(u.Reason); n > 0 {
		message += " " + string(unicode.ToUpper(first)) + u.Reason[n:]
	}
	after := u.RetryAfter
	if after <= 0 {
		after = defaultRetryAfter
	}
	return unavailable(message, after)
}

// notFound is the answer for a stream that does not exist.
func (h *handler) notFound(stream string) *apiError {
	return badRequest("ResourceNotFoundException", fmt.Sprintf("Firehose %s under account %s not found.", stream, h.opts.AWS.AccountID))
}

// failure is the answer to an error of the log or of the control side. What nobody foresaw is logged here
// and told to the client without its details.
func (h *handler) failure(op, stream string, err error) *apiError {
	var known *apiError
	var busy *record.Unavailable
	var refused *config.APIError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &refused):
		return &apiError{Status: refused.Status, Type: refused.Type, Message: refused.Message, RetryAfter: defaultRetryAfter}
	case errors.As(err, &busy):
		return slowDown(busy)
	case errors.Is(err, record.ErrStreamNotFound):
		return h.notFound(stream)
	case errors.Is(err, record.ErrStreamDeleting):
		return h.deleting(op, stream)
	case errors.Is(err, record.ErrStopping):
		return unavailable("The service is shutting down.", defaultRetryAfter)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable("The request was cancelled.", defaultRetryAfter)
	}
	h.opts.Logger.Error("firehose request failed", slog.String("op", op), slog.String("stream", stream), slog.Any("err", err))
	return &apiError{Status: http.StatusInternalServerError, Type: "InternalFailure", Message: "The request failed because of an internal error."}
}

// deleting is the answer for a stream that is on its way out: to a put it is gone already (the API has no
// other error a put may answer), to the control operations its name is still in use.
func (h *handler) deleting(op, stream string) *apiError {
	kind := "ResourceInUseException"
	if op == opPutRecord || op == opPutRecordBatch {
		kind = "ResourceNotFoundException"
	}
	return badRequest(kind, fmt.Sprintf("Firehose %s under account %s is being deleted.", stream, h.opts.AWS.AccountID))
}

// millis is a wait in whole milliseconds, rounded up.
func millis(d time.Duration) int64 { return int64(math.Ceil(float64(d) / float64(time.Millisecond))) }
