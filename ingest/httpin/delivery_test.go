package httpin

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"hydrant/record"
)

// deliver sends a body as Firehose would, under the id "id-1" unless the header says another.
func deliver(h http.Handler, body io.Reader, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/firehose/s", body)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Amz-Firehose-Protocol-Version", "1.0")
	r.Header.Set(headerRequestID, "id-1")
	r.Header.Set(headerSourceARN, "arn:aws:firehose:us-east-1:123456789012:deliverystream/out")
	for i := 0; i+1 < len(header); i += 2 {
		if r.Header.Set(header[i], header[i+1]); header[i+1] == "" {
			r.Header.Del(header[i])
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func deliveryBody(id string, records ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"requestId":%q,"timestamp":1578090901599,"records":[`, id)
	for i, r := range records {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"data":%q}`, b64(r))
	}
	return b.String() + "]}"
}

// checkDelivery holds an answer against the protocol.
func checkDelivery(t *testing.T, what string, w *httptest.ResponseRecorder, status int, id string) (message string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(w.Body.Bytes()))
	d.DisallowUnknownFields()
	var got struct {
		RequestID    *string `json:"requestId"`
		Timestamp    *int64  `json:"timestamp"`
		ErrorMessage string  `json:"errorMessage"`
	}
	if err := d.Decode(&got); err != nil || got.RequestID == nil || got.Timestamp == nil {
		t.Errorf("%s: %v in %s", what, err, w.Body)
		return ""
	}
	if w.Code != status || *got.RequestID != id || (got.ErrorMessage == "") != (status == 200) || len(got.ErrorMessage) > 8192 {
		t.Errorf("%s: %d %s, want %d for %q", what, w.Code, w.Body, status, id)
	}
	if age := time.Since(time.UnixMilli(*got.Timestamp)); age < 0 || age > time.Minute {
		t.Errorf("%s: the timestamp is %d", what, *got.Timestamp)
	}
	if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Content-Encoding") != "" || w.Header().Get("Content-Length") != fmt.Sprint(w.Body.Len()) {
		t.Errorf("%s: %v", what, w.Header())
	}
	if (w.Header().Get("Retry-After") != "") != (status == 503) {
		t.Errorf("%s: Retry-After %q", what, w.Header().Get("Retry-After"))
	}
	return got.ErrorMessage
}

func TestDeliveryIsTaken(t *testing.T) {
	long := strings.Repeat("x", maxRecordBytes)
	for _, tc := range []struct {
		name, body string
		header     []string
		want       []string
	}{
		{"as Firehose sends it", deliveryBody("id-1", "a", "", "b\n"), nil, []string{"a", "", "b\n"}},
		{"in another order, with more", `{"x":{"records":[1]},"records":[{"y":[{}],"data":"YQ==","z":null}],"requestId":"id-1"}`, nil, []string{"a"}},
		{"spaces", " {\n\"records\" : [ { \"data\" : \"YQ==\" } , {\"data\":\"Yg==\"} ] }\r\n", nil, []string{"a", "b"}},
		{"escapes", `{"req\u0075estId":"id\u002d1","r\u0065cords":[{"d\u0061ta":"\/\/\/\/"},{"data":"YWI\u003d"}]}`, nil, []string{"\xff\xff\xff", "ab"}},
		{"id in the header only", `{"records":[{"data":"YQ=="}]}`, nil, []string{"a"}},
		{"id null", `{"requestId":null,"records":[{"data":"YQ=="}]}`, nil, []string{"a"}},
		{"id in the body only", deliveryBody("id-1", "a"), []string{headerRequestID, ""}, []string{"a"}},
		{"no version, no source", deliveryBody("id-1", "a"), []string{"X-Amz-Firehose-Protocol-Version", "", headerSourceARN, ""}, []string{"a"}},
		{"another content type", deliveryBody("id-1", "a"), []string{"Content-Type", "text/plain"}, []string{"a"}},
		{"timestamp that is none", `{"timestamp":"soon","records":[{"data":"YQ=="}]}`, nil, []string{"a"}},
		{"longest records", deliveryBody("id-1", long, long), nil, []string{long, long}},
		{"none", deliveryBody("id-1"), nil, nil},
		{"10,000", deliveryBody("id-1", make([]string, maxDelivered)...), nil, make([]string, maxDelivered)},
	} {
		log := &fakeLog{}
		w := deliver(New(Options{Appender: log}), strings.NewReader(tc.body), tc.header...)
		checkDelivery(t, tc.name, w, 200, "id-1")
		if !slices.Equal(log.records, tc.want) {
			t.Errorf("%s: the log has %.60q", tc.name, log.records)
		}
		if log.calls != min(1, len(tc.want)) {
			t.Errorf("%s: %d calls of the log", tc.name, log.calls)
		}
	}
}

func TestDeliveryPacked(t *testing.T) {
	log := &fakeLog{}
	h := New(Options{Appender: log})
	gz := packed(t, "gzip", deliveryBody("id-1", "a", "b"))
	checkDelivery(t, "gzip", deliver(h, bytes.NewReader(gz), "Content-Encoding", "gzip"), 200, "id-1")
	checkDelivery(t, "half of it", deliver(h, bytes.NewReader(gz[:len(gz)/2]), "Content-Encoding", "gzip"), 400, "id-1")
	checkDelivery(t, "without its sum", deliver(h, bytes.NewReader(gz[:len(gz)-4]), "Content-Encoding", "gzip"), 400, "id-1")
	checkDelivery(t, "no gzip", deliver(h, strings.NewReader("{}"), "Content-Encoding", "gzip"), 400, "id-1")
	checkDelivery(t, "another coding", deliver(h, strings.NewReader("{}"), "Content-Encoding", "br"), 415, "id-1")
	bomb := bytes.Repeat(packed(t, "gzip", strings.Repeat(" ", 16<<20)), 4)
	checkDelivery(t, "bomb", deliver(h, bytes.NewReader(bomb), "Content-Encoding", "gzip"), 413, "id-1")
	if !slices.Equal(log.records, []string{"a", "b"}) {
		t.Errorf("the log has %q", log.records)
	}
}

func TestDeliveryIsRefused(t *testing.T) {
	over := strings.Repeat("x", maxRecordBytes+1)
	for _, tc := range []struct {
		name, body string
		status     int
		header     []string
	}{
		{"nothing", "", 400, nil}, {"an array", "[]", 400, nil}, {"null", "null", 400, nil}, {"cut", `{"records":[{"data":"YQ=="}`, 400, nil},
		{"more behind", deliveryBody("id-1", "a") + "x", 400, nil},
		{"no records", `{"requestId":"id-1"}`, 400, nil}, {"records null", `{"records":null}`, 400, nil}, {"records an object", `{"records":{}}`, 400, nil},
		{"records twice", `{"records":[{"data":"YQ=="}],"records":[]}`, 400, nil},
		{"a record null", `{"records":[{"data":"YQ=="},null]}`, 400, nil}, {"a record a string", `{"records":["YQ=="]}`, 400, nil},
		{"no data", `{"records":[{"data":"YQ=="},{}]}`, 400, nil}, {"data null", `{"records":[{"data":null}]}`, 400, nil},
		{"data a number", `{"records":[{"data":1}]}`, 400, nil}, {"data twice", `{"records":[{"data":"YQ==","data":"YQ=="}]}`, 400, nil},
		{"data no base64", `{"records":[{"data":"YQ=="},{"data":"YQ="}]}`, 400, nil}, {"data base64 of URLs", `{"records":[{"data":"_-__"}]}`, 400, nil},
		{"data with a line break", `{"records":[{"data":"YW\nJj"}]}`, 400, nil}, {"bad escape", `{"records":[{"data":"\uzzzz"}]}`, 400, nil},
		{"deep", `{"x":` + strings.Repeat("[", 5_000_000), 400, nil}, {"deep records", `{"records":` + strings.Repeat(`[{"data":`, 1_000_000), 400, nil},
		{"id a number", `{"requestId":7,"records":[]}`, 400, nil},
		{"ids differ", deliveryBody("id-2", "a"), 400, nil},
		{"two ids", `{"requestId":"id-1","requestId":"id-2","records":[]}`, 400, nil},
		{"no id", `{"records":[{"data":"YQ=="}]}`, 400, []string{headerRequestID, ""}},
		{"a long record", deliveryBody("id-1", "a", over), 413, nil}, {"a long body", strings.Repeat(" ", 16<<20) + "{}", 413, nil},
		{"10,001 records", deliveryBody("id-1", make([]string, maxDelivered+1)...), 413, nil},
		{"endless records", `{"records":[` + strings.Repeat(`{"data":""},`, 1_300_000), 413, nil},
		{"attributes no JSON", deliveryBody("id-1", "a"), 400, []string{headerAttributes, "{"}},
		{"attributes a list", deliveryBody("id-1", "a"), 400, []string{headerAttributes, `{"commonAttributes":["a"]}`}},
		{"attribute a number", deliveryBody("id-1", "a"), 400, []string{headerAttributes, `{"commonAttributes":{"a":1}}`}},
		{"attribute null", deliveryBody("id-1", "a"), 400, []string{headerAttributes, `{"commonAttributes":{"a":null}}`}},
		{"attribute without a name", deliveryBody("id-1", "a"), 400, []string{headerAttributes, `{"commonAttributes":{"":"x"}}`}},
		{"attributes not UTF-8", deliveryBody("id-1", "a"), 400, []string{headerAttributes, "{\"commonAttributes\":{\"a\":\"\xff\"}}"}},
		{"a long name", deliveryBody("id-1", "a"), 400, []string{headerAttributes, attributes(1, 257, 1)}},
		{"a long value", deliveryBody("id-1", "a"), 400, []string{headerAttributes, attributes(1, 1, 1025)}},
		{"51 attributes", deliveryBody("id-1", "a"), 400, []string{headerAttributes, attributes(51, 3, 1)}},
		{"a web page", deliveryBody("id-1", "a"), 403, []string{"Origin", "https://else.example", "Sec-Fetch-Site", "cross-site"}},
	} {
		log := &fakeLog{}
		id := "id-1"
		if len(tc.header) > 1 && tc.header[0] == headerRequestID {
			id = tc.header[1]
		}
		w := deliver(New(Options{Appender: log}), strings.NewReader(tc.body), tc.header...)
		if message := checkDelivery(t, tc.name, w, tc.status, id); strings.Contains(message, "\n") {
			t.Errorf("%s: %q", tc.name, message)
		}
		if log.calls != 0 {
			t.Errorf("%s: the log was called", tc.name)
		}
	}
}

func TestDeliverySaysWhatIsWrong(t *testing.T) {
	for body, want := range map[string]string{
		`{"requestId":"id-1"`: "not JSON", `{"requestId":"id-1"}`: `no "records"`, `{"records":[],"records":[]}`: "twice",
		`{"records":[{"data":""},{}]}`: "Record 2 has 0 members", `{"records":[{"data":"","data":""}]}`: "Record 1 has 2 members",
		`{"records":[{"data":"YQ=="},{"data":"Y!=="}]}`: "record 2 is not base64", `{"requestId":"id-2","records":[]}`: "differ",
	} {
		w := deliver(New(Options{Appender: &fakeLog{}}), strings.NewReader(body))
		if message := checkDelivery(t, body, w, 400, "id-1"); !strings.Contains(message, want) {
			t.Errorf("%s: %q, want %q", body, message, want)
		}
	}
}

func TestDeliveryIDTooLong(t *testing.T) {
	w := deliver(New(Options{Appender: &fakeLog{}}), strings.NewReader(`{"records":[]}`), headerRequestID, strings.Repeat("i", maxRequestID+1))
	checkDelivery(t, "long id", w, 400, strings.Repeat("i", 64))
}

// attributes are n pairs with names of so many characters, their number among them.
func attributes(n, name, value int) string {
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprintf("%0*d", name, i)] = strings.Repeat("é", value)
	}
	b, err := json.Marshal(map[string]any{"commonAttributes": all})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestDeliveryAttributesAreKept(t *testing.T) {
	for header, want := range map[string]map[string]string{
		"":                                      {},
		`{}`:                                    {},
		`{"commonAttributes":{}}`:               {},
		`{"commonAttributes":null,"x":[1]}`:     {},
		`{"commonAttributes":{"a":"","b":"c"}}`: {"a": "", "b": "c"},
	} {
		log := &fakeLog{}
		checkDelivery(t, header, deliver(New(Options{Appender: log}), strings.NewReader(deliveryBody("id-1", "a")), headerAttributes, header), 200, "id-1")
		if len(log.notes) != 1 || !maps.Equal(log.notes[0].Attributes, want) || log.notes[0].Request == (record.RequestKey{}) {
			t.Errorf("%s: the note is %+v", header, log.notes)
		}
	}
	log := &fakeLog{}
	checkDelivery(t, "most", deliver(New(Options{Appender: log}), strings.NewReader(deliveryBody("id-1", "a")), headerAttributes, attributes(50, 256, 1024)), 200, "id-1")
	if len(log.notes) != 1 || len(log.notes[0].Attributes) != 50 {
		t.Errorf("%d notes", len(log.notes))
	}
}

func TestDeliveryRepeated(t *testing.T) {
	log := &fakeLog{}
	h := New(Options{Appender: log})
	for _, tc := range []struct {
		what   string
		body   string
		header []string
		total  int
	}{
		{"first", deliveryBody("id-1", "a", "b"), nil, 2},
		{"again", deliveryBody("id-1", "a", "b"), nil, 2},
		{"again, later, with other attributes", strings.Replace(deliveryBody("id-1", "a", "b"), "1578", "1579", 1), []string{headerAttributes, `{"commonAttributes":{"a":"b"}}`}, 2},
		{"another sender", deliveryBody("id-1", "a", "b"), []string{headerSourceARN, "arn:else"}, 4},
		{"another id", deliveryBody("id-2", "a", "b"), []string{headerRequestID, "id-2"}, 6},
		{"other records", deliveryBody("id-1", "a", "c"), nil, 8},
		{"half of them", deliveryBody("id-1", "a"), nil, 9},
	} {
		id := "id-1"
		if len(tc.header) > 0 && tc.header[0] == headerRequestID {
			id = tc.header[1]
		}
		checkDelivery(t, tc.what, deliver(h, strings.NewReader(tc.body), tc.header...), 200, id)
		if len(log.records) != tc.total {
			t.Errorf("%s: the log has %q", tc.what, log.records)
		}
	}
}

func TestDeliveryLogRefuses(t *testing.T) {
	for _, tc := range []struct {
		err    error
		status int
		after  string
	}{
		{record.ErrStreamNotFound, 404, ""}, {record.ErrStreamDeleting, 404, ""}, {record.ErrStopping, 503, "1"},
		{&record.Unavailable{Reason: "The backlog is full.", RetryAfter: 1500 * time.Millisecond}, 503, "2"}, {errors.New("secret detail"), 500, ""},
		{&record.Unavailable{Reason: strings.Repeat("ü", 20_000)}, 503, "1"},
	} {
		w := deliver(New(Options{Appender: &fakeLog{fail: tc.err}}), strings.NewReader(deliveryBody("id-1", "a")))
		if w.Code != tc.status || w.Header().Get("Retry-After") != tc.after || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%.60v: %d %v %.80s", tc.err, w.Code, w.Header(), w.Body)
		}
		var got struct{ ErrorMessage string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || len([]rune(got.ErrorMessage)) > 8192 || got.ErrorMessage == "" {
			t.Errorf("%.60v: %v, %d characters", tc.err, err, len([]rune(got.ErrorMessage)))
		}
	}
}

func TestDeliveryElsewhere(t *testing.T) {
	for _, tc := range []struct {
		method, path string
		status       int
	}{{"GET", "/v1/firehose/s", 405}, {"PUT", "/v1/firehose/s", 405}, {"POST", "/v1/firehose/nobody", 404}, {"POST", "/v1/firehose/a%2Fb", 404}} {
		r := httptest.NewRequest(tc.method, tc.path, strings.NewReader(deliveryBody("id-1", "a")))
		r.Header.Set(headerRequestID, "id-1")
		w := httptest.NewRecorder()
		New(Options{Appender: &fakeLog{}}).ServeHTTP(w, r)
		checkDelivery(t, tc.path, w, tc.status, "id-1")
	}
}

func TestParseDeliveryDoesNotAllocatePerRecord(t *testing.T) {
	body := []byte(deliveryBody("id-1", slices.Repeat([]string{strings.Repeat("x", 100)}, 1000)...))
	put := record.NewPut()
	allocs := testing.AllocsPerRun(20, func() {
		put.Reset()
		if _, err := parseDelivery(body, put); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 20 {
		t.Errorf("%v allocations for 1000 records", allocs)
	}
}

// FuzzDelivery: what is taken is what encoding/json finds in the body.
func FuzzDelivery(f *testing.F) {
	for _, s := range []string{deliveryBody("id-1", "a", "", "b"), `{}`, `{"records":[]}`, `{"records":[{"data":"YQ==","x":{"data":1}}],"y":null}`, `{"records":[{"d\u0061ta":"\/\/8="}]}`,
		`{"requestId":null,"records":[{"data":"YQ=="},]}`, `{"records":[{"data":"YQ=="}]}{}`, `[`, ``, `{"records":[{"data":"YQ"}]}`, `{"records":[{"Data":"YQ=="}]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		put := record.NewPut()
		defer put.Release()
		if _, err := parseDelivery(b, put); err != nil {
			return
		}
		var top map[string]json.RawMessage
		var list []map[string]json.RawMessage
		if err := errors.Join(json.Unmarshal(b, &top), json.Unmarshal(top["records"], &list)); err != nil {
			t.Fatalf("%q was taken: %v", b, err)
		}
		if len(list) != put.Count() {
			t.Fatalf("%q: %d records, want %d", b, put.Count(), len(list))
		}
		for i, r := range list {
			var want []byte
			if err := json.Unmarshal(r["data"], &want); err != nil || !bytes.Equal(put.Record(i), want) {
				t.Fatalf("%q: record %d is %q, want %q, %v", b, i, put.Record(i), want, err)
			}
		}
	})
}

func BenchmarkParseDelivery(b *testing.B) {
	body := []byte(deliveryBody("id-1", slices.Repeat([]string{strings.Repeat("x", 670)}, 1500)...))
	put := record.NewPut()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		put.Reset()
		if _, err := parseDelivery(body, put); err != nil {
			b.Fatal(err)
		}
	}
}
