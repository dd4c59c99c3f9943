package daemon

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hydrant/config"
	"hydrant/delivery/staging"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// openWith starts the daemon with other processors than those of the hook.
func (w *world) openWith(chain func(config.Stream) (staging.Chain, error), streams ...config.Stream) {
	w.t.Helper()
	if len(streams) > 0 {
		w.cfg.Streams = streams
	}
	c, o := *w.cfg, w.options()
	o.Config, o.Staged = &c, chain
	var err error
	if w.d, err = Open(o); err != nil {
		w.t.Fatalf("open: %v", err)
	}
}

// aroundHook is the hook's chain with something changed.
func (w *world) aroundHook(f func(*fakeChain) staging.Chain) func(config.Stream) (staging.Chain, error) {
	return func(s config.Stream) (staging.Chain, error) {
		c, err := w.hook.chain(s)
		return f(c.(*fakeChain)), err
	}
}

// TestStagedUnderAVersionOfTheSameRecords: a version that changes only how objects are written goes on with what processors remember, and
// needs no version before it.
func TestStagedUnderAVersionOfTheSameRecords(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := once(small("once"))
				w.open(s)
				for i := range 6 {
					w.mustPut("once", 5)
					w.sleep(time.Minute)
					if cut {
						w.cut(true, 0)
					} else {
						w.stop(time.Minute)
					}
					d := *s.Destination.S3
					d.Prefix = fmt.Sprintf("p%d/", i)
					s.Destination.S3 = &d
					w.open(s)
				}
				w.mustPut("once", 5)
				w.sleep(2 * time.Minute)
				if st := w.d.stream("once").status(); st.Readers[0].Staging != "" {
					t.Error(st.Readers[0].Staging)
				}
				w.check()
			})
		})
	}
}

// wordy answers with much more than it was asked.
type wordy struct {
	*fakeChain
	pad string
}

func (c wordy) Process(ctx context.Context, recs []record.Record, changing func()) ([]record.Product, error) {
	out, err := c.fakeChain.Process(ctx, recs, changing)
	for i := range out {
		for j := range out[i].Records {
			d := &out[i].Records[j]
			d.Data = append(bytes.TrimSpace(d.Data), c.pad...)
		}
	}
	return out, err
}

// TestAnswersThatAreLong: what is staged stays near max_backlog, however much a hook makes of few records.
func TestAnswersThatAreLong(t *testing.T) {
	inWorld(t, func(w *world) {
		s := once(small("once"))
		s.Buffer.MaxBacklog = 8 * config.MB
		w.store.set(weather{fail: 1})
		w.openWith(w.aroundHook(func(c *fakeChain) staging.Chain { return wordy{c, strings.Repeat("y", 1<<20) + "\n"} }), s)
		var wg sync.WaitGroup
		for i := range 60 { // all are accepted before the first is staged
			wg.Go(func() {
				p := record.NewPut()
				p.Add(fmt.Appendf(nil, "%d%s\n", i, strings.Repeat("x", 100_000)))
				if _, err := w.d.Append(t.Context(), "once", p); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		w.sleep(10 * time.Minute)
		if st := w.d.stream("once").status(); st.BacklogBytes > 30<<20 { // one call of the hook may go beyond it
			t.Errorf("%d bytes wait, max_backlog is 8 MB", st.BacklogBytes)
		}
		w.store.set(weather{})
		w.sleep(20 * time.Minute)
		n := 0
		for _, name := range w.store.list("b-once") {
			n += w.store.get(name).identity.Count
		}
		if n != 60 {
			t.Errorf("%d of 60 records are delivered", n)
		}
	})
}

// TestGuaranteeOfAStreamThatIsStagedFromNowOn: what is promised to it stays promised.
func TestGuaranteeOfAStreamThatIsStagedFromNowOn(t *testing.T) {
	inWorld(t, func(w *world) {
		s := small("once")
		s.Buffer.Guaranteed = config.MB
		w.open(s)
		w.mustPut("once", 5)
		w.sleep(time.Minute)
		w.stop(time.Minute)
		w.open(once(s))
		w.sleep(time.Minute)
		if n := w.d.env.guard.Promised(); n < int64(config.MB)-10_000 {
			t.Errorf("%d bytes are promised", n)
		}
	})
}

// damage makes the bytes at the end of what a log holds unreadable.
func (w *world) damage(dir string, n int) {
	w.t.Helper()
	names, err := w.mem.ReadDir(dir)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".seg") {
			continue
		}
		f, err := w.mem.Open(dir + "/" + name)
		if err != nil {
			w.t.Fatal(err)
		}
		size, _ := f.Size()
		b := make([]byte, size)
		_, _ = f.ReadAt(b, 0)
		at := bytes.LastIndex(b, []byte(`"pad"`))
		for i := at - n; i < at+n; i++ {
			b[i] = 'Z'
		}
		if _, err := f.WriteAt(b, 0); err != nil {
			w.t.Fatal(err)
		}
		_ = f.Close()
	}
}

// TestDamagedEndOfTheFirstLog: records that cannot be read hold nothing up: neither the drain nor the end of the log.
func TestDamagedEndOfTheFirstLog(t *testing.T) {
	inWorld(t, func(w *world) {
		w.hook.hangs = true
		w.open(once(small("once")))
		w.mustPut("once", 1)
		w.stop(time.Second)
		w.hook.hangs = false
		w.damage(w.streamFolder("once")+"/log", 10)
		w.open()
		w.sleep(time.Minute)
		s := w.d.stream("once")
		if upto, _ := s.stage.runner.Upto(); s.log.Has(upto) {
			t.Errorf("the damaged end waits for ever, from %d on", upto)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.drain(ctx); err != nil {
			t.Error(err)
		}
	})
}

// TestBackupThatWasTurnedOffIsNoBurden: once it has delivered what it had closed, it holds back nothing of the first log.
func TestBackupThatWasTurnedOffIsNoBurden(t *testing.T) {
	inWorld(t, func(w *world) {
		s := once(small("once-all"))
		plain := s
		s.Backup = config.Backup{Mode: config.BackupAll, S3: &config.S3{Bucket: "b-backup"}, Buffer: config.Buffer{Size: 700, Interval: config.Duration(5 * time.Second)}}
		s.Normalize()
		w.store.setBucket("b-backup", weather{fail: 1})
		w.open(s)
		w.mustPut("once-all", 20)
		w.sleep(time.Minute)
		w.stop(time.Second)
		w.store.setBucket("b-backup", weather{})
		w.open(plain)
		w.sleep(time.Minute)
		for range 20 {
			w.mustPut("once-all", 20)
			w.sleep(time.Minute)
		}
		if n := w.d.stream("once-all").log.Backlog(); n > 0 {
			t.Errorf("%d bytes wait in the first log", n)
		}
	})
}

// partsOf is a chain that makes parts of a record, each with a delta as dedupe has.
type partsOf struct {
	*fakeChain
	n, delta int
}

func (c partsOf) Process(_ context.Context, recs []record.Record, changing func()) ([]record.Product, error) {
	changing()
	out := make([]record.Product, len(recs))
	for i, r := range recs {
		var delta strings.Builder
		for j := range c.n {
			out[i].Records = append(out[i].Records, record.Derived{Data: r.Data, Raw: r.Data, ArrivalMillis: r.ArrivalMillis})
			fmt.Fprintf(&delta, "%d.%d%0*d\x00", r.Pos, j, c.delta, 0)
		}
		out[i].Delta = []byte(delta.String())
		if err := c.Apply(out[i].Delta); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// TestRecordThatChangesMuchOfTheState: a record of very many parts changes more of what processors remember than a note may hold; it is
// staged all the same, and remembered by the next life.
func TestRecordThatChangesMuchOfTheState(t *testing.T) {
	inWorld(t, func(w *world) {
		chain := w.aroundHook(func(c *fakeChain) staging.Chain { return partsOf{c, 20_000, 20} })
		w.openWith(chain, once(small("once")))
		p := record.NewPut()
		p.Add([]byte("{}\n"))
		if _, err := w.d.Append(t.Context(), "once", p); err != nil {
			t.Fatal(err)
		}
		w.sleep(5 * time.Second)
		w.cut(true, 0)
		w.openWith(chain)
		w.sleep(time.Minute)
		n, all := 0, w.store.list("b-once")
		for _, name := range all {
			n += w.store.get(name).identity.Count
		}
		st := w.d.stream("once").status()
		if n != 20_000 || st.Readers[0].Staging != "" {
			t.Errorf("%d parts in %d objects; %s", n, len(all), st.Readers[0].Staging)
		}
	})
}

// TestLargeRecordIsStaged: what the first log can hold, the second one can; nothing stands behind a record that waits for ever.
func TestLargeRecordIsStaged(t *testing.T) {
	for _, n := range []int{5 << 20, record.MaxPutBytes} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.openWith(func(config.Stream) (staging.Chain, error) { return through{}, nil }, once(small("once")))
				p := record.NewPut()
				p.Add(bytes.Repeat([]byte("x"), n))
				if _, err := w.d.Append(t.Context(), "once", p); err != nil {
					t.Skip(err)
				}
				w.sleep(time.Minute)
				all := w.store.list("b-once")
				if len(all) != 1 || strings.Contains(all[0], "failed") != (n == record.MaxPutBytes) { // that leaves no room for an envelope
					t.Errorf("%v; %s", all, w.d.stream("once").status().Readers[0].Staging)
				}
			})
		})
	}
}

// through lets every record through.
type through struct{}

func (through) Process(_ context.Context, recs []record.Record, _ func()) ([]record.Product, error) {
	out := make([]record.Product, len(recs))
	for i, r := range recs {
		out[i].Records = []record.Derived{{Data: r.Data, Raw: r.Data, ArrivalMillis: r.ArrivalMillis}}
	}
	return out, nil
}
func (through) Tick(int64) *record.Product     { return nil }
func (through) Next() int64                    { return 0 }
func (through) Gather() (int64, time.Duration) { return 0, 0 }
func (through) Apply([]byte) error             { return nil }
func (through) Snapshot() []byte               { return nil }
func (through) Restore([]byte) error           { return nil }
func (through) Close() error                   { return nil }

// slowToRemember takes its time for each delta.
type slowToRemember struct{ *fakeChain }

func (c slowToRemember) Apply(delta []byte) error {
	time.Sleep(time.Minute)
	return c.fakeChain.Apply(delta)
}

func (c slowToRemember) Restore(b []byte) error { return c.fakeChain.Restore(b) }

// TestStateIsNotSavedHalfRemembered: while processors learn from the log what they did, deliveries that are done must not make durable
// what they know by then as if it were all.
func TestStateIsNotSavedHalfRemembered(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{fail: 1})
		w.open(once(small("once")))
		for range 6 {
			w.mustPut("once", 5)
			w.sleep(10 * time.Second)
		}
		w.cut(true, 0)
		w.store.set(weather{})
		w.openWith(w.aroundHook(func(c *fakeChain) staging.Chain { return slowToRemember{c} }))
		w.sleep(90 * time.Second) // everything is delivered, the processors know a part
		s := w.d.stream("once")
		s.stage.advance(true)
		w.cut(true, 0)
		made := make(chan *fakeChain, 100)
		w.openWith(w.aroundHook(func(c *fakeChain) staging.Chain { made <- c; return c }))
		w.sleep(time.Minute)
		synctest.Wait()
		if n := len((<-made).seen); n != 30 {
			t.Errorf("the processors know %d of 30 records", n)
		}
		w.check()
	})
}

// TestShutdownWhileAHookHangs: the drain takes no longer than it may, and nothing is lost.
func TestShutdownWhileAHookHangs(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(once(small("once")))
		w.hook.hangs = true
		w.mustPut("once", 20)
		w.sleep(10 * time.Second)
		began := time.Now()
		_ = w.tryStop(30 * time.Second)
		if d := time.Since(began); d > 31*time.Second {
			t.Errorf("it took %v", d)
		}
		w.hook.hangs = false
		w.open()
		w.sleep(time.Minute)
		w.check()
	})
}

// TestStagedStreamIsDeletedAndMadeAgain: what waits is delivered, and the new stream remembers nothing of the old one.
func TestStagedStreamIsDeletedAndMadeAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(small("other"))
		for range 4 {
			s := once(small("once"))
			if _, err := w.d.Create(t.Context(), &s); err != nil {
				t.Fatal(err)
			}
			w.mustPut("once", 20)
			w.sleep(time.Duration(w.rng.Intn(4000)) * time.Millisecond)
			if err := w.d.Delete(t.Context(), "once", false); err != nil {
				t.Fatal(err)
			}
			w.sleep(time.Second)
			w.cut(true, 0)
			w.open()
			w.sleep(2 * time.Minute)
			if w.d.stream("once") != nil {
				t.Fatal("still there")
			}
		}
		w.check()
	})
}

// TestStagedCrashes: lives that end at every few writes, between which processors, partitions, prefixes and a backup come and go.
func TestStagedCrashes(t *testing.T) {
	for n := 1; n < 300 && !t.Failed(); n += 7 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, int64(n))
			w.store.set(weather{storedError: 0.2, fail: 0.2})
			for life := range 6 {
				w.mem.CrashAt(w.mem.Ops() + n + life*5)
				w.cfg.Streams = []config.Stream{changing(n+life, w.rng.Intn(3))}
				if w.tryOpen() == nil {
					for range 3 {
						_ = w.put("once-parts-all", 8)
						w.sleep(time.Duration(w.rng.Intn(13000)) * time.Millisecond)
					}
				}
				w.cut((n+life)%2 == 0, 0.5)
			}
			w.store.set(weather{})
			w.open(changing(0, 0))
			w.mustPut("once-parts-all", 8)
			w.sleep(10 * time.Minute)
			w.stop(time.Minute)
			w.check()
			if t.Failed() {
				fmt.Println("crash at write", n)
			}
		})
	}
}

// changing is a stream with a backup that is another one in each life.
func changing(mode, prefix int) config.Stream {
	s := partitioned("once-parts-all", 3)
	if mode&2 == 0 {
		s = small("once-parts-all")
		s.Processors = []config.Processor{{Deaggregate: &config.Deaggregate{Type: "json"}}}
	}
	if mode%3 < 2 {
		s = once(s)
	}
	d := *s.Destination.S3
	d.Prefix = fmt.Sprintf("p%d/", prefix) + d.Prefix
	s.Destination.S3 = &d
	s.Backup = config.Backup{Mode: config.BackupAll, S3: &config.S3{Bucket: "b-backup"}, Buffer: config.Buffer{Size: 700, Interval: config.Duration(30 * time.Second)}}
	s.Normalize()
	return s
}

// TestManyStagedStreams: a hundred of them, and lives that end anywhere.
func TestManyStagedStreams(t *testing.T) {
	inWorld(t, func(w *world) {
		var all []config.Stream
		for i := range 100 {
			all = append(all, once(small(fmt.Sprintf("once%d", i))))
		}
		w.open(all...)
		for range 4 {
			var wg sync.WaitGroup
			for _, s := range all {
				wg.Go(func() { w.mustPut(s.Name, 3) })
			}
			wg.Wait()
			w.sleep(time.Duration(w.rng.Intn(8000)) * time.Millisecond)
			w.cut(w.rng.Intn(2) == 0, 0.5)
			w.open()
		}
		w.sleep(2 * time.Minute)
		w.check()
	})
}

// TestFullDiskWhileStaging: while nothing can be written to the second log, nothing is lost, nor written about once for each put.
func TestFullDiskWhileStaging(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(once(small("once")))
		w.mustPut("once", 5)
		w.sleep(time.Minute)
		tries := 0
		var mu sync.Mutex
		w.mem.SetHook(func(op vfs.Op) error {
			if strings.Contains(op.Name, "/staged/log/") && op.Kind == vfs.OpWrite {
				mu.Lock()
				defer mu.Unlock()
				tries++
				return syscall.ENOSPC
			}
			return nil
		})
		for range 600 {
			w.mustPut("once", 1)
			w.sleep(100 * time.Millisecond)
		}
		if tries > 60 {
			t.Errorf("%d attempts in a minute", tries)
		}
		w.mem.SetHook(nil)
		w.sleep(2 * time.Minute)
		w.check()
	})
}
