package sinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hydrant/record"
)

// Requester is what delivery asks of a destination that takes records in requests.
type Requester interface {
	Send(ctx context.Context, req *record.Request) record.Reply
	Limits() record.RequestLimits
	Describe(item *record.Item) []record.Field
	Close() error
}

// Fault is what a destination under test does with the next request.
type Fault int

// The faults. A subject names those that its destination knows.
const (
	FaultUnavailable      Fault = iota + 1 // answers that it is busy, takes nothing; worth another attempt
	FaultThrottled                         // the same, and says when to come back: after 7 s, where it can say so
	FaultDenied                            // refuses the credentials, takes nothing; they may be mended
	FaultHang                              // takes nothing and does not answer
	FaultCut                               // closes the connection in place of an answer, takes nothing
	FaultTakenNotAnswered                  // takes all of it and closes the connection in place of an answer
	FaultTooLarge                          // refuses the size of the request, takes nothing
	FaultGarbage                           // takes nothing and answers 200 with something that is no answer of its kind
)

// RequestSubject is a destination under test with a look behind its back.
type RequestSubject struct {
	Sink Requester
	// Received are the data of the records that the destination took, in the order taken, repeats included unless the destination
	// recognises them. Byte for byte as sent, but for what the subject's Shape says.
	Received func() [][]byte
	// Fail makes the destination meet the next request with a fault; false: it does not know this one.
	Fail func(Fault) bool
	// Refuse is data that the destination refuses for ever, beside others that it takes; nil when it refuses none.
	Refuse []byte
	// WholeRefused: one refused record makes the destination refuse its whole request, without saying which one it is.
	WholeRefused bool
	// Idempotent: the destination recognises what it has taken already.
	Idempotent bool
	// Secrets must not stand in any error, log line or description.
	Secrets []string
	// Log is everything the sink has logged.
	Log func() string
}

// NewRequest is a request of records with these data, the n-th of its kind: another n names other records.
func NewRequest(n int, data ...string) *record.Request {
	r := &record.Request{ID: fmt.Sprintf("00000000-0000-8000-8000-%012x", n), Stream: "weblogs", Version: 1}
	for i, d := range data {
		r.Items = append(r.Items, record.Item{ID: record.ID{Epoch: record.Epoch{1, 2, 3}, Pos: record.Position(1000*n + i + 1)},
			ArrivalMillis: 1_795_000_000_000, Data: []byte(d)})
		r.Bytes += int64(len(d))
	}
	return r
}

// RunRequests runs the contract. mk makes a new destination for each case and ends it by t.Cleanup.
func RunRequests(t *testing.T, mk func(t *testing.T) RequestSubject) {
	for name, run := range map[string]func(*testing.T, RequestSubject){
		"takes all":        takesAll,
		"retries are told": retriesAreTold,
		"deadline":         requestDeadline,
		"cancelled":        requestCancelled,
		"repeats":          requestRepeats,
		"refuses one":      refusesOne,
		"too large":        tooLarge,
		"concurrent":       concurrentRequests,
		"limits":           saneLimits,
		"secrets":          keepsSecrets,
	} {
		t.Run(name, func(t *testing.T) {
			ignore := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, ignore) }) // runs after mk's clean-up
			s := mk(t)
			t.Cleanup(func() {
				if err := s.Sink.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
			run(t, s)
		})
	}
}

func send(t *testing.T, s RequestSubject, r *record.Request) record.Reply {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	reply := s.Sink.Send(ctx, r)
	checkReply(t, r, reply)
	return reply
}

// checkReply: every item has exactly one outcome that delivery understands.
func checkReply(t *testing.T, r *record.Request, reply record.Reply) {
	t.Helper()
	last := -1
	for _, v := range append([]record.Verdict{{Item: -1, Outcome: reply.Outcome}}, reply.Verdicts...) {
		if v.Item >= 0 && (v.Item <= last || v.Item >= len(r.Items)) {
			t.Errorf("verdict about item %d behind %d, of %d", v.Item, last, len(r.Items))
		}
		last = max(last, v.Item)
		switch v.Kind {
		case record.Delivered:
		case record.Retry, record.Rejected:
			if v.Err == nil || v.Code == "" {
				t.Errorf("item %d: %+v says neither code nor reason", v.Item, v.Outcome)
			}
		default:
			t.Errorf("item %d: outcome %d is no outcome of a request", v.Item, v.Kind)
		}
	}
}

func sendAll(t *testing.T, s RequestSubject, r *record.Request) {
	t.Helper()
	if reply := send(t, s, r); reply.Kind != record.Delivered || len(reply.Verdicts) > 0 {
		t.Fatalf("%+v, want all delivered", reply)
	}
}

func mustReceive(t *testing.T, s RequestSubject, want ...string) {
	t.Helper()
	var got []string
	for _, d := range s.Received() {
		got = append(got, string(bytes.TrimRight(d, "\n")))
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("received\n%q\nwant\n%q", got, want)
	}
}

func takesAll(t *testing.T, s RequestSubject) {
	big := fmt.Sprintf(`{"big":%q}`, strings.Repeat("x", 300_000))
	sendAll(t, s, NewRequest(1, `{"a":1}`))
	sendAll(t, s, NewRequest(2, `{"a":2}`, `{"text":"ü € \u0000 \" \\ 🚰"}`, big))
	mustReceive(t, s, `{"a":1}`, `{"a":2}`, `{"text":"ü € \u0000 \" \\ 🚰"}`, big)
}

// retriesAreTold: each fault is worth another attempt, and that one succeeds.
func retriesAreTold(t *testing.T, s RequestSubject) {
	var want []string
	for i, f := range []Fault{FaultUnavailable, FaultThrottled, FaultDenied, FaultCut, FaultGarbage} {
		if !s.Fail(f) {
			continue
		}
		data := fmt.Sprintf(`{"fault":%d}`, f)
		reply := send(t, s, NewRequest(i+1, data))
		if reply.Kind != record.Retry || len(reply.Verdicts) > 0 {
			t.Errorf("fault %d: %+v, want a retry of all", f, reply)
		}
		if f == FaultThrottled && reply.RetryAfter != 0 && reply.RetryAfter != 7*time.Second {
			t.Errorf("come back after %v, want 7 s", reply.RetryAfter)
		}
		sendAll(t, s, NewRequest(i+1, data))
		want = append(want, data)
	}
	mustReceive(t, s, want...)
}

func requestDeadline(t *testing.T, s RequestSubject) {
	if !s.Fail(FaultHang) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	reply := s.Sink.Send(ctx, NewRequest(1, `{"a":1}`))
	if reply.Kind != record.Retry || reply.Err == nil || time.Since(began) > 10*time.Second {
		t.Errorf("%+v after %v, want a retry once the deadline is over", reply, time.Since(began))
	}
}

func requestCancelled(t *testing.T, s RequestSubject) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if reply := s.Sink.Send(ctx, NewRequest(1, `{"a":1}`)); reply.Kind != record.Retry || !errors.Is(reply.Err, context.Canceled) {
		t.Errorf("%+v, want a retry for the cancelled context", reply)
	}
	mustReceive(t, s)
}

// requestRepeats: what was taken and not answered is worth another attempt; who says that repeats are recognised must do so.
func requestRepeats(t *testing.T, s RequestSubject) {
	if !s.Fail(FaultTakenNotAnswered) {
		return
	}
	r := NewRequest(1, `{"a":1}`, `{"a":2}`)
	if reply := send(t, s, r); reply.Kind != record.Retry || reply.Unsent {
		t.Fatalf("%+v, want a retry of what may have arrived", reply)
	}
	sendAll(t, s, NewRequest(1, `{"a":1}`, `{"a":2}`))
	if s.Idempotent {
		mustReceive(t, s, `{"a":1}`, `{"a":2}`)
	} else {
		mustReceive(t, s, `{"a":1}`, `{"a":2}`, `{"a":1}`, `{"a":2}`)
	}
}

func refusesOne(t *testing.T, s RequestSubject) {
	if s.Refuse == nil {
		return
	}
	reply := send(t, s, NewRequest(1, `{"a":1}`, string(s.Refuse), `{"a":3}`))
	if s.WholeRefused {
		if reply.Kind != record.Rejected {
			t.Fatalf("%+v, want the whole refused", reply)
		}
		if reply := send(t, s, NewRequest(2, string(s.Refuse))); reply.Kind != record.Rejected || reply.TooLarge {
			t.Errorf("alone: %+v, want refused", reply)
		}
		sendAll(t, s, NewRequest(3, `{"a":1}`))
		mustReceive(t, s, `{"a":1}`)
		return
	}
	if reply.Kind != record.Delivered || len(reply.Verdicts) != 1 || reply.Verdicts[0].Item != 1 || reply.Verdicts[0].Kind != record.Rejected {
		t.Fatalf("%+v, want the second refused", reply)
	}
	mustReceive(t, s, `{"a":1}`, `{"a":3}`)
}

func tooLarge(t *testing.T, s RequestSubject) {
	if !s.Fail(FaultTooLarge) {
		return
	}
	reply := send(t, s, NewRequest(1, `{"a":1}`, `{"a":2}`))
	if reply.Kind != record.Rejected || !reply.TooLarge || len(reply.Verdicts) > 0 {
		t.Fatalf("%+v, want refused for its size", reply)
	}
	sendAll(t, s, NewRequest(2, `{"a":1}`))
}

func concurrentRequests(t *testing.T, s RequestSubject) {
	const n = 8
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			reply := s.Sink.Send(context.Background(), NewRequest(i+1, fmt.Sprintf(`{"n":%d}`, i), fmt.Sprintf(`{"n":%d,"second":true}`, i)))
			if reply.Kind != record.Delivered || len(reply.Verdicts) > 0 {
				t.Errorf("request %d: %+v", i, reply)
			}
		})
	}
	wg.Wait()
	if got := len(s.Received()); got != 2*n {
		t.Errorf("%d records received, want %d", got, 2*n)
	}
}

func saneLimits(t *testing.T, s RequestSubject) {
	l := s.Sink.Limits()
	if l.Records < 1 || l.Bytes < 1 || l.Concurrent < 1 {
		t.Errorf("%+v: each limit is at least 1", l)
	}
	item := &NewRequest(1, `{"a":1}`).Items[0]
	seen := map[string]bool{}
	for _, f := range s.Sink.Describe(item) {
		if f.Name == "" || seen[f.Name] {
			t.Errorf("field %q is empty or stands twice", f.Name)
		}
		seen[f.Name] = true
	}
}

// keepsSecrets: neither credentials nor record bodies are told to anybody.
func keepsSecrets(t *testing.T, s RequestSubject) {
	const body = "a-body-that-nobody-may-log"
	told := ""
	for i, f := range []Fault{FaultUnavailable, FaultDenied, FaultCut, FaultGarbage, FaultTooLarge} {
		if s.Fail(f) {
			reply := send(t, s, NewRequest(i+1, fmt.Sprintf(`{"x":%q}`, body)))
			told += fmt.Sprint(reply.Err)
		}
	}
	told += fmt.Sprint(s.Sink.Describe(&NewRequest(1, fmt.Sprintf(`{"x":%q}`, body)).Items[0]))
	if s.Log != nil {
		told += s.Log()
	}
	for _, secret := range append([]string{body}, s.Secrets...) {
		if secret != "" && strings.Contains(told, secret) {
			t.Errorf("%q stands in an error or a log line:\n%s", secret, told)
		}
	}
}
