package splunk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hydrant/internal/hecfake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

const ackTimeout = 3 * time.Minute

// direct calls the collector without a network, so that the test's clock may run.
type direct struct{ h http.Handler }

func (d direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	httptrace.ContextClientTrace(r.Context()).GotConn(httptrace.GotConnInfo{})
	defer func() {
		if recover() != nil {
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	w := httptest.NewRecorder()
	d.h.ServeHTTP(w, r)
	return w.Result(), nil
}

// ackWorld is a sink that waits for acknowledgements, on the test's clock.
type ackWorld struct {
	*testing.T
	fake *hecfake.Server
	sink *Sink
}

func inBubble(t *testing.T, f func(w *ackWorld)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fake := hecfake.New(testToken)
		fake.Acks = true
		s, err := New(Options{URL: "http://splunk", Token: fixedToken, Endpoint: "raw", AckTimeout: ackTimeout})
		if err != nil {
			t.Fatal(err)
		}
		s.http.Transport = direct{fake}
		f(&ackWorld{t, fake, s})
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func (w *ackWorld) send(n int) record.Reply {
	return w.sink.Send(context.Background(), sinktest.NewRequest(n, fmt.Sprintf("record %d", n)))
}

// start sends n requests at once; the channel gives their replies.
func (w *ackWorld) start(n int) <-chan record.Reply {
	out := make(chan record.Reply, n)
	for i := range n {
		go func() { out <- w.send(i) }()
	}
	synctest.Wait()
	return out
}

func (w *ackWorld) want(r record.Reply, kind record.OutcomeKind, code string) {
	w.Helper()
	if r.Kind != kind || r.Code != code || r.Unsent || (r.Err == nil) != (kind == record.Delivered) || r.Verdicts != nil {
		w.Errorf("%+v, want %v %s", r, kind, code)
	}
}

func TestAckDelayed(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		w.fake.AckDelay = 24 * time.Second
		began := time.Now()
		w.want(w.send(1), record.Delivered, "")
		if took := time.Since(began); took != 25*time.Second || len(w.fake.Polls()) != 5 { // after 1, 3, 7, 15 and 25 s
			w.Errorf("%v and %d questions", took, len(w.fake.Polls()))
		}
	})
}

func TestAckLost(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		w.fake.SetAcks(hecfake.AckLost)
		began := time.Now()
		w.want(w.send(1), record.Retry, "Splunk.AckTimeout")
		if took := time.Since(began); took != ackTimeout {
			w.Errorf("given up after %v", took)
		}
		w.fake.SetAcks(hecfake.AckAtOnce)
		w.want(w.send(1), record.Delivered, "")
		if e := w.fake.Events(); len(e) != 2 || e[0].Channel == e[1].Channel {
			w.Errorf("%+v: a channel with a status unread is used again", e)
		}
	})
}

// A status that was left unread is never taken for that of another request, even where ids begin anew: behind a proxy, say.
func TestAckOfAnotherNode(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		a, b := w.fake, hecfake.New(testToken)
		b.Acks = true
		toB := false
		w.sink.http.Transport = direct{http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/ack") != toB {
				b.ServeHTTP(rw, r)
			} else {
				a.ServeHTTP(rw, r)
			}
		})}
		b.SetAcks(hecfake.AckLost)
		w.want(w.send(1), record.Retry, "Splunk.ProxyWithoutStickySessions") // a took it, b was asked
		toB = true
		w.want(w.send(2), record.Retry, "Splunk.ProxyWithoutStickySessions") // b took it as its number 0, a was asked, which has a number 0
	})
}

func TestAckDenied(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		w.fake.SetAcks(hecfake.AckDenied)
		began := time.Now()
		w.want(w.send(1), record.Retry, "Splunk.DisabledAck")
		if took := time.Since(began); took != time.Second {
			w.Errorf("given up after %v", took)
		}
	})
}

func TestAckIDMissing(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		w.fake.Next(hecfake.Fault{Kind: hecfake.NoAckID})
		w.want(w.send(1), record.Retry, "Splunk.ProxyWithoutStickySessions")
		w.fake.Next(hecfake.Fault{Kind: hecfake.CutAfter})
		w.want(w.send(1), record.Retry, "Splunk.ConnectionClosed")
		w.want(w.send(1), record.Delivered, "")
		var channels []string
		for _, e := range w.fake.Events() {
			channels = append(channels, e.Channel)
		}
		if len(slices.Compact(channels)) != 3 {
			w.Errorf("channels %q", channels)
		}
	})
}

func TestAckIndexerRestarts(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		w.fake.SetAcks(hecfake.AckHeld)
		first := w.start(1)
		w.fake.Restart()
		w.want(<-first, record.Retry, "Splunk.ProxyWithoutStickySessions")
		w.fake.SetAcks(hecfake.AckAtOnce)
		w.want(w.send(1), record.Delivered, "")
	})
}

// The indexer restarts and gives the same id once more over the channel on which somebody waits for it.
func TestAckIDTwice(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		first := w.start(1)
		w.fake.Restart()
		second := w.start(1)
		w.want(<-first, record.Retry, "Splunk.ProxyWithoutStickySessions")
		w.want(<-second, record.Retry, "Splunk.ProxyWithoutStickySessions")
		w.want(w.send(1), record.Delivered, "")
	})
}

// Eight sends share each question, and each gets its own status though it is read only once.
func TestAcksAreAskedForTogether(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		w.fake.SetAcks(hecfake.AckHeld)
		replies := w.start(8)
		time.Sleep(2 * time.Second)
		w.fake.Acknowledge()
		for range 8 {
			w.want(<-replies, record.Delivered, "")
		}
		polls := w.fake.Polls()
		if len(polls) != 2 {
			w.Fatalf("%+v, want two questions", polls)
		}
		for _, p := range polls {
			if !slices.Equal(p.IDs, []int64{0, 1, 2, 3, 4, 5, 6, 7}) || p.Channel != w.sink.o.Channel {
				w.Errorf("asked for %+v", p)
			}
		}
	})
}

// Who comes late is asked for soon, however seldom those before him are.
func TestAckOfALateComer(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		w.fake.SetAcks(hecfake.AckLost)
		lost := w.start(1)
		time.Sleep(26 * time.Second) // asked at 25 s; next at 35 s
		w.fake.SetAcks(hecfake.AckAtOnce)
		began := time.Now()
		w.want(w.send(2), record.Delivered, "")
		if took := time.Since(began); took != time.Second {
			w.Errorf("delivered after %v", took)
		}
		w.want(<-lost, record.Retry, "Splunk.AckTimeout")
	})
}

// Questions that fail are asked again; the acknowledgement is there all the same.
func TestAckQuestionsFail(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		asked := 0
		w.sink.tokens.ask = func() (string, error) { asked++; return testToken, nil }
		w.fake.Next(hecfake.Fault{Ack: true, Code: 8}, hecfake.Fault{Ack: true, Kind: hecfake.Cut}, hecfake.Fault{Ack: true, Code: 4},
			hecfake.Fault{Ack: true, Kind: hecfake.Bare, Status: 200}, hecfake.Fault{Ack: true, Code: 9}, hecfake.Fault{Ack: true, Kind: hecfake.Hang})
		began := time.Now()
		w.want(w.send(1), record.Delivered, "")
		if took := time.Since(began); took != (1+2+4+8+10+10+60+10)*time.Second || asked != 2 {
			w.Errorf("%v, asked for %d tokens", took, asked)
		}
	})
}

func TestAckTimeoutTellsWhy(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		for range 100 {
			w.fake.Next(hecfake.Fault{Ack: true, Kind: hecfake.Cut})
		}
		r := w.send(1)
		w.want(r, record.Retry, "Splunk.AckTimeout")
		if !errors.Is(r.Err, io.ErrUnexpectedEOF) {
			w.Errorf("%v does not say why", r.Err)
		}
	})
}

func TestAckWaitCancelled(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		w.fake.SetAcks(hecfake.AckHeld)
		w.fake.Next(hecfake.Fault{Ack: true, Kind: hecfake.Hang}) // the question is under way
		ended := 0
		w.sink.http.Transport = direct{http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			defer func() { ended++ }()
			w.fake.ServeHTTP(rw, r)
		})}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		began := time.Now()
		r := w.sink.Send(ctx, sinktest.NewRequest(1, "x"))
		w.want(r, record.Retry, "Splunk.AckTimeout")
		if !errors.Is(r.Err, context.DeadlineExceeded) || time.Since(began) != 5*time.Second {
			w.Errorf("%v after %v", r.Err, time.Since(began))
		}
		if synctest.Wait(); ended != 2 {
			w.Error("the question goes on though nobody waits")
		}
	})
}

func TestCloseEndsTheWait(t *testing.T) {
	inBubble(t, func(w *ackWorld) {
		w.fake.SetAcks(hecfake.AckHeld)
		replies := w.start(3)
		if err := w.sink.Close(); err != nil {
			t.Error(err)
		}
		for range 3 {
			r := <-replies
			w.want(r, record.Retry, "Splunk.AckTimeout")
			if !errors.Is(r.Err, errClosed) {
				w.Error(r.Err)
			}
		}
		if w, ok := w.sink.acks.enter(w.sink.acks.channel(), 9); !ok || w == nil {
			t.Error("an answer that comes after Close is not waited for")
		}
	})
}
