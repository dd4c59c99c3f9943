package httpin

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"hydrant/record"
)

// The headers of Firehose's HTTP delivery protocol.
const (
	headerRequestID  = "X-Amz-Firehose-Request-Id"
	headerSourceARN  = "X-Amz-Firehose-Source-Arn"
	headerAccessKey  = "X-Amz-Firehose-Access-Key"
	headerAttributes = "X-Amz-Firehose-Common-Attributes"
)

// Limits of the protocol.
const (
	maxAttributes     = 50
	maxAttributeName  = 256  // characters
	maxAttributeValue = 1024 // characters
	maxRequestID      = 1024 // bytes
	maxErrorMessage   = 8192 // characters of an answer
)

// delivery serves POST /v1/firehose/{stream}: Amazon Data Firehose, or another Hydrant, delivers to us. A request is answered 200 once all of
// it is durable; one that is repeated under its id, with the same records, is answered the same and taken once.
func (h *handler) delivery(w http.ResponseWriter, r *http.Request) {
	id, err := h.acceptDelivery(w, r)
	status, message := http.StatusOK, ""
	if err != nil {
		e := h.problemOf(r.PathValue("stream"), err)
		status, message = e.Status, e.Message
		e.tell(w.Header())
	}
	h.opts.Metrics.request(status)
	answer := struct {
		RequestID string `json:"requestId"`
		Timestamp int64  `json:"timestamp"`
		Error     string `json:"errorMessage,omitempty"`
	}{id, time.Now().UnixMilli(), clipRunes(message, maxErrorMessage)}
	b, err := json.Marshal(answer)
	if err != nil { // two strings and a number always encode
		panic(err)
	}
	write(w, status, b)
}

// acceptDelivery takes a request and returns the id that is echoed, whatever became of it.
func (h *handler) acceptDelivery(w http.ResponseWriter, r *http.Request) (id string, err error) {
	start := time.Now()
	id = r.Header.Get(headerRequestID)
	if err := h.precheck(w, r); err != nil {
		return id, err
	}
	stream := r.PathValue("stream")
	if _, err := h.authorize(r, stream, r.Header.Get(headerAccessKey)); err != nil {
		return id, err
	}
	attributes, err := parseAttributes(r.Header.Get(headerAttributes))
	if err != nil {
		return id, err
	}
	body, err := h.opts.Bodies.Read(w, r, "gzip")
	if err != nil {
		return id, err
	}
	defer body.Release()
	put := record.NewPut()
	defer put.Release()
	inBody, err := parseDelivery(body.Bytes(), put)
	if err != nil {
		return id, err
	}
	if id, err = sameID(id, inBody); err != nil || put.Count() == 0 {
		return id, err
	}
	body.Recycle()
	key := requestKey("firehose", r.Header.Get(headerSourceARN), id, put)
	if err := put.SetNote(record.Note{Request: key, Attributes: attributes}); err != nil {
		return id, problem(http.StatusBadRequest, "bad_attributes", err.Error())
	}
	if _, err := h.opts.Appender.Append(r.Context(), stream, put); err != nil {
		return id, err
	}
	h.opts.Metrics.put(stream, time.Since(start))
	return id, nil
}

// sameID is the id that header and body agree on.
func sameID(header, body string) (string, error) {
	id := header
	if id == "" {
		id = body
	}
	switch {
	case id == "":
		return "", problem(http.StatusBadRequest, "no_request_id", "The request has no id; send X-Amz-Firehose-Request-Id and requestId.")
	case body != "" && body != id:
		return id, problem(http.StatusBadRequest, "request_id_mismatch", "The header X-Amz-Firehose-Request-Id and requestId in the body differ.")
	case len(id) > maxRequestID:
		return id[:64], problem(http.StatusBadRequest, "bad_request_id", "The request's id is longer than "+strconv.Itoa(maxRequestID)+" bytes.")
	}
	return id, nil
}

var errAttributes = problem(http.StatusBadRequest, "bad_attributes",
	`The header X-Amz-Firehose-Common-Attributes must be {"commonAttributes":{"name":"value"}}, with at most 50 pairs, names of 1 to 256 characters and values of at most 1024.`)

func parseAttributes(header string) (map[string]string, error) {
	if header == "" {
		return nil, nil
	}
	var a struct {
		CommonAttributes map[string]*string `json:"commonAttributes"`
	}
	if err := json.Unmarshal([]byte(header), &a); err != nil || len(a.CommonAttributes) > maxAttributes || !utf8.ValidString(header) {
		return nil, errAttributes
	}
	out := make(map[string]string, len(a.CommonAttributes))
	for k, v := range a.CommonAttributes {
		if k == "" || v == nil || utf8.RuneCountInString(k) > maxAttributeName || utf8.RuneCountInString(*v) > maxAttributeValue {
			return nil, errAttributes
		}
		out[k] = *v
	}
	return out, nil
}

func clipRunes(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n])
}
