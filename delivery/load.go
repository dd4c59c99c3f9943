package delivery

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// manifestType is the role of the manifest of an object that a warehouse did not take in.
const manifestType = "manifest"

// loads says whether the entry's object is to be taken in by a warehouse once it is stored.
func (w *work) loads() bool { return w.spec != nil && w.spec.Loads && w.e.SetAside == "" }

// loadID names the batch to the warehouse: the same in every life, and no other batch has it.
func (r *Runner) loadID(e *journal.Entry) string {
	return fmt.Sprintf("%s.%d-%d.%d.%s.%016x", e.Batch.First.Epoch, e.Batch.First.Pos, e.Batch.Last.Pos, e.Version, e.Role, nameHash(e, "load"))
}

// load has the stored object taken in. It tries for as long as retries may take, then leaves a manifest for people. True ends this
// life of the entry.
func (w *work) load() (over bool) {
	size := int64(0)
	if w.object != nil {
		size = w.object.Size
	}
	l := &record.Load{ID: w.r.loadID(&w.e), Stream: w.r.opt.Stream, Bucket: w.e.Bucket, Key: w.e.Key, Size: size, Records: w.e.Batch.Count}
	w.freeSpool() // nobody needs the bytes any more
	began, before := time.Now(), time.Duration(w.e.WaitedMillis)*time.Millisecond
	for attempt := 1; w.r.ctx.Err() == nil; attempt++ {
		out := w.r.opt.Loader(w.e.Version).Load(w.r.ctx, l)
		w.survived()
		if out.Kind == record.Delivered {
			w.loaded(l.ID, attempt)
			return true
		}
		if w.r.ctx.Err() != nil {
			return true
		}
		spent := before + time.Since(began)
		if spent >= w.r.opt.RetryFor() {
			if w.inLedger(l) {
				w.loaded(l.ID, attempt)
				return true
			}
			if w.leaveManifest(l, out) {
				return true
			}
		}
		w.e.WaitedMillis = spent.Milliseconds()
		if err := w.r.opt.Journal.Progress(w.e); err != nil {
			w.r.opt.Logger.Warn("how long a batch was tried could not be noted", "batch", w.e.N, "err", err)
		}
		wait := max(loadBackoff.wait(attempt), out.RetryAfter)
		w.r.opt.Metrics.retried(w.r.opt.Stream, role(&w.e), out.Code)
		w.r.state.retrying(w.e, out, attempt, wait)
		if loud(attempt) {
			w.r.opt.Logger.Warn("the warehouse did not take a batch; trying again", "batch", w.e.N, "key", l.Key, "attempt", attempt, "code", out.Code, "err", out.Err, "next_in", wait)
		}
		if !w.r.pause(wait) {
			return true
		}
	}
	return true
}

// loadBackoff is gentle: each attempt is a transaction.
var loadBackoff = Backoff{First: time.Second, Cap: time.Minute}

// loaded notes the end of an entry, and now and then lets the warehouse forget batches that are never offered again.
func (w *work) loaded(id string, attempt int) {
	w.done(attempt)
	r := w.r
	r.deadMu.Lock()
	r.loaded = append(r.loaded, id)
	var old []string
	if n := len(r.loaded) - loadsKept; n >= loadsKept {
		old, r.loaded = r.loaded[:n:n], append([]string(nil), r.loaded[n:]...)
	}
	r.deadMu.Unlock()
	if old == nil || r.opt.Journal.Sync() != nil { // behind a durable cursor only
		return
	}
	if err := r.opt.Loader(w.e.Version).Forget(r.ctx, r.opt.Stream, old); err != nil {
		r.opt.Logger.Warn("old rows of the ledger could not be removed", "err", err)
	}
}

// loadsKept is how many of the newest rows of the ledger are always kept, for people to look at.
const loadsKept = 100

// inLedger says whether the batch is known to be loaded: the answer to an attempt may be all that was lost. Who cannot be asked knows
// nothing, and retries end all the same.
func (w *work) inLedger(l *record.Load) bool {
	there, err := w.r.opt.Loader(w.e.Version).Loaded(w.r.ctx, l.Stream, l.ID)
	if err != nil {
		w.r.opt.Logger.Warn("the ledger cannot be asked; look into it before the batch is loaded by hand", "batch", w.e.N, "key", l.Key, "err", err)
	}
	return there && err == nil
}

// loadedBefore says whether an earlier life had the batch taken in, when its object cannot be stored and it would get another name by a newer
// version: the warehouse knows it by the old one alone.
func (w *work) loadedBefore() bool {
	if !w.loads() || w.e.Version == w.r.opt.Specs.Current() {
		return false
	}
	there, err := w.r.opt.Loader(w.e.Version).Loaded(w.r.ctx, w.r.opt.Stream, w.r.loadID(&w.e))
	w.unsure = err != nil
	return there && err == nil
}

// leaveManifest gives up: the object stays where it is, and beside it stands a manifest with which people can load it.
func (w *work) leaveManifest(l *record.Load, out record.Outcome) bool {
	w.r.opt.Logger.Error("the warehouse did not take a batch in time; its manifest is left for loading it by hand", "batch", w.e.N, "load", l.ID, "key", l.Key,
		"code", out.Code, "err", out.Err)
	e := w.e
	e.Loaded = &journal.Stored{Bucket: l.Bucket, Key: l.Key, Bytes: l.Size}
	e.WaitedMillis, e.Former = 0, nil
	into, err := w.r.setAside(w.spec, e, manifestType, out.Code, errText(out.Err))
	if err != nil {
		w.r.opt.Logger.Error("the manifest cannot be journaled yet", "batch", w.e.N, "err", err)
		return false
	}
	w.into = append(w.into, into...)
	return true
}

// writeManifest is the object of an entry whose batch was not loaded, as COPY … MANIFEST reads it.
func writeManifest(to io.Writer, s *journal.Stored) error {
	type meta struct {
		Bytes int64 `json:"content_length"`
	}
	type entry struct {
		URL       string `json:"url"`
		Mandatory bool   `json:"mandatory"`
		Meta      *meta  `json:"meta,omitempty"`
	}
	one := entry{URL: "s3://" + s.Bucket + "/" + s.Key, Mandatory: true}
	if s.Bytes > 0 {
		one.Meta = &meta{s.Bytes}
	}
	b, err := json.Marshal(map[string][]entry{"entries": {one}})
	if err != nil {
		return err
	}
	_, err = to.Write(append(b, '\n'))
	return err
}
