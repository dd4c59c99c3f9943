package daemon

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"hydrant/config"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// ask sends a request to the record port of the daemon that runs.
func (w *world) ask(path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.d.RecordsHandler().ServeHTTP(rec, r)
	return rec
}

// deliver sends records with Firehose's HTTP delivery protocol, and notes them as acknowledged when they were.
func (w *world) deliver(stream, id string, records ...string) *httptest.ResponseRecorder {
	var data []string
	for _, r := range records {
		w.mu.Lock()
		if w.where[r] = stream; !w.told[r] {
			w.told[r] = false // nobody knows yet, but it may appear
		}
		w.mu.Unlock()
		data = append(data, fmt.Sprintf(`{"data":%q}`, base64.StdEncoding.EncodeToString([]byte(r+"\n"))))
	}
	rec := w.ask("/v1/firehose/"+stream, fmt.Sprintf(`{"requestId":%q,"timestamp":1,"records":[%s]}`, id, strings.Join(data, ",")))
	if rec.Code == 200 {
		w.mu.Lock()
		for _, r := range records {
			w.told[r] = true
		}
		w.mu.Unlock()
	}
	return rec
}

// TestRequestRepeatedWhileSyncing: a repeat that comes while the first one is on its way to the disk waits for it, and is not taken again.
func TestRequestRepeatedWhileSyncing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(small("web"))
		w.mustPut("web", 1)
		hold := make(chan struct{})
		var once sync.Once
		w.mem.SetHook(func(op vfs.Op) error {
			if op.Kind == vfs.OpSync && strings.HasSuffix(op.Name, ".seg") {
				once.Do(func() { <-hold })
			}
			return nil
		})
		r := []string{line("web", 1001, "a"), line("web", 1002, "b")}
		codes := make([]int, 3)
		var wg sync.WaitGroup
		for i := range codes {
			wg.Go(func() { codes[i] = w.deliver("web", "id-1", r...).Code })
		}
		synctest.Wait()
		close(hold)
		wg.Wait()
		if fmt.Sprint(codes) != "[200 200 200]" {
			t.Errorf("answers %v", codes)
		}
		w.sleep(time.Minute)
		w.check()
		w.want("b-web", 3)
	})
}

// TestRequestWindowOutlivesTrimming: records that were delivered, and whose log is gone, are not taken again under their request's id.
func TestRequestWindowOutlivesTrimming(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(small("web"))
		send := func() {
			for i := range 30 {
				if rec := w.deliver("web", fmt.Sprint("id-", i), line("web", 2000+i, strings.Repeat("x", 90))); rec.Code != 200 {
					t.Errorf("%d %s", rec.Code, rec.Body)
				}
			}
		}
		send()
		w.sleep(5 * time.Minute) // delivered, trimmed, the log given back
		send()
		w.cut(false, 0)
		w.open()
		send()
		w.sleep(time.Minute)
		w.check()
		w.want("b-web", 30)
	})
}

// TestIdempotencyKeyAcrossKills: the same on /v1, when the answer was lost with the process.
func TestIdempotencyKeyAcrossKills(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(small("web"))
		r := line("web", 3000, "x")
		w.told[r], w.where[r] = true, "web"
		for range 4 {
			if rec := w.ask("/v1/streams/web/records", r+"\n", "Content-Type", "application/x-ndjson", "Idempotency-Key", "k"); rec.Code != 200 || rec.Body.String() != `{"accepted":1}` {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
			w.cut(true, 0)
			w.open()
		}
		w.sleep(time.Minute)
		w.check()
		w.want("b-web", 1)
	})
}

// TestReplayedErrorsOnce: error records come back once, whoever sends them how often, also across a power cut; and a destination that knows its
// records by name is given the names that they had first.
func TestReplayedErrorsOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(searched("req"))
		w.dest.refuses = func(data string) bool { return strings.Contains(data, `2,"pad"`) }
		w.mustPut("req", 30)
		w.sleep(5 * time.Minute)
		w.check()
		w.dest.refuses = nil
		errors := ""
		names := w.store.list("failed-req")
		for _, name := range names {
			errors += string(w.store.get(name).body)
		}
		if strings.Count(errors, "\n") != 3 {
			t.Fatalf("set aside: %s", errors)
		}
		for i := range 4 {
			want := map[bool]string{true: `{"accepted":3,"repeated":0}`, false: `{"accepted":0,"repeated":3}`}[i == 0]
			if rec := w.ask("/v1/streams/req/error-records", errors); rec.Code != 200 || rec.Body.String() != want {
				t.Errorf("%d: %d %s, want %s", i, rec.Code, rec.Body, want)
			}
			w.sleep(3 * time.Minute)
			w.cut(false, 0)
			w.open()
		}
		w.store.mu.Lock()
		for _, name := range names { // their records are delivered now
			delete(w.store.objects, name)
		}
		w.store.mu.Unlock()
		w.sleep(time.Minute)
		w.check()
		if n := len(w.dest.taken("req")); n != 30 {
			t.Errorf("%d records were taken", n)
		}
	})
}

// TestReplayKeepsIdentity: a record that was taken after all, although its answer said otherwise, is known by its name when it comes back.
func TestReplayKeepsIdentity(t *testing.T) {
	inWorld(t, func(w *world) {
		s := searched("req")
		s.Retry.For = 20e9
		w.open(s)
		w.dest.set(weather{storedError: 1}) // all is taken, and no answer says so
		w.mustPut("req", 6)
		w.sleep(5 * time.Minute)
		text := ""
		for _, name := range w.store.list("failed-req") {
			text += string(w.store.get(name).body)
		}
		if strings.Count(text, "\n") != 6 || len(w.dest.taken("req")) != 6 {
			t.Fatalf("%d taken, set aside: %s", len(w.dest.taken("req")), text)
		}
		w.dest.set(weather{})
		if rec := w.ask("/v1/streams/req/error-records", text); rec.Body.String() != `{"accepted":6,"repeated":0}` {
			t.Errorf("%s", rec.Body)
		}
		w.sleep(5 * time.Minute)
		if n := len(w.dest.taken("req")); n != 6 {
			t.Errorf("%d records were taken, want each once", n)
		}
	})
}

// TestAttributesAreKept: what the sender says of all records stands in the log with them.
func TestAttributesAreKept(t *testing.T) {
	inWorld(t, func(w *world) {
		s := small("web")
		s.Buffer.Interval = config.Duration(10 * time.Minute)
		w.open(s)
		rec := w.ask("/v1/firehose/web", `{"requestId":"a","records":[{"data":"YQ=="}]}`, "X-Amz-Firehose-Common-Attributes", `{"commonAttributes":{"env":"prod"}}`)
		if rec.Code != 200 {
			t.Fatalf("%d %s", rec.Code, rec.Body)
		}
		log, _ := w.d.stream("web").opened()
		found := 0
		err := logNotes{log}.Notes(1, func(n *record.Note, _ record.Position) {
			found++
			if n.Attributes["env"] != "prod" {
				t.Errorf("%+v", n)
			}
		})
		if err != nil || found != 1 {
			t.Errorf("%d notes, %v", found, err)
		}
		delete(w.told, "a")
	})
}

// TestReplayThatFailsAgain: a record that came back and was refused once more may come back once more, under its first name.
func TestReplayThatFailsAgain(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(searched("req"))
		w.dest.refuses = func(data string) bool { return strings.Contains(data, `2,"pad"`) }
		w.mustPut("req", 5)
		w.sleep(time.Minute)
		for round := range 3 {
			text := ""
			w.store.mu.Lock()
			for name, o := range w.store.objects {
				text += string(o.body)
				delete(w.store.objects, name)
			}
			w.store.mu.Unlock()
			if round == 2 {
				w.dest.refuses = nil
			}
			for i, want := range []string{`{"accepted":1,"repeated":0}`, `{"accepted":0,"repeated":1}`} {
				if rec := w.ask("/v1/streams/req/error-records", text); rec.Body.String() != want {
					t.Errorf("round %d, %d: %s, want %s", round, i, rec.Body, want)
				}
			}
			w.sleep(time.Minute)
		}
		w.check()
		if n := len(w.dest.taken("req")); n != 5 || len(w.dest.byName) != 5 {
			t.Errorf("%d records were taken under %d names", n, len(w.dest.byName))
		}
	})
}
