package firehose

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hydrant/record"
)

// errorCase is one request that must fail, and how.
type errorCase struct {
	name, op string
	body     string
	logFails error
	ctlFails error
	header   []string
	status   int
	kind     string
	message  string // what it contains
}

var good = string(batchBody("s", []byte("a")))

func errorCases() []errorCase {
	batch := func(name, body, kind, message string) errorCase {
		return errorCase{name: name, op: opPutRecordBatch, body: body, status: 400, kind: kind, message: message}
	}
	fails := func(name string, err error, status int, kind, message string) errorCase {
		return errorCase{name: name, op: opPutRecordBatch, body: good, logFails: err, status: status, kind: kind, message: message}
	}
	control := func(name, op, body, kind, message string) errorCase {
		return errorCase{name: name, op: op, body: body, status: 400, kind: kind, message: message}
	}
	many := make([][]byte, 501)
	over := make([]byte, maxRecordBytes+1)
	return []errorCase{
		batch("no JSON", "hello", "SerializationException", "byte 0"),
		batch("cut", good[:len(good)-1], "SerializationException", ""),
		batch("trailing garbage", good+"x", "SerializationException", ""),
		batch("empty", "", "SerializationException", ""),
		batch("bad base64", `{"DeliveryStreamName":"s","Records":[{"Data":"YQ=="},{"Data":"Y$=="}]}`, "SerializationException", "base64"),
		batch("deep", `{"X":`+strings.Repeat("[", 200), "SerializationException", "deep"),
		batch("501 records", string(batchBody("s", many...)), "ValidationException", "Member must have length less than or equal to 500"),
		batch("0 records", string(batchBody("s")), "ValidationException", "Member must have length greater than or equal to 1"),
		batch("long record", string(batchBody("s", over)), "ValidationException", "'records.1.member.data' failed to satisfy constraint: Member must have length less than or equal to 1024000"),
		batch("over 4 MiB", string(batchBody("s", over[1:], over[1:], over[1:], over[1:], over[1:])), "InvalidArgumentException", "Records size exceeds 4 MB limit"),
		batch("no name", `{"Records":[{"Data":""}]}`, "ValidationException", "Member must not be null"),
		batch("bad name", string(batchBody("a b", nil)), "ValidationException", "[a-zA-Z0-9_.-]+"),
		batch("unknown stream", string(batchBody("nobody", nil)), "ResourceNotFoundException", "Firehose nobody under account 123456789012 not found."),
		fails("deleting", record.ErrStreamDeleting, 400, "ResourceNotFoundException", "being deleted"),
		fails("full", fmt.Errorf("x: %w", &record.Unavailable{Reason: "The backlog is full.", RetryAfter: 1500 * time.Millisecond}), 503, "ServiceUnavailableException", "Slow down. The backlog is full."),
		fails("full, in small letters", &record.Unavailable{Reason: "the backlog is full"}, 503, "ServiceUnavailableException", "Slow down. The backlog is full"),
		fails("full, no reason", &record.Unavailable{}, 503, "ServiceUnavailableException", "Slow down."),
		fails("stopping", record.ErrStopping, 503, "ServiceUnavailableException", "shutting down"),
		fails("gone", context.Canceled, 503, "ServiceUnavailableException", ""),
		fails("unforeseen", errors.New("secret detail"), 500, "InternalFailure", "internal error"),
		{name: "body too large", op: opPutRecordBatch, body: strings.Repeat(" ", 16<<20+1), status: 413, kind: "RequestEntityTooLargeException"},
		{name: "brotli", op: opPutRecordBatch, body: good, header: []string{"Content-Encoding", "br"}, status: 415, kind: "UnsupportedMediaTypeException"},
		{name: "no gzip", op: opPutRecordBatch, body: good, header: []string{"Content-Encoding", "gzip"}, status: 400, kind: "SerializationException"},
		control("record too long", opPutRecord, `{"DeliveryStreamName":"s","Record":{"Data":"`+strings.Repeat("AAAA", maxRecordBytes/3+1)+`"}}`, "ValidationException", "'record.data'"),
		control("no record", opPutRecord, `{"DeliveryStreamName":"s"}`, "ValidationException", "Value null at 'record'"),
		control("no data", opPutRecord, `{"DeliveryStreamName":"s","Record":{}}`, "ValidationException", "Value null at 'record.data'"),
		control("update", "UpdateDestination", "{}", "InvalidArgumentException", "not supported by this version"),
		control("tags", "TagDeliveryStream", "{}", "InvalidArgumentException", "not supported by this version"),
		control("unknown", "Frobnicate", "{}", "UnknownOperationException", ""),
		{name: "no target", op: opPutRecord, body: "{}", header: []string{"X-Amz-Target", ""}, status: 400, kind: "UnknownOperationException", message: "missing"},
		{name: "other service", op: opPutRecord, body: "{}", header: []string{"X-Amz-Target", "Logs_20140328.PutRecord"}, status: 400, kind: "UnknownOperationException"},
		control("create: exists", opCreate, `{"DeliveryStreamName":"s"}`, "ResourceInUseException", "Firehose s under accountId"),
		control("create: refused", opCreate, `{"DeliveryStreamName":"t","DeliveryStreamType":"MSKAsSource"}`, "InvalidArgumentException", "not here"),
		control("create: no name", opCreate, `{}`, "ValidationException", "Value null at 'deliveryStreamName'"),
		control("create: no JSON", opCreate, `{`, "SerializationException", ""),
		control("create: array", opCreate, `[]`, "SerializationException", ""),
		control("create: deep", opCreate, strings.Repeat(`{"a":`, 200)+"1"+strings.Repeat("}", 200), "SerializationException", "deep"),
		control("delete: unknown", opDelete, `{"DeliveryStreamName":"nobody"}`, "ResourceNotFoundException", "not found"),
		control("delete: type", opDelete, `{"DeliveryStreamName":5}`, "SerializationException", ""),
		control("describe: unknown", opDescribe, `{"DeliveryStreamName":"nobody"}`, "ResourceNotFoundException", "Firehose nobody under account 123456789012 not found."),
		control("describe: limit", opDescribe, `{"DeliveryStreamName":"s","Limit":0}`, "ValidationException", "Value '0' at 'limit'"),
		{name: "describe: deleting", op: opDescribe, body: `{"DeliveryStreamName":"s"}`, ctlFails: record.ErrStreamDeleting, status: 400, kind: "ResourceInUseException"},
		control("list: limit", opList, `{"Limit":10001}`, "ValidationException", "less than or equal to 10000"),
		control("list: type", opList, `{"DeliveryStreamType":"Other"}`, "ValidationException", "enum value set"),
		control("list: start", opList, `{"ExclusiveStartDeliveryStreamName":""}`, "ValidationException", ""),
	}
}

func TestErrors(t *testing.T) {
	for _, tc := range errorCases() {
		t.Run(tc.name, func(t *testing.T) {
			b := newBench()
			b.log.fail, b.control.err = []error{tc.logFails}, tc.ctlFails
			w := b.call(tc.op, []byte(tc.body), tc.header...)
			var got struct {
				Type    string `json:"__type"`
				Message string `json:"message"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			if w.Code != tc.status || got.Type != tc.kind || !strings.Contains(got.Message, tc.message) || got.Message == "" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
			if h := w.Header(); h.Get("X-Amzn-ErrorType") != tc.kind || h.Get("x-amzn-RequestId") == "" || h.Get("Content-Type") != contentType {
				t.Errorf("header %v", h)
			}
			if after := w.Header().Get("x-amz-retry-after"); (after != "") != (tc.status == 503) {
				t.Errorf("x-amz-retry-after %q", after)
			}
			if len(b.log.streams["s"]) != 0 || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("log %q, body %s", b.log.streams["s"], w.Body)
			}
		})
	}
}

func TestRetryAfterIsInMilliseconds(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "1000", 1500 * time.Millisecond: "1500", time.Microsecond: "1"} {
		b := newBench()
		b.log.fail = []error{&record.Unavailable{RetryAfter: d}}
		if got := b.call(opPutRecordBatch, []byte(good)).Header().Get("x-amz-retry-after"); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

// TestDenied: a daemon whose clients cannot sign yet refuses all of them, before it reads what they send.
func TestDenied(t *testing.T) {
	h := New(Options{Denied: "not here"})
	for _, target := range []string{"PutRecord", "CreateDeliveryStream", "Nothing"} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("{"))
		r.Header.Set("X-Amz-Target", targetPrefix+target)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 403 || w.Header().Get("X-Amzn-Errortype") != "AccessDeniedException" || w.Body.String() != `{"__type":"AccessDeniedException","message":"not here"}` {
			t.Errorf("%s: %d %v %s", target, w.Code, w.Header(), w.Body)
		}
	}
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil)); w.Code != 200 {
		t.Errorf("help: %d", w.Code)
	}
}
