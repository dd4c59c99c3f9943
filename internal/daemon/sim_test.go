package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"hydrant/config"
	"hydrant/internal/vfs"
	"hydrant/record"
)

var (
	simRuns = flag.Int("sim.runs", 80, "random schedules of TestSimulation")
	simSeed = flag.Int64("sim.seed", 0, "run this schedule alone; 0: as many as sim.runs says, from a random one on")
)

// TestSimulation runs the whole daemon through random schedules of puts, creations, deletions, edits of the configuration,
// failing stores, failing disks, kills, power cuts and time, then lets everything drain and counts.
func TestSimulation(t *testing.T) {
	first, runs := *simSeed, 1
	if first == 0 {
		first, runs = rand.Int63n(1<<40), *simRuns
	}
	for i := range runs {
		seed := first + int64(i)
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newSimulation(t, seed).run() })
		})
		if !ok {
			t.Fatalf("run it again with -sim.seed=%d", seed)
		}
	}
}

// simulation is a world with a director.
type simulation struct {
	*world
	api      map[string]bool // acknowledged by Create and not deleted
	maybe    map[string]bool // Create or Delete failed, or was cut short: may be there
	deleted  map[string]bool // Delete was acknowledged
	names    int
	yaml     []config.Stream
	disk     float64 // chance of a disk operation to fail
	diskSeed *rand.Rand
	diskMu   sync.Mutex
}

func newSimulation(t *testing.T, seed int64) *simulation {
	s := &simulation{world: newWorld(t, seed), api: map[string]bool{}, maybe: map[string]bool{}, deleted: map[string]bool{}}
	s.diskSeed = rand.New(rand.NewSource(seed + 1))
	all := small("web-all")
	all.Backup = config.Backup{Mode: config.BackupAll, S3: &config.S3{Bucket: "b-backup"}, Buffer: config.Buffer{Size: 700, Interval: config.Duration(30 * time.Second)}}
	all.Normalize()
	gz := small("zipped")
	gz.Compression = config.CompressionGzip
	bad := small("web-bad")
	bad.Format = config.FormatJSONArray
	bad.Destination.S3.ErrorPrefix = "errors/!{firehose:error-output-type}/"
	s.yaml = []config.Stream{all, partitioned("parts-agg", 3), bad, learning("pq-bad"), parquetParts("pq-parts"), searched("req-find"), posted("req-post"), loading("load"), gz, once(small("once")), once(searched("req-once"))}
	s.dest.moody, s.dest.busy, s.dest.most = 0.05, 0.1, []int{0, 5}[s.rng.Intn(2)]
	s.store.unreadable = seed%5 == 0
	if seed%3 == 0 {
		s.store.rejects = func(o *record.Object) bool {
			return o.Identity.Role == record.RoleMain && o.Identity.First.Pos%5 == 2
		}
	}
	return s
}

func (s *simulation) run() {
	s.start()
	for range 8 + s.rng.Intn(25) {
		s.step()
		if s.t.Failed() {
			break
		}
	}
	s.finish()
}

// start opens the daemon, however often that takes.
func (s *simulation) start() {
	s.cfg.Streams = s.yaml
	for attempt := 1; ; attempt++ {
		if s.rng.Intn(4) == 0 && attempt < 4 {
			s.mem.CrashAt(s.mem.Ops() + 1 + s.rng.Intn(60))
		}
		err := s.tryOpen()
		if err == nil {
			break
		}
		if !s.mem.Crashed() && s.disk == 0 {
			s.t.Fatalf("open: %v", err)
		}
		if attempt > 20 {
			s.disk = 0
		}
		s.lights()
	}
	for name := range s.api {
		if s.d.stream(name) == nil && !s.mem.Crashed() {
			s.t.Errorf("stream %s was acknowledged and is gone", name)
		}
	}
}

// lights turns the machine off and leaves a disk for the next start.
func (s *simulation) lights() {
	s.cut(s.rng.Intn(3) == 0, []float64{0, 0.3, 0.7, 1}[s.rng.Intn(4)])
	s.faultyDisk()
}

func (s *simulation) faultyDisk() {
	if s.disk == 0 {
		s.mem.SetHook(nil)
		return
	}
	chance := s.disk
	s.mem.SetHook(func(op vfs.Op) error {
		s.diskMu.Lock()
		defer s.diskMu.Unlock()
		if op.Kind > vfs.OpRename || s.diskSeed.Float64() >= chance {
			return nil
		}
		if op.Kind == vfs.OpWrite && s.diskSeed.Intn(2) == 0 {
			return vfs.ErrShort{N: s.diskSeed.Intn(op.N + 1), Err: syscall.ENOSPC}
		}
		return io.ErrUnexpectedEOF
	})
}

func (s *simulation) step() {
	switch n := s.rng.Intn(100); {
	case n < 45:
		s.burst()
	case n < 62:
		s.sleep(time.Duration(s.rng.Int63n(int64(20 * time.Second))))
	case n < 64:
		s.sleep(2 * time.Hour)
	case n < 74:
		s.store.set(s.randomWeather())
		s.dest.set(s.randomWeather())
	case n < 79:
		s.create()
	case n < 82:
		s.delete()
	case n < 85 && !s.store.unreadable: // else it could not be noted that an attempt ended
		s.disk = []float64{0, 0, 0.02, 0.2}[s.rng.Intn(4)]
		s.faultyDisk()
	case n < 92:
		s.mem.CrashAt(s.mem.Ops() + 1 + s.rng.Intn(40))
	case n < 96:
		s.lights()
	default:
		s.restart()
	}
	if s.d == nil || s.mem.Crashed() {
		s.lights()
		s.edit()
		s.start()
	}
}

func (s *simulation) randomWeather() weather {
	if s.store.unreadable { // then no attempt may outlive the process: what it did could not be found out
		return weather{fail: []float64{0, 0.4, 1}[s.rng.Intn(3)], storedError: 0.4}
	}
	switch s.rng.Intn(5) {
	case 0:
		return weather{fail: 1}
	case 1:
		return weather{hang: 1}
	case 2:
		return weather{fail: 0.3, hang: 0.05, storedError: 0.3, storedLate: 0.05, headFail: 0.3, latency: 5 * time.Second}
	case 3:
		return weather{storedError: 0.9}
	}
	return weather{latency: time.Second}
}

// burst lets several producers put at once, each one put after the other.
func (s *simulation) burst() {
	var wg sync.WaitGroup
	for _, st := range s.d.all() {
		if s.rng.Intn(2) == 0 {
			continue
		}
		for range 1 + s.rng.Intn(2) {
			puts, n := 1+s.rng.Intn(4), 1+s.rng.Intn(6)
			if st.name == "req-find" || st.name == "req-once" || st.name == "load" {
				i, again := s.rng.Intn(1000), s.rng.Intn(3)
				wg.Go(func() {
					_ = s.putKeyed(st.name, n)
					for range again {
						s.sendAgain(i)
					}
				})
				continue
			}
			wg.Go(func() {
				for range puts {
					_ = s.put(st.name, n)
				}
			})
		}
	}
	wg.Wait()
}

func (s *simulation) create() {
	s.names++
	name := fmt.Sprintf("api-%d", s.names)
	if s.rng.Intn(3) == 0 {
		name = "api-same" // made again and again under its name
	}
	spec := small(name)
	spec.Destination.S3.Bucket = "b-api"
	spec.Format = config.FormatRaw
	_, err := s.d.Create(context.Background(), &spec)
	var taken *config.APIError
	switch {
	case err == nil:
		s.api[name] = true
		delete(s.maybe, name)
		delete(s.deleted, name)
	case !errors.As(err, &taken):
		s.maybe[name] = true // it may be there after a crash
		delete(s.deleted, name)
	}
}

func (s *simulation) delete() {
	for _, st := range s.d.all() {
		if st.snapshot().Owner != ownerAPI {
			continue
		}
		s.maybe[st.name] = true
		delete(s.api, st.name)
		if err := s.d.Delete(context.Background(), st.name, false); err == nil {
			s.deleted[st.name] = true
		}
		return
	}
}

// restart ends the daemon in order, perhaps too early for what waits.
func (s *simulation) restart() {
	_ = s.tryStop(time.Duration(s.rng.Int63n(int64(40 * time.Second))))
	s.edit()
	s.start()
}

// edit changes the configuration while the daemon is down: another prefix, a stream that leaves or comes back.
func (s *simulation) edit() {
	switch s.rng.Intn(9) {
	case 2, 3:
		s.yaml[1] = partitioned("parts-agg", 1+s.rng.Intn(4))
	case 4: // no partitions any more
		s.yaml[1] = small("parts-agg")
		s.yaml[1].Processors = []config.Processor{{Deaggregate: &config.Deaggregate{Type: "json"}}}
	case 0:
		d := *s.yaml[0].Destination.S3
		d.Prefix = fmt.Sprintf("p%d/", s.rng.Intn(3))
		s.yaml[0].Destination.S3 = &d
	case 1:
		if len(s.yaml) > 8 {
			s.yaml = s.yaml[:8]
		} else {
			gz := small("zipped")
			s.yaml = append(s.yaml, gz)
		}
	}
}

// finish mends everything, waits until all is delivered, and counts.
func (s *simulation) finish() {
	s.disk = 0
	s.store.set(weather{})
	s.dest.set(weather{})
	s.mem.SetHook(nil)
	if s.d == nil || s.mem.Crashed() {
		s.lights()
		s.start()
	}
	s.mem.CrashAt(0)
	if s.mem.Crashed() {
		s.lights()
		s.rng = rand.New(rand.NewSource(1)) // a start without a crash
		s.startQuietly()
	}
	s.sleep(10 * time.Minute)
	for name := range s.deleted {
		if s.d.stream(name) != nil {
			s.t.Errorf("deleted stream %s was not removed", name)
		}
	}
	s.stop(time.Hour)
	s.check()
	s.startQuietly() // finds what was refused and is in the log all the same
	s.stop(time.Hour)
	s.check()
	s.startQuietly()
	s.sleep(time.Minute) // processors that wait for time may stage something at a start
	for _, st := range s.d.Statuses() {
		for _, r := range st.Readers {
			if r.BacklogRecords != 0 {
				s.t.Errorf("%s has a backlog of %d records after everything was delivered", st.Name, r.BacklogRecords)
			}
		}
	}
	s.sleep(time.Minute)
	s.stop(time.Hour)
	s.check()
}

func (s *simulation) startQuietly() {
	s.cfg.Streams = s.yaml
	s.open()
}

// TestCrashAtEveryWrite cuts a fixed story at each of its writes, in four ways.
func TestCrashAtEveryWrite(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 7
	}
	for mode, keep := range []float64{-1, 0, 0.5, 1} {
		for n := 1; ; n += step {
			done := false
			synctest.Test(t, func(t *testing.T) { done = storyUntil(t, n, mode, keep) })
			if done || t.Failed() {
				break
			}
		}
	}
}

// storyUntil returns true when the story ended before write n.
func storyUntil(t *testing.T, n, mode int, keep float64) (ended bool) {
	w := newWorld(t, int64(n*10+mode))
	w.store.set(weather{storedError: 0.5})
	made, tried, deleted := false, false, false
	w.mem.CrashAt(n)
	w.cfg.Streams = []config.Stream{small("yaml")}
	if w.tryOpen() == nil {
		_ = w.put("yaml", 3)
		spec := small("api")
		if _, err := w.d.Create(context.Background(), &spec); err == nil {
			made = true
		}
		_ = w.put("api", 9)
		w.sleep(12 * time.Second)
		_ = w.put("yaml", 2)
		tried = made
		deleted = made && w.d.Delete(context.Background(), "api", false) == nil
		w.sleep(12 * time.Second)
		_ = w.put("yaml", 12)
	}
	if ended = !w.mem.Crashed(); ended {
		_ = w.tryStop(time.Minute)
		ended = !w.mem.Crashed()
	}
	w.cut(mode == 0, max(0, keep))
	w.open()
	if made && !tried && w.d.stream("api") == nil {
		t.Errorf("mode %d, crash at write %d: an acknowledged stream is gone", mode, n)
	}
	w.mustPut("yaml", 1)
	w.sleep(time.Minute)
	if deleted && w.d.stream("api") != nil {
		t.Error("a deleted stream is still there")
	}
	w.stop(time.Minute)
	if w.check(); t.Failed() {
		t.Errorf("mode %d, crash at write %d", mode, n)
	}
	return ended
}
