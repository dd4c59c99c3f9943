package receipts

import (
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"hydrant/internal/vfs"
	"hydrant/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeLog is a log of puts with notes, which may be trimmed from the front.
type fakeLog struct {
	mu    sync.Mutex
	puts  []fakePut
	start record.Position
	end   record.Position
	asked record.Position
}

type fakePut struct {
	note *record.Note
	last record.Position
}

func newLog() *fakeLog { return &fakeLog{start: 1, end: 1} }

func (l *fakeLog) Notes(from record.Position, visit func(*record.Note, record.Position)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = from
	for _, p := range l.puts {
		if p.note != nil && p.last >= from && p.last >= l.start {
			visit(p.note, p.last)
		}
	}
	return nil
}

func (l *fakeLog) End() record.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}

func (l *fakeLog) take(n *record.Note) (record.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end += 3
	l.puts = append(l.puts, fakePut{n, l.end - 1})
	return l.end - 1, nil
}

func (l *fakeLog) trim() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.start = l.end
}

func key(i int) *record.Note {
	return &record.Note{Request: record.RequestKey{byte(i), byte(i >> 8), byte(i >> 16), 1}}
}

func folder(t *testing.T) *vfs.Mem {
	t.Helper()
	mem := vfs.NewMem()
	if err := vfs.MkdirAll(mem, "/d"); err != nil {
		t.Fatal(err)
	}
	return mem
}

func open(t *testing.T, f vfs.FS, l *fakeLog) *Receipts {
	t.Helper()
	r, err := Open(f, "/d/receipts", l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func once(t *testing.T, r *Receipts, l *fakeLog, n *record.Note) bool {
	t.Helper()
	repeated, err := r.Once(n, nil, func() (record.Position, error) { return l.take(n) })
	if err != nil {
		t.Fatal(err)
	}
	return repeated
}

func TestOnce(t *testing.T) {
	mem, l := folder(t), newLog()
	r := open(t, mem, l)
	if ok, _ := mem.Exists("/d/receipts"); ok {
		t.Error("a file was made before the first note")
	}
	for i := range 5 {
		if once(t, r, l, key(i)) {
			t.Errorf("%d is new", i)
		}
	}
	for i := range 5 {
		if !once(t, r, l, key(i)) {
			t.Errorf("%d was taken twice", i)
		}
	}
	if _, err := r.Once(key(9), nil, func() (record.Position, error) { return 0, errors.New("full") }); err == nil {
		t.Error("the log's refusal was lost")
	}
	if once(t, r, l, key(9)) {
		t.Error("what was refused counts as taken")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.Once(key(10), nil, nil); !errors.Is(err, record.ErrStopping) {
		t.Errorf("after the end: %v", err)
	}
}

// TestRepeatWaitsForTheFirst: a repeat that comes while the first one is being synced is answered by that one's success, or takes its place.
func TestRepeatWaitsForTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem, l := folder(t), newLog()
		r := open(t, mem, l)
		go1, takes := make(chan error), 0
		var wg sync.WaitGroup
		results := make([]bool, 4)
		for i := range results {
			wg.Go(func() {
				repeated, err := r.Once(key(1), nil, func() (record.Position, error) {
					takes++
					if err := <-go1; err != nil {
						return 0, err
					}
					return l.take(key(1))
				})
				results[i] = repeated && err == nil
			})
		}
		synctest.Wait()
		if takes != 1 {
			t.Errorf("%d were let through", takes)
		}
		go1 <- errors.New("sync failed")
		synctest.Wait()
		if takes != 2 {
			t.Errorf("%d were let through after the first had failed", takes)
		}
		go1 <- nil
		wg.Wait()
		n := 0
		for _, repeated := range results {
			if repeated {
				n++
			}
		}
		if n != 2 || len(l.puts) != 1 {
			t.Errorf("%d repeats, %d puts", n, len(l.puts))
		}
		done := make(chan struct{})
		close(done)
		hold := make(chan struct{})
		wg.Go(func() {
			_, _ = r.Once(key(2), nil, func() (record.Position, error) { <-hold; return l.take(key(2)) })
		})
		synctest.Wait()
		if _, err := r.Once(key(2), done, nil); !errors.Is(err, errGone) {
			t.Errorf("who went away got %v", err)
		}
		close(hold)
		wg.Wait()
	})
}

// TestWindowOutlivesTrimming: what was synced before the log was trimmed is known without the log; what was not, from the log.
func TestWindowOutlivesTrimming(t *testing.T) {
	for _, keep := range []float64{0, 0.5, 1} {
		mem, l := folder(t), newLog()
		r := open(t, mem, l)
		for i := range 20 {
			once(t, r, l, key(i))
		}
		if err := r.Sync(); err != nil {
			t.Fatal(err)
		}
		l.trim()
		for i := 20; i < 30; i++ {
			once(t, r, l, key(i))
		}
		after := mem.CrashClone(vfs.CrashOptions{Rand: rand.New(rand.NewSource(1)), KeepUnsynced: keep})
		r = open(t, after, l)
		if l.asked < 60 {
			t.Errorf("the log was read from %d on", l.asked)
		}
		for i := range 30 {
			if !once(t, r, l, key(i)) {
				t.Errorf("keep %v: %d was taken twice", keep, i)
			}
		}
	}
}

// TestCrashes: at whatever operation the machine ends, and whatever the disk kept, no request is taken twice, unless its put is not in the log.
func TestCrashes(t *testing.T) {
	for n := 1; ; n++ {
		mem, l := folder(t), newLog()
		rng := rand.New(rand.NewSource(int64(n)))
		mem.CrashAt(mem.Ops() + n)
		acked := story(mem, l)
		crashed := mem.Crashed()
		after := mem.CrashClone(vfs.CrashOptions{Rand: rng, KeepUnsynced: []float64{0, 0.3, 1}[n%3]})
		r := open(t, after, l)
		for i := range acked {
			if !once(t, r, l, key(i)) {
				t.Fatalf("crash at %d: request %d of %d was taken twice", n, i, acked)
			}
		}
		if !crashed {
			return
		}
	}
}

// story takes requests, syncs and trims now and then, until the machine ends; it returns how many were taken.
func story(mem *vfs.Mem, l *fakeLog) (acked int) {
	r, err := Open(mem, "/d/receipts", l)
	if err != nil {
		return 0
	}
	for i := range 60 {
		if _, err := r.Once(key(i), nil, func() (record.Position, error) { return l.take(key(i)) }); err != nil {
			return i
		}
		if i%7 == 6 {
			if r.Sync() == nil {
				l.trim()
			}
		}
		if i == 30 {
			_ = r.Close()
			if r, err = Open(mem, "/d/receipts", l); err != nil {
				return i + 1
			}
		}
	}
	return 60
}

// TestFileThatCannotBeWritten: then nothing is trimmed, and what memory knows is written when the disk is back.
func TestFileThatCannotBeWritten(t *testing.T) {
	mem, l := folder(t), newLog()
	r := open(t, mem, l)
	once(t, r, l, key(0))
	mem.SetHook(func(op vfs.Op) error {
		if op.Kind <= vfs.OpRename {
			return errors.New("no")
		}
		return nil
	})
	once(t, r, l, key(1)) // its put is durable: the file follows later
	if err := r.Sync(); err == nil {
		t.Error("synced without a disk")
	}
	if _, err := r.Once(key(2), nil, func() (record.Position, error) { return l.take(key(2)) }); err == nil {
		t.Error("a request was taken that a start would not look for")
	}
	mem.SetHook(nil)
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	l.trim()
	r = open(t, mem.CrashClone(vfs.CrashOptions{Rand: rand.New(rand.NewSource(1))}), l)
	for i := range 2 {
		if !once(t, r, l, key(i)) {
			t.Errorf("%d was taken twice", i)
		}
	}
}

func TestOrigins(t *testing.T) {
	mem, l := folder(t), newLog()
	r := open(t, mem, l)
	origin := func(i int) record.Origin {
		return record.Origin{ID: record.ID{Epoch: record.Epoch{7, byte(i)}, Pos: record.Position(i)}, Sub: uint16(i)}
	}
	all := []record.Origin{origin(1), origin(2), origin(1), origin(3)}
	if got, _ := r.New(all); fmt.Sprint(got) != "[0 1 3]" {
		t.Errorf("new: %v", got)
	}
	n := &record.Note{Origins: []record.Origin{origin(1), origin(2)}}
	if once(t, r, l, n) {
		t.Error("a put without a key is never a repeat")
	}
	if got, _ := r.New(all); fmt.Sprint(got) != "[3]" {
		t.Errorf("new: %v", got)
	}
	if err := r.Sync(); err != nil {
		t.Fatal(err)
	}
	l.trim()
	r = open(t, mem.KillClone(), l)
	if got, _ := r.New(all); fmt.Sprint(got) != "[3]" {
		t.Errorf("new after a restart: %v", got)
	}
}

// TestOldRequestsAreForgotten keeps memory and file bounded.
func TestOldRequestsAreForgotten(t *testing.T) {
	mem, l := folder(t), newLog()
	r := open(t, mem, l)
	for i := range MaxRequests + 10 {
		if once(t, r, l, key(i)) {
			t.Fatalf("%d is new", i)
		}
	}
	if len(r.requests) != MaxRequests {
		t.Errorf("%d are known", len(r.requests))
	}
	if once(t, r, l, key(0)) || !once(t, r, l, key(20)) {
		t.Error("the oldest are to be forgotten, the others not")
	}
	for i := range 3 * MaxRequests {
		once(t, r, l, key(MaxRequests+100+i))
	}
	if size, _ := r.file.Size(); size > 6*lineBytes*MaxRequests {
		t.Errorf("the file has %d bytes", size)
	}
}

// TestOriginsAreBounded: what cannot be remembered is not taken, and what is remembered stays readable.
func TestOriginsAreBounded(t *testing.T) {
	mem, l := folder(t), newLog()
	r := open(t, mem, l)
	r.most = 5
	back := func(from, to int) (all []record.Origin) {
		for i := from; i < to; i++ {
			all = append(all, record.Origin{ID: record.ID{Pos: record.Position(i)}})
		}
		return all
	}
	take := func(all []record.Origin) {
		t.Helper()
		n := &record.Note{Origins: all}
		if _, err := r.Once(n, nil, func() (record.Position, error) { return l.take(n) }); err != nil {
			t.Fatal(err)
		}
	}
	take(back(0, 4))
	if got, err := r.New(back(2, 7)); !errors.Is(err, record.ErrReplayFull) {
		t.Errorf("%v, %v, want that no more can be remembered", got, err)
	}
	if got, err := r.New(back(0, 4)); err != nil || len(got) != 0 {
		t.Errorf("repeats of what is known: %v, %v", got, err)
	}
	if got, err := r.New(back(2, 5)); err != nil || len(got) != 1 {
		t.Errorf("one more has room: %v, %v", got, err)
	}
	if most := int64(lineBytes) * (4*MaxRequests + MaxOrigins + MaxOrigins/4 + 1<<12); most > maxFileBytes {
		t.Errorf("a full file has %d bytes, and only %d are read", most, maxFileBytes)
	}
}
