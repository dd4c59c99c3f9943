package splunk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"hydrant/internal/hecfake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

// TestReplyCodes: what each answer does to a request of two records, and to a single one.
func TestReplyCodes(t *testing.T) {
	seven := 7 * time.Second
	bare := func(status int) hecfake.Fault { return hecfake.Fault{Kind: hecfake.Bare, Status: status} }
	one := 1
	for _, c := range []struct {
		fault  hecfake.Fault
		code   string
		kind   record.OutcomeKind
		unsent bool
	}{
		{hecfake.Fault{Code: 1}, "DisabledToken", record.Retry, true},
		{hecfake.Fault{Code: 2}, "InvalidToken", record.Retry, true},
		{hecfake.Fault{Code: 3}, "InvalidToken", record.Retry, true},
		{hecfake.Fault{Code: 4}, "InvalidToken", record.Retry, true},
		{hecfake.Fault{Code: 5}, "InvalidDataFormat", record.Rejected, false},
		{hecfake.Fault{Code: 6, Event: &one}, "InvalidDataFormat", record.Rejected, false},
		{hecfake.Fault{Code: 7}, "InvalidIndex", record.Retry, true}, // of raw data
		{hecfake.Fault{Code: 8}, "ServerError", record.Retry, false},
		{hecfake.Fault{Code: 9, RetryAfter: seven}, "IndexerBusy", record.Retry, false},
		{hecfake.Fault{Code: 10}, "ProxyWithoutStickySessions", record.Retry, false},
		{hecfake.Fault{Code: 11}, "ProxyWithoutStickySessions", record.Retry, false},
		{hecfake.Fault{Code: 12, Event: &one}, "InvalidDataFormat", record.Rejected, false},
		{hecfake.Fault{Code: 13, Event: &one}, "InvalidDataFormat", record.Rejected, false},
		{hecfake.Fault{Code: 14}, "DisabledAck", record.Retry, false},
		{hecfake.Fault{Code: 15, Event: &one}, "InvalidDataFormat", record.Rejected, false},
		{hecfake.Fault{Code: 16}, "InvalidToken", record.Retry, true},
		{hecfake.Fault{Code: 17}, "ServerError", record.Retry, false}, // healthy is not taken
		{hecfake.Fault{Code: 18}, "IndexerBusy", record.Retry, false},
		{hecfake.Fault{Code: 19}, "IndexerBusy", record.Retry, false},
		{hecfake.Fault{Code: 20}, "IndexerBusy", record.Retry, false},
		{hecfake.Fault{Code: 21}, "InvalidToken", record.Retry, true},
		{hecfake.Fault{Code: 22}, "DisabledToken", record.Retry, true},
		{hecfake.Fault{Code: 23}, "IndexerBusy", record.Retry, false},
		{hecfake.Fault{Code: 26}, "IndexerBusy", record.Retry, false},
		{hecfake.Fault{Code: 27}, "RequestTooLarge", record.Rejected, false},
		{hecfake.Fault{Code: 99, Status: 400}, "InvalidEndpoint", record.Retry, false},
		{hecfake.Fault{Code: 6, Status: 503}, "IndexerBusy", record.Retry, false}, // a code that the status belies
		{hecfake.Fault{Code: 6, Status: 200}, "ServerError", record.Retry, false},
		{hecfake.Fault{Code: 7, Status: 403}, "InvalidToken", record.Retry, true},
		{hecfake.Fault{Code: 0, Status: 201}, "ServerError", record.Retry, false},
		{bare(200), "ServerError", record.Retry, false},
		{bare(204), "ServerError", record.Retry, false},
		{bare(301), "InvalidEndpoint", record.Retry, false},
		{bare(307), "InvalidEndpoint", record.Retry, false},
		{bare(400), "InvalidEndpoint", record.Retry, false},
		{bare(401), "InvalidToken", record.Retry, true},
		{bare(403), "InvalidToken", record.Retry, true},
		{bare(404), "InvalidEndpoint", record.Retry, true},
		{bare(408), "ConnectionTimeout", record.Retry, false},
		{bare(413), "RequestTooLarge", record.Rejected, false},
		{bare(429), "IndexerBusy", record.Retry, false},
		{bare(500), "ServerError", record.Retry, false},
		{bare(502), "ServerError", record.Retry, false},
		{bare(503), "IndexerBusy", record.Retry, false},
		{hecfake.Fault{Kind: hecfake.Cut}, "ConnectionClosed", record.Retry, false},
	} {
		t.Run(fmt.Sprintf("%d %d %s", c.fault.Code, c.fault.Status, c.code), func(t *testing.T) {
			fake := hecfake.New(testToken)
			s := open(t, fake, Options{})
			fake.Next(c.fault, c.fault)
			for n, data := range [][]string{{"a", "b"}, {"a"}} {
				r := s.Send(context.Background(), sinktest.NewRequest(n, data...))
				if r.Kind != c.kind || r.Code != "Splunk."+c.code || r.Err == nil || r.Unsent != c.unsent || r.RetryAfter != c.fault.RetryAfter {
					t.Errorf("%d records: %+v, want %+v", len(data), r, c)
				}
				if want := c.kind == record.Rejected && len(data) > 1; r.TooLarge != want || r.Verdicts != nil {
					t.Errorf("%d records: %+v", len(data), r)
				}
			}
			if len(fake.Events()) != 0 || fake.Requests() != 2 {
				t.Errorf("%d events in %d requests", len(fake.Events()), fake.Requests())
			}
		})
	}
}

// Events may name an index themselves: the bad one goes aside.
func TestIndexOfAnEvent(t *testing.T) {
	fake := hecfake.New(testToken)
	s := open(t, fake, Options{Endpoint: "event"})
	fake.Next(hecfake.Fault{Code: 7}, hecfake.Fault{Code: 7})
	if r := s.Send(context.Background(), sinktest.NewRequest(1, "a", "b")); r.Kind != record.Rejected || !r.TooLarge {
		t.Errorf("two: %+v", r)
	}
	if r := sendOne(s); r.Kind != record.Rejected || r.TooLarge || r.Code != "Splunk.InvalidIndex" {
		t.Errorf("one: %+v", r)
	}
}

func TestRetryAfter(t *testing.T) {
	h := func(v string) http.Header { return http.Header{"Retry-After": {v}} }
	for v, want := range map[string]time.Duration{"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "999999999": maxRetryAfter,
		"Wed, 21 Oct 2015 07:28:00 GMT": 0, time.Now().Add(24 * time.Hour).UTC().Format(http.TimeFormat): maxRetryAfter} {
		if got := retryAfter(h(v)); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}

func sendOne(s *Sink) record.Reply {
	return s.Send(context.Background(), sinktest.NewRequest(1, "x"))
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if r := sendOne(openAt(t, Options{URL: "http://" + l.Addr().String()})); r.Kind != record.Retry || r.Code != "Splunk.InvalidEndpoint" || !r.Unsent {
		t.Errorf("%+v", r)
	}
}

func TestTLS(t *testing.T) {
	fake := hecfake.New(testToken)
	server := httptest.NewUnstartedServer(fake)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	server.StartTLS()
	defer server.Close()
	plain, stop := fake.Start()
	defer stop()
	trusted := x509.NewCertPool()
	trusted.AddCert(server.Certificate())

	if r := sendOne(openAt(t, Options{URL: server.URL, TLS: &tls.Config{RootCAs: trusted}})); r.Kind != record.Delivered {
		t.Errorf("trusted: %+v", r)
	}
	for name, c := range map[string]struct{ url, code string }{
		"unknown authority": {server.URL, "Splunk.SSLUnverified"},
		"another name":      {server.URL, "Splunk.SSLUnverified"},
		"no TLS there":      {strings.Replace(plain, "http:", "https:", 1), "Splunk.SSLHandshake"},
		"old TLS":           {server.URL, "Splunk.SSLHandshake"},
	} {
		cfg := map[string]*tls.Config{"another name": {RootCAs: trusted, ServerName: "splunk.invalid"}, "old TLS": {RootCAs: trusted, MaxVersion: tls.VersionTLS10}}[name]
		if r := sendOne(openAt(t, Options{URL: c.url, TLS: cfg})); r.Kind != record.Retry || r.Code != c.code || !r.Unsent {
			t.Errorf("%s: %+v, want %s", name, r, c.code)
		}
	}
}

func TestTimeout(t *testing.T) {
	fake := hecfake.New(testToken)
	s := open(t, fake, Options{Timeout: 50 * time.Millisecond})
	fake.Next(hecfake.Fault{Kind: hecfake.Hang})
	if r := sendOne(s); r.Kind != record.Retry || r.Code != "Splunk.ConnectionTimeout" || r.Unsent || !errors.Is(r.Err, context.DeadlineExceeded) {
		t.Errorf("%+v", r)
	}
}

// An answer that is cut in its middle is no answer, and one without an end is not read to it.
func TestHalfAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		code  string
		serve http.HandlerFunc
	}{
		"cut": {"Splunk.ConnectionClosed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"text":"Success","code":0}`))
			panic(http.ErrAbortHandler)
		}},
		"endless": {"Splunk.ServerError", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"code":0,"text":"`))
			for page := []byte(strings.Repeat("x", 64<<10)); ; {
				if _, err := w.Write(page); err != nil {
					return
				}
			}
		}},
		"header": {"Splunk.ConnectionClosed", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 2*maxHeader))
		}},
	} {
		if r := sendOne(open(t, c.serve, Options{})); r.Kind != record.Retry || r.Code != c.code || r.Unsent {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// What a server repeats of the request is not told.
func TestAnswersAreNotRepeated(t *testing.T) {
	log := &logged{}
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(403)
		fmt.Fprintf(w, `{"text":"%s said a-body","code":4}`, r.Header.Get("Authorization"))
	})
	s := open(t, echo, Options{Logger: slog.New(slog.NewTextHandler(log, nil))})
	r := s.Send(context.Background(), sinktest.NewRequest(1, "a-body"))
	if told := r.Err.Error() + log.String(); strings.Contains(told, testToken) || strings.Contains(told, "a-body") || !strings.Contains(log.String(), "sink=splunk") {
		t.Errorf("told: %s", told)
	}
	lines := strings.Count(log.String(), "\n")
	for range 5 {
		sendOne(s)
	}
	if strings.Count(log.String(), "\n") != lines {
		t.Errorf("the same is said again and again:\n%s", log.String())
	}
}

func TestTokenIsAskedAgain(t *testing.T) {
	fake := hecfake.New("second")
	asked, answers := 0, []struct {
		token string
		err   error
	}{{"", errors.New("file is gone")}, {" \n", nil}, {"fir\x00st", nil}, {"first\n", nil}, {"second\n", nil}, {"unasked", nil}}
	s := open(t, fake, Options{Token: func() (string, error) {
		asked++
		return answers[asked-1].token, answers[asked-1].err
	}})
	for n := range 4 {
		r := sendOne(s)
		if r.Kind != record.Retry || r.Code != "Splunk.InvalidToken" || !r.Unsent || asked != n+1 {
			t.Fatalf("attempt %d: %+v, asked %d times", n, r, asked)
		}
		if strings.Contains(r.Err.Error(), "st") && n == 2 {
			t.Errorf("the token is told: %v", r.Err)
		}
	}
	for range 3 {
		if r := sendOne(s); r.Kind != record.Delivered || asked != 5 {
			t.Fatalf("%+v, asked %d times", r, asked)
		}
	}
	if fake.Requests() != 4 {
		t.Errorf("%d requests: nothing may be sent without a token", fake.Requests())
	}
}

func TestStickyCookies(t *testing.T) {
	var got []string
	lb := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Cookie"))
		switch len(got) {
		case 1:
			http.SetCookie(w, &http.Cookie{Name: "NODE", Value: "a", Path: "/", Secure: true})
			for i := range 2 * maxCookies {
				http.SetCookie(w, &http.Cookie{Name: fmt.Sprintf("x%d", i), Value: "1"})
			}
		case 2:
			http.SetCookie(w, &http.Cookie{Name: "NODE", Value: "b"})
			for i := range 2 * maxCookies {
				http.SetCookie(w, &http.Cookie{Name: fmt.Sprintf("x%d", i), MaxAge: -1})
			}
		}
		_, _ = w.Write([]byte(`{"text":"Success","code":0}`))
	})
	s := open(t, lb, Options{})
	for range 3 {
		sendOne(s)
	}
	if got[0] != "" || !strings.HasPrefix(got[1], "NODE=a; x0=1") || strings.Count(got[1], "=") != maxCookies || got[2] != "NODE=b" {
		t.Errorf("cookies %q", got)
	}
}
