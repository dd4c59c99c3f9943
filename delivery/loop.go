package delivery

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// loop repeats what a former life left unfinished, beside it closes and delivers batches until nothing waits.
func (r *Runner) loop(ended chan struct{}) {
	w := newWorkers(r.opt.Workers)
	r.workers = w
	r.cleanAnswers()
	for {
		r.repeat(w)
		if r.scatters() {
			r.scatter(w)
		} else {
			r.plain(w)
		}
		w.wait()
		if r.opt.Advance != nil {
			r.opt.Advance(true)
		}
		r.sweep(false)
		if r.finish(ended) {
			return
		}
	}
}

// plain delivers ranges of the log.
func (r *Runner) plain(w *workers) {
	r.batches(w)
	for w.busy() { // an entry that is stuck holds up only its worker
		select {
		case <-w.ended:
		case <-r.bell:
			if r.scatters() {
				return
			}
			r.batches(w)
		}
	}
}

// finish ends the loop unless a wake came meanwhile or something waits.
func (r *Runner) finish(ended chan struct{}) bool {
	waits := len(r.opt.Journal.Pending()) > 0 || r.opt.Source.Waits(r.next)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() == nil && (r.again || waits) {
		r.again = false
		return false
	}
	r.running = false
	close(ended)
	return true
}

// repeat works on the entries of the journal while no worker is busy: those that ended processes first, each alone, as it may do so
// again; then the others, oldest first, as far as there are workers.
func (r *Runner) repeat(w *workers) {
	var others []journal.Entry
	for _, e := range r.opt.Journal.Pending() {
		switch {
		case e.Bisecting || e.Attempts >= maxLives:
			r.alone(w, e)
		case !e.Scattered || r.opt.Journal.Scattered() == nil:
			others = append(others, e)
		}
	}
	for _, e := range r.asideBeside(others) {
		if !w.start(r.ctx, func() { r.life(e, false); r.ring() }) {
			return
		}
	}
}

// alone gives an entry that ended processes the machine for itself, for as long as it takes an attempt to end one, too; a destination
// that hangs must not hold up everything else.
func (r *Runner) alone(w *workers, e journal.Entry) {
	ended := make(chan struct{})
	w.beside(func() {
		defer close(ended)
		r.life(e, false)
		r.ring()
	})
	t := time.NewTimer(aloneFor)
	defer t.Stop()
	select {
	case <-ended:
	case <-t.C:
	case <-r.ctx.Done():
	}
}

const aloneFor = 30 * time.Second

// batches closes, journals and delivers until nothing waits.
func (r *Runner) batches(w *workers) {
	for r.ctx.Err() == nil && !r.scatters() {
		b, err := r.opt.Source.Next(r.ctx, r.next, r.flush)
		if r.opt.IsIdle(err) {
			return
		}
		if err != nil {
			if r.ctx.Err() == nil {
				r.opt.Logger.Error("the log cannot be read; trying again", "err", err)
			}
			r.pause(r.opt.Backoff.Cap)
			continue
		}
		e, ok := r.note(b)
		if !ok || !w.start(r.ctx, func() { r.life(e, true) }) {
			return
		}
		r.next = b.Last.Pos + 1
	}
	r.opt.Source.Reset()
}

// note journals a batch: from here on its range and its key are settled, and this process works on it.
func (r *Runner) note(b record.Batch) (e journal.Entry, ok bool) {
	for attempt := 1; ; attempt++ {
		var err error
		if e.N == 0 { // else the journal knows it, perhaps on disk too: it may only be repeated as it is
			e, err = r.plan(b)
		}
		if err == nil {
			if err = r.opt.Journal.Add(&e); err == nil {
				r.state.forget(0)
				r.sweep(true)
				r.opt.Metrics.closed(r.opt.Stream, r.opt.Role, b.Reason)
				return e, true
			}
		}
		r.opt.Logger.Error("a batch cannot be journaled; nothing of it is delivered until that works", "attempt", attempt, "err", err)
		r.state.trouble(0, err)
		if !r.pause(r.opt.Backoff.wait(attempt)) {
			return e, false
		}
	}
}

// plan settles what an entry for the batch writes, and under which name.
func (r *Runner) plan(b record.Batch) (journal.Entry, error) {
	version := r.opt.Specs.Current()
	e := journal.Entry{Batch: b, Role: r.opt.Role, Version: version, Attempts: 1, Salt: r.saltOf("")}
	spec, err := r.opt.Specs.Spec(version)
	if err != nil {
		return e, err
	}
	e.Bucket = spec.Bucket
	if spec.Requests != nil && spec.Requests.Whole {
		l := r.opt.Requester(version).Limits()
		e.PackRecords, e.PackBytes = l.Records, l.Bytes
	}
	e.Key, err = r.key(spec, &e)
	return e, err
}

// pause waits, shorter when the runner is stopped; false then.
func (r *Runner) pause(d time.Duration) bool { return pause(r.ctx, d) }

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// wait is the pause before the attempt after the n-th.
func (b Backoff) wait(n int) time.Duration {
	limit := min(b.First<<min(n-1, 20), b.Cap)
	return time.Duration(rand.Int64N(int64(limit))) + time.Millisecond
}

// workers bounds the batches under way. The goroutines belong to the loop, which waits for them.
type workers struct {
	slots  chan struct{}
	ended  chan struct{} // holds a token after a worker ended
	others atomic.Int64  // at work beside the slots
	wg     sync.WaitGroup
}

func newWorkers(n int) *workers {
	return &workers{slots: make(chan struct{}, n), ended: make(chan struct{}, 1)}
}

func (w *workers) start(ctx context.Context, work func()) bool {
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	w.wg.Go(func() {
		work()
		<-w.slots
		select {
		case w.ended <- struct{}{}:
		default:
		}
	})
	return true
}

// beside starts work that takes no slot.
func (w *workers) beside(work func()) {
	w.others.Add(1)
	w.wg.Go(func() {
		work()
		w.others.Add(-1)
		select {
		case w.ended <- struct{}{}:
		default:
		}
	})
}

// busy says whether anything is under way. Only the loop starts work, so that no stays no.
func (w *workers) busy() bool { return len(w.slots) > 0 || w.others.Load() > 0 }

func (w *workers) wait() { w.wg.Wait() }
