package daemon

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"hydrant/delivery"
	"hydrant/record"
)

var errStore = errors.New("the store has a bad day")

// weather is how a fakeStore behaves: chances of 0 to 1 for each Put.
type weather struct {
	fail        float64 // answers with an error, stores nothing
	hang        float64 // waits until the attempt's time is over, stores nothing
	storedError float64 // stores, then answers with an error
	storedLate  float64 // stores and waits as long, as when the connection breaks before the answer
	headFail    float64 // of a Head
	latency     time.Duration
}

type storedObject struct {
	body     []byte
	encoding string
	identity record.Identity
}

// fakeStore is an object store with conditional writes that outlives the daemons of a test. It checks what no store may see:
// one key with two contents. Safe for concurrent use.
type fakeStore struct {
	t *testing.T

	mu         sync.Mutex
	rng        *rand.Rand
	sky        weather
	byBucket   map[string]weather // in place of sky
	objects    map[string]storedObject
	rejects    func(o *record.Object) bool
	unreadable bool                               // nobody may HEAD
	stuck      func(o *record.Object) bool        // answers with an error, stores nothing
	before     func(o *record.Object) (dead bool) // called at the start of each Put; true: the process ends with it
	puts       map[string]int                     // attempts by bucket
	exists     []record.Identity                  // what was answered with Exists
}

var _ delivery.Sink = (*fakeStore)(nil)

func newFakeStore(t *testing.T, seed int64) *fakeStore {
	return &fakeStore{t: t, rng: rand.New(rand.NewSource(seed)), objects: map[string]storedObject{}, puts: map[string]int{}, byBucket: map[string]weather{}}
}

func (f *fakeStore) set(w weather) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sky = w
}

func (f *fakeStore) setBucket(bucket string, w weather) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byBucket[bucket] = w
}

func (f *fakeStore) weather(bucket string) weather {
	if w, ok := f.byBucket[bucket]; ok {
		return w
	}
	return f.sky
}

// attemptLimit is how long a sink lets one attempt last.
const attemptLimit = 5 * time.Minute

type fate int

const (
	works fate = iota
	fails
	hangs
	storesAndFails
	storesAndHangs
)

func (f *fakeStore) fate(o *record.Object) (what fate, latency time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.puts[o.Bucket]++
	w := f.weather(o.Bucket)
	if w.latency > 0 {
		latency = time.Duration(f.rng.Int63n(int64(w.latency)))
	}
	dice := f.rng.Float64()
	for _, c := range []struct {
		chance float64
		fate
	}{{w.fail, fails}, {w.hang, hangs}, {w.storedError, storesAndFails}, {w.storedLate, storesAndHangs}} {
		if dice -= c.chance; dice < 0 {
			return c.fate, latency
		}
	}
	return works, latency
}

func (f *fakeStore) Put(ctx context.Context, o *record.Object) record.Outcome {
	if f.before != nil && f.before(o) {
		<-ctx.Done()
		return record.Outcome{Kind: record.Retry, Code: "S3.Cancelled", Err: ctx.Err()}
	}
	what, latency := f.fate(o)
	f.mu.Lock()
	if f.stuck != nil && f.stuck(o) {
		what = fails
	}
	f.mu.Unlock()
	if !waitFor(ctx, latency) {
		return record.Outcome{Kind: record.Retry, Code: "S3.Cancelled", Err: ctx.Err()}
	}
	switch what {
	case fails:
		return record.Outcome{Kind: record.Retry, Code: "S3.InternalError", Err: errStore}
	case hangs:
		waitFor(ctx, attemptLimit)
		return record.Outcome{Kind: record.Retry, Code: "S3.RequestTimeout", Err: context.DeadlineExceeded}
	}
	out := f.store(o)
	switch {
	case what == storesAndFails && out.Kind == record.Delivered:
		return record.Outcome{Kind: record.Retry, Code: "S3.InternalError", Err: errStore}
	case what == storesAndHangs && out.Kind == record.Delivered:
		waitFor(ctx, attemptLimit)
		return record.Outcome{Kind: record.Retry, Code: "S3.RequestTimeout", Err: context.DeadlineExceeded}
	}
	return out
}

func waitFor(ctx context.Context, d time.Duration) bool {
	if d > 0 {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

func (f *fakeStore) store(o *record.Object) record.Outcome {
	if len(o.Key) > 1024 {
		return record.Outcome{Kind: record.Rejected, Code: "S3.KeyTooLongError", Err: errors.New("your key is too long")}
	}
	if f.rejects != nil && f.rejects(o) {
		return record.Outcome{Kind: record.Rejected, Code: "S3.InvalidRequest", Err: errors.New("not this one")}
	}
	_, err := o.Body.Seek(0, io.SeekStart)
	var body []byte
	if err == nil {
		body, err = io.ReadAll(o.Body)
	}
	if err != nil || int64(len(body)) != o.Size {
		return record.Outcome{Kind: record.Retry, Code: "S3.ReadFailed", Err: errors.Join(err, errors.New("short body"))}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	name := o.Bucket + "/" + o.Key
	if there, ok := f.objects[name]; ok {
		return f.taken(name, there, body, o.Identity)
	}
	f.objects[name] = storedObject{body: body, encoding: o.ContentEncoding, identity: o.Identity}
	return record.Outcome{Kind: record.Delivered}
}

func (f *fakeStore) taken(name string, there storedObject, body []byte, id record.Identity) record.Outcome {
	f.exists = append(f.exists, id)
	if there.identity == id && !bytes.Equal(there.body, body) {
		f.t.Errorf("%s: the same identity came with other bytes:\n%s\n%s", name, there.body, body)
	}
	if f.unreadable {
		return record.Outcome{Kind: record.Exists, Unreadable: true}
	}
	if there.identity == (record.Identity{}) {
		return record.Outcome{Kind: record.Exists}
	}
	found := there.identity
	return record.Outcome{Kind: record.Exists, Found: &found}
}

func (f *fakeStore) Head(_ context.Context, bucket, key string) (*record.Identity, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.unreadable || f.rng.Float64() < f.weather(bucket).headFail {
		return nil, false, errStore
	}
	o, ok := f.objects[bucket+"/"+key]
	if !ok {
		return nil, false, nil
	}
	if o.identity == (record.Identity{}) {
		return nil, true, nil
	}
	return &o.identity, true, nil
}

func (f *fakeStore) attempts(bucket string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.puts[bucket]
}

// list returns the names of a bucket's objects in listing order, those below errors/ only when asked for.
func (f *fakeStore) list(bucket string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var names []string
	for n := range f.objects {
		if strings.HasPrefix(n, bucket+"/") {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	return names
}

func (f *fakeStore) get(name string) storedObject {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.objects[name]
}

// text is all that a bucket holds, in listing order.
func (f *fakeStore) text(bucket string) string {
	var b strings.Builder
	for _, n := range f.list(bucket) {
		b.WriteString(strings.Join(f.get(n).lines(f.t), "\n"))
		b.WriteString("\n")
	}
	return b.String()
}

// lines are the records of an object; those of an error object are taken out of their envelopes.
func (o storedObject) lines(t *testing.T) []string {
	t.Helper()
	body := o.body
	if o.encoding == "gzip" {
		r, err := gzip.NewReader(bytes.NewReader(body))
		if err == nil {
			body, err = io.ReadAll(r)
		}
		if err != nil {
			t.Errorf("gzip: %v", err)
		}
	}
	var lines []string
	if bytes.HasPrefix(body, []byte("PAR1")) {
		return rows(t, body)
	}
	if bytes.HasPrefix(body, []byte("[")) {
		var all []json.RawMessage
		if err := json.Unmarshal(body, &all); err != nil {
			t.Errorf("array: %v", err)
		}
		for _, one := range all {
			lines = append(lines, string(one))
		}
		return lines
	}
	for line := range strings.Lines(string(body)) {
		if strings.HasPrefix(string(o.identity.Role), "error/") {
			lines = append(lines, parts(unwrap(t, line))...)
			continue
		}
		lines = append(lines, strings.TrimSuffix(line, "\n"))
	}
	return lines
}

// rows are the records of a Parquet file, written as world.record writes them.
func rows(t *testing.T, body []byte) (lines []string) {
	t.Helper()
	f, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		t.Errorf("parquet: %v", err)
		return nil
	}
	column := func(name string) int {
		c, ok := f.Schema().Lookup(name)
		if !ok {
			t.Errorf("parquet: no column %s", name)
		}
		return c.ColumnIndex
	}
	name, n, pad := column("stream"), column("n"), column("pad")
	for _, g := range f.RowGroups() {
		r := g.Rows()
		buf := make([]parquet.Row, 16)
		for {
			k, err := r.ReadRows(buf)
			for _, row := range buf[:k] {
				lines = append(lines, line(row[name].String(), int(row[n].Int64()), row[pad].String()))
			}
			if err != nil {
				break
			}
		}
		_ = r.Close()
	}
	return lines
}

// parts are the records that a producer put into one.
func parts(raw string) (all []string) {
	dec := json.NewDecoder(strings.NewReader(raw))
	for {
		var one json.RawMessage
		switch err := dec.Decode(&one); {
		case err == io.EOF:
			return all
		case err != nil:
			return []string{strings.TrimSuffix(raw, "\n")}
		}
		all = append(all, string(one))
	}
}

func unwrap(t *testing.T, line string) string {
	t.Helper()
	var e delivery.ErrorRecord
	err := json.Unmarshal([]byte(line), &e)
	if err == nil && (e.AttemptsMade == 0 || e.ArrivalTimestamp == 0 || e.ErrorCode == "" || e.ErrorMessage == "") {
		err = errors.New("a field is missing")
	}
	raw, berr := base64.StdEncoding.DecodeString(e.RawData)
	if err = errors.Join(err, berr); err != nil {
		t.Errorf("error record %q: %v", line, err)
	}
	return string(raw)
}

func (f *fakeStore) String() string {
	var b strings.Builder
	f.mu.Lock()
	defer f.mu.Unlock()
	names := make([]string, 0, len(f.objects))
	for n := range f.objects {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		id := f.objects[n].identity
		fmt.Fprintf(&b, "%s\n\t%s %s %d..%d (%d)\n", n, id.Role, id.First.Epoch.String()[:6], id.First.Pos, id.Last.Pos, id.Count)
	}
	return b.String()
}
