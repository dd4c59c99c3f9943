package daemon

import (
	"strings"
	"testing"
	"time"
)

// TestAnswersAreAskedOnce: what a hook answered is delivered, however often the process dies: the hook would answer differently.
func TestAnswersAreAskedOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(once(small("once")))
		for range 30 {
			w.mustPut("once", 5)
			w.sleep(time.Duration(w.rng.Intn(7000)) * time.Millisecond)
			w.cut(w.rng.Intn(2) == 0, 0.5)
			w.open()
		}
		w.sleep(2 * time.Minute)
		w.check()
	})
}

// TestHookThatHangs: other streams go on, puts are accepted, and nothing is lost once it answers.
func TestHookThatHangs(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(once(small("once")), small("other"))
		w.hook.hangs = true
		w.mustPut("once", 20)
		w.mustPut("other", 20)
		w.sleep(30 * time.Second)
		if n := len(w.store.list("b-other")); n == 0 {
			t.Error("the other stream waits, too")
		}
		if words := w.d.stream("once").status().Words(time.Now()); !strings.Contains(words, "processors get no further: they have been at work") {
			t.Error(words)
		}
		if n := len(w.store.list("b-once")); n != 0 {
			t.Errorf("%d objects without an answer", n)
		}
		w.hook.mu.Lock()
		w.hook.hangs = false
		w.hook.mu.Unlock()
		w.cut(true, 0)
		w.open()
		w.sleep(2 * time.Minute)
		w.check()
	})
}

// TestProcessorsComeAndGo: a stream gets processors that must not see a record twice, and loses them, while batches and partitions are
// open; each record is delivered once.
func TestProcessorsComeAndGo(t *testing.T) {
	inWorld(t, func(w *world) {
		plain, staged := partitioned("parts", 3), once(partitioned("parts", 3))
		w.open(plain)
		for i := range 12 {
			w.mustPut("parts", 7)
			w.sleep(time.Duration(w.rng.Intn(12000)) * time.Millisecond)
			w.cut(true, 0)
			if i%4 < 2 {
				w.open(staged)
			} else {
				w.open(plain)
			}
		}
		w.sleep(5 * time.Minute)
		w.check()
	})
}

// TestStagedBacklogIsBounded: what is staged counts with the rest, and the first log is given back as it is staged.
func TestStagedBacklogIsBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		s := once(small("once"))
		s.Buffer.MaxBacklog = 20_000
		w.open(s)
		w.store.set(weather{fail: 1})
		refused := 0
		for range 200 {
			if w.put("once", 5) != nil {
				refused++
			}
			w.sleep(time.Second)
		}
		st := w.d.stream("once").status()
		if refused == 0 || st.BacklogBytes > 3*20_000 {
			t.Errorf("%d of 200 puts were refused, %d bytes wait", refused, st.BacklogBytes)
		}
		if words := st.Words(time.Now()); !strings.Contains(words, "retrying main") {
			t.Error(words)
		}
		w.store.set(weather{})
		w.sleep(5 * time.Minute)
		w.check()
	})
}
