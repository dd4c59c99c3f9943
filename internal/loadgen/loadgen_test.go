package loadgen

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEvents(t *testing.T) {
	t.Parallel()
	for _, size := range []int{minRecordBytes, 200, 670, 2000, 20_000} {
		g := newGenerator(size, 1)
		var all bytes.Buffer
		n := 200_000/size + 100
		for range n {
			line := g.event(nil)
			var fields map[string]any
			if err := json.Unmarshal(line, &fields); err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			if len(line) > size+size/4+1 && size > 100 || size == 670 && (len(fields) < 10 || len(fields) > 22) {
				t.Fatalf("%d bytes, %d fields: %s", len(line), len(fields), line)
			}
			all.Write(line)
		}
		if mean := all.Len() / n; mean < size*95/100 || mean > size*105/100 {
			t.Errorf("mean %d, want %d", mean, size)
		}
		if size == 670 {
			if ratio := float64(all.Len()) / float64(len(packed(t, all.Bytes()))); ratio < 3 || ratio > 5 {
				t.Errorf("gzip packs events %.1f to 1", ratio)
			}
		}
	}
}

func packed(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestHistogram(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var parts [3]Histogram
	var all []time.Duration
	for i := range 30_000 {
		d := time.Duration(rng.ExpFloat64()*float64(50*time.Millisecond)).Truncate(time.Microsecond) + time.Microsecond
		parts[i%3].Add(d)
		all = append(all, d)
	}
	var h Histogram
	for i := range parts {
		h.Merge(&parts[i])
	}
	slices.Sort(all)
	for _, q := range []float64{0, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[int(q*float64(len(all)-1))]
		if got := h.Quantile(q); got < want || float64(got) > float64(want)*1.01+1000 {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
	if h.Count() != 30_000 || h.Max() != all[len(all)-1] {
		t.Errorf("count %d, max %v", h.Count(), h.Max())
	}
}

func TestHistogramEdges(t *testing.T) {
	t.Parallel()
	var empty Histogram
	if empty.Quantile(0.5) != 0 || empty.Max() != 0 {
		t.Error("an empty histogram has a quantile")
	}
	for _, d := range []time.Duration{-1, 0, 999, time.Microsecond, 127 * time.Microsecond, 128 * time.Microsecond, time.Hour, 1 << 62} {
		var h Histogram
		h.Add(d)
		if got := h.Quantile(1); got != max(d, 0) {
			t.Errorf("%v comes back as %v", d, got)
		}
	}
	last := -1
	for us := range 1_000_000 {
		b := bucketOf(time.Duration(us) * time.Microsecond)
		if b != last && b != last+1 {
			t.Fatalf("bucket %d follows %d", b, last)
		}
		if upperBound(b) < time.Duration(us)*time.Microsecond {
			t.Fatalf("%d µs is above its bucket's bound %v", us, upperBound(b))
		}
		last = b
	}
}

func valid(endpoint, mode string) Options {
	o := Options{Endpoint: endpoint, Stream: "s", Mode: mode, Connections: 3, Batch: 10, RecordBytes: 300, Records: 200, Seed: 1}
	if mode == ModePut {
		o.Batch = 1
	}
	return o
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Options){
		"endpoint":    func(o *Options) { o.Endpoint = "localhost:1" },
		"stream":      func(o *Options) { o.Stream = "" },
		"mode":        func(o *Options) { o.Mode = "x" },
		"connections": func(o *Options) { o.Connections = 0 },
		"record":      func(o *Options) { o.RecordBytes = 10 },
		"long record": func(o *Options) { o.RecordBytes = 1_000_000 },
		"batch":       func(o *Options) { o.Batch = 501 },
		"put":         func(o *Options) { o.Mode, o.Batch = ModePut, 2 },
		"bytes":       func(o *Options) { o.Batch, o.RecordBytes = 500, 8000 },
		"body":        func(o *Options) { o.Mode, o.Batch = ModeNDJSON, 100_000 },
		"duration":    func(o *Options) { o.Duration = -1 },
	} {
		o := valid("http://127.0.0.1:1", ModeBatch)
		if err := o.Check(); err != nil {
			t.Fatal(err)
		}
		change(&o)
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%s: nothing is wrong", name)
		}
	}
}

// sink takes records apart as the daemon would.
type sink struct {
	mu      sync.Mutex
	records [][]byte
	bad     []string
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			s.complain(err.Error())
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		s.complain(err.Error())
	}
	var in struct {
		DeliveryStreamName string
		Record             struct{ Data []byte }
		Records            []struct{ Data []byte }
	}
	var got [][]byte
	switch target := r.Header.Get("X-Amz-Target"); {
	case r.URL.Path == "/v1/streams/s/records" && r.Header.Get("Content-Type") == "application/x-ndjson":
		for l := range bytes.Lines(b) {
			got = append(got, bytes.TrimSuffix(l, []byte("\n")))
		}
	case r.URL.Path != "/" || json.Unmarshal(b, &in) != nil || in.DeliveryStreamName != "s":
		s.complain(r.URL.Path + " " + string(b[:min(len(b), 100)]))
	case target == "Firehose_20150804.PutRecord":
		got = append(got, in.Record.Data)
	case target == "Firehose_20150804.PutRecordBatch":
		for _, one := range in.Records {
			got = append(got, one.Data)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, got...)
	_, _ = io.WriteString(w, "{}")
}

func (s *sink) complain(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = append(s.bad, text)
}

func TestRunSendsWhatItCounts(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{ModeNDJSON, ModeBatch, ModePut} {
		for _, zip := range []bool{false, true} {
			s := &sink{}
			srv := httptest.NewServer(s)
			o := valid(srv.URL+"/", mode)
			o.Gzip = zip
			r, err := Run(t.Context(), o)
			srv.Close()
			if err != nil || len(s.bad) > 0 || len(r.Errors) > 0 {
				t.Fatalf("%s: %v %v %v", mode, err, s.bad, r)
			}
			size := 0
			for _, rec := range s.records {
				size += len(rec)
				if !json.Valid(rec) {
					t.Fatalf("%s: %q", mode, rec)
				}
			}
			if len(s.records) != 200 || r.Records != 200 || r.Bytes != int64(size) || r.Latency.Count() != r.Requests || r.Elapsed <= 0 {
				t.Errorf("%s: %d records and %d bytes arrived, counted were %d and %d", mode, len(s.records), size, r.Records, r.Bytes)
			}
		}
	}
}

func TestRunSigns(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	hashes := map[string]bool{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		hashes[r.Header.Get("Authorization")] = true
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer srv.Close()
	o := valid(srv.URL, ModeBatch)
	o.Sign = func(hash string) (map[string]string, error) {
		return map[string]string{"Authorization": "sum " + hash}, nil
	}
	if r, err := Run(t.Context(), o); err != nil || r.Records != 200 || hashes[""] || len(hashes) != 20 {
		t.Errorf("%v, %v, %d signatures", r, err, len(hashes))
	}
	o.Sign = func(string) (map[string]string, error) { return nil, errors.New("no keys") }
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no keys") {
		t.Errorf("%v", err)
	}
}

func TestRunEnds(t *testing.T) {
	t.Parallel()
	status := func(code int, h ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			if len(h) > 0 {
				w.Header().Set(h[0], h[1])
			}
			http.Error(w, "because", code)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		kind    string
		err     bool
	}{
		"refused for now":  {status(503, "X-Amz-Retry-After", "1"), "503", false},
		"too many":         {status(429, "Retry-After", "0"), "429", false},
		"its own failure":  {status(500), "500", false},
		"refused for good": {status(400), "400", true},
		"hangs up":         {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "connection", true},
		"answers before it has read": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Connection", "close")
			http.Error(w, "because", http.StatusRequestEntityTooLarge)
		}, "413", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(c.handler)
			defer srv.Close()
			srv.Config.ErrorLog = nil
			o := valid(srv.URL, ModeBatch)
			o.Connections = 1
			r, err := Run(t.Context(), o)
			if (err != nil) != c.err || r.Errors[c.kind] == 0 || len(r.Errors) != 1 || r.Records != 0 {
				t.Errorf("%v, %v", r.Errors, err)
			}
			var refused *RefusedError
			if c.err && c.kind != "connection" && (!errors.As(err, &refused) || refused.Text != "because") {
				t.Errorf("%v", err)
			}
		})
	}
}

// silent takes connections and requests and never answers.
func silent(t *testing.T) (endpoint string, requested <-chan struct{}) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan struct{}, 100)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				if _, err := bufio.NewReader(c).ReadByte(); err == nil {
					got <- struct{}{}
				}
				_, _ = io.Copy(io.Discard, c)
			})
		}
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return "http://" + l.Addr().String(), got
}

func TestRunIsInterrupted(t *testing.T) {
	t.Parallel()
	endpoint, requested := silent(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-requested; cancel() }()
	r, err := Run(ctx, valid(endpoint, ModeBatch))
	if err != nil || r.Requests != 0 || len(r.Errors) != 0 {
		t.Errorf("%v, %v", r, err)
	}
}

func TestRunTimesOut(t *testing.T) {
	t.Parallel()
	endpoint, _ := silent(t)
	o := valid(endpoint, ModeBatch)
	o.Timeout, o.Records, o.Connections = time.Millisecond, 10, 1
	r, err := Run(t.Context(), o)
	if err != nil || r.Errors["timeout"] != 1 {
		t.Errorf("%v, %v", r.Errors, err)
	}
}

func TestRunFindsNobody(t *testing.T) {
	t.Parallel()
	var op *net.OpError
	if r, err := Run(t.Context(), valid("http://127.0.0.1:1", ModeBatch)); r != nil || !errors.As(err, &op) || op.Op != "dial" {
		t.Errorf("%v, %v", r, err)
	}
}
