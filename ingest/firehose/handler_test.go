package firehose

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"hydrant/config"
	"hydrant/internal/bodies"
	"hydrant/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLog keeps what was appended, and fails as it is told.
type fakeLog struct {
	mu      sync.Mutex
	streams map[string][]string
	fail    []error // one for each coming call
	calls   int
}

func (f *fakeLog) Append(_ context.Context, stream string, put *record.Put) (record.ID, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if len(f.fail) > 0 {
		err := f.fail[0]
		f.fail = f.fail[1:]
		if err != nil {
			return record.ID{}, err
		}
	}
	have, ok := f.streams[stream]
	if !ok {
		return record.ID{}, fmt.Errorf("append: %w", record.ErrStreamNotFound)
	}
	first := record.ID{Epoch: record.Epoch{0xde, 0xad, 0xbe, 0xef, 1}, Pos: record.Position(len(have) + 1)}
	for i := range put.Count() {
		have = append(have, string(put.Record(i)))
	}
	f.streams[stream] = have
	return first, nil
}

// fakeControl keeps the names of streams.
type fakeControl struct {
	mu    sync.Mutex
	names []string
	err   error // for every call, when set
}

func (f *fakeControl) Create(_ context.Context, spec *config.Stream) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return "", f.err
	}
	if slices.Contains(f.names, spec.Name) {
		return "", &config.APIError{Type: "ResourceInUseException", Message: "Firehose " + spec.Name + " under accountId 000000000000 already exists", Status: 400}
	}
	f.names = append(f.names, spec.Name)
	slices.Sort(f.names)
	return "arn:aws:firehose:us-east-1:000000000000:deliverystream/" + spec.Name, nil
}

func (f *fakeControl) Delete(_ context.Context, name string, _ bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.Index(f.names, name)
	if f.err != nil || i < 0 {
		return errors.Join(f.err, record.ErrStreamNotFound)
	}
	f.names = slices.Delete(f.names, i, i+1)
	return nil
}

func (f *fakeControl) Describe(_ context.Context, name string) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	if !slices.Contains(f.names, name) {
		return nil, record.ErrStreamNotFound
	}
	return map[string]any{"DeliveryStreamName": name, "DeliveryStreamStatus": "ACTIVE", "Destinations": []any{}}, nil
}

func (f *fakeControl) List(_ context.Context, after string, limit int) ([]string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, found := slices.BinarySearch(f.names, after)
	if found {
		i++
	}
	rest := f.names[i:]
	n := min(limit, len(rest))
	return rest[:n], n < len(rest), f.err
}

// bench is a handler with everything around it faked.
type bench struct {
	log     *fakeLog
	control *fakeControl
	metrics *prometheus.Registry
	http.Handler
}

func newBench() *bench {
	b := &bench{
		log:     &fakeLog{streams: map[string][]string{"s": nil}},
		control: &fakeControl{names: []string{"s"}},
		metrics: prometheus.NewRegistry(),
	}
	b.Handler = New(Options{
		Appender: b.log, Control: b.control, AWS: config.AWS{Region: "us-east-1", AccountID: "123456789012"},
		DecodeCreate: func(body []byte) (*config.Stream, error) {
			var in struct{ DeliveryStreamName, DeliveryStreamType string }
			if err := json.Unmarshal(body, &in); err != nil {
				return nil, err
			}
			if in.DeliveryStreamType == "MSKAsSource" {
				return nil, &config.APIError{Type: "InvalidArgumentException", Message: "not here", Status: 400}
			}
			return &config.Stream{Name: in.DeliveryStreamName}, nil
		},
		Metrics: NewMetrics(b.metrics),
	})
	return b
}

// TestFailuresAreLoggedWithTheirStream: what nobody foresaw is for the operator, who must know where.
func TestFailuresAreLoggedWithTheirStream(t *testing.T) {
	boom := errors.New("boom")
	for op, body := range map[string]string{
		opPutRecordBatch: string(batchBody("s", []byte("a"))), opCreate: `{"DeliveryStreamName":"s"}`,
		opDelete: `{"DeliveryStreamName":"s"}`, opDescribe: `{"DeliveryStreamName":"s"}`, opList: `{}`,
	} {
		var log bytes.Buffer
		h := New(Options{
			Appender: &fakeLog{fail: []error{boom}}, Control: brokenControl{boom}, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			DecodeCreate: func([]byte) (*config.Stream, error) { return &config.Stream{Name: "s"}, nil },
		})
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("X-Amz-Target", targetPrefix+op)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		want := "op=" + op + " stream=s err=boom"
		if op == opList {
			want = "op=" + op + ` stream="" err=boom`
		}
		if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), want) {
			t.Errorf("%s: %d, %q, want %q", op, w.Code, log.String(), want)
		}
	}
}

// brokenControl fails in everything, with an error that the API does not know.
type brokenControl struct{ err error }

func (c brokenControl) Create(context.Context, *config.Stream) (string, error) { return "", c.err }
func (c brokenControl) Delete(context.Context, string, bool) error             { return c.err }
func (c brokenControl) Describe(context.Context, string) (any, error)          { return nil, c.err }
func (c brokenControl) List(context.Context, string, int) ([]string, bool, error) {
	return nil, false, c.err
}

// call sends one request as an SDK does.
func (b *bench) call(op string, body []byte, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("X-Amz-Target", targetPrefix+op)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

func TestPutRecordBatch(t *testing.T) {
	b := newBench()
	w := b.call(opPutRecordBatch, batchBody("s", []byte("a\n"), nil, []byte("\x00\xff")))
	want := `{"FailedPutCount":0,"Encrypted":false,"RequestResponses":[{"RecordId":"0000000000000001deadbeef"},{"RecordId":"0000000000000002deadbeef"},{"RecordId":"0000000000000003deadbeef"}]}`
	if w.Code != http.StatusOK || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := b.log.streams["s"]; !slices.Equal(got, []string{"a\n", "", "\x00\xff"}) {
		t.Errorf("the log has %q", got)
	}
	if id := w.Header().Get("x-amzn-RequestId"); !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(id) {
		t.Errorf("request id %q", id)
	}
	if ct := w.Header().Get("Content-Type"); ct != "application/x-amz-json-1.1" {
		t.Errorf("content type %q", ct)
	}
}

func TestPutRecord(t *testing.T) {
	b := newBench()
	w := b.call(opPutRecord, []byte(`{"DeliveryStreamName":"s","Record":{"Data":"aGk="}}`))
	if want := `{"RecordId":"0000000000000001deadbeef","Encrypted":false}`; w.Code != http.StatusOK || w.Body.String() != want {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if got := b.log.streams["s"]; !slices.Equal(got, []string{"hi"}) {
		t.Errorf("the log has %q", got)
	}
}

func TestGzippedBody(t *testing.T) {
	var z bytes.Buffer
	g := gzip.NewWriter(&z)
	if _, err := g.Write(batchBody("s", []byte("a"))); err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	b := newBench()
	if w := b.call(opPutRecordBatch, z.Bytes(), "Content-Encoding", "gzip"); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestOtherRequests(t *testing.T) {
	for _, tc := range []struct {
		method, path string
		status       int
		has          string
	}{
		{"GET", "/", 200, "Firehose_20150804.PutRecordBatch"},
		{"PUT", "/", 405, "POST"},
		{"POST", "/else", 404, ""},
	} {
		w := httptest.NewRecorder()
		newBench().ServeHTTP(w, httptest.NewRequest(tc.method, tc.path, nil))
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.has) {
			t.Errorf("%s %s: %d %s", tc.method, tc.path, w.Code, w.Body)
		}
	}
}

func TestHalfSentBody(t *testing.T) {
	b := newBench()
	r := httptest.NewRequest(http.MethodPost, "/", io.MultiReader(strings.NewReader(good), brokenOff{}))
	r.ContentLength = int64(len(good) + 10)
	r.Header.Set("X-Amz-Target", targetPrefix+opPutRecordBatch)
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest || b.log.calls != 0 {
		t.Errorf("%d %s, %d calls", w.Code, w.Body, b.log.calls)
	}
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestMetricsLabelsAreBounded(t *testing.T) {
	b := newBench()
	for i := range 50 {
		b.call(fmt.Sprintf("Op%d", i), nil)
		b.call(opPutRecordBatch, batchBody(fmt.Sprintf("stream%d", i), nil))
	}
	b.call(opPutRecordBatch, []byte(good))
	if n, err := testutil.GatherAndCount(b.metrics, "hydrant_firehose_requests_total"); n != 3 || err != nil {
		t.Errorf("%d request series, %v", n, err)
	}
	if n, err := testutil.GatherAndCount(b.metrics, "hydrant_firehose_put_seconds"); n != 1 || err != nil {
		t.Errorf("%d latency series, %v", n, err)
	}
}

func TestForgetDropsSeries(t *testing.T) {
	reg := prometheus.NewRegistry()
	m := NewMetrics(reg)
	m.put("s", opPutRecord, time.Second)
	m.put("s", opPutRecordBatch, time.Second)
	m.put("t", opPutRecord, time.Second)
	m.Forget("s")
	if n, err := testutil.GatherAndCount(reg, "hydrant_firehose_put_seconds"); n != 1 || err != nil {
		t.Errorf("%d series, %v", n, err)
	}
	var none *Metrics
	none.put("s", opPutRecord, 0)
	none.request(opPutRecord, 200)
	none.Forget("s")
}

// Many clients at once share the pools; what one sent must never turn up with another.
func TestConcurrentPutsStayApart(t *testing.T) {
	b := newBench()
	budget := bodies.NewReader(bodies.Limits{TotalBytes: 1 << 20})
	h := New(Options{Appender: b.log, Control: b.control, Bodies: budget})
	var wg sync.WaitGroup
	for c := range 16 {
		mark := bytes.Repeat([]byte{byte('a' + c)}, 3000)
		wg.Go(func() {
			for range 20 {
				r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(batchBody("s", mark, mark)))
				r.Header.Set("X-Amz-Target", targetPrefix+opPutRecordBatch)
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != http.StatusOK {
					t.Errorf("%d %s", w.Code, w.Body)
				}
			}
		})
	}
	wg.Wait()
	for _, r := range b.log.streams["s"] {
		if len(r) != 3000 || strings.Trim(r, r[:1]) != "" {
			t.Fatalf("a mixed record: %.20q…", r)
		}
	}
	if n := len(b.log.streams["s"]); n != 16*20*2 || budget.Stats() != (bodies.Stats{}) {
		t.Errorf("%d records, %+v", n, budget.Stats())
	}
}

func BenchmarkHandler(b *testing.B) {
	data := make([][]byte, 500)
	for i := range data {
		data[i] = bytes.Repeat([]byte("x"), 670)
	}
	body := batchBody("s", data...)
	h := New(Options{Appender: nullLog{}})
	b.SetBytes(500 * 670)
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("X-Amz-Target", targetPrefix+opPutRecordBatch)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}

type nullLog struct{}

func (nullLog) Append(context.Context, string, *record.Put) (record.ID, error) {
	return record.ID{}, nil
}
