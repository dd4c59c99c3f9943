package daemon

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"hydrant/config"
	"hydrant/delivery"
	"hydrant/record"
)

var errDestination = errors.New("the destination has a bad day")

// fakeDestination takes records in requests and outlives the daemons of a test. Streams whose destination is http are known by their
// requests, all or nothing; others by their records, one by one. Safe for concurrent use.
type fakeDestination struct {
	t *testing.T

	mu          sync.Mutex
	rng         *rand.Rand
	sky         weather
	busy        float64 // chance of a single record to be put off
	moody       float64 // chance of a single record to be refused, this time
	refuses     func(data string) bool
	before      func(*record.Request) *record.Reply // with mu held; an answer in place of all else, unless nil
	most        int                                 // records of a request, above which it is too large; 0: any
	byName      map[string]string                   // record: data
	requests    map[string]uint64                   // request id: digest of its payload
	repeats     int                                 // requests that were taken already when they came
	order       map[string][]string
	attempts    int
	ledger      map[string]bool // load ids
	loaded      map[string]int  // by object
	stuckStream string          // never answered
}

func newFakeDestination(t *testing.T, seed int64) *fakeDestination {
	return &fakeDestination{t: t, rng: rand.New(rand.NewSource(seed + 7)), byName: map[string]string{}, requests: map[string]uint64{},
		order:  map[string][]string{},
		ledger: map[string]bool{}, loaded: map[string]int{}}
}

func (f *fakeDestination) set(w weather) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sky = w
}

// of is what a stream's destination is.
func (f *fakeDestination) of(_ string, d config.Destination) delivery.Requester {
	return fakeRequester{f, d.HTTP != nil || d.Splunk != nil}
}

type fakeRequester struct {
	f     *fakeDestination
	whole bool
}

func (r fakeRequester) Limits() record.RequestLimits {
	return record.RequestLimits{Records: 7, Bytes: 500, Concurrent: 3}
}

func (r fakeRequester) Describe(i *record.Item) []record.Field {
	return []record.Field{{Name: "test\"Id", Value: fmt.Sprint(i.Pos)}}
}

func (r fakeRequester) Send(ctx context.Context, req *record.Request) record.Reply {
	f := r.f
	f.mu.Lock()
	f.attempts++
	dice, latency := f.rng.Float64(), time.Duration(0)
	if f.sky.latency > 0 {
		latency = time.Duration(f.rng.Int63n(int64(f.sky.latency)))
	}
	sky := f.sky
	if req.Stream == f.stuckStream {
		sky = weather{hang: 1}
	}
	f.mu.Unlock()
	if !waitFor(ctx, latency) {
		return retry("Test.Cancelled", ctx.Err())
	}
	if dice < sky.fail {
		return retry("Test.Unavailable", errDestination)
	}
	if dice -= sky.fail; dice < sky.hang {
		waitFor(ctx, time.Minute)
		return retry("Test.RequestTimeout", context.DeadlineExceeded)
	}
	lost := dice-sky.hang < sky.storedError
	reply := f.take(req, r.whole)
	if lost {
		return retry("Test.ConnectionReset", errDestination)
	}
	return reply
}

func retry(code string, err error) record.Reply {
	return record.Reply{Outcome: record.Outcome{Kind: record.Retry, Code: code, Err: err}}
}

func (f *fakeDestination) take(req *record.Request, whole bool) record.Reply {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.before != nil {
		if reply := f.before(req); reply != nil {
			return *reply
		}
	}
	if f.most > 0 && len(req.Items) > f.most {
		return record.Reply{Outcome: record.Outcome{Kind: record.Rejected, TooLarge: true, Code: "Test.TooLarge", Err: errDestination}}
	}
	if whole {
		return f.takeWhole(req)
	}
	reply := record.Reply{Outcome: record.Outcome{Kind: record.Delivered}}
	for i := range req.Items {
		if out := f.takeItem(req.Stream, &req.Items[i]); out.Kind != record.Delivered {
			reply.Verdicts = append(reply.Verdicts, record.Verdict{Item: i, Outcome: out})
		}
	}
	return reply
}

func (f *fakeDestination) takeItem(stream string, item *record.Item) record.Outcome {
	id, sub := item.Name()
	name := fmt.Sprint(stream, id, sub)
	data := strings.TrimSuffix(string(item.Data), "\n")
	if there, ok := f.byName[name]; ok {
		if there != data {
			f.t.Errorf("%s came as %q and as %q", name, there, data)
		}
		return record.Outcome{Kind: record.Delivered}
	}
	switch dice := f.rng.Float64(); {
	case f.refuses != nil && f.refuses(data), dice < f.moody:
		return record.Outcome{Kind: record.Rejected, Code: "400", Err: errors.New("not this one")}
	case dice < f.moody+f.busy:
		return record.Outcome{Kind: record.Retry, Code: "429", Err: errDestination}
	}
	f.byName[name] = data
	f.order[stream] = append(f.order[stream], data)
	return record.Outcome{Kind: record.Delivered}
}

func (f *fakeDestination) takeWhole(req *record.Request) record.Reply {
	h := fnv.New64a()
	refused := false
	for i := range req.Items {
		_, _ = h.Write(append(req.Items[i].Data, 0))
		refused = refused || f.refuses != nil && f.refuses(string(req.Items[i].Data))
	}
	if sum, ok := f.requests[req.ID]; ok {
		if sum != h.Sum64() {
			f.t.Errorf("request %s came with other records", req.ID)
		}
		f.repeats++
		return record.Reply{Outcome: record.Outcome{Kind: record.Delivered}}
	}
	if refused {
		return record.Reply{Outcome: record.Outcome{Kind: record.Rejected, TooLarge: len(req.Items) > 1, Code: "400", Err: errors.New("not this one")}}
	}
	f.requests[req.ID] = h.Sum64()
	for i := range req.Items {
		f.order[req.Stream] = append(f.order[req.Stream], strings.TrimSuffix(string(req.Items[i].Data), "\n"))
	}
	return record.Reply{Outcome: record.Outcome{Kind: record.Delivered}}
}

// addTo counts what was taken beside what objects hold.
func (f *fakeDestination) addTo(counts map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, all := range f.order {
		for _, data := range all {
			counts[asked(data)]++
		}
	}
}

// forgive leaves out of an error object what was given up at the end of the time for retries and taken all the same: nobody could know, as the
// answer had been lost, or the process that had it.
func (f *fakeDestination) forgive(o storedObject, lines []string) (kept []string) {
	if !strings.HasPrefix(o.identity.Stream, "req") || !strings.Contains(string(o.body), `"errorCode":"Test.`) {
		return lines
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	bodies := strings.Split(string(o.body), "\n")
	for i, l := range lines {
		if !strings.Contains(bodies[i], `"errorCode":"Test.`) || !slices.ContainsFunc(f.order[o.identity.Stream], func(taken string) bool { return asked(taken) == asked(l) }) {
			kept = append(kept, l)
		}
	}
	return kept
}

func (f *fakeDestination) taken(stream string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.order[stream]...)
}

// searched is a stream for a destination that knows its records, posted one for a destination that knows its requests.
func searched(name string) config.Stream {
	return requesting(name, config.Destination{OpenSearch: &config.OpenSearch{URLs: []string{"http://search.invalid"}, Index: "i"}})
}

func posted(name string) config.Stream {
	return requesting(name, config.Destination{HTTP: &config.HTTP{URL: "http://sink.invalid"}})
}

func requesting(name string, d config.Destination) config.Stream {
	s := small(name)
	s.Destination = d
	s.Retry.For = config.Duration(2 * time.Hour)
	s.Backup = config.Backup{Mode: config.BackupFailed, S3: &config.S3{Bucket: "failed-" + name}}
	s.Normalize()
	return s
}

// warehouse is what takes in a stream's objects.
func (f *fakeDestination) warehouse(string, config.Destination) delivery.Loader { return fakeLoader{f} }

type fakeLoader struct{ f *fakeDestination }

func (l fakeLoader) Load(ctx context.Context, ld *record.Load) record.Outcome {
	f := l.f
	f.mu.Lock()
	dice, sky := f.rng.Float64(), f.sky
	f.mu.Unlock()
	if dice < sky.fail {
		return record.Outcome{Kind: record.Retry, Code: "Redshift.ConnectionFailed", Err: errDestination}
	}
	if dice -= sky.fail; dice < sky.hang {
		waitFor(ctx, time.Minute)
		return record.Outcome{Kind: record.Retry, Code: "Redshift.Timeout", Err: context.DeadlineExceeded}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ledger[ld.ID] {
		f.ledger[ld.ID] = true
		f.loaded[ld.Bucket+"/"+ld.Key]++
	}
	if dice-sky.hang < sky.storedError {
		return record.Outcome{Kind: record.Retry, Code: "Redshift.ConnectionFailed", Err: errDestination}
	}
	return record.Outcome{Kind: record.Delivered}
}

func (l fakeLoader) Loaded(_ context.Context, _, id string) (bool, error) {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	return l.f.ledger[id], nil
}

func (l fakeLoader) Forget(_ context.Context, _ string, ids []string) error {
	l.f.mu.Lock()
	defer l.f.mu.Unlock()
	for _, id := range ids {
		delete(l.f.ledger, id)
	}
	return nil
}

func (f *fakeDestination) loads(name string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.loaded[name]
}

// inLedger is how many batches were taken in and not forgotten.
func (f *fakeDestination) inLedger() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ledger)
}

// loading is a stream for a warehouse.
func loading(name string) config.Stream {
	s := requesting(name, config.Destination{Redshift: &config.Redshift{Table: "t", DataAPI: &config.DataAPI{Cluster: "c", Database: "d", DBUser: "u"},
		S3: &config.S3{Bucket: "b-" + name}}})
	return s
}
