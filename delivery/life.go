package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// maxLives is how many processes may end while they work on an entry before it is bisected.
const maxLives = 3

// headPatience is how often a store is asked what stands under the key of an entry that is to be bisected. Where nobody may look, the
// stream must go on all the same: then at least once.
const headPatience = 20

// rejectedType is the error type of records whose object S3 will never take.
const rejectedType = "s3-failed"

// life is one process's work on one entry and on what it turned into (halves, an error object, the rest of an adopted one).
// It ends with all of it done, or with the runner stopped. claimed: the journal knows already that this process works on it.
func (r *Runner) life(e journal.Entry, claimed bool) {
	defer r.state.forget(e.N)
	for queue := []journal.Entry{e}; len(queue) > 0 && r.ctx.Err() == nil; claimed = false {
		into := r.deliver(queue[0], claimed)
		queue = append(into, queue[1:]...)
		if r.opt.Advance != nil {
			r.opt.Advance(false)
		}
	}
}

// deliver tries an entry until it is done or replaced by others, which it returns.
func (r *Runner) deliver(e journal.Entry, claimed bool) (into []journal.Entry) {
	if !claimed {
		var mine bool
		if into, mine = r.claim(&e); !mine {
			return into
		}
	}
	w := &work{r: r, e: e}
	defer w.release()
	for attempt := 1; r.ctx.Err() == nil; attempt++ {
		out := w.attempt(r.ctx)
		w.survived()
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
			return into, mine
		}
		r.opt.Logger.Error("a batch cannot be claimed; it waits", "batch", e.N, "attempt", attempt, "err", err)
		r.state.trouble(err)
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

// bisect replaces an entry that ended processes by its halves, or sets its last record aside. What stands under its key already counts.
func (r *Runner) bisect(e *journal.Entry, blind bool) ([]journal.Entry, error) {
	r.opt.Logger.Error("a batch has ended the process several times; it is bisected", "batch", e.N, "first", e.Batch.First.Pos, "last", e.Batch.Last.Pos)
	found, exists, err := r.opt.Sink().Head(r.ctx, e.Bucket, e.Key)
	if err != nil && !blind {
		return nil, fmt.Errorf("whether the object is there already: %w", err)
	}
	if err != nil {
		r.opt.Logger.Error("whether the object is there already cannot be found out; its records may be delivered twice", "batch", e.N, "key", e.Key, "err", err)
	}
	if exists && found != nil && found.First == e.Batch.First && found.Last == e.Batch.Last {
		return nil, r.opt.Journal.Done(e.N)
	}
	spec, err := r.opt.Specs.Spec(e.Version)
	if err != nil {
		return nil, err
	}
	if e.Batch.Count <= 1 || e.Batch.First.Pos == e.Batch.Last.Pos {
		return r.setAside(spec, *e, "process-killed", "Hydrant.ProcessKilled", "the process ended several times while it worked on this record")
	}
	halves, err := r.halves(e)
	if err != nil {
		return nil, err
	}
	return r.split(spec, e.N, halves...)
}

// split journals what takes the place of an entry, in one step.
func (r *Runner) split(spec *Spec, n uint64, into ...*journal.Entry) ([]journal.Entry, error) {
	for _, e := range into {
		var err error
		if e.Key, err = r.key(spec, e); err != nil {
			return nil, err
		}
	}
	if !r.insist(n, func() error { return r.opt.Journal.Split(n, into...) }) {
		return nil, r.ctx.Err()
	}
	out := make([]journal.Entry, len(into))
	for i, e := range into {
		out[i] = *e
	}
	return out, nil
}

// insist writes to the journal until it worked; false: stopped before. What an entry turns into may be on disk although the
// write failed, so that the entry itself must not be delivered any more: else records would be delivered twice after a crash.
func (r *Runner) insist(n uint64, write func() error) bool {
	for attempt := 1; ; attempt++ {
		err := write()
		if err == nil {
			return true
		}
		r.opt.Logger.Error("the journal cannot be written; the batch waits", "batch", n, "attempt", attempt, "err", err)
		r.state.trouble(err)
		if !r.pause(r.opt.Backoff.wait(attempt)) {
			return false
		}
	}
}

// halves splits an entry at the middle position. The second half begins at its first record that is there.
func (r *Runner) halves(e *journal.Entry) ([]*journal.Entry, error) {
	mid := e.Batch.First.Pos + (e.Batch.Last.Pos-e.Batch.First.Pos)/2
	var parts [2]partCount
	err := r.opt.Source.Read(r.ctx, e.Batch.First.Pos, e.Batch.Last.Pos, func(rec record.Record) error {
		i := 0
		if rec.Pos > mid {
			i = 1
		}
		parts[i].add(rec)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []*journal.Entry
	for i := range parts {
		if parts[i].batch.Count > 0 {
			out = append(out, parts[i].entry(e))
		}
	}
	return out, nil
}

type partCount struct{ batch record.Batch }

func (p *partCount) add(rec record.Record) {
	if p.batch.Count == 0 {
		p.batch.First, p.batch.ArrivalMillis = rec.ID, rec.ArrivalMillis
	}
	p.batch.Last = rec.ID
	p.batch.Count++
	p.batch.Bytes += int64(len(rec.Data))
}

func (p *partCount) entry(of *journal.Entry) *journal.Entry {
	e := *of
	e.N = 0
	e.Attempts, e.Bisecting, e.UploadID = 0, true, ""
	e.Batch = p.batch
	e.Batch.StartOffset, e.Batch.EndOffset, e.Batch.Reason = of.Batch.StartOffset, of.Batch.EndOffset, of.Batch.Reason
	return &e
}

// setAside turns an entry into one that writes its records to the error prefix.
func (r *Runner) setAside(spec *Spec, e journal.Entry, errorType, code, message string) ([]journal.Entry, error) {
	n := e.N
	e.N, e.SetAside, e.Code, e.Message = 0, errorType, code, message
	e.Attempts, e.Ordinal, e.Bisecting, e.UploadID = 0, 0, false, ""
	return r.split(spec, n, &e)
}

// work is an entry with what was built for it.
type work struct {
	r      *Runner
	e      journal.Entry
	object *record.Object
	spool  Spool
	spec   *Spec
	began  time.Time // of the attempt
	tries  int       // of this key, in this life
	// repeated: another life worked on this key before
	repeated bool
	into     []journal.Entry
}

func (w *work) release() {
	if w.spool != nil {
		_ = w.spool.Close()
		w.spool, w.object = nil, nil
	}
}

// attempt builds the object if that was not done yet, and offers it to the sink once.
func (w *work) attempt(ctx context.Context) record.Outcome {
	w.r.state.attempt(w.e)
	if w.object == nil {
		if err := w.build(ctx); err != nil {
			w.release()
			return record.Outcome{Kind: record.Retry, Code: "Hydrant.EncodeFailed", Err: err}
		}
	}
	w.began = time.Now()
	if w.object.Identity.Count == 0 {
		return record.Outcome{Kind: record.Delivered} // nothing readable is left of the range: the damage was reported
	}
	w.tries++
	return w.r.opt.Sink().Put(ctx, w.object)
}

// judge acts on an outcome; true means that this life is over.
func (w *work) judge(out record.Outcome, attempt int) bool {
	var err error
	switch out.Kind {
	case record.Delivered:
		return w.delivered(attempt)
	case record.Exists:
		return w.exists(out)
	case record.Rejected:
		w.r.opt.Metrics.rejected(w.r.opt.Stream, w.e.Batch.Count)
		w.r.opt.Logger.Error("the destination will never take this object; its records go to the error prefix",
			"batch", w.e.N, "code", out.Code, "err", out.Err)
		if w.e.SetAside != "" {
			return false // an error object must find a place: tried again, loudly
		}
		if w.into, err = w.r.setAside(w.spec, w.e, rejectedType, out.Code, errText(out.Err)); err != nil {
			w.r.opt.Logger.Error("the records cannot be set aside", "batch", w.e.N, "err", err)
			return false
		}
		return true
	case record.Retry:
		return false
	}
	return false
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (w *work) delivered(attempt int) bool {
	if err := w.r.opt.Journal.Done(w.e.N); err != nil {
		// The object is there; a replay will recognise it.
		w.r.opt.Logger.Warn("the delivery could not be noted", "batch", w.e.N, "err", err)
	}
	w.r.opt.Metrics.delivered(w.r.opt.Stream, w)
	w.r.state.delivered(w.e, w.object, time.Now())
	w.r.opt.Logger.Debug("delivered", "batch", w.e.N, "key", w.e.Key, "records", w.e.Batch.Count, "attempt", attempt)
	return true
}

// retryLater tells what went wrong, moves a stuck batch to a newer version when that is safe, and waits. False: stopped.
func (w *work) retryLater(out record.Outcome, attempt int, wait time.Duration) bool {
	w.r.opt.Metrics.retried(w.r.opt.Stream, out.Code)
	w.r.state.retrying(w.e, out, attempt, wait)
	if loud(attempt) {
		w.r.opt.Logger.Warn("delivery failed; trying again", "batch", w.e.N, "key", w.e.Key, "attempt", attempt, "code", out.Code, "err", out.Err, "next_in", wait)
	}
	if attempt >= 2 {
		w.moveToNewVersion()
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
	if _, exists, err := w.r.opt.Sink().Head(w.r.ctx, w.e.Bucket, w.e.Key); err != nil || exists {
		return
	}
	e := w.e
	e.Version, e.Bucket, e.Ordinal, e.UploadID, e.Attempts = current, spec.Bucket, 0, "", 1
	if e.Key, err = w.r.key(spec, &e); err != nil {
		w.r.opt.Logger.Error("the newest version makes no key", "batch", e.N, "err", err)
		return
	}
	if !w.r.insist(e.N, func() error { return w.r.opt.Journal.Replace(e) }) {
		return
	}
	w.r.opt.Logger.Info("a stuck batch moves to the newest version of its stream", "batch", e.N, "from_version", w.e.Version, "version", current, "key", e.Key)
	w.release()
	w.e, w.spec, w.tries, w.repeated = e, nil, 0, false
}

var errConflict = errors.New("the key is taken by an object that is not this batch")
