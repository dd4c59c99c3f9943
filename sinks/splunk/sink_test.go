package splunk

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"hydrant/internal/hecfake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

const testToken = "a-token-that-nobody-may-log"

func fixedToken() (string, error) { return testToken, nil }

// logged is a writer that many may use.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// open makes a sink in front of a collector.
func open(t *testing.T, h http.Handler, o Options) *Sink {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	if fake, ok := h.(*hecfake.Server); ok {
		t.Cleanup(fake.Release) // runs before the server is closed
	}
	o.URL = server.URL
	return openAt(t, o)
}

func openAt(t *testing.T, o Options) *Sink {
	t.Helper()
	if o.Token == nil {
		o.Token = fixedToken
	}
	if o.Endpoint == "" {
		o.Endpoint = "raw"
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// fail has the collector meet its next request with a fault of the suite.
func fail(fake *hecfake.Server) func(sinktest.Fault) bool {
	known := map[sinktest.Fault]hecfake.Fault{
		sinktest.FaultUnavailable:      {Code: 9},
		sinktest.FaultThrottled:        {Code: 26, RetryAfter: 7 * time.Second},
		sinktest.FaultDenied:           {Code: 4},
		sinktest.FaultHang:             {Kind: hecfake.Hang},
		sinktest.FaultCut:              {Kind: hecfake.Cut},
		sinktest.FaultTakenNotAnswered: {Kind: hecfake.CutAfter},
		sinktest.FaultTooLarge:         {Code: 27},
		sinktest.FaultGarbage:          {Kind: hecfake.Bare, Status: 200},
	}
	return func(f sinktest.Fault) bool {
		h, ok := known[f]
		if ok {
			fake.Next(h)
		}
		return ok
	}
}

func TestContract(t *testing.T) {
	for name, o := range map[string]Options{
		"raw":              {Endpoint: "raw"},
		"raw, acked":       {Endpoint: "raw", AckTimeout: time.Minute, PollEvery: time.Millisecond},
		"event":            {Endpoint: "event"},
		"event, acked":     {Endpoint: "event", AckTimeout: time.Minute, PollEvery: time.Millisecond},
		"event, gzip":      {Endpoint: "event", ContentEncoding: "gzip", Host: "h", Source: "s", SourceType: "t"},
		"raw, gzip, acked": {Endpoint: "raw", ContentEncoding: "gzip", AckTimeout: time.Minute, PollEvery: time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			sinktest.RunRequests(t, func(t *testing.T) sinktest.RequestSubject {
				fake := hecfake.New(testToken)
				fake.Acks = o.AckTimeout > 0
				log := &logged{}
				o := o
				o.Logger = slog.New(slog.NewTextHandler(log, nil))
				s := sinktest.RequestSubject{Sink: open(t, fake, o), Fail: fail(fake), Secrets: []string{testToken}, Log: log.String}
				if o.Endpoint == "event" {
					s.Refuse, s.WholeRefused = []byte(`{"event":""}`), true
				}
				s.Received = func() [][]byte {
					var out [][]byte
					for _, e := range fake.Events() {
						if o.Endpoint == "event" {
							out = append(out, e.Event)
						} else {
							out = append(out, e.Raw)
						}
					}
					return out
				}
				return s
			})
		})
	}
}

func TestOptions(t *testing.T) {
	good := func() Options { return Options{URL: "https://splunk:8088", Token: fixedToken, Endpoint: "raw"} }
	for want, change := range map[string]func(*Options){
		"token: none is given":             func(o *Options) { o.Token = nil },
		`endpoint "s2s": want event or`:    func(o *Options) { o.Endpoint = "s2s" },
		`content encoding "zstd"`:          func(o *Options) { o.ContentEncoding = "zstd" },
		`channel "1-2": want a GUID`:       func(o *Options) { o.Channel = "1-2" },
		"is negative":                      func(o *Options) { o.AckTimeout = -1 },
		"url: want http(s)://HOST:PORT":    func(o *Options) { o.URL = "splunk:8088" },
		"no user, query or fragment":       func(o *Options) { o.URL = "https://u:p@splunk" },
		"url: may have no user, query or ": func(o *Options) { o.URL = "https://splunk?token=1" },
		"url: cannot be read":              func(o *Options) { o.URL = "https://splunk:80x" },
	} {
		o := good()
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	s, err := New(good())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, want := s.Limits(), (record.RequestLimits{Records: 10000, Bytes: 1 << 20, Concurrent: 1}); got != want {
		t.Errorf("limits %+v, want %+v", got, want)
	}
	if s.o.PollEvery != time.Second || s.o.Timeout != time.Minute || !isGUID(s.o.Channel) {
		t.Errorf("defaults %v %v %q", s.o.PollEvery, s.o.Timeout, s.o.Channel)
	}
}

func TestCollectorURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://splunk:8088":                                 "https://splunk:8088/services/collector",
		"http://splunk:8088/":                                 "http://splunk:8088/services/collector",
		"https://splunk/services/collector":                   "https://splunk/services/collector",
		"https://splunk/services/collector/event/1.0":         "https://splunk/services/collector",
		"https://proxy/splunk%2Fa/services/collector/raw?":    "https://proxy/splunk%2Fa/services/collector",
		"https://http-inputs-acme.splunkcloud.com:443/tenant": "https://http-inputs-acme.splunkcloud.com:443/tenant/services/collector",
	} {
		if got, err := collector(in); got != want || err != nil {
			t.Errorf("%s: %s %v, want %s", in, got, err, want)
		}
	}
}

func TestDescribe(t *testing.T) {
	s := openAt(t, Options{URL: "http://splunk"})
	it := &record.Item{ID: record.ID{Epoch: record.Epoch{0xab}, Pos: 7}, Sub: 2}
	want := "ab" + strings.Repeat("0", 30) + ".7.2"
	if f := s.Describe(it); len(f) != 1 || f[0] != (record.Field{Name: "EventId", Value: want}) {
		t.Errorf("%+v, want EventId %s", f, want)
	}
	back := &record.Item{ID: record.ID{Pos: 99}, Origin: &record.Origin{ID: it.ID, Sub: 2}}
	if f := s.Describe(back); f[0].Value != want {
		t.Errorf("a record that came back is %s, want %s", f[0].Value, want)
	}
}

func TestSizeIsLearned(t *testing.T) {
	fake := hecfake.New(testToken)
	fake.MaxBytes = 300 << 10
	s := open(t, fake, Options{MaxRecords: 5})
	big := strings.Repeat("x", 100<<10)
	req := sinktest.NewRequest(1, big, big, big, big)
	r := s.Send(context.Background(), req)
	if r.Kind != record.Rejected || !r.TooLarge || r.Code != "Splunk.RequestTooLarge" {
		t.Fatalf("%+v", r)
	}
	if l := s.Limits(); l.Bytes != 200<<10 || l.Records != 5 {
		t.Errorf("limits %+v after 400 KiB were too large", l)
	}
	if r := s.Send(context.Background(), sinktest.NewRequest(2, big, big)); r.Kind != record.Delivered {
		t.Errorf("half of it: %+v", r)
	}
	fake.Next(hecfake.Fault{Kind: hecfake.Bare, Status: 413}) // of something in front
	if r := s.Send(context.Background(), sinktest.NewRequest(3, "x")); r.Kind != record.Rejected || r.TooLarge {
		t.Errorf("a single one that is too large: %+v", r)
	}
	if l := s.Limits(); l.Bytes != minBytes {
		t.Errorf("limit %d, want no less than %d", l.Bytes, minBytes)
	}
}

func TestClosed(t *testing.T) {
	fake := hecfake.New(testToken)
	s := open(t, fake, Options{})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if r := s.Send(context.Background(), sinktest.NewRequest(1, "x")); r.Kind != record.Retry || !r.Unsent || fake.Requests() != 0 {
		t.Errorf("%+v after %d requests", r, fake.Requests())
	}
}
