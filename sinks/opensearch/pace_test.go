package opensearch

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opensearch-project/opensearch-go/v4/opensearchtransport"

	"hydrant/internal/osfake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

func TestPaceOfRequests(t *testing.T) {
	var p pace
	p.init(1<<20, 8)
	want := func(concurrent int) {
		t.Helper()
		if _, c := p.limits(); c != concurrent {
			t.Fatalf("%d at once, want %d", c, concurrent)
		}
	}
	one, two := p.begin(), p.begin()
	p.busy(one)
	p.busy(two) // was under way already
	want(4)
	for range 5 {
		p.busy(p.begin())
	}
	want(1)
	for range calmAfter - 1 {
		p.taken(1)
	}
	want(1)
	p.taken(1)
	want(2)
	for range 100 * calmAfter {
		p.taken(1)
	}
	want(8)
}

func TestPaceOfBytes(t *testing.T) {
	var p pace
	p.init(1<<20, 8)
	want := func(bytes int64) {
		t.Helper()
		if b, _ := p.limits(); b != bytes {
			t.Fatalf("%d bytes, want %d", b, bytes)
		}
	}
	if p.tooLarge(2 << 20) {
		t.Error("a single record that is larger says nothing about smaller ones")
	}
	want(1 << 20)
	if !p.tooLarge(1<<20) || p.tooLarge(1<<20) {
		t.Error("the limit is halved once for this size")
	}
	want(512 << 10)
	p.tooLarge(10)
	want(minBytes)
	for range 10 * calmAfter {
		p.taken(10) // proves nothing about larger ones
	}
	want(minBytes)
	for range calmAfter {
		p.taken(minBytes)
	}
	want(2 * minBytes)
	for range 100 * calmAfter {
		p.taken(1 << 20)
	}
	want(1 << 20)

	p.init(1000, 1) // below the floor from the start
	p.tooLarge(1000)
	want(1000)
}

func TestLimitsFollowTheCluster(t *testing.T) {
	fake, log := osfake.New(), &testLog{}
	s := start(t, fake, func(o *Options) { o.MaxBytes, o.Logger = 200_000, log.logger() })
	fake.MaxBytes = 120_000
	big := make([]byte, 75_000)
	for i := range big {
		big[i] = ' '
	}
	doc := "{" + string(big) + "}"
	if reply := send(t, s, doc, doc); reply.Kind != record.Rejected || !reply.TooLarge {
		t.Fatalf("%+v", reply)
	}
	if l := s.Limits(); l.Bytes != 75_002 || l.Concurrent != 4 {
		t.Errorf("%+v", l)
	}
	fake.Fail(osfake.Fault{Status: 429})
	_ = send(t, s, doc)
	if l := s.Limits(); l.Concurrent != 2 {
		t.Errorf("%+v", l)
	}
	fake.Judge = func(osfake.Document) *osfake.Refusal {
		return &osfake.Refusal{Status: 429, Type: "es_rejected_execution_exception"}
	}
	_ = send(t, s, doc)
	if l := s.Limits(); l.Concurrent != 1 {
		t.Errorf("a single document that was refused for load: %+v", l)
	}
}

func newNodes(n int) *nodes {
	ns := &nodes{}
	conns := make([]*opensearchtransport.Connection, n)
	for i := range conns {
		conns[i] = &opensearchtransport.Connection{}
	}
	_ = ns.DiscoveryUpdate(conns, nil, nil)
	return ns
}

func TestNodesTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ns := newNodes(3)
		turns := func(n int) (counts [3]int) {
			for range n {
				x := ns.pick()
				for i := range ns.all {
					if ns.all[i] == x {
						counts[i]++
					}
				}
			}
			return counts
		}
		if got := turns(6); got != [3]int{2, 2, 2} {
			t.Errorf("%v", got)
		}
		ns.answered(ns.all[1], false)
		if got := turns(6); got != [3]int{3, 0, 3} {
			t.Errorf("one rests: %v", got)
		}
		time.Sleep(restFor)
		if got := turns(7); got != [3]int{3, 1, 3} {
			t.Errorf("one is tried: %v", got)
		}
		ns.answered(ns.all[1], true)
		if got := turns(6); got != [3]int{2, 2, 2} {
			t.Errorf("it is back: %v", got)
		}
		for _, x := range ns.all {
			ns.answered(x, false)
			time.Sleep(time.Second)
		}
		if got := turns(6); got != [3]int{2, 2, 2} {
			t.Errorf("all rest: %v", got)
		}
	})
}

func TestDeadNodeIsPassedOver(t *testing.T) {
	fake := osfake.New()
	dead, stop := osfake.New().Start()
	stop()
	var busy atomic.Int32
	gateway, stopGateway := serve(func(w http.ResponseWriter, _ *http.Request) {
		busy.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	})
	defer stopGateway()
	s := start(t, fake, func(o *Options) { o.URLs = []string{dead, o.URLs[0], gateway} })
	failed := 0
	for i := range 10 {
		if reply := s.Send(t.Context(), sinktest.NewRequest(i+1, `{"a":1}`)); reply.Kind == record.Retry {
			failed++
		}
	}
	if failed != 2 || busy.Load() != 1 || len(fake.Documents()) != 8 {
		t.Errorf("%d failed, %d at the gateway, %d documents", failed, busy.Load(), len(fake.Documents()))
	}
}

// A server may answer before it has read the request: what the transport reads from then on must not be memory of the next request.
func TestAnswerBeforeTheBodyIsRead(t *testing.T) {
	url, stop := serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
	s := open(t, Options{URLs: []string{url}, Index: "logs"}, stop)
	doc := make([]byte, 4<<20)
	for i := range doc {
		doc[i] = ' '
	}
	for range 20 {
		if reply := send(t, s, "{"+string(doc)+"}"); reply.Kind != record.Retry {
			t.Fatalf("%+v", reply)
		}
	}
}

func TestWarningsAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &testLog{}
		l := throttledLog{log: out.logger()}
		for i, want := range []bool{true, false, true} {
			if got := l.due("a"); got != want {
				t.Errorf("%d: %v", i, got)
			}
			time.Sleep(warnEvery / 2)
		}
		if !l.due("b") {
			t.Error("another message waits for the first one")
		}
	})
}
