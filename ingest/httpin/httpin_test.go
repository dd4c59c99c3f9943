package httpin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"hydrant/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLog keeps what was appended to its one stream, each request once, and fails as it is told.
type fakeLog struct {
	mu      sync.Mutex
	records []string
	notes   []record.Note
	keys    map[record.RequestKey]bool
	fail    error
	calls   int
}

func (f *fakeLog) Append(_ context.Context, stream string, put *record.Put) (record.ID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.fail != nil {
		return record.ID{}, f.fail
	}
	if stream != "s" {
		return record.ID{}, record.ErrStreamNotFound
	}
	n, _ := put.Note()
	if f.keys[n.Request] {
		return record.ID{}, nil
	}
	if n.Request != (record.RequestKey{}) {
		if f.keys == nil {
			f.keys = map[record.RequestKey]bool{}
		}
		f.keys[n.Request] = true
	}
	f.notes = append(f.notes, *n)
	for i := range put.Count() {
		f.records = append(f.records, string(put.Record(i)))
	}
	return record.ID{}, nil
}

func post(h http.Handler, contentType string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/streams/s/records", body)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestAccepts(t *testing.T) {
	long := strings.Repeat("x", maxRecordBytes)
	for _, tc := range []struct {
		name, kind, body string
		want             []string
	}{
		{"lines", "application/x-ndjson", "{\"a\":1}\n{\"a\":2}\n", []string{`{"a":1}`, `{"a":2}`}},
		{"lines, no last newline", "application/x-ndjson", "a\nb", []string{"a", "b"}},
		{"lines are not parsed", "application/x-ndjson", "{oops\n\xff\n", []string{"{oops", "\xff"}},
		{"one \\r goes, empty lines are skipped", "text/plain", "a\r\n\r\n\n\nb\r\r\n \n", []string{"a", "b\r", " "}},
		{"only line ends", "text/plain", "\r\n\n", nil},
		{"charset", "text/plain; charset=utf-8", "a\n", []string{"a"}},
		{"upper case", "Application/X-NDJSON;Charset=UTF-8", "a\n", []string{"a"}},
		{"empty", "text/plain", "", nil},
		{"longest line", "text/plain", long + "\r\n" + long + "\n", []string{long, long}},
		{"one value", "application/json", " {\"a\" : [1, 2]}\n", []string{`{"a" : [1, 2]}`}},
		{"array", "application/json; charset=utf-8", "[ {\"a\": 1.0} , \"x\\n\", 3, null,[4, 5] ]\n", []string{`{"a": 1.0}`, `"x\n"`, "3", "null", "[4, 5]"}},
		{"empty array", "application/json", " [ ] ", nil},
		{"deep enough", "application/json", strings.Repeat("[", 100) + strings.Repeat("]", 100), []string{strings.Repeat("[", 99) + strings.Repeat("]", 99)}},
		{"bytes", "application/octet-stream", "a\nb\n\x00", []string{"a\nb\n\x00"}},
		{"no type", "", "a\nb", []string{"a\nb"}},
		{"no bytes", "", "", nil},
	} {
		log := &fakeLog{}
		w := post(New(Options{Appender: log}), tc.kind, strings.NewReader(tc.body))
		if want := fmt.Sprintf(`{"accepted":%d}`, len(tc.want)); w.Code != http.StatusOK || w.Body.String() != want {
			t.Errorf("%s: %d %s, want %s", tc.name, w.Code, w.Body, want)
		}
		if !slices.Equal(log.records, tc.want) {
			t.Errorf("%s: the log has %.60q", tc.name, log.records)
		}
		if calls := min(len(tc.want), 1); log.calls != calls {
			t.Errorf("%s: %d calls of the log", tc.name, log.calls)
		}
	}
}

func packed(t *testing.T, coding, text string) []byte {
	var b bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&b)
	if coding == "zstd" {
		z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPackedBodies(t *testing.T) {
	for _, coding := range []string{"gzip", "zstd"} {
		log := &fakeLog{}
		w := post(New(Options{Appender: log}), "text/plain", bytes.NewReader(packed(t, coding, "a\nb\n")), "Content-Encoding", coding)
		if w.Code != http.StatusOK || !slices.Equal(log.records, []string{"a", "b"}) {
			t.Errorf("%s: %d %s %q", coding, w.Code, w.Body, log.records)
		}
	}
}

type refusal struct {
	name, kind string
	body       io.Reader
	header     []string
	status     int
	errType    string
}

func refusals(t *testing.T) []refusal {
	text := func(s string) io.Reader { return strings.NewReader(s) }
	over := strings.Repeat("x", maxRecordBytes+1)
	bomb := bytes.Repeat(packed(t, "gzip", strings.Repeat("\x00", 16<<20)), 100)
	return []refusal{
		{"not JSON", "application/json", text("{oops"), nil, 400, "bad_json"},
		{"two values", "application/json", text("1 2"), nil, 400, "bad_json"},
		{"cut array", "application/json", text("[1,2"), nil, 400, "bad_json"},
		{"comma at the end", "application/json", text("[1,]"), nil, 400, "bad_json"},
		{"behind an array", "application/json", text("[1]x"), nil, 400, "bad_json"},
		{"behind an empty array", "application/json", text("[]]"), nil, 400, "bad_json"},
		{"no JSON at all", "application/json", text(""), nil, 400, "bad_json"},
		{"not UTF-8", "application/json", text("\"\xff\""), nil, 400, "bad_json"},
		{"too deep", "application/json", text(strings.Repeat("[", 101) + strings.Repeat("]", 101)), nil, 400, "bad_json"},
		{"far too deep", "application/json", text(strings.Repeat(`{"a":`, 3_000_000)), nil, 400, "bad_json"},
		{"long line", "text/plain", text("a\n" + over + "\nb\n"), nil, 413, "record_too_large"},
		{"long last line", "application/x-ndjson", text("a\n" + over), nil, 413, "record_too_large"},
		{"long value", "application/json", text(`["a","` + over + `"]`), nil, 413, "record_too_large"},
		{"long bytes", "", text(over), nil, 413, "record_too_large"},
		{"too many lines", "text/plain", text(strings.Repeat("a\n", record.MaxPutRecords+1)), nil, 413, "too_many_records"},
		{"too large", "text/plain", text(strings.Repeat("a\n", 8<<20) + "b"), nil, 413, "too_large"},
		{"bomb", "text/plain", bytes.NewReader(bomb), []string{"Content-Encoding", "gzip"}, 413, "too_large"},
		{"no gzip", "text/plain", text("a"), []string{"Content-Encoding", "gzip"}, 400, "bad_body"},
		{"brotli", "text/plain", text("a"), []string{"Content-Encoding", "br"}, 415, "unsupported_encoding"},
		{"XML", "application/xml", text("a"), nil, 415, "unsupported_type"},
		{"no type at all", "; what", text("a"), nil, 415, "unsupported_type"},
		{"UTF-16", "text/plain; charset=utf-16le", text("a"), nil, 415, "unsupported_type"},
		{"half sent", "text/plain", io.MultiReader(text("a\nb"), brokenOff{}), nil, 400, "bad_body"},
		{"empty key", "text/plain", text("a"), []string{"Idempotency-Key", ""}, 400, "bad_idempotency_key"},
		{"long key", "text/plain", text("a"), []string{"Idempotency-Key", strings.Repeat("k", 256)}, 400, "bad_idempotency_key"},
		{"unprintable key", "text/plain", text("a"), []string{"Idempotency-Key", "a\tb"}, 400, "bad_idempotency_key"},
		{"key that is no ASCII", "text/plain", text("a"), []string{"Idempotency-Key", "é"}, 400, "bad_idempotency_key"},
		{"web page", "text/plain", text("a"), []string{"Origin", "https://else.example", "Sec-Fetch-Site", "cross-site"}, 403, "cross_origin"},
	}
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestRefuses(t *testing.T) {
	for _, tc := range refusals(t) {
		log := &fakeLog{}
		w := post(New(Options{Appender: log}), tc.kind, tc.body, tc.header...)
		checkError(t, tc.name, w, tc.status, tc.errType)
		if log.calls != 0 {
			t.Errorf("%s: the log was called", tc.name)
		}
	}
}

func TestUnknownTypeIsNamed(t *testing.T) {
	w := post(New(Options{Appender: &fakeLog{}}), "application/x-www-form-urlencoded", strings.NewReader("a"))
	checkError(t, "form", w, 415, "unsupported_type")
	for _, want := range []string{`\"application/x-www-form-urlencoded\"`, "-H 'Content-Type: application/x-ndjson'"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s is missing from %s", want, w.Body)
		}
	}
}

func checkError(t *testing.T, name string, w *httptest.ResponseRecorder, status int, errType string) {
	t.Helper()
	var got struct {
		Error struct{ Type, Message string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Errorf("%s: %v in %s", name, err, w.Body)
	}
	if w.Code != status || got.Error.Type != errType || got.Error.Message == "" {
		t.Errorf("%s: %d %s, want %d %s", name, w.Code, w.Body, status, errType)
	}
}

func TestLogRefuses(t *testing.T) {
	for _, tc := range []struct {
		err     error
		status  int
		errType string
		after   string
	}{
		{fmt.Errorf("x: %w", record.ErrStreamNotFound), 404, "stream_not_found", ""},
		{record.ErrStreamDeleting, 404, "stream_deleting", ""},
		{record.ErrStopping, 503, "unavailable", "1"},
		{context.Canceled, 503, "unavailable", "1"},
		{&record.Unavailable{Reason: "The backlog is full."}, 503, "unavailable", "1"},
		{fmt.Errorf("x: %w", &record.Unavailable{Reason: "The backlog is full.", RetryAfter: 1001 * time.Millisecond}), 503, "unavailable", "2"},
		{errors.New("secret detail"), 500, "internal", ""},
	} {
		w := post(New(Options{Appender: &fakeLog{fail: tc.err}}), "", strings.NewReader("a"))
		checkError(t, tc.err.Error(), w, tc.status, tc.errType)
		if got := w.Header().Get("Retry-After"); got != tc.after {
			t.Errorf("%v: Retry-After %q, want %q", tc.err, got, tc.after)
		}
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("told: %s", w.Body)
		}
	}
}

func TestWhere(t *testing.T) {
	for _, tc := range []struct {
		method, path string
		status       int
		errType      string
	}{
		{"GET", "/v1/streams/s/records", 405, "method_not_allowed"},
		{"POST", "/v1/streams/nobody/records", 404, "stream_not_found"},
		{"POST", "/v1/streams/a%2Fb/records", 404, "stream_not_found"},
		{"POST", "/v1/streams/" + strings.Repeat("n", 65) + "/records", 404, "stream_not_found"},
		{"POST", "/v1/streams/s", 404, "not_found"},
		{"POST", "/v1/streams/s/records/x", 404, "not_found"},
	} {
		w := httptest.NewRecorder()
		New(Options{Appender: &fakeLog{}}).ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, strings.NewReader("a")))
		checkError(t, tc.method+" "+tc.path, w, tc.status, tc.errType)
		if allow := w.Header().Get("Allow"); (allow == "POST") != (tc.status == 405) {
			t.Errorf("%s: Allow %q", tc.path, allow)
		}
	}
}

func TestMetricsLabelsAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	h := New(Options{Appender: &fakeLog{}, Metrics: m})
	for i := range 50 {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", fmt.Sprintf("/v1/streams/n%d/records", i), strings.NewReader("a")))
	}
	post(h, "", strings.NewReader("a"))
	for name, want := range map[string]int{"hydrant_http_requests_total": 2, "hydrant_http_put_seconds": 1} {
		if n, err := testutil.GatherAndCount(reg, name); n != want || err != nil {
			t.Errorf("%s: %d series, %v", name, n, err)
		}
	}
	m.Forget("s")
	if n, err := testutil.GatherAndCount(reg, "hydrant_http_put_seconds"); n != 0 || err != nil {
		t.Errorf("after Forget: %d series, %v", n, err)
	}
}

func FuzzJSONValues(f *testing.F) {
	for _, s := range []string{`[]`, `[1,{"a":[2]}]`, ` "x" `, `[1,]`, `[[]`, `{"a":1}x`, `null`, ``, `[`, `[ "\ud83d\ude00" , -0.1e5 ]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		put := record.NewPut()
		defer put.Release()
		if jsonValues(b, put) != nil {
			return
		}
		var want []json.RawMessage
		if b = bytes.TrimSpace(b); b[0] != '[' {
			want = append(want, b)
		} else if err := json.Unmarshal(b, &want); err != nil {
			t.Fatalf("%q was accepted: %v", b, err)
		}
		if put.Count() != len(want) {
			t.Fatalf("%q: %d records, want %d", b, put.Count(), len(want))
		}
		for i, w := range want {
			if !json.Valid(w) || !bytes.Equal(put.Record(i), w) {
				t.Fatalf("%q: record %d is %q, want %q", b, i, put.Record(i), w)
			}
		}
	})
}

func FuzzLines(f *testing.F) {
	f.Add([]byte("a\r\n\n\r\r\nb"))
	f.Fuzz(func(t *testing.T, b []byte) {
		put := record.NewPut()
		defer put.Release()
		if err := lines(b, put); err != nil {
			return
		}
		i := 0
		for _, l := range strings.Split(string(b), "\n") {
			if l = strings.TrimSuffix(l, "\r"); l == "" {
				continue
			}
			if i >= put.Count() || string(put.Record(i)) != l {
				t.Fatalf("%q: record %d is not %q", b, i, l)
			}
			i++
		}
		if i != put.Count() {
			t.Fatalf("%q: %d records, want %d", b, put.Count(), i)
		}
	})
}

func BenchmarkLines(b *testing.B) {
	body := bytes.Repeat([]byte(strings.Repeat("x", 669)+"\n"), 1500)
	put := record.NewPut()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		put.Reset()
		if err := lines(body, put); err != nil {
			b.Fatal(err)
		}
	}
}
