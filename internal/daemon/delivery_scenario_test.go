package daemon

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
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

// The scenarios of delivery that need the whole daemon and a store with whims of its own.

// pickyStore answers some calls in the store's place. Nil functions, and a nil answer, leave it to the store.
type pickyStore struct {
	*fakeStore
	put    func(o *record.Object) *record.Outcome
	looked func() // after each Head
}

func (g *pickyStore) Put(ctx context.Context, o *record.Object) record.Outcome {
	if g.put != nil {
		if out := g.put(o); out != nil {
			return *out
		}
	}
	return g.fakeStore.Put(ctx, o)
}

func (g *pickyStore) Head(ctx context.Context, bucket, key string) (*record.Identity, bool, error) {
	found, exists, err := g.fakeStore.Head(ctx, bucket, key)
	if g.looked != nil {
		g.looked()
	}
	return found, exists, err
}

// openBehind starts the daemon with a gate before its store.
func (w *world) openBehind(g *pickyStore, streams ...config.Stream) {
	w.t.Helper()
	if len(streams) > 0 {
		w.cfg.Streams = streams
	}
	c := *w.cfg
	o := w.options()
	o.Config, o.Sink = &c, g
	var err error
	if w.d, err = Open(o); err != nil {
		w.t.Fatalf("open: %v", err)
	}
}

func (w *world) picky() *pickyStore { return &pickyStore{fakeStore: w.store} }

func refuse(code string) *record.Outcome {
	return &record.Outcome{Kind: record.Retry, Code: code, Err: errStore}
}

// aside counts the records below the error prefix.
func (w *world) aside(bucket string) (n int) {
	for _, name := range w.store.list(bucket) {
		if id := w.store.get(name).identity; strings.HasPrefix(string(id.Role), "error/") {
			n += id.Count
		}
	}
	return n
}

// TestOneStuckBatchHoldsUpNoOther: neither in its first life nor in those that repeat it.
func TestOneStuckBatchHoldsUpNoOther(t *testing.T) {
	inWorld(t, func(w *world) {
		g := w.picky()
		var open atomic.Bool
		g.put = func(o *record.Object) *record.Outcome {
			if o.Identity.First.Pos == 1 && !open.Load() {
				return refuse("S3.InternalError")
			}
			return nil
		}
		w.openBehind(g, small("web"))
		w.mustPut("web", 3)
		w.sleep(time.Minute)
		sent := 3
		for life := range 4 {
			for range 3 { // the loop is idle but for the stuck batch each time
				w.mustPut("web", 2)
				sent += 2
				w.sleep(time.Minute)
				w.want("b-web", sent-3)
			}
			if st := w.d.stream("web").status().Readers[0].Delivery; !st.Retrying || st.InFlight != 1 || st.Code != "S3.InternalError" || st.Attempt < 3 {
				t.Errorf("life %d: the state hides the batch that is stuck: %+v", life, st)
			}
			w.cut(life%2 == 0, 0)
			w.openBehind(g)
		}
		open.Store(true)
		w.sleep(time.Minute)
		if st := w.d.stream("web").status().Readers[0].Delivery; st.Retrying || st.InFlight != 0 {
			t.Errorf("after everything was delivered: %+v", st)
		}
		w.stop(time.Minute)
		w.want("b-web", sent)
		w.check()
	})
}

// TestTooLargeIsHalved: a proxy takes small objects only; what a single record needs, the error prefix takes.
func TestTooLargeIsHalved(t *testing.T) {
	inWorld(t, func(w *world) {
		g := w.picky()
		g.put = func(o *record.Object) *record.Outcome {
			if o.Identity.Role == record.RoleMain && o.Size > 300 {
				return &record.Outcome{Kind: record.Rejected, Code: "S3.HTTP413", Err: errors.New("too large"), TooLarge: true}
			}
			return nil
		}
		s := small("web")
		s.Buffer.Size = 1 << 20
		w.openBehind(g, s)
		w.mustPut("web", 30)
		p := record.NewPut()
		big := strings.Repeat("b", 400)
		p.Add([]byte(big + "\n"))
		if err := w.send("web", p, []string{big}); err != nil {
			t.Fatal(err)
		}
		p.Release()
		w.mustPut("web", 30)
		w.sleep(time.Minute)
		w.cut(true, 0)
		w.open()
		w.stop(time.Minute)
		w.want("b-web", 61)
		if n := w.aside("b-web"); n != 1 {
			t.Errorf("%d records were set aside, want the large one alone", n)
		}
		w.check()
	})
}

// TestErrorObjectTooLarge: base64 makes an error object larger than what was refused already.
func TestErrorObjectTooLarge(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.rejects = func(o *record.Object) bool {
			return o.Size > 300 && (o.Identity.Role == record.RoleMain || o.Size > 600)
		}
		w.open(small("web"))
		w.mustPut("web", 30)
		w.sleep(time.Hour)
		if b := w.d.stream("web").status().BacklogBytes; b != 0 {
			t.Errorf("%d bytes wait for ever", b)
		}
		w.want("b-web", 30)
		if n := w.setAsideMetric(); n != w.aside("b-web") {
			t.Errorf("the metric counts %d records, %d were set aside", n, w.aside("b-web"))
		}
		w.stop(time.Minute)
		w.check()
	})
}

// setAsideMetric is hydrant_rejected_records_total of the only stream.
func (w *world) setAsideMetric() (n int) {
	w.t.Helper()
	families, err := w.d.registry.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "hydrant_rejected_records_total" {
			n += int(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return n
}

// TestErrorRecordThatFitsNowhere is loud, and in nobody's way.
func TestErrorRecordThatFitsNowhere(t *testing.T) {
	inWorld(t, func(w *world) {
		g := w.picky()
		var open atomic.Bool
		g.put = func(o *record.Object) *record.Outcome {
			if o.Identity.First.Pos > 1 || open.Load() {
				return nil
			}
			return &record.Outcome{Kind: record.Rejected, Code: "S3.InvalidRequest", Err: errStore}
		}
		w.openBehind(g, small("web"))
		w.mustPut("web", 1)
		w.sleep(time.Minute)
		w.mustPut("web", 9)
		w.sleep(time.Minute)
		w.want("b-web", 9)
		if st := w.d.stream("web").status().Readers[0].Delivery; !st.Retrying || st.Code != "S3.InvalidRequest" {
			t.Errorf("nobody is told: %+v", st)
		}
		open.Store(true)
		w.stop(time.Minute)
		w.check()
	})
}

// unreadableRestore: a copy of the disk comes back in which the records of a delivered object wait to be batched, with more behind them,
// while nobody may read whose object stands under a key.
func unreadableRestore(t *testing.T, then func(w *world, g *pickyStore)) {
	t.Helper()
	inWorld(t, func(w *world) {
		s := small("web")
		s.Buffer.Size, s.Buffer.Interval = 1<<20, config.Duration(time.Minute)
		w.store.set(weather{fail: 1})
		w.open(s)
		w.mustPut("web", 4)
		w.cfg.Shutdown = config.ShutdownKeep
		copyOf := w.mem.CrashClone(vfs.CrashOptions{})
		w.store.set(weather{})
		w.sleep(5 * time.Minute)
		w.stop(time.Minute)
		w.mem = copyOf
		w.store.unreadable = true
		w.announced.Store(true) // twice is what such a store makes of it; never is what must not be
		w.cfg.Streams[0].Buffer.Interval = config.Duration(15 * time.Minute)
		then(w, w.picky())
		w.stop(time.Minute)
		w.check()
	})
}

// TestUnsentAttemptOwnsNothing: an object that cannot be looked at is not ours because of an attempt that reached nobody.
func TestUnsentAttemptOwnsNothing(t *testing.T) {
	unreadableRestore(t, func(w *world, g *pickyStore) {
		down := true
		g.put = func(*record.Object) *record.Outcome {
			if down {
				out := refuse("S3.ConnectionFailed")
				out.Unsent = true
				down = false
				return out
			}
			return nil
		}
		w.openBehind(g)
		w.mustPut("web", 5)
		w.sleep(time.Hour)
	})
}

// TestUnreadableTimelinesShareNoKey: once it is known that nobody may look, a batch that is closed has a key that no other life of
// the log ever used.
func TestUnreadableTimelinesShareNoKey(t *testing.T) {
	inWorld(t, func(w *world) {
		s := small("web")
		s.Buffer.Interval = config.Duration(time.Minute)
		w.store.set(weather{fail: 1})
		w.open(s)
		w.mustPut("web", 6) // a batch by size and the beginning of another
		w.cfg.Shutdown = config.ShutdownKeep
		copyOf := w.mem.CrashClone(vfs.CrashOptions{})
		w.store.set(weather{})
		w.sleep(5 * time.Minute)
		w.stop(time.Minute)
		w.want("b-web", 6)
		before := len(w.store.list("b-web"))
		if before < 2 {
			t.Fatalf("%d objects, the story wants two", before)
		}
		w.mem = copyOf
		w.store.unreadable = true
		w.announced.Store(true)
		w.cfg.Streams[0].Buffer.Interval = config.Duration(15 * time.Minute)
		g := w.picky()
		tried := map[string]bool{}
		var mu sync.Mutex
		g.put = func(o *record.Object) *record.Outcome { // each first attempt may or may not have arrived
			mu.Lock()
			defer mu.Unlock()
			if !tried[o.Key] {
				tried[o.Key] = true
				return refuse("S3.InternalError")
			}
			return nil
		}
		w.openBehind(g)
		w.sleep(time.Minute) // the first batch is taken for delivered, as it is
		w.mustPut("web", 1)
		w.sleep(time.Hour)
		w.stop(time.Minute)
		w.check()
	})
}

// latePut is an attempt that hangs between the process and the store until it arrives, after all.
type latePut struct {
	name string
	late storedObject
}

func (l *latePut) hold(o *record.Object) bool {
	_, err := o.Body.Seek(0, io.SeekStart)
	body, rerr := io.ReadAll(o.Body)
	l.name, l.late = o.Bucket+"/"+o.Key, storedObject{body, o.ContentEncoding, o.Identity}
	return errors.Join(err, rerr) == nil
}

// arrive stores it unless the key is taken.
func (l *latePut) arrive(f *fakeStore) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, taken := f.objects[l.name]; !taken && l.name != "" {
		f.objects[l.name] = l.late
	}
	l.name = ""
}

// threeDeaths lets three processes die with an attempt under way, and starts the fourth with a store that works.
func threeDeaths(w *world, l *latePut, records int, g *pickyStore) {
	w.store.before = l.hold
	s := small("web")
	s.Buffer.Size = 1 << 20
	w.open(s)
	w.mustPut("web", records)
	for life := range 3 {
		w.sleep(time.Minute)
		w.cut(true, 0)
		if life < 2 {
			w.open()
		}
	}
	w.store.before = nil
	w.openBehind(g)
	w.sleep(time.Minute)
	w.stop(time.Minute)
	w.want("b-web", records)
	w.check()
}

func TestLatePutAfterBisection(t *testing.T) {
	inWorld(t, func(w *world) { // it arrives just before the first half
		l, g := &latePut{}, w.picky()
		g.put = func(*record.Object) *record.Outcome { l.arrive(w.store); return nil }
		threeDeaths(w, l, 6, g)
	})
	for _, records := range []int{1, 2, 6} { // it arrives right after the look that proved it absent
		inWorld(t, func(w *world) {
			l, g := &latePut{}, w.picky()
			g.looked = func() { l.arrive(w.store) }
			threeDeaths(w, l, records, g)
		})
	}
}

// TestLatePutAfterAMove: a batch went on under the newest version; the attempt under the old one arrives all the same.
func TestLatePutAfterAMove(t *testing.T) {
	inWorld(t, func(w *world) {
		l := &latePut{}
		typo := small("web")
		typo.Destination.S3.Bucket = "b-tpyo"
		w.store.before = l.hold
		w.open(typo)
		w.mustPut("web", 3)
		w.sleep(time.Minute)
		w.cut(true, 0)
		w.store.before = nil
		w.store.set(weather{fail: 1})
		w.open(small("web"))
		w.sleep(time.Minute)
		if w.store.attempts("b-web") == 0 {
			t.Fatal("the batch did not move")
		}
		w.cut(true, 0)
		l.arrive(w.store)
		w.store.set(weather{})
		w.open()
		w.stop(time.Minute)
		w.want("b-tpyo", 3)
		w.want("b-web", 0)
		w.check()
	})
}

func TestDestinationOfAVersion(t *testing.T) {
	at := func(endpoint, backup string) config.Stream {
		s := config.Stream{Destination: config.Destination{S3: &config.S3{Endpoint: endpoint}}}
		if backup != "" {
			s.Backup.S3 = &config.S3{Endpoint: backup}
		}
		return s
	}
	m := meta{Current: 4, Versions: map[int]config.Stream{1: at("one", ""), 2: at("two", "backup-two"), 3: at("three", "backup-three"), 4: at("four", "")}}
	main, backup := record.RoleMain, record.RoleBackup
	for _, c := range []struct {
		place delivery.Place
		role  record.Role
		want  string
	}{
		{delivery.Place{Version: 1}, main, "four"}, {delivery.Place{Version: 1, Own: true}, main, "one"}, {delivery.Place{Version: 9, Own: true}, main, "four"},
		{delivery.Place{Version: 2}, backup, "backup-three"}, {delivery.Place{Version: 2, Own: true}, backup, "backup-two"},
		{delivery.Place{Version: 4, Own: true}, backup, "backup-three"},
	} {
		if got := m.objects(c.role, c.place).Endpoint; got != c.want {
			t.Errorf("%+v, %s: %s, want %s", c.place, c.role, got, c.want)
		}
	}
	if got := (&meta{Current: 1, Versions: m.Versions}).objects(backup, delivery.Place{Version: 1}).Endpoint; got != "one" {
		t.Errorf("no version knows a backup: %s", got)
	}
}

// TestDamagedJournalIsReported: everything is delivered all the same, and somebody is told.
func TestDamagedJournalIsReported(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(small("web"))
		for range 600 {
			w.mustPut("web", 3)
		}
		w.sleep(time.Minute)
		w.cut(true, 0)
		w.flip("web", 9)
		var told bytes.Buffer
		c, o := *w.cfg, w.options()
		o.Config, o.Logger = &c, slog.New(slog.NewTextHandler(&told, &slog.HandlerOptions{Level: slog.LevelError}))
		var err error
		if w.d, err = Open(o); err != nil {
			t.Fatal(err)
		}
		w.sleep(time.Minute)
		w.stop(time.Minute)
		w.check()
		if !strings.Contains(told.String(), "the journal was damaged on disk") {
			t.Error("nobody was told")
		}
	})
}

// flip damages one byte of the newest journal file of a stream's destination.
func (w *world) flip(stream string, at int64) {
	w.t.Helper()
	var newest string
	var gen uint64
	dir := w.folderOf(stream)
	for _, name := range []string{"main-a.journal", "main-b.journal"} {
		b, err := vfs.ReadFile(w.mem, filepath.Join(dir, name), 1<<30)
		if err != nil {
			w.t.Fatal(err)
		}
		if g := binary.LittleEndian.Uint64(b[8:]); g > gen {
			newest, gen = filepath.Join(dir, name), g
		}
	}
	f, err := w.mem.Open(newest)
	if err == nil {
		_, err = f.WriteAt([]byte{0xff}, at)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// folderOf is the folder of a stream that is alone with its name.
func (w *world) folderOf(stream string) string {
	w.t.Helper()
	names, err := w.mem.ReadDir(filepath.Join(dataDir, "streams"))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, n := range names {
		if strings.HasPrefix(n, stream+"~") {
			return filepath.Join(dataDir, "streams", strings.TrimSuffix(n, "/"))
		}
	}
	w.t.Fatalf("no folder of %s", stream)
	return ""
}
