package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hydrant/config"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// The scenarios of docs/reliability.md that need the whole daemon. Each has the name that the table gives.

func inWorld(t *testing.T, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		defer func() {
			if w.d != nil {
				w.stop(time.Minute)
			}
		}()
		story(w)
	})
}

func backedUp(name string) config.Stream {
	s := small(name + "-all")
	s.Backup = config.Backup{Mode: config.BackupAll, S3: &config.S3{Bucket: "b-backup"}, Buffer: s.Buffer}
	s.Normalize()
	return s
}

func (w *world) create(name string) {
	w.t.Helper()
	spec := small(name)
	spec.Destination.S3.Bucket = "b-api"
	if _, err := w.d.Create(context.Background(), &spec); err != nil {
		w.t.Fatalf("create: %v", err)
	}
}

func (w *world) want(bucket string, records int) {
	w.t.Helper()
	n := 0
	for _, name := range w.store.list(bucket) {
		n += len(w.store.get(name).lines(w.t))
	}
	if n != records {
		w.t.Errorf("%s holds %d records, want %d\n%s", bucket, n, records, w.store)
	}
}

func TestStreamMadeAgainUnderItsName(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open()
		for life := range 3 {
			w.create("api")
			w.mustPut("api", 3)
			if err := w.d.Delete(context.Background(), "api", false); err != nil {
				t.Fatal(err)
			}
			w.sleep(time.Minute)
			if w.d.stream("api") != nil {
				t.Fatal("the name is not free")
			}
			w.want("b-api", 3*(life+1))
		}
		w.stop(time.Minute)
		// The disk is replaced: the same name, the same positions, the same second.
		w.mem = vfs.NewMem()
		w.open()
		w.create("api")
		w.mustPut("api", 3)
		w.stop(time.Minute)
		w.want("b-api", 12)
		w.check()
	})
}

func TestAllBackupIntoTheSameBucketAndPrefix(t *testing.T) {
	inWorld(t, func(w *world) {
		s := backedUp("same")
		s.Format = config.FormatRaw
		*s.Backup.S3 = *s.Destination.S3
		w.open(s)
		w.mustPut(s.Name, 2)
		w.mustPut(s.Name, 9)
		w.stop(time.Minute)
		w.want(s.Destination.S3.Bucket, 22)
		if len(w.store.exists) != 0 {
			t.Errorf("%d objects met another one under their key", len(w.store.exists))
		}
	})
}

func TestTwoDaemonsOneDirectory(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir)
	defer stopServer(t, s)
	c := config.Default()
	c.Listen, c.Admin, c.DataDir = "127.0.0.1:0", "127.0.0.1:0", dir
	_, err := Listen(Options{Config: c})
	var locked *vfs.LockedError
	if !errors.As(err, &locked) || !strings.Contains(locked.Holder, "pid ") {
		t.Fatalf("the second daemon got %v, want to be told who holds the directory", err)
	}
}

func TestSlowBackupKeepsItsRecords(t *testing.T) {
	for name, keep := range map[string]float64{"kill": -1, "power cut": 0} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := backedUp("web")
				w.store.setBucket("b-backup", weather{fail: 1})
				w.open(s)
				for range 6 {
					w.mustPut(s.Name, 5)
					w.sleep(time.Minute)
				}
				w.want("b-web-all", 30)
				w.cut(keep < 0, max(keep, 0))
				w.open()
				w.sleep(10 * time.Minute) // the janitor gives back what it can
				w.store.setBucket("b-backup", weather{})
				w.stop(time.Minute)
				w.want("b-backup", 30)
				w.check()
			})
		})
	}
}

func TestTwoHoursOfDownTime(t *testing.T) {
	inWorld(t, func(w *world) {
		s := small("web")
		s.Buffer.Size, s.Buffer.Interval = 1<<20, config.Duration(5*time.Minute)
		w.open(s)
		for range 20 {
			w.mustPut("web", 1)
			w.sleep(time.Second)
		}
		w.cut(true, 0)
		w.sleep(2 * time.Hour)
		w.open()
		w.sleep(5 * time.Second) // the interval is over long since: what waits goes at once, in one object
		w.want("b-web", 20)
		if n := len(w.store.list("b-web")); n != 1 {
			t.Errorf("%d objects for what waited, want 1", n)
		}
		for range 20 { // and what comes now is not in a hurry
			w.mustPut("web", 1)
			w.sleep(time.Second)
		}
		w.sleep(10 * time.Minute)
		if n := len(w.store.list("b-web")); n != 2 {
			t.Errorf("%d objects in all, want 2", n)
		}
		w.stop(time.Minute)
		w.check()
	})
}

func TestStoredButAnswered500(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{storedError: 1})
		w.open(small("web"), backedUp("web"))
		for range 10 {
			w.mustPut("web", 3)
			w.mustPut("web-all", 3)
			w.sleep(3 * time.Second)
		}
		w.stop(time.Hour)
		w.check()
	})
}

// restoreStory: objects were written, then a copy of the disk from before the journal knew comes back.
func restoreStory(t *testing.T, between func(w *world), want func(w *world)) {
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
		w.want("b-web", 4)
		w.stop(time.Minute)
		w.mem = copyOf
		between(w)
		want(w)
	})
}

func TestRestoredSnapshotIsRecognised(t *testing.T) {
	restoreStory(t, func(w *world) {
		w.open()
		w.sleep(5 * time.Minute)
		w.stop(time.Minute)
	}, func(w *world) {
		w.want("b-web", 4)
		w.check()
	})
}

func TestRestoredSnapshotAdopts(t *testing.T) {
	restoreStory(t, func(w *world) {
		// The interval is longer now, so that the batch that begins at the same record holds more.
		w.cfg.Streams[0].Buffer.Interval = config.Duration(15 * time.Minute)
		w.open()
		w.mustPut("web", 5)
		w.sleep(30 * time.Minute)
		w.stop(time.Minute)
	}, func(w *world) {
		w.want("b-web", 9)
		if n := len(w.store.list("b-web")); n != 2 {
			w.t.Errorf("%d objects, want the adopted one and the rest", n)
		}
		w.check()
	})
}

func TestTakenKeyIsLeftAlone(t *testing.T) {
	inWorld(t, func(w *world) {
		taken := ""
		w.store.before = func(o *record.Object) bool {
			w.store.mu.Lock()
			defer w.store.mu.Unlock()
			if taken == "" {
				taken = o.Bucket + "/" + o.Key
				w.store.objects[taken] = storedObject{body: []byte("somebody else's")}
			}
			return false
		}
		w.open(small("web"))
		w.mustPut("web", 3)
		w.stop(time.Minute)
		if got := string(w.store.get(taken).body); got != "somebody else's" {
			t.Errorf("the object was overwritten with %q", got)
		}
		w.check()
	})
}

func TestUnreadableIdentityOnlyExactReplay(t *testing.T) {
	t.Run("a replay takes the answer as its own", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.store.unreadable = true
			w.store.set(weather{storedError: 1})
			w.open(small("web"))
			w.mustPut("web", 3)
			w.stop(time.Minute)
			w.check()
		})
	})
	t.Run("so does a later process", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.store.unreadable = true
			w.store.set(weather{storedLate: 1})
			w.open(small("web"))
			w.mustPut("web", 3)
			w.sleep(time.Minute)
			w.cut(false, 0)
			w.store.set(weather{})
			w.open()
			w.stop(time.Minute)
			w.want("b-web", 3)
			w.check()
		})
	})
	t.Run("a first attempt does not", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.store.unreadable = true
			n := 0
			w.store.before = func(o *record.Object) bool {
				w.store.mu.Lock()
				defer w.store.mu.Unlock()
				if n++; n <= 3 { // three keys in a row are somebody else's
					w.store.objects[o.Bucket+"/"+o.Key] = storedObject{}
				}
				return false
			}
			w.open(small("web"))
			w.mustPut("web", 3)
			w.stop(time.Minute)
			w.check()
		})
	})
	t.Run("nor one under a new key", func(t *testing.T) {
		inWorld(t, func(w *world) {
			w.store.unreadable = true
			w.store.set(weather{hang: 1})
			w.open(small("web"))
			w.mustPut("web", 3)
			w.sleep(time.Minute)
			w.cut(true, 0)
			w.store.set(weather{})
			w.open() // repeats the entry exactly
			w.sleep(time.Minute)
			w.stop(time.Minute)
			w.check()
		})
	})
}

func TestKeyOf1100Bytes(t *testing.T) {
	inWorld(t, func(w *world) {
		s := small("web")
		s.Destination.S3.Prefix = strings.Repeat("x", 490) + "/"
		s.Destination.S3.FileExtension = "." + strings.Repeat("e", 550)
		s.Destination.S3.ErrorPrefix = "errors/!{firehose:error-output-type}/"
		w.open(s)
		w.mustPut("web", 3)
		w.mustPut("web", 9)
		w.stop(time.Minute)
		for _, name := range w.store.list("b-web") {
			if !strings.HasPrefix(name, "b-web/errors/s3-failed/") {
				t.Errorf("%s is not below the error prefix", name)
			}
			if body := string(w.store.get(name).body); !strings.Contains(body, `"errorCode":"S3.KeyTooLongError"`) {
				t.Errorf("%s does not say why: %s", name, body)
			}
		}
		w.want("b-web", 12)
		w.check()
	})
}

// killer ends the process whenever it meets a record: the power is gone before anything else can happen.
type killer struct {
	w    *world
	word string
	dead int
}

func (k *killer) before(o *record.Object) (dead bool) {
	if k.w.mem.Crashed() {
		return true
	}
	if o.Identity.Role != record.RoleMain {
		return false
	}
	body := make([]byte, o.Size)
	if _, err := io.ReadFull(o.Body, body); err != nil || !strings.Contains(string(body), k.word) {
		return false
	}
	k.dead++
	k.w.mem.Crash()
	return true
}

func TestRecordThatKillsTheProcess(t *testing.T) {
	inWorld(t, func(w *world) {
		k := &killer{w: w, word: `"n":13,`}
		w.store.before = k.before
		bad := small("bad")
		bad.Buffer.Size = 1 << 20
		w.store.set(weather{latency: time.Second})
		w.open(bad, small("good"))
		w.mustPut("bad", 30)
		w.mustPut("good", 5)
		for life := 0; ; life++ {
			w.sleep(2 * time.Minute)
			if !w.mem.Crashed() {
				break
			}
			if life > 60 {
				t.Fatal("it never ends")
			}
			w.cut(life%2 == 0, 0)
			w.open()
		}
		w.mustPut("bad", 2)
		w.sleep(time.Minute)
		w.stop(time.Minute)
		w.check()
		aside := 0
		for _, name := range w.store.list("b-bad") {
			if o := w.store.get(name); o.identity.Role == record.ErrorRole("process-killed") {
				aside += o.identity.Count
			}
		}
		if aside != 1 {
			t.Errorf("%d records were set aside after %d deaths, want the culprit alone", aside, k.dead)
		}
	})
}

func TestDestinationDownThroughManyStarts(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{fail: 1})
		w.open(small("web"))
		w.mustPut("web", 3)
		for i := range 12 {
			w.sleep(time.Minute)
			if i%3 == 0 {
				w.stop(time.Second)
			} else {
				w.cut(i%3 == 1, 0)
			}
			w.open()
		}
		w.store.set(weather{})
		w.stop(time.Minute)
		w.check()
		for _, name := range w.store.list("b-web") {
			if id := w.store.get(name).identity; id.Role != record.RoleMain {
				t.Errorf("%s: innocent records were set aside", name)
			}
		}
	})
}

func TestFullDiskDrains(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{fail: 1})
		w.cfg.MinFree = 0
		w.mem.SetCapacity(1 << 20)
		w.open(small("web"), small("other"))
		refused := 0
		for range 20_000 {
			if err := w.put("web", 40); err != nil {
				var u *record.Unavailable
				if !errors.As(err, &u) || u.RetryAfter <= 0 {
					t.Fatalf("a full disk answers %v", err)
				}
				if refused++; refused > 20 {
					break
				}
				w.sleep(30 * time.Second)
			}
		}
		if refused == 0 {
			t.Fatal("the disk never filled up")
		}
		free, _ := w.mem.FreeBytes(dataDir)
		w.mem.SetCapacity(1<<20 - free) // now to the last byte
		w.store.set(weather{})
		w.sleep(time.Hour)
		if err := w.put("web", 1); err != nil {
			t.Errorf("after draining a put is still refused: %v", err)
		}
		w.stop(time.Hour)
		w.check()
	})
}

func TestStuckStreamLeavesTheDiskToOthers(t *testing.T) {
	inWorld(t, func(w *world) {
		stuck, fine := small("stuck"), small("fine")
		stuck.Buffer.MaxBacklog = 64 << 10
		w.store.setBucket("b-stuck", weather{fail: 1})
		w.open(stuck, fine)
		full := false
		for range 2000 {
			if err := w.put("stuck", 10); err != nil {
				full = true
				break
			}
		}
		if !full {
			t.Error("max_backlog was never reached")
		}
		for range 50 {
			w.mustPut("fine", 5)
		}
		w.sleep(time.Minute)
		w.want("b-fine", 250)
		w.store.setBucket("b-stuck", weather{})
		w.stop(time.Hour)
		w.check()
	})
}

func TestRenamedStreamKeepsDraining(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{fail: 1})
		w.open(small("old"))
		w.mustPut("old", 9)
		w.cut(false, 0)
		w.open(small("new"))
		w.mustPut("new", 2)
		if err := w.put("old", 1); !errors.Is(err, record.ErrStreamDeleting) {
			t.Errorf("a put into the old name gives %v", err)
		}
		w.sleep(time.Minute)
		w.cut(true, 0)
		w.open() // still not there, still not forgotten
		w.store.set(weather{})
		w.sleep(time.Minute)
		w.want("b-old", 9)
		if w.d.stream("old") != nil {
			t.Error("the drained stream is still there")
		}
		w.stop(time.Minute)
		w.check()
	})
}

func TestHangingDestinationLeavesOthersAtSpeed(t *testing.T) {
	inWorld(t, func(w *world) {
		var streams []config.Stream
		for i := range 20 {
			s := small(fmt.Sprintf("hang-%d", i))
			s.Destination.S3.Bucket = "b-hang"
			streams = append(streams, s)
		}
		w.store.setBucket("b-hang", weather{hang: 1})
		w.open(append(streams, small("fast"))...)
		for _, s := range streams {
			for range 5 {
				w.mustPut(s.Name, 9)
			}
		}
		w.sleep(time.Second)
		began := time.Now()
		for range 20 {
			w.mustPut("fast", 9)
		}
		w.sleep(100 * time.Millisecond)
		if took := time.Since(began); took > time.Second {
			t.Errorf("puts beside a hanging destination took %v", took)
		}
		w.sleep(15 * time.Second)
		w.want("b-fast", 180)
		w.store.setBucket("b-hang", weather{})
		w.stop(time.Hour)
		w.check()
	})
}

func TestSecondSignalStopsAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{hang: 1})
		w.open(small("web"))
		w.mustPut("web", 9)
		w.sleep(time.Second)
		ctx, cancel := context.WithCancel(context.Background())
		d := w.d
		done := make(chan error)
		began := time.Now()
		go func() { done <- d.Stop(ctx) }()
		w.sleep(3 * time.Second) // the first signal: it waits for the destination, and takes no more
		if err := w.put("web", 1); !errors.Is(err, record.ErrStopping) {
			t.Errorf("a put while stopping gives %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the second signal took effect after %v", took)
		}
		w.store.set(weather{})
		w.open()
		w.stop(time.Minute)
		w.check()
	})
}

func TestShutdownKeep(t *testing.T) {
	inWorld(t, func(w *world) {
		w.cfg.Shutdown = config.ShutdownKeep
		w.open(small("web"))
		w.mustPut("web", 1)
		w.stop(time.Minute)
		w.want("b-web", 0)
		w.open()
		w.sleep(time.Minute)
		w.want("b-web", 1)
		w.stop(time.Minute)
		w.check()
	})
}

func TestForceDeleteWhileDraining(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{fail: 1})
		w.open()
		w.create("api")
		w.mustPut("api", 9)
		if err := w.d.Delete(context.Background(), "api", false); err != nil {
			t.Fatal(err)
		}
		w.sleep(time.Minute)
		if w.d.stream("api") == nil {
			t.Fatal("a stream that holds records was removed")
		}
		if err := w.d.Delete(context.Background(), "api", true); err != nil {
			t.Fatal(err)
		}
		w.create("api")
		w.sleep(time.Minute)
		if w.d.stream("api") == nil {
			t.Fatal("the new stream went with the old one")
		}
		w.stop(time.Minute)
		w.want("b-api", 0)
	})
}

func TestTypoInBucketCorrectedWhileDown(t *testing.T) {
	story := func(t *testing.T, sky weather, headWorks bool, inOld, inNew int) {
		t.Helper()
		inWorld(t, func(w *world) {
			typo := small("web")
			typo.Destination.S3.Bucket = "b-tpyo"
			w.store.setBucket("b-tpyo", sky)
			w.open(typo)
			w.mustPut("web", 3)
			w.sleep(time.Minute)
			w.cut(false, 0)
			if headWorks {
				sky.headFail = 0
			} else {
				sky.headFail = 1
			}
			w.store.setBucket("b-tpyo", sky)
			w.open(small("web"))
			w.mustPut("web", 2)
			w.sleep(10 * time.Minute)
			w.want("b-tpyo", inOld)
			w.want("b-web", inNew)
			sky.fail, sky.headFail = 0, 0
			w.store.setBucket("b-tpyo", sky)
			w.stop(time.Hour)
			w.check()
		})
	}
	t.Run("the old key is proven absent", func(t *testing.T) { story(t, weather{fail: 1}, true, 0, 5) })
	t.Run("the old key cannot be looked at", func(t *testing.T) { story(t, weather{fail: 1}, false, 0, 2) })
	t.Run("the old key was written", func(t *testing.T) { story(t, weather{storedLate: 1}, true, 3, 2) })
}

func TestListingOrderIsDeliveryOrder(t *testing.T) {
	inWorld(t, func(w *world) {
		s := small("web")
		s.Destination.S3.Prefix = "all/"
		w.store.set(weather{fail: 0.4, latency: 20 * time.Second})
		w.open(s)
		for i := range 40 {
			w.mustPut("web", 1+i%7)
			w.sleep(time.Duration(i%5) * time.Second)
			if i%13 == 12 {
				w.cut(i%2 == 0, 0.5)
				w.open()
			}
		}
		w.store.set(weather{})
		w.stop(time.Hour)
		last := 0
		for _, name := range w.store.list("b-web") {
			for _, line := range w.store.get(name).lines(t) {
				var n int
				if _, err := fmt.Sscanf(line, `{"stream":"web","n":%d,`, &n); err != nil || n <= last {
					t.Fatalf("%s: record %d behind record %d (%v)", name, n, last, err)
				}
				last = n
			}
		}
		w.check()
	})
}

func TestDamagedUploadListDoesNotPreventAStart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(small("web"))
		w.mustPut("web", 1)
		w.stop(time.Minute)
		if err := vfs.WriteFileAtomic(w.mem, dataDir+"/uploads.json", []byte("[{\"Buck")); err != nil {
			t.Fatal(err)
		}
		w.open()
		w.mustPut("web", 1)
		w.stop(time.Minute)
		w.check()
	})
}

// TestVersionIsKeptUntilItsEntriesEndDurably: the end of an entry is noted lazily; its version may not go before that note is durable.
func TestVersionIsKeptUntilItsEntriesEndDurably(t *testing.T) {
	inWorld(t, func(w *world) {
		w.store.set(weather{hang: 1})
		w.open(small("web"))
		w.mustPut("web", 3)
		w.sleep(time.Minute)
		w.mem.SetHook(func(op vfs.Op) error { // the end of the entry can be written, but not made durable
			if op.Kind == vfs.OpSync && strings.Contains(op.Name, ".journal") {
				return errors.New("no")
			}
			return nil
		})
		w.store.set(weather{})
		w.sleep(10 * time.Minute)
		w.want("b-web", 3)
		edited := small("web")
		edited.Destination.S3.Prefix = "p/"
		if err := w.d.stream("web").reconfigure(edited); err != nil {
			t.Fatal(err)
		}
		w.cut(false, 0)
		w.open(edited)
		w.sleep(time.Minute)
		if n := w.d.stream("web").status().Readers[0].BacklogRecords; n != 0 {
			t.Errorf("%d records are stuck: their version is gone", n)
		}
		w.stop(time.Minute)
		w.want("b-web", 3)
		w.check()
	})
}

func TestStartThatFailsStopsWhatItStarted(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open()
		w.create("web")
		w.store.set(weather{fail: 1})
		w.mustPut("web", 1)
		w.cut(true, 0)
		w.cfg.Streams = []config.Stream{small("web")} // an API stream has that name
		if err := w.tryOpen(); err == nil {
			t.Fatal("the conflict was accepted")
		}
		w.store.set(weather{})
		w.sleep(time.Minute)
		w.want("b-api", 0)
		w.cfg.Streams = nil
		w.open()
		w.stop(time.Minute)
		w.check()
	})
}

func TestCreateThatFailedIsRepeated(t *testing.T) {
	for n := 1; ; n++ {
		done := false
		inWorld(t, func(w *world) {
			w.open()
			at := w.mem.Ops() + n
			w.mem.SetHook(func(op vfs.Op) error {
				if op.Seq == at && op.Kind <= vfs.OpTruncate {
					return errors.New("once")
				}
				return nil
			})
			spec := small("api")
			_, err := w.d.Create(context.Background(), &spec)
			w.mem.SetHook(nil)
			done = err == nil
			if !done {
				if _, err = w.d.Create(context.Background(), &spec); err != nil {
					t.Fatal(err)
				}
			}
			w.mustPut("api", 3)
			w.cut(n%2 == 0, 1)
			w.open()
			w.mustPut("api", 1)
			if names, err := w.mem.ReadDir(dataDir + "/streams"); err != nil || len(names) != 1 {
				t.Errorf("failure %d: folders %v, %v", n, names, err)
			}
			w.stop(time.Minute)
			w.check()
		})
		if done || t.Failed() {
			break
		}
	}
}

// TestPutsBesideADeletion: a put is either refused, or acknowledged and delivered; a deletion that empties the stream at the same
// moment changes nothing of that.
func TestPutsBesideADeletion(t *testing.T) {
	for range 60 {
		inWorld(t, func(w *world) {
			w.open()
			w.create("api")
			w.mem.SetHook(func(op vfs.Op) error { // puts are slow: the deletion overtakes them
				if op.Kind == vfs.OpSync && strings.Contains(op.Name, "/log/") {
					time.Sleep(time.Second)
				}
				return nil
			})
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for w.put("api", 2) == nil {
					}
				})
			}
			w.sleep(5 * time.Second)
			if err := w.d.Delete(context.Background(), "api", false); err != nil {
				t.Error(err)
			}
			wg.Wait()
			w.sleep(time.Minute)
			if w.d.stream("api") != nil {
				t.Error("the stream is still there")
			}
			w.stop(time.Minute)
			w.check()
		})
	}
}
