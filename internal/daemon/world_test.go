package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hydrant/config"
	"hydrant/delivery"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// world is one machine with its disk, an object store that outlives it, and what producers were told. Its daemon lives as long as the
// test lets it. Everything runs in virtual time; use it in a synctest bubble.
type world struct {
	t     *testing.T
	rng   *rand.Rand
	mem   *vfs.Mem
	store *fakeStore
	dest  *fakeDestination
	hook  *fakeHook
	cfg   *config.Config
	spool string
	d     *Daemon // nil while the machine is off

	mu      sync.Mutex
	told    map[string]bool   // record: true when acknowledged, false when nobody knows
	where   map[string]string // record: stream and its incarnation
	next    int
	pads    *rand.Rand
	keys    int
	repeats []keyed // requests that were sent, whatever was answered

	stage     func(delivery.Stage) delivery.Stage
	requester func(string, config.Destination) delivery.Requester // nil: dest
	announced atomic.Bool                                         // the daemon said that it could not avoid delivering twice
	resent    atomic.Bool                                         // the same, of requests
}

const dataDir = "/data"

func newWorld(t *testing.T, seed int64) *world {
	c := config.Default()
	c.DataDir, c.MinFree = dataDir, config.MB
	w := &world{t: t, rng: rand.New(rand.NewSource(seed)), mem: vfs.NewMem(), store: newFakeStore(t, seed), dest: newFakeDestination(t, seed), hook: &fakeHook{rng: rand.New(rand.NewSource(seed + 9))}, cfg: c,
		pads: rand.New(rand.NewSource(seed + 2)), told: map[string]bool{}, where: map[string]string{}}
	var err error
	if w.spool, err = os.MkdirTemp("", "hydrant-sim"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(w.spool) })
	return w
}

// small is a stream whose batches close after some hundred bytes.
func small(name string) config.Stream {
	s := demoStream(name)
	s.Destination.S3.Bucket = "b-" + name
	s.Buffer.Size = 400
	s.Buffer.Interval = config.Duration(10 * time.Second)
	s.Normalize()
	return s
}

func (w *world) options() Options {
	o := Options{Config: w.cfg, FS: w.mem, SpoolDir: w.spool, Sink: w.store, Requester: w.dest.of, Loader: w.dest.warehouse, Stage: w.stage,
		Lock: func(string, string) (func() error, error) { return func() error { return nil }, nil }}
	o.Staged = w.hook.chain
	if w.requester != nil {
		o.Requester = w.requester
	}
	out := io.Writer(w)
	if os.Getenv("HYDRANT_TEST_LOG") != "" {
		out = io.MultiWriter(w, os.Stderr)
	}
	o.Logger = slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return o
}

// Write listens to the daemon's log: records may be delivered twice only where it said so, because nobody may read identities.
func (w *world) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "may be delivered twice") {
		w.announced.Store(true)
	}
	if strings.Contains(string(line), "may be sent twice") {
		w.resent.Store(true)
	}
	return len(line), nil
}

// open starts the daemon; the streams replace those of the configuration.
func (w *world) open(streams ...config.Stream) {
	w.t.Helper()
	if len(streams) > 0 {
		w.cfg.Streams = streams
	}
	if err := w.tryOpen(); err != nil {
		w.t.Fatalf("open: %v", err)
	}
}

func (w *world) tryOpen() (err error) {
	c := *w.cfg
	o := w.options()
	o.Config = &c
	w.d, err = Open(o)
	if err != nil {
		w.d = nil
	}
	return err
}

// stop ends the daemon in order, with d for what waits.
func (w *world) stop(d time.Duration) {
	w.t.Helper()
	if err := w.tryStop(d); err != nil {
		w.t.Errorf("stop: %v", err)
	}
}

func (w *world) tryStop(d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	err := w.d.Stop(ctx)
	w.d = nil
	return err
}

// cut ends the machine at this moment: with the process (kill) or with the power, when keep is the chance of what was not synced.
func (w *world) cut(kill bool, keep float64) {
	w.mem.Crash()
	if w.d != nil {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = w.d.Stop(ctx) // only ends its goroutines: nothing reaches the disk any more
		w.d = nil
	}
	if kill {
		w.mem = w.mem.KillClone()
		return
	}
	w.mem = w.mem.CrashClone(vfs.CrashOptions{Rand: rand.New(rand.NewSource(w.rng.Int63())), KeepUnsynced: keep})
}

// keyed are records that were sent under a key, and may be sent again.
type keyed struct {
	stream string
	rs     []string
	key    record.RequestKey
}

// putKeyed sends n records under a key. Whatever it is told, it may send them again later.
func (w *world) putKeyed(stream string, n int) error {
	k := keyed{stream: stream}
	for range n {
		k.rs = append(k.rs, w.record(stream))
	}
	w.mu.Lock()
	w.keys++
	k.key[0], k.key[1], k.key[2] = byte(w.keys>>8), byte(w.keys), 1
	w.mu.Unlock()
	return w.sendKeyed(k)
}

func (w *world) sendKeyed(k keyed) error {
	p := record.NewPut()
	defer p.Release()
	for _, r := range k.rs {
		p.Add([]byte(r + "\n"))
	}
	if err := p.SetNote(record.Note{Request: k.key, Attributes: map[string]string{"from": "test"}}); err != nil {
		w.t.Error(err)
	}
	w.mu.Lock()
	w.repeats = append(w.repeats, k)
	w.mu.Unlock()
	_, err := w.d.Append(context.Background(), k.stream, p)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range k.rs {
		w.told[r] = w.told[r] || err == nil
	}
	return err
}

// sendAgain repeats a request that was sent some time ago.
func (w *world) sendAgain(i int) {
	w.mu.Lock()
	if len(w.repeats) == 0 {
		w.mu.Unlock()
		return
	}
	i %= len(w.repeats)
	k := w.repeats[i]
	w.repeats = append(w.repeats[:i:i], w.repeats[i+1:]...)
	w.mu.Unlock()
	_ = w.sendKeyed(k)
}

// record makes a record that no other is like.
func (w *world) record(stream string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	r := line(stream, w.next, strings.Repeat("x", w.pads.Intn(120)))
	if strings.Contains(stream, "-bad") && w.next%4 == 0 {
		r = r[:len(r)-1] // no JSON: it cannot be part of an array
	}
	w.where[r] = stream
	return r
}

// line is how a record is written. What else stands in those of a stream that learns its schema follows from n.
func line(stream string, n int, pad string) string {
	more := ""
	if strings.HasPrefix(stream, "pq") {
		more = []string{"", `,"x":1`, `,"x":null`, `,"x":{"y":1}`, `,"x":[]`}[n%5]
		if n > 40 {
			more += []string{"", `,"z":5`, `,"z":1.5`, `,"z":"t"`}[min(n/40, 3)]
		}
	}
	return fmt.Sprintf(`{"stream":%q,"n":%d,"pad":%q%s}`, stream, n, pad, more)
}

// put sends n records in one call and notes what it was told.
func (w *world) put(stream string, n int) error {
	p := record.NewPut()
	defer p.Release()
	var rs []string
	for range n {
		r := w.record(stream)
		rs = append(rs, r)
		if strings.Contains(stream, "-agg") && p.Count() > 0 && len(rs)%3 > 0 { // several in one record
			last := string(p.Record(p.Count() - 1))
			p = replaceLast(p, last+r)
			continue
		}
		p.Add([]byte(r + "\n"))
	}
	return w.send(stream, p, rs)
}

// replaceLast is p with another last record.
func replaceLast(p *record.Put, r string) *record.Put {
	q := record.NewPut()
	for i := range p.Count() - 1 {
		q.Add(p.Record(i))
	}
	q.Add([]byte(r))
	return q
}

// partitioned is a stream with a partition for each remainder, where some records have none; their parts are in several ones.
func partitioned(name string, by int) config.Stream {
	s := small(name)
	s.Processors = []config.Processor{
		{Deaggregate: &config.Deaggregate{Type: "json"}},
		{Partition: []config.PartitionQuery{{Name: "k", Query: fmt.Sprintf("if .n %% 11 == 0 then null else .n %% %d end", by)}}},
	}
	s.Destination.S3.Prefix, s.Destination.S3.ErrorPrefix = "k=!{partitionKeyFromQuery:k}/", "errors/!{firehose:error-output-type}/"
	s.Normalize()
	return s
}

func (w *world) send(stream string, p *record.Put, rs []string) error {
	w.mu.Lock()
	for _, r := range rs {
		w.told[r], w.where[r] = false, stream
	}
	w.mu.Unlock()
	_, err := w.d.Append(context.Background(), stream, p)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		for _, r := range rs {
			w.told[r] = true
		}
	case errors.Is(err, record.ErrStreamNotFound), errors.Is(err, record.ErrStreamDeleting):
		for _, r := range rs {
			delete(w.told, r) // it must not appear at all
		}
	}
	return err
}

func (w *world) mustPut(stream string, n int) {
	w.t.Helper()
	if err := w.put(stream, n); err != nil {
		w.t.Fatalf("put: %v", err)
	}
}

// sleep lets virtual time pass.
func (w *world) sleep(d time.Duration) { time.Sleep(d) }

// check compares all objects with what producers were told.
func (w *world) check() {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	main, backup := map[string]int{}, map[string]int{}
	for _, name := range w.store.list("") {
		w.t.Errorf("object without a bucket: %s", name)
	}
	w.store.mu.Lock()
	objects := map[string]storedObject{}
	for n, o := range w.store.objects {
		objects[n] = o
	}
	w.store.mu.Unlock()
	given := w.checkLoads(objects)
	for name, o := range objects {
		if o.identity == (record.Identity{}) {
			continue // somebody else's
		}
		if strings.Contains(name, "/errors/manifests/") {
			continue // it holds no records
		}
		if strings.HasPrefix(o.identity.Stream, "load") && o.identity.Role == record.RoleMain && w.dest.loads(name) == 0 && !strings.Contains(given, "s3://"+name) {
			continue // nobody is told of it: its records are in other objects
		}
		lines := o.lines(w.t)
		if len(lines) != o.identity.Count && !strings.Contains(name, "process-killed") && (o.identity.Partition != "" || !strings.Contains(o.identity.Stream, "-agg")) {
			w.t.Errorf("%s holds %d records, its identity says %d", name, len(lines), o.identity.Count)
		}
		into := main
		if o.identity.Role == record.RoleBackup || strings.Contains(name, "b-backup") {
			into = backup
		}
		for _, l := range w.dest.forgive(o, lines) {
			l = asked(l)
			into[l]++
			if w.where[l] != o.identity.Stream {
				w.t.Errorf("%s holds a record of stream %q", name, w.where[l])
			}
		}
	}
	w.dest.addTo(main)
	w.compare("main", main, func(string) bool { return true })
	w.compare("backup", backup, w.backedUp)
	if !w.forgiven() {
		w.checkOrder(objects)
		w.checkRanges(objects)
	}
}

func (w *world) forgiven() bool { return w.store.unreadable && w.announced.Load() }

// backedUp says whether a stream has a full backup.
func (w *world) backedUp(stream string) bool { return strings.Contains(stream, "-all") }

func (w *world) compare(what string, got map[string]int, expect func(stream string) bool) {
	w.t.Helper()
	missing, twice, alien := 0, 0, 0
	for r, told := range w.told {
		if !expect(w.where[r]) {
			continue
		}
		if n := got[r]; told && n == 0 {
			if missing++; missing <= 3 {
				w.t.Errorf("%s: an acknowledged record is lost: %s", what, r)
			}
		} else if n > 1 && !w.forgiven() && !(w.resent.Load() && strings.HasPrefix(w.where[r], "req-")) {
			if twice++; twice <= 3 {
				w.t.Errorf("%s: a record was delivered %d times: %s\n\t%s", what, n, r, strings.Join(w.holders(r), "\n\t"))
			}
		}
	}
	for r := range got {
		if _, ok := w.told[r]; !ok {
			if alien++; alien <= 3 {
				w.t.Errorf("%s: a record appears that was refused: %s", what, r)
			}
		}
	}
	if missing+twice+alien > 0 {
		w.t.Errorf("%s: %d lost, %d delivered more than once, %d refused and delivered, of %d", what, missing, twice, alien, len(w.told))
	}
}

// checkLoads: no object was loaded twice. It returns the manifests that are left for people.
func (w *world) checkLoads(objects map[string]storedObject) (left string) {
	w.t.Helper()
	for name, o := range objects {
		if strings.Contains(name, "/errors/manifests/") {
			left += string(o.body)
		}
	}
	for name, o := range objects {
		if !strings.HasPrefix(o.identity.Stream, "load") || o.identity.Role != record.RoleMain {
			continue
		}
		if n, given := w.dest.loads(name), strings.Contains(left, "s3://"+name); n > 1 {
			w.t.Errorf("%s was loaded %d times, a manifest is left: %v", name, n, given)
		}
	}
	return left
}

// checkOrder: within a prefix and a version, listing order is the order of the log.
func (w *world) checkOrder(objects map[string]storedObject) {
	w.t.Helper()
	type group struct {
		stream, dir string
		partition   string
		role        record.Role
		version     int
		epoch       record.Epoch
	}
	last := map[group]record.Position{}
	for _, name := range sorted(objects) {
		o := objects[name]
		if strings.HasPrefix(o.identity.Stream, "load") {
			continue // not all of them count
		}
		id := o.identity
		g := group{id.Stream, name[:strings.LastIndex(name, "/")], id.Partition, id.Role, id.Version, id.First.Epoch}
		if id.First.Pos <= last[g] {
			w.t.Errorf("%s: begins at %d, behind an object that ends at %d", name, id.First.Pos, last[g])
		}
		if id.Last.Epoch == id.First.Epoch {
			last[g] = id.Last.Pos
		}
	}
}

// checkRanges: no two objects of one purpose claim the same position. Error objects take the place of main ones.
func (w *world) checkRanges(objects map[string]storedObject) {
	w.t.Helper()
	type claim struct {
		stream string
		epoch  record.Epoch
		backup bool
		pos    record.Position
	}
	seen := map[claim]string{}
	for _, name := range sorted(objects) {
		id := objects[name].identity
		if id.First.Epoch != id.Last.Epoch || strings.HasPrefix(id.Stream, "once") || strings.Contains(id.Stream, "parts") || strings.Contains(id.Stream, "-bad") || strings.HasPrefix(id.Stream, "pq") ||
			strings.HasPrefix(id.Stream, "req") || strings.HasPrefix(id.Stream, "load") {
			continue // their objects hold single records of a range
		}
		for p := id.First.Pos; p <= id.Last.Pos; p++ {
			c := claim{id.Stream, id.First.Epoch, id.Role == record.RoleBackup || strings.Contains(name, "b-backup"), p}
			if other, ok := seen[c]; ok {
				w.t.Errorf("%s and %s both hold position %d", name, other, p)
				return
			}
			seen[c] = name
		}
	}
}

func sorted(objects map[string]storedObject) []string {
	var names []string
	for n, o := range objects {
		if o.identity != (record.Identity{}) {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	return names
}

// holders names the objects that hold a record.
func (w *world) holders(r string) (names []string) {
	for n, o := range w.store.objects {
		if slices.Contains(o.lines(w.t), r) {
			names = append(names, n+" "+o.identity.String())
		}
	}
	slices.Sort(names)
	return names
}
