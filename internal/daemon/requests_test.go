package daemon

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"hydrant/config"
	"hydrant/record"
)

// TestOutageOfAnHour: a destination that is down for an hour costs no memory, the backlog lies on disk, nothing goes to the backup, and
// all of it is delivered in order when it is back.
func TestOutageOfAnHour(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(posted("req-post"), searched("req-find"))
		w.dest.set(weather{fail: 1})
		for range 360 {
			w.mustPut("req-post", 5)
			w.mustPut("req-find", 5)
			w.sleep(10 * time.Second)
		}
		st := w.d.stream("req-post").status()
		if st.BacklogBytes < 360*5*20 {
			t.Errorf("%d bytes wait in the log", st.BacklogBytes)
		}
		if n := len(w.dest.taken("req-post")); n != 0 {
			t.Errorf("%d records were taken", n)
		}
		w.dest.set(weather{})
		w.sleep(5 * time.Minute)
		if n := len(w.store.list("failed-")); n != 0 {
			t.Errorf("%d objects in the backup", n)
		}
		w.inOrder("req-post", 360*5)
		w.check()
	})
}

// inOrder: the destination took all records of a stream in the order they were put.
func (w *world) inOrder(stream string, n int) {
	w.t.Helper()
	got := w.dest.taken(stream)
	if len(got) != n {
		w.t.Errorf("%d records were taken, want %d", len(got), n)
		return
	}
	last := 0
	for _, r := range got {
		var at int
		if _, err := fmt.Sscanf(r[strings.Index(r, `"n":`):], `"n":%d`, &at); err != nil || at <= last {
			w.t.Errorf("record %d behind %d: %v", at, last, err)
			return
		}
		last = at
	}
}

// TestDestinationRefusesOthersNextTime: what a destination refused is kept before the error object is written; after a power cut, it is not
// asked again, though it would refuse other records then.
func TestDestinationRefusesOthersNextTime(t *testing.T) {
	inWorld(t, func(w *world) {
		s := searched("req-find")
		s.Buffer.Size = 10_000
		w.open(s)
		w.store.stuck = func(o *record.Object) bool { return o.Bucket == "failed-req-find" }
		w.dest.refuses = func(data string) bool { return strings.Contains(data, `"n":3,`) || strings.Contains(data, `"n":7,`) }
		w.mustPut("req-find", 12)
		w.sleep(time.Minute)
		if n := len(w.dest.taken("req-find")); n != 10 {
			t.Errorf("%d records were taken", n)
		}
		w.dest.refuses = func(data string) bool { return strings.Contains(data, `"n":4,`) }
		w.store.mu.Lock()
		w.store.stuck = nil
		w.store.mu.Unlock()
		w.cut(false, 0)
		w.open()
		w.sleep(time.Minute)
		w.check()
		text := w.store.text("failed-req-find")
		if !strings.Contains(text, `"n":3,`) || !strings.Contains(text, `"n":7,`) || strings.Count(text, `"n":`) != 2 {
			t.Errorf("the backup holds %s", text)
		}
	})
}

// TestRetriesEnd: what is not taken in time goes to the backup with the last reason, other records are not touched by it, and the time
// counts over restarts.
func TestRetriesEnd(t *testing.T) {
	for _, whole := range []bool{false, true} {
		t.Run(fmt.Sprintf("whole=%v", whole), func(t *testing.T) {
			inWorld(t, func(w *world) {
				s := searched("req")
				if whole {
					s = posted("req")
				}
				s.Retry.For = 300e9
				w.open(s)
				w.dest.set(weather{fail: 1})
				w.mustPut("req", 4)
				w.sleep(160 * time.Second)
				w.cut(true, 0)
				w.sleep(time.Hour) // nobody tries meanwhile
				w.open()
				w.sleep(120 * time.Second)
				if text := w.store.text("failed-req"); strings.Contains(text, `"n":`) {
					t.Errorf("given up too early: %s", text)
				}
				w.sleep(4 * time.Minute)
				w.check()
				if text := w.store.text("failed-req"); strings.Count(text, `"n":`) != 4 {
					t.Errorf("the backup holds %s", text)
				}
				w.dest.set(weather{})
				w.mustPut("req", 4)
				w.sleep(3 * time.Minute)
				w.check()
				if n := len(w.dest.taken("req")); n != 4 {
					t.Errorf("%d records were taken afterwards", n)
				}
			})
		})
	}
}

// TestAnswersAreLost: refusals whose details are gone are refusals all the same.
func TestAnswersAreLost(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(searched("req"))
		w.store.stuck = func(o *record.Object) bool { return true }
		w.dest.refuses = func(data string) bool { return strings.Contains(data, `"n":3,`) }
		w.mustPut("req", 6)
		w.sleep(time.Minute)
		w.cut(true, 0)
		dir := w.removeAnswers("req")
		if dir == 0 {
			t.Error("there was no file of answers")
		}
		w.store.stuck = nil
		w.open()
		w.sleep(time.Minute)
		w.check()
		if text := w.store.text("failed-req"); !strings.Contains(text, `"n":3,`) {
			t.Errorf("the backup holds %s", text)
		}
	})
}

// removeAnswers loses the files of answers of a stream.
func (w *world) removeAnswers(stream string) (n int) {
	streams, err := w.mem.ReadDir(dataDir + "/streams")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range streams {
		if !strings.HasPrefix(s, stream+"~") {
			continue
		}
		dir := dataDir + "/streams/" + s + "answers"
		names, _ := w.mem.ReadDir(dir)
		for _, name := range names {
			if err := w.mem.Remove(dir + "/" + name); err != nil {
				w.t.Fatal(err)
			}
			n++
		}
	}
	return n
}

// TestOneStuckDestination: a stream whose destination hangs does not slow another.
func TestOneStuckDestination(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(posted("req-stuck"), posted("req-well"), small("web"))
		w.dest.stuckStream = "req-stuck"
		for range 20 {
			w.mustPut("req-stuck", 5)
			w.mustPut("req-well", 5)
			w.mustPut("web", 5)
			w.sleep(5 * time.Second)
		}
		w.sleep(time.Minute)
		if n := len(w.dest.taken("req-well")); n != 100 {
			t.Errorf("%d records were taken beside a stuck stream", n)
		}
		w.want("b-web", 100)
		if n := len(w.dest.taken("req-stuck")); n != 0 {
			t.Errorf("the stuck stream delivered %d", n)
		}
		w.dest.mu.Lock()
		w.dest.stuckStream = ""
		w.dest.mu.Unlock()
		w.sleep(3 * time.Minute)
		w.check()
	})
}

// TestFilesOfAnswersGo: none is left once its error object is written.
func TestFilesOfAnswersGo(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(searched("req"))
		w.dest.moody = 0.4
		for range 30 {
			w.mustPut("req", 6)
			w.sleep(15 * time.Second)
		}
		w.sleep(time.Minute)
		w.check()
		if n := w.removeAnswers("req"); n != 0 {
			t.Errorf("%d files of answers are left", n)
		}
	})
}

// TestBatchThatIsNeverLoaded ends with a manifest beside its object.
func TestBatchThatIsNeverLoaded(t *testing.T) {
	inWorld(t, func(w *world) {
		s := loading("load")
		s.Retry.For = 60e9
		w.open(s)
		w.dest.set(weather{fail: 1})
		w.mustPut("load", 3)
		w.sleep(5 * time.Minute)
		w.check()
		left := 0
		for _, name := range w.store.list("b-load") {
			if strings.HasPrefix(name, "b-load/errors/manifests/2000/01/01/00/load-1-2000") {
				left++
				if body := string(w.store.get(name).body); !strings.Contains(body, `{"entries":[{"url":"s3://b-load/2000/01/01/00/load-1-`) || !strings.Contains(body, `"mandatory":true`) {
					t.Errorf("manifest %s", body)
				}
			}
		}
		if left != 1 {
			t.Errorf("%d manifests in %q", left, w.store.list("b-load"))
		}
		w.dest.set(weather{storedError: 0.7})
		w.mustPut("load", 3)
		w.sleep(5 * time.Minute)
		w.check()
	})
}

// TestLoadedWithoutAnAnswer: every answer of the warehouse is lost until the time for retries ends. Its ledger has the batch: no manifest is left,
// which somebody would load a second time.
func TestLoadedWithoutAnAnswer(t *testing.T) {
	inWorld(t, func(w *world) {
		s := loading("load")
		s.Retry.For = 60e9
		w.open(s)
		w.dest.set(weather{storedError: 1})
		w.mustPut("load", 3)
		w.sleep(5 * time.Minute)
		w.check()
		if names := w.store.list("b-load"); len(names) != 1 || w.dest.loads(names[0]) != 1 {
			t.Errorf("%q are stored, want the object alone, loaded once", names)
		}
	})
}

// TestTooLargeThenHalves: a request that is too large is sent in halves under names of their own; what is repeated after lost answers and
// kills has the same names and the same records.
func TestTooLargeThenHalves(t *testing.T) {
	inWorld(t, func(w *world) {
		s := posted("req-post")
		s.Buffer.Size = 3000
		w.open(s)
		w.dest.most = 3
		w.dest.set(weather{storedError: 0.3})
		for range 6 {
			w.mustPut("req-post", 11)
			w.sleep(4 * time.Second)
			w.cut(true, 0)
			w.open()
		}
		w.sleep(time.Hour)
		w.check()
		w.inOrder("req-post", 66)
		w.dest.mu.Lock()
		defer w.dest.mu.Unlock()
		if n := len(w.dest.requests); n < 22 {
			t.Errorf("%d requests were taken", n)
		}
	})
}

// TestHalvesAreNotSentAgain: a half whose answer said that it was taken is not sent again because the other half met an error, nor after a kill:
// not every destination knows it again.
func TestHalvesAreNotSentAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(posted("req-post"))
		w.dest.refuses = func(data string) bool { return strings.Contains(data, `6,"pad"`) }
		w.dest.set(weather{fail: 0.4})
		for range 10 {
			w.mustPut("req-post", 10)
			w.sleep(4 * time.Second)
			w.cut(true, 0)
			w.open()
		}
		w.sleep(time.Hour)
		w.check()
		w.dest.mu.Lock()
		defer w.dest.mu.Unlock()
		if n := len(w.dest.order["req-post"]); n != 90 || w.dest.repeats > 0 {
			t.Errorf("%d records were taken, and %d requests once more", n, w.dest.repeats)
		}
	})
}

// TestSlowBackupOfAll: the destination gets its records although the copies of all source records cannot be written, and those are not lost.
func TestSlowBackupOfAll(t *testing.T) {
	inWorld(t, func(w *world) {
		s := posted("req-post-all")
		s.Backup = config.Backup{Mode: config.BackupAll, S3: &config.S3{Bucket: "b-backup"}, Buffer: s.Buffer}
		s.Normalize()
		w.open(s)
		w.store.stuck = func(o *record.Object) bool { return o.Bucket == "b-backup" }
		for range 30 {
			w.mustPut("req-post-all", 5)
			w.sleep(10 * time.Second)
		}
		w.sleep(time.Minute)
		w.inOrder("req-post-all", 150)
		w.store.mu.Lock()
		w.store.stuck = nil
		w.store.mu.Unlock()
		w.sleep(5 * time.Minute)
		w.check()
	})
}

// TestRefusedByDestination: one bad record never fails its neighbours, whether the destination names it or refuses its whole request.
func TestRefusedByDestination(t *testing.T) {
	for _, s := range []config.Stream{searched("req"), posted("req")} {
		t.Run(s.Destination.Kind(), func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.open(s)
				w.dest.refuses = func(data string) bool { return strings.Contains(data, `5,"pad"`) }
				w.mustPut("req", 40)
				w.sleep(5 * time.Minute)
				w.check()
				if n := len(w.dest.taken("req")); n != 36 {
					t.Errorf("%d were taken", n)
				}
				text := w.store.text("failed-req")
				if strings.Count(text, `"n":`) != 4 {
					t.Errorf("the backup holds %s", text)
				}
				for _, name := range w.store.list("failed-req") {
					if body := string(w.store.get(name).body); !strings.Contains(body, `"test\"Id":"`) || !strings.Contains(body, `"recordId":"`) {
						t.Errorf("error record without its fields: %s", body)
					}
				}
			})
		})
	}
}
