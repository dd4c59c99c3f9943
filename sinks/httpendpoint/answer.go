package httpendpoint

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"hydrant/record"
)

const (
	maxRetryAfter   = 15 * time.Minute // bounds what an endpoint may ask for
	maxMessageBytes = 8192             // of an endpoint's own message, as the protocol has it
	maxToldBytes    = 1024             // of what is told of it
)

// answer is what the endpoint answered.
type answer struct {
	status  int
	header  http.Header
	body    []byte
	tooLong bool
	early   bool           // it answered before it was sent everything
	err     error          // why the rest of body is missing
	failure record.Outcome // with err: its classification
}

// judge decides what an answer means for a request of so many items.
func (s *Sink) judge(a *answer, req *record.Request, items int) record.Outcome {
	if a.status == http.StatusRequestEntityTooLarge {
		return refused(a, items, s.o.Plain)
	}
	if !s.o.Plain {
		return judgeFirehose(a, req.ID)
	}
	return judgePlain(a, items)
}

// judgeFirehose: only an answer that keeps to the protocol in everything says that the request was taken.
func judgeFirehose(a *answer, id string) record.Outcome {
	switch {
	case a.tooLong:
		return retry(a, codeTooLong, errAnswerTooLong)
	case a.status != http.StatusOK:
		return retry(a, codeDestination, told(a, false))
	case a.err != nil:
		return a.failure
	case a.early:
		return retry(a, codeInvalid, errEarly)
	}
	if err := checkAnswer(a, id); err != nil {
		return retry(a, codeInvalid, fmt.Errorf("the endpoint's answer: %w", err))
	}
	return record.Outcome{Kind: record.Delivered}
}

// judgePlain goes by the status alone. 400, 415 and 422 are about what a request holds: halves find out which record it is.
func judgePlain(a *answer, items int) record.Outcome {
	switch {
	case a.status >= 200 && a.status < 300 && a.early:
		return retry(a, codeInvalid, errEarly)
	case a.status >= 200 && a.status < 300:
		return record.Outcome{Kind: record.Delivered}
	case a.status == http.StatusBadRequest, a.status == http.StatusUnsupportedMediaType, a.status == http.StatusUnprocessableEntity:
		return refused(a, items, true)
	}
	return retry(a, codeDestination, told(a, true))
}

// refused: the endpoint will not take it as it is; of several items, fewer at once may be taken.
func refused(a *answer, items int, plain bool) record.Outcome {
	return record.Outcome{Kind: record.Rejected, Code: codeDestination, Err: told(a, plain), TooLarge: items > 1}
}

func retry(a *answer, code string, err error) record.Outcome {
	return record.Outcome{Kind: record.Retry, Code: code, Err: err, RetryAfter: retryAfter(a.header)}
}

var (
	errAnswerTooLong = errors.New("the endpoint's answer is larger than 1 MiB")
	errEarly         = errors.New("the endpoint answered before it had the whole request")
)

// statusError is an answer that says no. message is the endpoint's own, "" when it gave none in the protocol's form.
type statusError struct {
	status  int
	message string
}

// Error implements error.
func (e *statusError) Error() string {
	if e.message == "" {
		return fmt.Sprintf("the endpoint answered status %d", e.status)
	}
	return fmt.Sprintf("the endpoint answered status %d: %s", e.status, e.message)
}

// told says what the endpoint answered. The body of a plain one has no form, and may repeat what it was sent: only the status is told.
func told(a *answer, plain bool) error {
	e := &statusError{status: a.status}
	if plain || a.tooLong || a.err != nil {
		return e
	}
	var in map[string]json.RawMessage
	if json.Unmarshal(a.body, &in) == nil {
		_ = json.Unmarshal(in["errorMessage"], &e.message) // another type is no message
	}
	return e
}

// checkAnswer holds an answer of status 200 against the protocol. A charset beside the content type is tolerated, nothing else.
func checkAnswer(a *answer, id string) error {
	types := a.header.Values("Content-Type")
	if len(types) != 1 || !isJSON(types[0]) {
		return errors.New("its Content-Type is not application/json")
	}
	if a.header.Values("Content-Encoding") != nil {
		return errors.New("it has a Content-Encoding")
	}
	var in map[string]json.RawMessage // not a struct: the case of keys counts
	if json.Unmarshal(a.body, &in) != nil {
		return errors.New("it is no JSON object")
	}
	var echo *string
	if json.Unmarshal(in["requestId"], &echo) != nil || echo == nil {
		return errors.New("it has no requestId")
	}
	if *echo != id {
		return errors.New("its requestId is another request's")
	}
	at := in["timestamp"]
	if len(at) == 0 || at[0] != '-' && (at[0] < '0' || at[0] > '9') {
		return errors.New("its timestamp is no number")
	}
	return nil
}

func isJSON(contentType string) bool {
	media, parameters, err := mime.ParseMediaType(contentType)
	if err != nil || media != "application/json" {
		return false
	}
	delete(parameters, "charset")
	return len(parameters) == 0
}

// conceal clips an endpoint's message, and takes out of it what nobody is to read: our secrets, and all of it when it repeats the
// beginning of a record.
func conceal(err error, req *record.Request, secrets []string) error {
	var e *statusError
	if !errors.As(err, &e) || e.message == "" {
		return err
	}
	if len(e.message) > maxMessageBytes {
		return &statusError{e.status, "(its message is longer than the protocol has it)"}
	}
	if repeats(e.message, req) {
		return &statusError{e.status, "(its message repeats a record)"}
	}
	return &statusError{e.status, clip(hide(e.message, secrets))}
}

// repeats says whether a message holds the beginning of a record, plain or as it was sent. Records of a few bytes stand in
// anything.
func repeats(message string, req *record.Request) bool {
	const few, enough = 6, 15
	for i := range req.Items {
		data := bytes.TrimSpace(req.Items[i].Data)
		if len(data) < few {
			continue
		}
		data = data[:min(len(data), enough)]
		if strings.Contains(message, string(data)) {
			return true
		}
		sent := req.Items[i].Data[:min(len(req.Items[i].Data), enough)/3*3]
		if strings.Contains(message, base64.StdEncoding.EncodeToString(sent)) {
			return true
		}
	}
	return false
}

func clip(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxToldBytes {
		return s
	}
	n := maxToldBytes
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// retryAfter reads the header in seconds or as a date, 0 without one.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(time.Until(t), 0), maxRetryAfter)
	}
	return 0
}
