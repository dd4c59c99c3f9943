package wal

import (
	"errors"
	"flag"
	"fmt"
	"math/rand"
	"sync"
	"syscall"
	"testing"
	"time"

	"hydrant/internal/vfs"
)

var (
	crashSchedules = flag.Int("wal.schedules", 2, "random schedules of the crash model; each is cut at every write, but every second one, with large records, at every fifth")
	crashSeed      = flag.Int64("wal.seed", 0, "seed of the first schedule; 0 for one from the clock")
)

func firstSeed(t *testing.T) int64 {
	seed := *crashSeed
	if seed == 0 {
		seed = time.Now().UnixNano() % 1_000_000
	}
	t.Logf("first seed %d (repeat with -wal.seed)", seed)
	return seed
}

// world is one machine with a log that a schedule drives.
type world struct {
	h     *history
	mem   *vfs.Mem
	clock *modelClock
	rng   *rand.Rand
	large bool
	r     *rig
}

func newWorld(seed int64, large bool) *world {
	rng := rand.New(rand.NewSource(seed))
	return &world{h: newHistory(), mem: vfs.NewMem(), clock: &modelClock{now: time.Unix(1_700_000_000, 0)}, rng: rng, large: large}
}

func (w *world) open() (err error) {
	w.r, err = w.h.open(w.mem, w.clock, w.sizes()...)
	return err
}

func (w *world) sizes() []func(*Options) {
	if w.large {
		return []func(*Options){func(o *Options) { o.Pool.size = 8 << 20 }}
	}
	return []func(*Options){smallSegments}
}

// leave drops the rig of a machine that is gone.
func (w *world) leave() error {
	if w.r == nil {
		return nil
	}
	err := w.r.log.Close()
	w.r.pool.Close()
	w.r = nil
	return err
}

// run drives the log through steps, until the machine has crashed. Errors are of the model, not of the disk.
func (w *world) run(steps int) error {
	for range steps {
		if w.mem.Crashed() {
			return nil
		}
		if err := w.step(); err != nil && !w.mem.Crashed() {
			return err
		}
	}
	return nil
}

func (w *world) step() error {
	w.clock.add(time.Duration(w.rng.Intn(2000)-300) * time.Millisecond) // sometimes back
	switch k := w.rng.Intn(20); {
	case k < 11:
		_, err := w.h.send(w.r.log, w.rng, w.large)
		return err
	case k < 15:
		return w.sendMany()
	case k < 17:
		return w.h.trim(w.r.log, w.rng.Intn(12))
	case k < 18:
		if err := w.h.trim(w.r.log, 1<<30); err != nil {
			return err
		}
		return w.r.log.Shrink()
	case k < 19:
		return w.h.check(w.r.log)
	default:
		if err := w.leave(); err != nil {
			return err
		}
		return w.open()
	}
}

func (w *world) sendMany() error {
	errs := make([]error, 2+w.rng.Intn(2))
	var wg sync.WaitGroup
	for i := range errs {
		rng := rand.New(rand.NewSource(w.rng.Int63()))
		wg.Go(func() {
			for range 3 {
				if _, err := w.h.send(w.r.log, rng, w.large); err != nil {
					errs[i] = err
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// disks are what may be found after the machine stopped now.
func disks(mem *vfs.Mem, seed int64) map[string]*vfs.Mem {
	return map[string]*vfs.Mem{
		"all unsynced lost": mem.CrashClone(vfs.CrashOptions{}),
		"all unsynced kept": mem.CrashClone(randomCrash(seed, 1)),
		"half kept":         mem.CrashClone(randomCrash(seed, 0.5)),
		"much kept":         mem.CrashClone(randomCrash(seed+1, 0.85)),
		"killed":            mem.KillClone(),
	}
}

// recoverAndCheck opens what a crash left, with more crashes on the way, and compares with the model.
func recoverAndCheck(before *world, disk *vfs.Mem, seed int64) error {
	w := &world{h: before.h.clone(), mem: disk, clock: before.clock, rng: rand.New(rand.NewSource(seed)), large: before.large}
	// A crash in recovery, in the first append or a little later.
	disk.CrashAt(disk.Ops() + 1 + w.rng.Intn(14))
	err := w.open()
	if err == nil {
		err = w.h.check(w.r.log)
	}
	if err == nil {
		err = w.run(4)
	}
	if err != nil && !disk.Crashed() {
		return err
	}
	disk.Crash()
	if err := w.finish(); err != nil {
		return err
	}
	modes := []*vfs.Mem{disk.CrashClone(vfs.CrashOptions{}), disk.CrashClone(randomCrash(seed, 0.5)), disk.KillClone()}
	w.mem = modes[w.rng.Intn(len(modes))]
	for range 2 { // reading must not change what the next opening finds
		if err := w.open(); err != nil {
			return err
		}
		if err := w.h.check(w.r.log); err != nil {
			return err
		}
		if err := w.finish(); err != nil {
			return err
		}
	}
	return w.lastWords()
}

// finish closes and asks for false reports of damage.
func (w *world) finish() error {
	r := w.r
	err := w.leave()
	if r != nil && len(r.damage) > 0 {
		return fmt.Errorf("damage reported that is none: %+v", r.damage)
	}
	if err != nil && !w.mem.Crashed() {
		return err
	}
	return nil
}

// lastWords sees that the log works on.
func (w *world) lastWords() error {
	if err := w.open(); err != nil {
		return err
	}
	for range 3 {
		if ok, err := w.h.send(w.r.log, w.rng, false); err != nil || !ok {
			return fmt.Errorf("a put after recovery: accepted %v, %w", ok, err)
		}
	}
	if err := w.h.check(w.r.log); err != nil {
		return err
	}
	return w.finish()
}

// Every write of a schedule is once the last one; whatever is left then, all that was acknowledged is there, once.
func TestCrashAtEveryWrite(t *testing.T) {
	seed := firstSeed(t)
	for s := seed; s < seed+int64(*crashSchedules); s++ {
		large, stride := (s-seed)%2 == 1, 1
		if large {
			stride = 5
		}
		for n := 1; ; n += stride {
			crashed := crashAt(t, s, n, 35, large)
			if t.Failed() {
				return
			}
			if !crashed {
				t.Logf("seed %d: %d writes", s, n-1)
				break
			}
		}
	}
}

func crashAt(t *testing.T, seed int64, n, steps int, large bool) (crashed bool) {
	t.Helper()
	w := newWorld(seed, large)
	w.mem.CrashAt(n)
	err := w.open()
	if err == nil {
		err = w.run(steps)
	}
	crashed = w.mem.Crashed()
	if err != nil && !crashed {
		t.Errorf("seed %d, crash at %d: %v", seed, n, err)
	}
	w.mem.Crash()
	if err := w.finish(); err != nil {
		t.Errorf("seed %d, crash at %d: %v", seed, n, err)
	}
	for mode, disk := range disks(w.mem, seed+int64(n)) {
		if err := recoverAndCheck(w, disk, seed+int64(n)); err != nil {
			t.Errorf("seed %d, crash at %d, %s: %v", seed, n, mode, err)
		}
	}
	return crashed
}

// Each single operation of a schedule fails once. Nothing that was acknowledged is lost by it, and the log goes on.
func TestEveryOperationFailsOnce(t *testing.T) {
	seed := firstSeed(t)
	for s := seed; s < seed+int64(*crashSchedules+1)/2; s++ {
		for i, fault := range []error{syscall.EIO, syscall.ENOSPC, vfs.ErrShort{N: 100, Err: syscall.ENOSPC}} {
			for n := 1; ; n++ {
				hit := failAt(t, s+int64(i)*1000, n, fault)
				if t.Failed() {
					return
				}
				if !hit {
					t.Logf("seed %d, %v: %d operations", s, fault, n-1)
					break
				}
			}
		}
	}
}

func failAt(t *testing.T, seed int64, n int, fault error) (hit bool) {
	t.Helper()
	w := newWorld(seed, false)
	if err := w.open(); err != nil { // the folders
		t.Fatal(err)
	}
	if err := w.leave(); err != nil {
		t.Fatal(err)
	}
	n += w.mem.Ops()
	var mu sync.Mutex
	var failed vfs.Op
	w.mem.SetHook(func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Seq == n && op.Kind <= vfs.OpTruncate && !hit {
			hit, failed = true, op
			return fault
		}
		return nil
	})
	fail := func(where string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Errorf("seed %d, %v at %v, %s: %v", seed, fault, failed, where, err)
		}
	}
	for range 30 {
		mu.Lock()
		before := hit
		mu.Unlock()
		err := w.faultyStep()
		mu.Lock()
		now := hit
		mu.Unlock()
		if err != nil && now == before {
			fail("a step without a fault", err)
		}
		if now && !before {
			w.clock.add(time.Minute)
		}
	}
	w.mem.SetHook(nil)
	fail("the end", w.check())
	r := w.r
	for mode, disk := range disks(w.mem, seed+int64(n)) {
		fail(mode, recoverAndCheck(w, disk, seed+int64(n)))
	}
	w.r = r
	fail("closing", w.finish())
	return hit
}

// faultyStep is a step that may meet an error of the disk, which it returns.
func (w *world) faultyStep() error {
	if w.r == nil {
		return w.open()
	}
	w.clock.add(time.Second)
	if w.rng.Intn(3) == 0 {
		ok, err := w.h.send(w.r.log, w.rng, false)
		if err == nil && !ok {
			err = errInjected // refused: only with a fault
		}
		return err
	}
	return w.step()
}

func (w *world) check() error {
	if w.r == nil {
		if err := w.open(); err != nil {
			return err
		}
	}
	w.clock.add(time.Minute)
	if ok, err := w.h.send(w.r.log, w.rng, false); err != nil || !ok {
		return fmt.Errorf("a put after the fault: accepted %v, %w", ok, err)
	}
	return w.h.check(w.r.log)
}
