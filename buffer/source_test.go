package buffer

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"hydrant/buffer/wal"
	"hydrant/internal/vfs"
	"hydrant/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a log with what went into it.
type bench struct {
	t    *testing.T
	mem  *vfs.Mem
	log  *wal.Log
	pool *wal.Pool
	now  time.Time // the wall clock of the log
}

func newBench(t *testing.T) *bench {
	b := &bench{t: t, mem: vfs.NewMem(), now: time.Now()}
	for _, d := range []string{"/log", "/pool"} {
		must(t, b.mem.Mkdir(d))
	}
	b.open()
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) open() {
	b.t.Helper()
	guard := wal.NewGuard(b.mem, "/", 0)
	var err error
	b.pool, err = wal.OpenPool(b.mem, "/pool", guard, 1, nil)
	must(b.t, err)
	b.log, err = wal.Open(wal.Options{FS: b.mem, Dir: "/log", ID: wal.LogID{1}, Pool: b.pool, Share: guard.NewShare(0, 0),
		Now: func() time.Time { return b.now }, SyncLinger: time.Nanosecond})
	must(b.t, err)
}

func (b *bench) close() {
	b.t.Helper()
	must(b.t, b.log.Close())
	b.pool.Close()
}

// put appends records of the given sizes.
func (b *bench) put(sizes ...int) {
	b.t.Helper()
	p := record.NewPut()
	defer p.Release()
	for _, n := range sizes {
		p.Add(make([]byte, n))
	}
	_, err := b.log.Append(context.Background(), p)
	must(b.t, err)
}

// read gives size and arrival of every record in the log.
type entry struct {
	id      record.ID
	size    int
	arrival int64
}

func (b *bench) read() (all []entry) {
	b.t.Helper()
	s := NewSource(b.log, nil)
	must(b.t, s.Read(context.Background(), 0, 1<<60, func(r record.Record) error {
		all = append(all, entry{r.ID, len(r.Data), r.ArrivalMillis})
		return nil
	}))
	return all
}

// reference says where batches end: before the first record that came an interval after the first one, or with the record that
// reaches the size. The last batch may be open.
func reference(all []entry, lim Limits) (batches []record.Batch) {
	var b record.Batch
	for _, e := range all {
		if b.Count > 0 && e.arrival >= b.ArrivalMillis+lim.Interval.Milliseconds() {
			b.Reason = record.CloseInterval
			batches = append(batches, b)
			b = record.Batch{}
		}
		if b.Count == 0 {
			b.First, b.ArrivalMillis = e.id, e.arrival
		}
		b.Last = e.id
		b.Count++
		b.Bytes += int64(e.size)
		if b.Bytes >= lim.Size {
			b.Reason = record.CloseSize
			batches = append(batches, b)
			b = record.Batch{}
		}
	}
	if b.Count > 0 {
		b.Reason = record.CloseFlush
		batches = append(batches, b)
	}
	return batches
}

var flushed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// batches reads all batches from a position on; fresh says how often to begin with a new source.
func batches(t *testing.T, log *wal.Log, lim Limits, fresh func() bool) (all []record.Batch) {
	t.Helper()
	limits := func() Limits { return lim }
	s := NewSource(log, limits)
	from := record.Position(0)
	for {
		if fresh() {
			s.Reset()
			s = NewSource(log, limits)
		}
		b, err := s.Next(context.Background(), from, flushed)
		if errors.Is(err, ErrIdle) {
			s.Reset()
			return all
		}
		must(t, err)
		if b.EndOffset < b.StartOffset {
			t.Errorf("batch %d..%d goes from offset %d to %d", b.First.Pos, b.Last.Pos, b.StartOffset, b.EndOffset)
		}
		b.StartOffset, b.EndOffset = 0, 0
		all = append(all, b)
		from = b.Last.Pos + 1
	}
}

func same(t *testing.T, what string, got, want []record.Batch) {
	t.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got) || i >= len(want):
			t.Fatalf("%s: %d batches, want %d", what, len(got), len(want))
		case got[i] != want[i]:
			t.Fatalf("%s: batch %d is\n%+v, want\n%+v", what, i, got[i], want[i])
		}
	}
}

// TestBatchesAreAFunctionOfTheLog: in one go, in pieces, after restarts: they end at the same records.
func TestBatchesAreAFunctionOfTheLog(t *testing.T) {
	for seed := range int64(150) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewSource(seed))
			b := newBench(t)
			lim := Limits{Size: 1 + rng.Int63n(2000), Interval: time.Duration(1+rng.Intn(20)) * time.Second}
			for range 1 + rng.Intn(80) {
				sizes := make([]int, 1+rng.Intn(12))
				for i := range sizes {
					sizes[i] = rng.Intn(400)
				}
				b.put(sizes...)
				b.now = b.now.Add(time.Duration(rng.Int63n(int64(4 * time.Second))))
				if rng.Intn(15) == 0 { // another epoch, and a clock that goes back
					b.now = b.now.Add(-time.Duration(rng.Int63n(int64(time.Hour))))
					b.close()
					b.open()
				}
			}
			want := reference(b.read(), lim)
			same(t, "in one go", batches(t, b.log, lim, func() bool { return false }), want)
			same(t, "in pieces", batches(t, b.log, lim, func() bool { return true }), want)
			same(t, "now and then anew", batches(t, b.log, lim, func() bool { return rng.Intn(3) == 0 }), want)
			b.close()
			b.open()
			same(t, "after a restart", batches(t, b.log, lim, func() bool { return false }), want)
			for _, batch := range want {
				if over := batch.Bytes - lim.Size; over >= 400 {
					t.Errorf("a batch is %d bytes over its size: more than one record", over)
				}
			}
			b.close()
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// TestBatchesWhileTheLogGrows: what a running source closes by size or by the log's own times does not depend on when it looks.
func TestBatchesWhileTheLogGrows(t *testing.T) {
	for seed := range int64(40) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewSource(seed))
			b := newBench(t)
			lim := Limits{Size: 1500, Interval: 8 * time.Second}
			stop := make(chan struct{})
			done := make(chan []record.Batch)
			go func() {
				s := NewSource(b.log, func() Limits { return lim })
				defer s.Reset()
				var got []record.Batch
				for from := record.Position(0); ; {
					batch, err := s.Next(context.Background(), from, stop)
					if errors.Is(err, ErrIdle) {
						select {
						case <-stop:
							done <- got
							return
						default:
						}
						if err := b.log.Wait(context.Background(), from, time.Hour, stop); err != nil {
							t.Error(err)
						}
						continue
					}
					if err != nil {
						t.Error(err)
						done <- got
						return
					}
					batch.StartOffset, batch.EndOffset = 0, 0
					got = append(got, batch)
					from = batch.Last.Pos + 1
				}
			}()
			for range 60 {
				b.now = time.Now()
				b.put(rng.Intn(300), rng.Intn(300))
				time.Sleep(time.Duration(rng.Int63n(int64(3 * time.Second))))
			}
			synctest.Wait()
			close(stop)
			same(t, "as it grew", clockless(<-done), clockless(reference(b.read(), lim)))
			b.close()
		})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// clockless leaves the last batch out: the clock may have decided there.
func clockless(b []record.Batch) []record.Batch {
	if len(b) > 0 {
		return b[:len(b)-1]
	}
	return b
}

func TestIntervalAtTheEndOfTheLog(t *testing.T) {
	tests := []struct {
		name           string
		interval, back time.Duration // by how much the clock differs from the arrival
		want           time.Duration
	}{
		{"all of it", 10 * time.Second, 0, 10 * time.Second},
		{"what is left", 10 * time.Second, 4 * time.Second, 6 * time.Second},
		{"over long since", 10 * time.Second, 2 * time.Hour, 0},
		{"the clock went back an hour", 10 * time.Second, -time.Hour, 10 * time.Second},
		{"zero means a moment", 0, 0, minInterval},
		{"the longest", 900 * time.Second, 100 * time.Second, 800 * time.Second},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				b.now = time.Now().Add(-c.back)
				b.put(10)
				s := NewSource(b.log, func() Limits { return Limits{Size: 1000, Interval: c.interval} })
				began := time.Now()
				batch, err := s.Next(context.Background(), 0, nil)
				must(t, err)
				if took := time.Since(began); took < c.want || took > c.want+2*settle || batch.Reason != record.CloseInterval || batch.Count != 1 {
					t.Errorf("closed after %v, want %v: %+v", took, c.want, batch)
				}
				s.Reset()
				b.close()
			})
		})
	}
}

func TestFlushClosesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(10, 20)
		flush := make(chan struct{})
		s := NewSource(b.log, func() Limits { return Limits{Size: 1000, Interval: time.Hour} })
		go func() {
			time.Sleep(time.Minute)
			close(flush)
		}()
		began := time.Now()
		batch, err := s.Next(context.Background(), 0, flush)
		must(t, err)
		if batch.Reason != record.CloseFlush || batch.Count != 2 || time.Since(began) != time.Minute {
			t.Errorf("after %v: %+v", time.Since(began), batch)
		}
		if _, err := s.Next(context.Background(), 3, flush); !errors.Is(err, ErrIdle) || s.Waits(3) || s.OldestMillis() != 0 {
			t.Errorf("an empty log gives %v", err)
		}
		b.close()
	})
}

func TestEndOfTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.put(10)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s := NewSource(b.log, func() Limits { return Limits{Size: 1000, Interval: time.Hour} })
		if _, err := s.Next(ctx, 0, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if s.OldestMillis() == 0 || !s.Waits(1) {
			t.Error("the open record does not wait")
		}
		s.Reset()
		if err := s.Read(ctx, 1, 1<<60, func(record.Record) error { return nil }); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		b.close()
	})
}

// TestReaderLetsGo: a source that stands at the log's end or was reset holds no segment back from trimming.
func TestReaderLetsGo(t *testing.T) {
	b := newBench(t)
	lim := Limits{Size: 100_000, Interval: time.Hour}
	s := NewSource(b.log, func() Limits { return lim })
	for i := range 40 {
		for range 40 {
			b.put(3000)
		}
		must(t, s.Read(context.Background(), 1, record.Position(40*(i+1)), func(record.Record) error { return nil }))
	}
	before := b.log.DiskBytes()
	from := record.Position(0)
	var last record.Batch
	for {
		batch, err := s.Next(context.Background(), from, flushed)
		if errors.Is(err, ErrIdle) {
			break
		}
		must(t, err)
		last, from = batch, batch.Last.Pos+1
	}
	must(t, b.log.Trim(last.Last.Pos+1, last.EndOffset))
	must(t, b.log.Shrink())
	if after := b.log.DiskBytes(); after > 64<<10 || b.log.Backlog() != 0 {
		t.Errorf("the log takes %d bytes after everything was delivered (%d before), backlog %d", after, before, b.log.Backlog())
	}
	b.close()
}

func TestReadVisitsExactlyTheRange(t *testing.T) {
	b := newBench(t)
	defer b.close()
	for range 10 {
		b.put(1, 2, 3)
	}
	s := NewSource(b.log, nil)
	for _, r := range [][2]record.Position{{1, 30}, {2, 2}, {3, 4}, {29, 99}, {31, 40}, {5, 4}} {
		var got []record.Position
		must(t, s.Read(context.Background(), r[0], r[1], func(r record.Record) error {
			got = append(got, r.Pos)
			return nil
		}))
		var want []record.Position
		for p := r[0]; p <= min(r[1], 30); p++ {
			want = append(want, p)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%v: visited %v", r, got)
		}
	}
	stop := errors.New("enough")
	if err := s.Read(context.Background(), 1, 30, func(record.Record) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("the visitor's error came back as %v", err)
	}
}
