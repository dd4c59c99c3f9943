package opensearch

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"testing"

	"hydrant/internal/osfake"
	"hydrant/internal/sinktest"
)

// start serves the fake and makes a sink in front of it.
func start(t testing.TB, fake *osfake.Server, change func(*Options)) *Sink {
	t.Helper()
	url, stop := fake.Start()
	o := Options{URLs: []string{url}, Index: "logs", Rotation: "day"}
	if change != nil {
		change(&o)
	}
	return open(t, o, stop)
}

func open(t testing.TB, o Options, stop func()) *Sink {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		stop()
	})
	return s
}

// testLog may be written to by several goroutines.
type testLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *testLog) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

var faults = map[sinktest.Fault]osfake.Fault{
	sinktest.FaultUnavailable:      {Kind: osfake.Bare, Status: http.StatusServiceUnavailable},
	sinktest.FaultThrottled:        {Kind: osfake.Answer, Status: http.StatusTooManyRequests, Type: "circuit_breaking_exception", RetryAfter: 7},
	sinktest.FaultDenied:           {Kind: osfake.Answer, Status: http.StatusForbidden, Type: "security_exception"},
	sinktest.FaultHang:             {Kind: osfake.Hang},
	sinktest.FaultCut:              {Kind: osfake.Cut},
	sinktest.FaultTakenNotAnswered: {Kind: osfake.CutAfter},
	sinktest.FaultTooLarge:         {Kind: osfake.Bare, Status: http.StatusRequestEntityTooLarge},
	sinktest.FaultGarbage:          {Kind: osfake.Garbage},
}

func contract(t *testing.T, idempotent bool, change func(*osfake.Server, *Options)) {
	sinktest.RunRequests(t, func(t *testing.T) sinktest.RequestSubject {
		fake := osfake.New()
		fake.Username = "writer"
		fake.SetPassword("a-secret-password")
		log := &testLog{}
		s := start(t, fake, func(o *Options) {
			o.Username, o.Password = "writer", func() (string, error) { return "a-secret-password", nil }
			o.Logger = log.logger()
			change(fake, o)
		})
		return sinktest.RequestSubject{
			Sink: s,
			Received: func() (all [][]byte) {
				for _, d := range fake.Documents() {
					all = append(all, d.Source)
				}
				return all
			},
			Fail: func(f sinktest.Fault) bool {
				fault, ok := faults[f]
				if ok {
					fake.Fail(fault)
				}
				return ok
			},
			Refuse:     []byte(`["no object"]`),
			Idempotent: idempotent,
			Secrets:    []string{"a-secret-password", "YS1zZWNyZXQtcGFzc3dvcmQ"},
			Log:        log.String,
		}
	})
}

func TestContract(t *testing.T) { contract(t, true, func(*osfake.Server, *Options) {}) }

func TestContractPacked(t *testing.T) {
	contract(t, true, func(f *osfake.Server, o *Options) { f.Unfiltered, o.ContentEncoding = true, "gzip" })
}

func TestContractWithoutIDs(t *testing.T) {
	contract(t, false, func(_ *osfake.Server, o *Options) { o.DocumentID = "none" })
}

// BenchmarkSend sends to a server that discards: what it costs us.
func BenchmarkSend(b *testing.B) {
	for _, encoding := range []string{"none", "gzip"} {
		b.Run(encoding, func(b *testing.B) { benchmarkSend(b, encoding) })
	}
}

func benchmarkSend(b *testing.B, encoding string) {
	const n = 5000
	answer := []byte(`{"errors":false,"items":[` + string(bytes.Repeat([]byte(taken+","), n-1)) + taken + `]}`)
	url, stop := serve(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = w.Write(answer)
	})
	s := open(b, Options{URLs: []string{url}, Index: "logs", Rotation: "day", Timestamp: "@timestamp", ContentEncoding: encoding}, stop)
	data := make([]string, n)
	for i := range data {
		data[i] = `{"level":"info","service":"checkout","message":"` + string(bytes.Repeat([]byte("payload "), 110)) + `","status":200}`
	}
	req := sinktest.NewRequest(1, data...)
	b.SetBytes(req.Bytes)
	b.ReportAllocs()
	for b.Loop() {
		if reply := s.Send(b.Context(), req); reply.Kind != 1 || len(reply.Verdicts) > 0 {
			b.Fatalf("%+v", reply)
		}
	}
}
