package delivery

import (
	"context"
	"errors"
	"time"

	"hydrant/delivery/journal"
	"hydrant/internal/spool"
	"hydrant/record"
)

// maxLives is how many processes may end while they work on an entry before it is bisected.
const maxLives = 3

// headPatience is how often a store is asked what stands under the key of an entry that is to be bisected. Where nobody may look, the
// stream must go on all the same: then at least once.
const headPatience = 20

// rejectedType is the error type of records whose object S3 will never take.
const rejectedType = record.DestinationFailed

// life is one process's work on one entry and on what it turned into (halves, an error object, the rest of an adopted one).
// It ends with all of it done, or with the runner stopped. claimed: the journal knows already that this process works on it.
func (r *Runner) life(e journal.Entry, claimed bool) { r.lifeFrom(e, claimed, nil) }

// lifeFrom is life with the records at hand: lane holds those of the entry, and so those of whatever it turns into.
func (r *Runner) lifeFrom(e journal.Entry, claimed bool, lane *chunk) {
	for queue := []journal.Entry{e}; len(queue) > 0 && r.ctx.Err() == nil; claimed = false {
		into := r.deliver(queue[0], claimed, lane)
		queue = append(r.asideBeside(into), queue[1:]...)
		if r.opt.Advance != nil {
			r.opt.Advance(false)
		}
	}
}

// asideBeside hands error objects to goroutines of their own, as far as there are any, and returns the rest: a backup that is away must not
// hold up the destination, whose records these are not.
func (r *Runner) asideBeside(into []journal.Entry) (rest []journal.Entry) {
	for _, e := range into {
		if e.SetAside == "" || e.Scattered || !r.asides.TryAcquire(1) {
			rest = append(rest, e)
			continue
		}
		r.workers.beside(func() {
			defer r.asides.Release(1)
			r.life(e, false)
			r.ring()
		})
	}
	return rest
}

// asidesAtOnce is how many error objects of a reader may wait for their store beside its workers. What waits holds no object in memory.
const asidesAtOnce = 32

// deliver tries an entry until it is done or replaced by others, which it returns.
func (r *Runner) deliver(e journal.Entry, claimed bool, lane *chunk) (into []journal.Entry) {
	defer r.state.forget(e.N)
	if !claimed {
		var mine bool
		if into, mine = r.claim(&e); !mine {
			return into
		}
	}
	if spec, err := r.opt.Specs.Spec(e.Version); err == nil && spec.Requests != nil && e.SetAside == "" {
		return r.send(e, spec)
	}
	w := &work{r: r, e: e, lane: lane}
	defer w.release()
	if w.formerArrived() {
		w.delivered(0)
		return nil
	}
	return w.run()
}

// run attempts until the entry is done or replaced.
func (w *work) run() (into []journal.Entry) {
	r := w.r
	for attempt := 1; r.ctx.Err() == nil; attempt++ {
		out, over := w.attempt(r.ctx)
		w.survived()
		if over {
			return w.into
		}
		if r.ctx.Err() != nil && out.Kind != record.Delivered {
			return nil
		}
		key := w.e.Key
		if w.judge(out, attempt) {
			return w.into
		}
		wait := max(r.opt.Backoff.wait(attempt), out.RetryAfter)
		if key != w.e.Key {
			if attempt > 1 && !r.pause(wait) { // the first new key is tried at once
				return nil
			}
			continue
		}
		if attempt >= 2 && w.loadedBefore() {
			w.loaded(r.loadID(&w.e), attempt)
			return w.into
		}
		if !w.retryLater(out, attempt, wait) {
			return nil
		}
	}
	return nil
}

// claim notes that this process works on the entry, before it does; mine says that it is to be delivered as it is. An entry
// that several processes did not survive is bisected, and the one record that is left is set aside.
func (r *Runner) claim(e *journal.Entry) (into []journal.Entry, mine bool) {
	for attempt := 1; ; attempt++ {
		into, mine, err := r.tryClaim(e, attempt)
		if err == nil {
			if attempt > 1 {
				r.state.forget(e.N)
			}
			return into, mine
		}
		r.opt.Logger.Error("a batch cannot be claimed; it waits", "batch", e.N, "attempt", attempt, "err", err)
		r.state.trouble(e.N, err)
		if !r.pause(r.opt.Backoff.wait(attempt)) {
			return nil, false
		}
	}
}

func (r *Runner) tryClaim(e *journal.Entry, attempt int) (into []journal.Entry, mine bool, err error) {
	if e.Attempts >= maxLives && e.SetAside == "" {
		into, err = r.bisect(e, attempt > headPatience)
		return into, false, err
	}
	claimed := *e
	claimed.Attempts++
	if err = r.opt.Journal.Replace(claimed); err == nil {
		*e = claimed
	}
	return nil, true, err
}

// survived takes back what claim counts once an attempt has ended without ending the process: only lives that died of the entry
// count. One stays, because the object may have been offered.
func (w *work) survived() {
	if w.e.Attempts <= 1 || w.tries == 0 {
		return
	}
	w.repeated = true
	w.e.Attempts = 1
	if err := w.r.opt.Journal.Replace(w.e); err != nil { // at worst a death too many is counted
		w.r.opt.Logger.Warn("that the process lives could not be noted", "batch", w.e.N, "err", err)
	}
}

// work is an entry with what was built for it.
type work struct {
	r      *Runner
	e      journal.Entry
	lane   *chunk // where the records are at hand, nil: in the log
	object *record.Object
	spool  *spool.Buffer
	spec   *Spec
	began  time.Time // of the attempt
	tries  int       // of this key, in this life
	// repeated: another life worked on this key before; sent: an attempt of this one may have reached the store
	repeated, sent bool
	unsure         bool // the warehouse could not be asked about the batch
	// Found out by building, to be settled before the object is offered:
	learned int                // the schema it is written under, 0 when that is journaled or none
	failed  map[string]*failed // by error type
	into    []journal.Entry    // what the entry turned into, beside itself
}

func (w *work) release() {
	w.freeSpool()
	w.object = nil
}

func (w *work) freeSpool() {
	if w.spool != nil {
		_ = w.spool.Close()
		w.spool = nil
	}
}

// attempt builds the object if that was not done yet, settles what that brought to light, and offers it to the sink once.
func (w *work) attempt(ctx context.Context) (out record.Outcome, over bool) {
	w.r.state.attempt(w.e)
	if w.e.Scattered {
		if w.r.tries.Acquire(ctx, 1) != nil {
			return record.Outcome{Kind: record.Retry, Err: ctx.Err(), Unsent: true}, false
		}
		defer w.r.tries.Release(1)
	}
	if w.object == nil {
		over, err := false, w.build(ctx)
		if err == nil {
			over, err = w.settle()
		}
		if err != nil {
			w.release()
			if errors.Is(err, errLane) {
				w.lane = nil // the log has the records, too
			}
			return record.Outcome{Kind: record.Retry, Code: "Hydrant.EncodeFailed", Err: err, Unsent: true}, over
		}
		if over {
			return out, true
		}
	}
	w.began = time.Now()
	if w.object.Identity.Count == 0 {
		return record.Outcome{Kind: record.Delivered}, false // nothing readable is left of the range: the damage was reported
	}
	w.tries++
	return w.r.opt.Sink(Place{Version: w.e.Version, Aside: w.r.isAside(role(&w.e))}).Put(ctx, w.object), false
}

// judge acts on an outcome; true means that this life is over.
func (w *work) judge(out record.Outcome, attempt int) bool {
	switch out.Kind {
	case record.Delivered:
		return w.delivered(attempt)
	case record.Exists:
		return w.exists(out)
	case record.Rejected:
		return w.rejected(out)
	case record.Retry:
		w.sent = w.sent || !out.Unsent
	}
	return false
}

// rejected finds another form for an object that the destination will never take: smaller ones, or an error object. One that holds
// a single record and is an error object already must find a place as it is: it is tried again, loudly.
func (w *work) rejected(out record.Outcome) (over bool) {
	log := w.r.opt.Logger.With("batch", w.e.N, "key", w.e.Key, "code", out.Code)
	var into []journal.Entry
	var err error
	switch {
	case w.e.Batch.Count > 1 && w.e.Batch.First.Pos < w.e.Batch.Last.Pos && w.tooLarge(out):
		log.Warn("the destination takes no object of this size; it is sent in halves", "bytes", w.object.Size, "err", out.Err)
		into, err = w.r.shrink(w.spec, &w.e)
	case w.e.SetAside != "":
		log.Error("the destination refuses an error object; its records wait until it takes it", "err", out.Err)
		return false
	default:
		log.Error("the destination will never take this object; its records go to the error prefix", "err", out.Err)
		into, err = w.r.setAside(w.spec, w.e, rejectedType, out.Code, errText(out.Err))
	}
	if err != nil {
		log.Error("the records of a refused object cannot be given another form yet", "err", err)
		return false
	}
	w.into = append(w.into, into...)
	return true
}

// tooLarge: smaller objects may be taken. An error object consists of nothing that a store could dislike but its size.
func (w *work) tooLarge(out record.Outcome) bool {
	return out.TooLarge || w.e.SetAside != "" && out.Code == "S3.InvalidRequest"
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// delivered: the object is in the store. Where a warehouse is to take it in, that comes next.
func (w *work) delivered(attempt int) bool {
	if w.loads() && (w.object == nil || w.object.Identity.Count > 0) {
		return w.load()
	}
	return w.done(attempt)
}

// done ends the entry.
func (w *work) done(attempt int) bool {
	if err := w.r.opt.Journal.Done(w.e.N); err != nil {
		// The object is there; a replay will recognise it.
		w.r.opt.Logger.Warn("the delivery could not be noted", "batch", w.e.N, "err", err)
	}
	w.r.forgetAnswers(&w.e)
	w.r.opt.Metrics.delivered(w.r.opt.Stream, w)
	w.r.state.delivered(w.e, w.object, time.Now())
	w.r.opt.Logger.Debug("delivered", "batch", w.e.N, "key", w.e.Key, "records", w.e.Batch.Count, "attempt", attempt)
	return true
}

// retryLater tells what went wrong, moves a stuck batch to a newer version when that is safe, and waits. False: stopped.
func (w *work) retryLater(out record.Outcome, attempt int, wait time.Duration) bool {
	w.r.opt.Metrics.retried(w.r.opt.Stream, role(&w.e), out.Code)
	w.r.state.retrying(w.e, out, attempt, wait)
	if loud(attempt) {
		w.r.opt.Logger.Warn("delivery failed; trying again", "batch", w.e.N, "key", w.e.Key, "attempt", attempt, "code", out.Code, "err", out.Err, "next_in", wait)
	}
	if attempt >= 2 {
		w.moveToNewVersion()
	}
	if w.e.Scattered || w.e.SetAside != "" {
		w.release() // many may wait: none keeps its object meanwhile
	}
	return w.r.pause(wait)
}

// loud throttles the warnings of a destination that stays down.
func loud(attempt int) bool { return attempt <= 3 || attempt&(attempt-1) == 0 || attempt%60 == 0 }

// moveToNewVersion gives a batch that cannot be delivered the name and form of the newest version, once the old key is proven absent.
func (w *work) moveToNewVersion() {
	current := w.r.opt.Specs.Current()
	if current == w.e.Version {
		return
	}
	spec, err := w.r.opt.Specs.Spec(current)
	if err != nil {
		return
	}
	former := formerOf(&w.e)
	if w.unsure || !w.r.absent(former) {
		return
	}
	if e := w.e; e.SetAside == "" && (spec.Requests != nil || spec.Loads != w.spec.Loads) {
		return // another kind of destination: what became of it there could not be told
	}
	if w.e.Loaded != nil && !spec.Loads {
		return // a manifest stays with those who load by it
	}
	e := w.e
	e.Version, e.Derived, e.Schema = current, w.e.Processors(), 0
	e.Bucket, e.Ordinal, e.Attempts, e.Former = spec.bucket(&e), 0, 1, former
	if e.Key, err = w.r.key(spec, &e); errors.Is(err, errNoName) && e.Bucket != w.e.Bucket {
		bucket := e.Bucket // its partition has no name there: only the place changes
		e = w.e
		e.Bucket, e.Attempts, e.Former, err = bucket, 1, former, nil
	}
	if err != nil {
		w.r.opt.Logger.Error("the newest version makes no key", "batch", e.N, "err", err)
		return
	}
	if !w.r.insist(e.N, func() error { return w.r.opt.Journal.Replace(e) }) {
		return
	}
	w.r.opt.Logger.Info("a stuck batch moves to the newest version of its stream", "batch", e.N, "from_version", w.e.Version, "version", current, "key", e.Key)
	w.renamed(e)
	w.spec = nil
}

// renamed goes on under a key that nobody tried.
func (w *work) renamed(e journal.Entry) {
	w.release()
	w.e, w.tries, w.repeated, w.sent = e, 0, false, false
}

var errConflict = errors.New("the key is taken by an object that is not this batch")
