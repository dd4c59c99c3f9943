package httpendpoint

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hydrant/internal/sinktest"
	"hydrant/record"
)

// answering makes a sink whose endpoint always answers the same, when it has read the request.
func answering(t *testing.T, o Options, status int, h http.Header, body string) *Sink {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for k, v := range h {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	o.URL = server.URL
	return mustNew(t, o)
}

func good(id string) string { return fmt.Sprintf(`{"requestId":%q,"timestamp":1}`, id) }

func TestFirehoseAnswers(t *testing.T) {
	req := sinktest.NewRequest(1, `{"a":1}`)
	ok := good(req.ID)
	asJSON := http.Header{"Content-Type": {"application/json"}}
	typed := func(v ...string) http.Header { return http.Header{"Content-Type": v} }
	for name, c := range map[string]struct {
		status int
		header http.Header
		body   string
		code   string // "" for delivered
	}{
		"good":                  {200, asJSON, ok, ""},
		"charset":               {200, typed("application/json; charset=UTF-8"), ok, ""},
		"more keys":             {200, asJSON, `{"x":[],"timestamp":-1.5e3,"requestId":"` + req.ID + `","errorMessage":"all is well"}`, ""},
		"chunked":               {200, http.Header{"Content-Type": {"application/json"}, "Transfer-Encoding": {"chunked"}}, ok, ""},
		"another type":          {200, typed("text/plain"), ok, codeInvalid},
		"another parameter":     {200, typed("application/json; v=1"), ok, codeInvalid},
		"two types":             {200, typed("application/json", "application/json"), ok, codeInvalid},
		"type of problem":       {200, typed("application/problem+json"), ok, codeInvalid},
		"encoded":               {200, http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"identity"}}, ok, codeInvalid},
		"no body":               {200, asJSON, "", codeInvalid},
		"null":                  {200, asJSON, "null", codeInvalid},
		"array":                 {200, asJSON, "[" + ok + "]", codeInvalid},
		"two objects":           {200, asJSON, ok + ok, codeInvalid},
		"another id":            {200, asJSON, good("00000000-0000-0000-0000-000000000000"), codeInvalid},
		"no id":                 {200, asJSON, `{"timestamp":1}`, codeInvalid},
		"null id":               {200, asJSON, `{"requestId":null,"timestamp":1}`, codeInvalid},
		"id in another case":    {200, asJSON, strings.Replace(ok, "requestId", "requestID", 1), codeInvalid},
		"id as number":          {200, asJSON, `{"requestId":1,"timestamp":1}`, codeInvalid},
		"no timestamp":          {200, asJSON, `{"requestId":"` + req.ID + `"}`, codeInvalid},
		"timestamp as text":     {200, asJSON, strings.Replace(ok, ":1}", `:"1"}`, 1), codeInvalid},
		"timestamp null":        {200, asJSON, strings.Replace(ok, ":1}", `:null}`, 1), codeInvalid},
		"201":                   {201, asJSON, ok, codeDestination},
		"202":                   {202, asJSON, ok, codeDestination},
		"204":                   {204, asJSON, "", codeDestination},
		"301":                   {301, http.Header{"Location": {"/x"}}, "", codeDestination},
		"400":                   {400, asJSON, ok, codeDestination},
		"401":                   {401, asJSON, ok, codeDestination},
		"404":                   {404, nil, "", codeDestination},
		"422":                   {422, nil, "", codeDestination},
		"500":                   {500, asJSON, "{", codeDestination},
		"503":                   {503, asJSON, ok, codeDestination},
		"large":                 {200, asJSON, ok + strings.Repeat(" ", maxAnswerBytes), codeTooLong},
		"large 500":             {500, asJSON, strings.Repeat(" ", maxAnswerBytes+1), codeTooLong},
		"as large as allowed":   {200, asJSON, ok + strings.Repeat(" ", maxAnswerBytes-len(ok)), ""},
		"large and told so":     {200, http.Header{"Content-Type": {"application/json"}, "Content-Length": {fmt.Sprint(maxAnswerBytes + 1)}}, strings.Repeat(" ", maxAnswerBytes+1), codeTooLong},
		"more headers than fit": {200, http.Header{"X": {strings.Repeat("x", maxAnswerBytes+8192)}}, "", codeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			reply := answering(t, firehoseOptions(), c.status, c.header, c.body).Send(context.Background(), req)
			want := record.Retry
			if c.code == "" {
				want = record.Delivered
			}
			if reply.Kind != want || reply.Code != c.code || (reply.Err == nil) != (c.code == "") || reply.TooLarge || reply.Unsent {
				t.Errorf("%+v, want %v %s", reply, want, c.code)
			}
		})
	}
}

func TestPlainAnswers(t *testing.T) {
	type want struct {
		kind     record.OutcomeKind
		tooLarge bool // for several items
	}
	delivered, retry, halve := want{record.Delivered, false}, want{record.Retry, false}, want{record.Rejected, true}
	for status, w := range map[int]want{
		200: delivered, 201: delivered, 202: delivered, 204: delivered, 207: delivered,
		301: retry, 304: retry, 307: retry,
		400: halve, 413: halve, 415: halve, 422: halve,
		401: retry, 403: retry, 404: retry, 405: retry, 408: retry, 409: retry, 429: retry,
		500: retry, 502: retry, 503: retry, 507: retry,
	} {
		s := answering(t, plainOptions(bodyNDJSON), status, nil, "")
		for _, req := range []*record.Request{sinktest.NewRequest(1, "one"), sinktest.NewRequest(2, "one", "two")} {
			reply := s.Send(context.Background(), req)
			if reply.Kind != w.kind || reply.TooLarge != (w.tooLarge && len(req.Items) > 1) || len(reply.Verdicts) > 0 {
				t.Errorf("%d, %d records: %+v, want %+v", status, len(req.Items), reply, w)
			}
			if w.kind != record.Delivered && (reply.Code != codeDestination || !strings.Contains(reply.Err.Error(), fmt.Sprint(status))) {
				t.Errorf("%d: %+v", status, reply)
			}
		}
	}
}

func TestTooLargeLowersTheLimit(t *testing.T) {
	for _, o := range []Options{firehoseOptions(), plainOptions(bodyNDJSON)} {
		o.MaxBytes = 1 << 20
		s := answering(t, o, 413, nil, "")
		if reply := s.Send(context.Background(), sinktest.NewRequest(1, strings.Repeat("x", 100_000))); reply.Kind != record.Rejected || reply.TooLarge || reply.Code != codeDestination {
			t.Errorf("alone: %+v", reply)
		}
		if got := s.Limits().Bytes; got != 1<<20 {
			t.Errorf("%d bytes after a single record was refused", got)
		}
		half := strings.Repeat("x", 50_000)
		if reply := s.Send(context.Background(), sinktest.NewRequest(1, half, half)); reply.Kind != record.Rejected || !reply.TooLarge {
			t.Errorf("two: %+v", reply)
		}
		if got := s.Limits().Bytes; got != 50_000 {
			t.Errorf("%d bytes after 100,000 were refused", got)
		}
	}
}

func TestLimit(t *testing.T) {
	l := newLimit(1 << 20)
	if now, news := l.refused(1 << 20); now != 1<<19 || !news {
		t.Errorf("%d %v", now, news)
	}
	if now, news := l.refused(10); now != minLimitBytes || !news {
		t.Errorf("%d %v", now, news)
	}
	for range 8 * growAfter {
		l.accepted()
	}
	if got := l.bytes(); got != 1<<20 {
		t.Errorf("%d bytes after long success", got)
	}
	if now, news := l.refused(1 << 20); now != 1<<19 || news {
		t.Errorf("reported twice: %d %v", now, news)
	}
	if now, _ := newLimit(100).refused(80); now != 100 {
		t.Errorf("%d above the maximum", now)
	}
}

func TestMessages(t *testing.T) {
	const data = `{"user":"alice","n":1}`
	req := sinktest.NewRequest(1, data)
	for name, c := range map[string]struct{ message, want string }{
		"told":             {"the disk is full", ": the disk is full"},
		"empty":            {"", "status 500"},
		"secret":           {"key " + accessKey + " expired", ": key *** expired"},
		"record":           {"cannot parse " + data, ": (its message repeats a record)"},
		"start of record":  {"cannot parse " + data[:15] + "…", ": (its message repeats a record)"},
		"record as sent":   {"bad: " + base64.StdEncoding.EncodeToString([]byte(data)), ": (its message repeats a record)"},
		"long":             {strings.Repeat("ü", 1000), ": " + strings.Repeat("ü", 512) + "…"},
		"longer than that": {strings.Repeat("x", 8193), ": (its message is longer than the protocol has it)"},
	} {
		b, _ := json.Marshal(map[string]any{"errorMessage": c.message, "requestId": req.ID, "timestamp": 1})
		reply := answering(t, firehoseOptions(), 500, nil, string(b)).Send(context.Background(), req)
		if !strings.HasSuffix(reply.Err.Error(), c.want) || strings.Contains(reply.Err.Error(), "alice") {
			t.Errorf("%s: %v, want …%s", name, reply.Err, c.want)
		}
	}
	reply := answering(t, plainOptions(bodyNDJSON), 500, nil, `{"errorMessage":"alice"}`).Send(context.Background(), req)
	if got := reply.Err.Error(); got != "the endpoint answered status 500" {
		t.Errorf("plain: %v", got)
	}
	if clip("\xff"+strings.Repeat("x", 2000)) != "\uFFFD"+strings.Repeat("x", 1021)+"…" {
		t.Error("what is no UTF-8 is not clipped right")
	}
}

// An endpoint's message may cite any part of what it was sent.
func TestMessagesWithSecrets(t *testing.T) {
	o := firehoseOptions()
	o.AccessKey = value("prefix-of")
	o.Headers = map[string]func() (string, error){"Authorization": value("Bearer prefix-of-a-token"), "X-Empty": value("")}
	for message, want := range map[string]string{
		"Bearer prefix-of-a-token is unknown":                       "*** is unknown",
		"token prefix-of-a-token, key prefix-of.":                   "token ***, key ***.",
		"no POST /in/a-token-in-the-path?k=secret%2Fquery&n=1 here": "no POST /in/***?*** here",
		"k is secret/query, n is 1":                                 "k is ***, n is 1",
	} {
		b, _ := json.Marshal(map[string]any{"errorMessage": message})
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = w.Write(b)
		}))
		t.Cleanup(server.Close)
		o.URL = server.URL + "/in/a-token-in-the-path?k=secret%2Fquery&n=1"
		reply := mustNew(t, o).Send(context.Background(), sinktest.NewRequest(1, "1"))
		if got := reply.Err.Error(); got != "the endpoint answered status 500: "+want {
			t.Errorf("%q is told as %q", message, got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for v, want := range map[string]time.Duration{
			"7": 7 * time.Second, "": 0, "soon": 0, "-3": 0, "99999999": maxRetryAfter, "99999999999999999999": 0,
			time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat): 90 * time.Second,
			"Sat, 02 Jan 1999 15:04:05 GMT":                                0,
			"Mon, 02 Jan 2106 15:04:05 GMT":                                maxRetryAfter,
		} {
			if got := retryAfter(http.Header{"Retry-After": {v}}); got != want {
				t.Errorf("%q: %v, want %v", v, got, want)
			}
		}
	})
	for _, o := range []Options{firehoseOptions(), plainOptions(bodyNDJSON)} {
		reply := answering(t, o, 503, http.Header{"Retry-After": {"7"}}, "").Send(context.Background(), sinktest.NewRequest(1, "1"))
		if reply.RetryAfter != 7*time.Second {
			t.Errorf("%+v", reply)
		}
	}
}

// Nothing is called delivered that another reading of the answer does not find good, and every other outcome says why.
func FuzzJudgeFirehose(f *testing.F) {
	const id = "00000000-0000-8000-8000-000000000001"
	f.Add(200, "application/json", []byte(good(id)), false, false)
	f.Add(200, "application/json;charset=x", []byte(`{"timestamp":"1","requestId":"`+id+`"}`), false, true)
	f.Add(413, "text/html", []byte(`{"errorMessage":{}}`), true, false)
	f.Fuzz(func(t *testing.T, status int, contentType string, b []byte, cut, early bool) {
		a := &answer{status: status, header: http.Header{"Content-Type": {contentType}}, body: b, early: early, tooLong: len(b) > maxAnswerBytes}
		if cut {
			a.err, a.failure = errors.New("cut"), record.Outcome{Kind: record.Retry, Code: codeReset, Err: errors.New("cut")}
		}
		out := (&Sink{}).judge(a, &record.Request{ID: id}, 1)
		if out.Kind != record.Delivered {
			if out.Err == nil || out.Code == "" || (out.Kind == record.Rejected) != (status == 413) {
				t.Fatalf("%+v", out)
			}
			_ = conceal(out.Err, &record.Request{}, nil).Error()
			return
		}
		var in map[string]any
		if err := json.Unmarshal(b, &in); err != nil || in["requestId"] != id || status != 200 || cut || early {
			t.Fatalf("delivered: %d %q", status, b)
		}
		if _, ok := in["timestamp"].(float64); !ok || !strings.Contains(strings.ToLower(contentType), "application/json") {
			t.Fatalf("delivered: %q %q", contentType, b)
		}
	})
}
