package s3

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"hydrant/record"
)

// maxRetryAfter bounds what a store may ask for.
const maxRetryAfter = 15 * time.Minute

// classify decides what an error means for the object. Only answers that are about the object reject it;
// those about access, existence or load, and no answer at all, are worth another attempt.
func (s *Store) classify(err error) record.Outcome {
	out := record.Outcome{Kind: record.Retry, Code: "S3." + code(err), Err: err, RetryAfter: retryAfter(err), Unsent: unsent(err)}
	if s.aboutObject(code(err)) || refusedByProxy(err) {
		out.Kind, out.RetryAfter, out.TooLarge, out.Unsent = record.Rejected, 0, tooLarge(err), false
	}
	return out
}

// refusedByProxy: what stands in front of a store says by the status alone that body or key are too long for it.
func refusedByProxy(err error) bool {
	return status(err) == http.StatusRequestEntityTooLarge || status(err) == http.StatusRequestURITooLong
}

// tooLarge: the size is what is wrong.
func tooLarge(err error) bool {
	return status(err) == http.StatusRequestEntityTooLarge || code(err) == "EntityTooLarge"
}

// unsent says whether the attempt surely stored nothing: no connection came about, there was nothing to sign with, or the store
// refused the caller. Answers that a gateway may give for a store that took the object do not count.
func unsent(err error) bool {
	var op *net.OpError
	switch {
	case errors.Is(err, errCredentials), errors.Is(err, errBody):
		return true
	case errors.As(err, &op) && op.Op == "dial":
		return true
	}
	switch status(err) {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound:
		return true
	}
	return false
}

// aboutObject: these answers stay the same however often the object is sent. InvalidRequest and
// InvalidArgument may also be about an ACL, a storage class or a key of the configuration; as long as such is set and
// nothing was stored with it yet, a mistake there is likelier than a bad object, and setting aside everything would be worse than waiting.
func (s *Store) aboutObject(code string) bool {
	switch code {
	case "KeyTooLongError", "EntityTooLarge", "MetadataTooLarge", "InvalidURI",
		"XMinioInvalidObjectName", "XMinioObjectExistsAsDirectory", "XMinioParentIsObject",
		"ObjectParentIsFile", "ExistingObjectIsDirectory", "DirectoryObjectContainsData":
		return true
	case "InvalidRequest", "InvalidArgument":
		return !s.configured() || s.proven.Load()
	}
	return false
}

// mayRefuseCondition: such an answer may be about the If-None-Match header.
func mayRefuseCondition(err error) bool {
	if status(err) == http.StatusNotImplemented {
		return true
	}
	switch code(err) {
	case "NotImplemented", "InvalidRequest", "InvalidArgument":
		return true
	}
	return false
}

// code is the store's own code, or a word for what there is none for.
func code(err error) string {
	if errors.Is(err, errCredentials) && !errors.Is(err, context.Canceled) {
		return "NoCredentials" // whatever the service said that was asked for them
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if c := api.ErrorCode(); c != "" && c != "UnknownError" {
			return c
		}
	}
	if n := status(err); n != 0 {
		return "HTTP" + strconv.Itoa(n)
	}
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return "Cancelled"
	case errors.Is(err, errRemember):
		return "UploadNotNoted"
	case errors.Is(err, errBody):
		return "ReadFailed"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "RequestTimeout"
	}
	return "ConnectionFailed"
}

// status is the store's answer, 0 when it gave none.
func status(err error) int {
	var r *smithyhttp.ResponseError
	if errors.As(err, &r) && !errors.Is(err, errCredentials) {
		return r.HTTPStatusCode()
	}
	return 0
}

// retryAfter reads the header in seconds or as a date, 0 without one.
func retryAfter(err error) time.Duration {
	var r *smithyhttp.ResponseError
	if status(err) == 0 || !errors.As(err, &r) || r.Response == nil || r.Response.Response == nil {
		return 0
	}
	h := r.Response.Header.Get("Retry-After")
	if n, err := strconv.Atoi(h); err == nil {
		return time.Duration(min(max(n, 0), int(maxRetryAfter/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(h); err == nil {
		return min(max(time.Until(t), 0), maxRetryAfter)
	}
	return 0
}
