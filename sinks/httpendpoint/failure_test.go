package httpendpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"hydrant/internal/endpointfake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

// What becomes of requests that the fake meets with a fault, and whether they were taken.
func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		kind  endpointfake.Kind
		code  string
		taken int
	}{
		"cut the body":       {endpointfake.CutBody, codeReset, 0},
		"cut":                {endpointfake.Cut, codeReset, 0},
		"cut after":          {endpointfake.CutAfter, codeReset, 1},
		"cut the answer":     {endpointfake.CutAnswer, codeReset, 1},
		"hang":               {endpointfake.Hang, codeTimeout, 0},
		"hang after":         {endpointfake.HangAfter, codeTimeout, 1},
		"drip":               {endpointfake.Drip, codeTimeout, 1},
		"another request":    {endpointfake.WrongEcho, codeInvalid, 0},
		"another type":       {endpointfake.WrongType, codeInvalid, 0},
		"encoded":            {endpointfake.Encoded, codeInvalid, 0},
		"garbage":            {endpointfake.Garbage, codeInvalid, 0},
		"huge":               {endpointfake.Huge, codeTooLong, 0},
		"redirect":           {endpointfake.Redirect, codeDestination, 0},
		"early":              {endpointfake.EarlyAnswer, codeInvalid, 0},
		"taken, answers 500": {endpointfake.StatusAfter, codeDestination, 1},
	} {
		t.Run(name, func(t *testing.T) {
			fake := receiver(t, endpointfake.Firehose)
			next(fake)(endpointfake.Fault{Kind: c.kind, Status: 500})
			o := firehoseOptions()
			if c.code == codeTimeout {
				o.Timeout = 200 * time.Millisecond
				fake.DripEvery = 50 * time.Millisecond
			}
			s := open(t, fake, o)
			data := []string{"one", "two"}
			if c.kind == endpointfake.EarlyAnswer { // it is one only before what sockets do not buffer
				data = []string{strings.Repeat("x", 16<<20)}
			}
			reply := s.Send(context.Background(), sinktest.NewRequest(1, data...))
			if reply.Kind != record.Retry || reply.Code != c.code || reply.Err == nil || reply.Unsent {
				t.Errorf("%+v, want a retry with %s", reply, c.code)
			}
			if got := fake.Requests(); got != 1 {
				t.Errorf("%d requests of one attempt", got)
			}
			if got := len(fake.Received()); got != c.taken*len(data) {
				t.Errorf("%d records taken", got)
			}
		})
	}
}

// A plain endpoint's status says all: neither is the rest of its answer waited for in vain, nor does an early one count.
func TestPlainFaults(t *testing.T) {
	for kind, want := range map[endpointfake.Kind]record.OutcomeKind{
		endpointfake.Huge: record.Delivered, endpointfake.Garbage: record.Delivered, endpointfake.CutAnswer: record.Delivered,
		endpointfake.Redirect: record.Retry, endpointfake.EarlyAnswer: record.Retry,
	} {
		fake := receiver(t, bodyNDJSON)
		next(fake)(endpointfake.Fault{Kind: kind})
		reply := open(t, fake, plainOptions(bodyNDJSON)).Send(context.Background(), sinktest.NewRequest(1, strings.Repeat("x", 16<<20)))
		if reply.Kind != want || fake.Requests() != 1 {
			t.Errorf("fault %d: %+v after %d requests, want %v", kind, reply, fake.Requests(), want)
		}
	}
}

// The transport repeats requests that carry an Idempotency-Key on connections that it used before, if it can; here it cannot.
func TestOneAttempt(t *testing.T) {
	for _, shape := range []string{"", bodyNDJSON} {
		fake := receiver(t, shape)
		fail := next(fake)
		o := firehoseOptions()
		if shape != "" {
			o = plainOptions(shape)
		}
		s := open(t, fake, o)
		for i := range 3 {
			if reply := s.Send(context.Background(), sinktest.NewRequest(i, "1")); reply.Kind != record.Delivered {
				t.Fatalf("%+v", reply)
			}
			fail(endpointfake.Fault{Kind: endpointfake.CutAfter})
			if reply := s.Send(context.Background(), sinktest.NewRequest(100+i, "1")); reply.Kind != record.Retry || reply.Code != codeReset {
				t.Errorf("%+v, want a retry", reply)
			}
		}
		if fake.Requests() != 6 || fake.Repeats() != 0 {
			t.Errorf("%d requests, %d repeats, of 6 attempts", fake.Requests(), fake.Repeats())
		}
	}
}

func TestNoConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	o := firehoseOptions()
	o.URL = "http://" + l.Addr().String() + "/?token=secret-in-the-url"
	reply := mustNew(t, o).Send(context.Background(), sinktest.NewRequest(1, "1"))
	if reply.Code != codeConnect || !reply.Unsent || !errors.Is(reply.Err, syscall.ECONNREFUSED) || strings.Contains(reply.Err.Error(), "secret") {
		t.Errorf("%+v", reply)
	}
}

func TestHandshake(t *testing.T) {
	fake := receiver(t, "")
	secure := httptest.NewUnstartedServer(fake)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	o := firehoseOptions()
	o.URL = secure.URL
	reply := mustNew(t, o).Send(context.Background(), sinktest.NewRequest(1, "1"))
	var unknown *tls.CertificateVerificationError
	if reply.Kind != record.Retry || reply.Code != codeHandshake || !reply.Unsent || !errors.As(reply.Err, &unknown) {
		t.Errorf("unknown certificate: %+v", reply)
	}
	o.TLS = secure.Client().Transport.(*http.Transport).TLSClientConfig
	if reply := mustNew(t, o).Send(context.Background(), sinktest.NewRequest(1, "1")); reply.Kind != record.Delivered {
		t.Errorf("known certificate: %+v", reply)
	}
	address, stop := endpointfake.New().Start()
	t.Cleanup(stop)
	o.URL = strings.Replace(address, "http:", "https:", 1)
	if reply := mustNew(t, o).Send(context.Background(), sinktest.NewRequest(1, "1")); reply.Code != codeHandshake || !reply.Unsent {
		t.Errorf("no TLS there: %+v", reply)
	}
	remote := &net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}
	p := new(progress)
	p.connected.Store(true)
	if out := failed(context.Background(), fmt.Errorf("read: %w", remote), p); out.Code != codeHandshake || out.Unsent {
		t.Errorf("refused certificate of ours: %+v", out)
	}
}

// What is no HTTP is not repeated: it may be what we sent.
func TestNoHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		_, _ = c.Write(b[:n])
		_, _ = io.Copy(io.Discard, c)
	})
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	o := plainOptions(bodyNDJSON)
	o.URL = "http://" + l.Addr().String()
	s := mustNew(t, o)
	reply := s.Send(context.Background(), sinktest.NewRequest(1, "a body that nobody may log"))
	_ = s.Close()
	if reply.Kind != record.Retry || reply.Code != codeInvalid || strings.Contains(reply.Err.Error(), "POST") {
		t.Errorf("%+v", reply)
	}
}

// A connection that became something else than HTTP has no end: nobody waits for it.
func TestSwitchedProtocol(t *testing.T) {
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("the connection was kept: %v", err)
		}
	}))
	t.Cleanup(h.Close)
	for _, o := range []Options{firehoseOptions(), plainOptions(bodyNDJSON)} {
		o.URL, o.Timeout = h.URL, 200*time.Millisecond
		if reply := mustNew(t, o).Send(context.Background(), sinktest.NewRequest(1, "1")); reply.Kind != record.Retry || reply.Code != codeDestination {
			t.Errorf("%+v, want a retry", reply)
		}
	}
}

func TestCancelled(t *testing.T) {
	fake := receiver(t, "")
	arrived := make(chan struct{})
	fake.Fault = func(*endpointfake.Request) endpointfake.Fault {
		close(arrived)
		return endpointfake.Fault{Kind: endpointfake.Hang}
	}
	s := open(t, fake, firehoseOptions())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if reply := s.Send(ctx, sinktest.NewRequest(1, "1")); !reply.Unsent || reply.Code != codeCancelled {
		t.Errorf("before: %+v", reply)
	}
	expired, cancel := context.WithTimeout(context.Background(), -1)
	defer cancel()
	if reply := s.Send(expired, sinktest.NewRequest(1, "1")); !reply.Unsent || reply.Code != codeTimeout || !errors.Is(reply.Err, context.DeadlineExceeded) {
		t.Errorf("too late: %+v", reply)
	}
	ctx, cancel = context.WithCancel(context.Background())
	go func() { <-arrived; cancel() }()
	if reply := s.Send(ctx, sinktest.NewRequest(1, "1")); reply.Unsent || reply.Code != codeCancelled || !errors.Is(reply.Err, context.Canceled) {
		t.Errorf("under way: %+v", reply)
	}
}

// The transport's own time-outs are no errors of the caller's context.
func TestTransportTimeout(t *testing.T) {
	late := &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
	p := new(progress)
	if out := failed(context.Background(), late, p); out.Code != codeConnect || !out.Unsent {
		t.Errorf("while it connects: %+v", out)
	}
	p.connected.Store(true)
	if out := failed(context.Background(), late, p); out.Code != codeTimeout || out.Unsent || !errors.Is(out.Err, late) {
		t.Errorf("while it waits for an answer: %+v", out)
	}
}

func TestBodyEnds(t *testing.T) {
	b := &body{data: []byte("abcdef")}
	p := make([]byte, 4)
	if n, err := b.Read(p); n != 4 || err != nil || b.whole() {
		t.Errorf("%d %v", n, err)
	}
	if n, err := b.Read(nil); n != 0 || err != nil {
		t.Errorf("nothing asked: %d %v", n, err)
	}
	if n, err := b.Read(p); n != 2 || err != nil || !b.whole() {
		t.Errorf("%d %v", n, err)
	}
	if _, err := b.Read(p); err != io.EOF {
		t.Errorf("%v at the end", err)
	}
	b.end()
	if _, err := b.Read(p); err != errEnded {
		t.Errorf("%v after the end", err)
	}
}
