package firehose

import (
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"

	"hydrant/record"
)

const contentType = "application/x-amz-json-1.1"

// answers holds buffers for the responses to puts.
var answers = sync.Pool{New: func() any { return new(answer) }}

type answer struct{ buf []byte }

// appendRecordID writes the id of a record: 16 hexadecimal digits of its position, so that ids of one log sort
// as its records do, and 8 of its epoch.
func appendRecordID(dst []byte, id record.ID) []byte {
	const digits = "0123456789abcdef"
	for shift := 60; shift >= 0; shift -= 4 {
		dst = append(dst, digits[id.Pos>>shift&15])
	}
	return hex.AppendEncode(dst, id.Epoch[:4])
}

func writePutRecord(w http.ResponseWriter, id record.ID) {
	a := answers.Get().(*answer)
	defer answers.Put(a)
	b := append(a.buf[:0], `{"RecordId":"`...)
	b = appendRecordID(b, id)
	b = append(b, `","Encrypted":false}`...)
	a.buf = b
	write(w, http.StatusOK, b)
}

// writePutRecordBatch answers that n records were taken, the first of them as id.
func writePutRecordBatch(w http.ResponseWriter, id record.ID, n int) {
	a := answers.Get().(*answer)
	defer answers.Put(a)
	b := append(a.buf[:0], `{"FailedPutCount":0,"Encrypted":false,"RequestResponses":[`...)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"RecordId":"`...)
		b = appendRecordID(b, id)
		b = append(b, `"}`...)
		id.Pos++
	}
	b = append(b, `]}`...)
	a.buf = b
	write(w, http.StatusOK, b)
}

// writeJSON answers with the JSON form of v.
func writeJSON(w http.ResponseWriter, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	write(w, http.StatusOK, b)
	return nil
}

func writeError(w http.ResponseWriter, e *apiError) {
	w.Header()["X-Amzn-Errortype"] = []string{e.Type}
	if e.Status == http.StatusServiceUnavailable {
		w.Header()["X-Amz-Retry-After"] = []string{strconv.FormatInt(millis(e.RetryAfter), 10)}
	}
	b, err := json.Marshal(struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{e.Type, e.Message})
	if err != nil { // two strings always encode
		panic(err)
	}
	write(w, e.Status, b)
}

func write(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = []string{contentType}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away will ask again
}

// requestID is a random UUID. It only has to tell requests apart in logs; nobody must be unable to guess it.
func requestID() string {
	var b [16]byte
	for i, hi := 0, rand.Uint64(); i < 8; i, hi = i+1, hi>>8 {
		b[i] = byte(hi)
	}
	for i, lo := 8, rand.Uint64(); i < 16; i, lo = i+1, lo>>8 {
		b[i] = byte(lo)
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	var s [36]byte
	hex.Encode(s[:8], b[:4])
	hex.Encode(s[9:13], b[4:6])
	hex.Encode(s[14:18], b[6:8])
	hex.Encode(s[19:23], b[8:10])
	hex.Encode(s[24:], b[10:])
	s[8], s[13], s[18], s[23] = '-', '-', '-', '-'
	return string(s[:])
}
