package httpin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hydrant/record"
)

// notedLog keeps the notes of what was appended, too.
type notedLog struct {
	fakeLog
	notes []record.Note
}

func (f *notedLog) Append(ctx context.Context, stream string, put *record.Put) (record.ID, error) {
	n, _ := put.Note()
	f.notes = append(f.notes, *n)
	return f.fakeLog.Append(ctx, stream, put)
}

func deliver(h http.Handler, body string, header ...string) (*httptest.ResponseRecorder, map[string]any) {
	r := httptest.NewRequest(http.MethodPost, "/v1/firehose/s", strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	answer := map[string]any{}
	_ = json.Unmarshal(w.Body.Bytes(), &answer)
	return w, answer
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestDelivery(t *testing.T) {
	log := &notedLog{}
	h := New(Options{Appender: log})
	body := fmt.Sprintf(`{"requestId":"id-1","timestamp":1578090903599,"records":[{"data":%q},{"data":"","more":[1]}, {"x":null,"data":%q}],"else":{}}`, b64("one"), b64("\x00\xff"))
	w, answer := deliver(h, body, headerRequestID, "id-1", headerAttributes, `{"commonAttributes":{"env":"prod"}}`, "X-Amz-Firehose-Protocol-Version", "1.0")
	if w.Code != 200 || answer["requestId"] != "id-1" || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Content-Length") == "" {
		t.Fatalf("%d %v %v", w.Code, w.Header(), answer)
	}
	if at, ok := answer["timestamp"].(float64); !ok || time.Since(time.UnixMilli(int64(at))) > time.Minute || answer["errorMessage"] != nil {
		t.Errorf("%v", answer)
	}
	if fmt.Sprintf("%q", log.records) != `["one" "" "\x00\xff"]` {
		t.Errorf("%q", log.records)
	}
	if n := log.notes[0]; n.Attributes["env"] != "prod" || n.Request == (record.RequestKey{}) {
		t.Errorf("note %+v", n)
	}
}

// The id, what is in the records, and the sender name a request; how it is written does not.
func TestDeliveryKeys(t *testing.T) {
	log := &notedLog{}
	h := New(Options{Appender: log})
	send := func(body string, header ...string) record.RequestKey {
		w, _ := deliver(h, body, header...)
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return log.notes[len(log.notes)-1].Request
	}
	first := send(`{"requestId":"a","timestamp":1,"records":[{"data":"YQ=="},{"data":"Yg=="}]}`)
	for name, same := range map[string]record.RequestKey{
		"again":       send(`{"requestId":"a","timestamp":2,"records":[{"data":"YQ=="},{"data":"Yg=="}]}`),
		"by header":   send(`{"records":[{"data":"YQ=="},{"data":"Yg=="}]}`, headerRequestID, "a"),
		"other order": send(`{ "records" : [ { "data":"YQ==" } , {"data":"\u0059g=="}] , "requestId":"\u0061" }`),
	} {
		if same != first {
			t.Errorf("%s: another request", name)
		}
	}
	for name, other := range map[string]record.RequestKey{
		"other id":      send(`{"requestId":"b","timestamp":1,"records":[{"data":"YQ=="},{"data":"Yg=="}]}`),
		"other records": send(`{"requestId":"a","timestamp":1,"records":[{"data":"YQ=="},{"data":"Yw=="}]}`),
		"other cut":     send(`{"requestId":"a","timestamp":1,"records":[{"data":"YWI="}]}`),
		"other sender":  send(`{"requestId":"a","timestamp":1,"records":[{"data":"YQ=="},{"data":"Yg=="}]}`, headerSourceARN, "arn:x"),
	} {
		if other == first {
			t.Errorf("%s: the same request", name)
		}
	}
}

func TestDeliveryRefuses(t *testing.T) {
	long := strings.Repeat("x", maxRecordBytes+1)
	many := `{"requestId":"a","records":[` + strings.TrimSuffix(strings.Repeat(`{"data":"YQ=="},`, maxDelivered+1), ",") + `]}`
	huge := `{"requestId":"a","records":[` + strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`{"data":%q},`, b64(long[:1_000_000])), 13), ",") + `]}`
	for name, c := range map[string]struct {
		body   string
		header []string
		status int
		word   string
	}{
		"no JSON":        {"x", nil, 400, "not JSON"},
		"cut":            {`{"requestId":"a","records":[{"data":"YQ=="}`, nil, 400, "not JSON"},
		"behind":         {`{"requestId":"a","records":[]}x`, nil, 400, "not JSON"},
		"an array":       {`[]`, nil, 400, "not JSON"},
		"no records":     {`{"requestId":"a"}`, nil, 400, "no \"records\""},
		"records twice":  {`{"requestId":"a","records":[],"records":[]}`, nil, 400, "twice"},
		"no data":        {`{"requestId":"a","records":[{}]}`, nil, 400, "Record 1 has 0 members"},
		"data twice":     {`{"requestId":"a","records":[{"data":"","data":""}]}`, nil, 400, "Record 1 has 2 members"},
		"null data":      {`{"requestId":"a","records":[{"data":null}]}`, nil, 400, "not JSON"},
		"a null record":  {`{"requestId":"a","records":[null]}`, nil, 400, "not JSON"},
		"bad base64":     {`{"requestId":"a","records":[{"data":"YQ=="},{"data":"Y!=="}]}`, nil, 400, "record 2 is not base64"},
		"no id":          {`{"records":[{"data":"YQ=="}]}`, nil, 400, "has no id"},
		"other id":       {`{"requestId":"a","records":[{"data":"YQ=="}]}`, []string{headerRequestID, "b"}, 400, "differ"},
		"long id":        {`{"records":[]}`, []string{headerRequestID, strings.Repeat("i", 2000)}, 400, "longer"},
		"attributes":     {`{"requestId":"a","records":[]}`, []string{headerAttributes, "x"}, 400, "Common-Attributes"},
		"attribute name": {`{"requestId":"a","records":[]}`, []string{headerAttributes, `{"commonAttributes":{"":"x"}}`}, 400, "Common-Attributes"},
		"long record":    {fmt.Sprintf(`{"requestId":"a","records":[{"data":%q}]}`, b64(long)), nil, 413, "Record 1 is longer"},
		"many":           {many, nil, 413, "at most 10000"},
		"huge":           {huge, nil, 413, "too large"},
		"deep":           {`{"requestId":"a","x":` + strings.Repeat("[", 1_000_000), nil, 400, "not JSON"},
		"no gzip":        {"x", []string{"Content-Encoding", "gzip"}, 400, ""},
		"zstd":           {"x", []string{"Content-Encoding", "zstd"}, 415, ""},
		"web page":       {`{"requestId":"a","records":[]}`, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://else.example"}, 403, "web pages"},
	} {
		log := &fakeLog{}
		w, answer := deliver(New(Options{Appender: log}), c.body, c.header...)
		message, _ := answer["errorMessage"].(string)
		if w.Code != c.status || !strings.Contains(message, c.word) || answer["timestamp"] == nil || log.calls != 0 {
			t.Errorf("%s: %d %v, %d calls; want %d %s", name, w.Code, answer, log.calls, c.status, c.word)
		}
	}
}

func TestDeliveryFull(t *testing.T) {
	log := &fakeLog{fail: &record.Unavailable{Reason: "full", RetryAfter: 3 * time.Second}}
	w, answer := deliver(New(Options{Appender: log}), `{"requestId":"a","records":[{"data":"YQ=="}]}`)
	if w.Code != 503 || w.Header().Get("Retry-After") != "3" || answer["requestId"] != "a" || answer["errorMessage"] != "full" {
		t.Errorf("%d %v %v", w.Code, w.Header(), answer)
	}
	log.fail = record.ErrStreamNotFound
	if w, _ := deliver(New(Options{Appender: log}), `{"requestId":"a","records":[{"data":"YQ=="}]}`); w.Code != 404 {
		t.Errorf("%d", w.Code)
	}
	if w, answer := deliver(New(Options{Appender: log}), `{"requestId":"a","records":[]}`); w.Code != 200 || answer["requestId"] != "a" {
		t.Errorf("nothing to take: %d %v", w.Code, answer)
	}
}

func TestTokens(t *testing.T) {
	var asked []string
	h := New(Options{Appender: &fakeLog{}, Authorize: func(token, stream string) (string, error) {
		asked = append(asked, token+"@"+stream)
		switch token {
		case "":
			return "", ErrNoToken
		case "good":
			return "name", nil
		}
		return "", ErrForbidden
	}})
	body := `{"requestId":"a","records":[{"data":"YQ=="}]}`
	for _, c := range []struct {
		header []string
		status int
	}{
		{nil, 401}, {[]string{headerAccessKey, "bad"}, 403}, {[]string{headerAccessKey, "good"}, 200}, {[]string{"Authorization", "Bearer good"}, 200},
		{[]string{"Authorization", "Basic good"}, 401},
	} {
		if w, _ := deliver(h, body, c.header...); w.Code != c.status || (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") && w.Code != 401 {
			t.Errorf("%v: %d, want %d", c.header, w.Code, c.status)
		}
	}
	if w := post(h, "text/plain", strings.NewReader("a")); w.Code != 401 || w.Header().Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("records: %d %v", w.Code, w.Header())
	}
	if w := post(h, "text/plain", strings.NewReader("a"), "Authorization", "Bearer good"); w.Code != 200 {
		t.Errorf("records: %d", w.Code)
	}
	if asked[0] != "@s" || asked[2] != "good@s" {
		t.Errorf("%q", asked)
	}
}

func TestIdempotencyKey(t *testing.T) {
	log := &notedLog{}
	h := New(Options{Appender: log})
	for _, key := range []string{"k", "k", "l"} {
		if w := post(h, "text/plain", strings.NewReader("a\nb\n"), "Idempotency-Key", key); w.Code != 200 || w.Body.String() != `{"accepted":2}` {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
	post(h, "text/plain", strings.NewReader("a\nc\n"), "Idempotency-Key", "k")
	n := log.notes
	if n[0].Request != n[1].Request || n[0].Request == n[2].Request || n[0].Request == n[3].Request || n[0].Request == (record.RequestKey{}) {
		t.Errorf("%+v", n)
	}
	if post(h, "text/plain", strings.NewReader("a")); !log.notes[4].Empty() {
		t.Errorf("a request without a key has the note %+v", log.notes[4])
	}
}

func FuzzDelivery(f *testing.F) {
	f.Add([]byte(`{"requestId":"a","timestamp":1,"records":[{"data":"YQ=="},{"data":"\u0059g==","x":[{}]}]}`))
	f.Add([]byte(`{"records":[{"data":"YQ"}]}`))
	f.Add([]byte(`{"records":[`))
	f.Fuzz(func(t *testing.T, b []byte) {
		put := record.NewPut()
		defer put.Release()
		id, err := parseDelivery(b, put)
		var want struct {
			RequestID string `json:"requestId"`
			Records   []struct {
				Data []byte `json:"data"`
			} `json:"records"`
		}
		if err != nil || json.Unmarshal(b, &want) != nil {
			return // what is refused loses nothing; what encoding/json refuses is stricter than it
		}
		if len(want.Records) != put.Count() || strings.ToValidUTF8(id, "\ufffd") != strings.ToValidUTF8(want.RequestID, "\ufffd") && strings.Count(strings.ToLower(string(b)), "requestid") < 2 {
			if strings.Count(strings.ToLower(string(b)), "records")+strings.Count(string(b), `\u`) < 2 {
				t.Fatalf("%q: %d records, id %q", b, put.Count(), id)
			}
		}
	})
}
