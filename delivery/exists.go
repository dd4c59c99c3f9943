package delivery

import (
	"errors"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// exists settles what an object that stands under the key already means: it is this batch, it holds the beginning of it, or it is
// somebody else's. It is never overwritten. True ends this life of the entry.
func (w *work) exists(out record.Outcome) bool {
	switch {
	case out.Found != nil && *out.Found == w.object.Identity:
		return w.delivered(0)
	case out.Found != nil && w.r.isFormer(w.e.Former, w.e.Bucket, w.e.Key, out.Found):
		return w.delivered(0) // the whole has arrived after all
	case out.Found == nil && out.Unreadable && (w.repeated || w.sent || hadKey(&w.e)):
		// Who may not look takes the answer as his own only when an earlier attempt with this key may have arrived.
		w.r.salted.Store(true)
		return w.delivered(0)
	case out.Found != nil && w.isPrefix(out.Found):
		return w.adopt(out.Found)
	}
	return w.conflict(out)
}

// isPrefix says whether the object holds exactly the first records of this entry.
func (w *work) isPrefix(f *record.Identity) bool {
	mine := w.object.Identity
	if f.First != mine.First || f.Stream != mine.Stream || f.Role != mine.Role || f.Version != mine.Version ||
		f.Partition != mine.Partition || f.Last.Pos >= mine.Last.Pos {
		return false
	}
	id, err := w.identify(w.r.ctx, f.Last.Pos)
	return err == nil && id.count == f.Count && id.sum() == f.Digest
}

// adopt takes the object's records as delivered; the rest becomes an entry of its own.
func (w *work) adopt(f *record.Identity) bool {
	rest := partCount{}
	err := w.r.opt.Source.Read(w.r.ctx, f.Last.Pos+1, w.e.Batch.Last.Pos, func(rec record.Record) error {
		if w.e.HasAny(rec.Pos) {
			rest.add(rec)
		}
		return nil
	})
	if err != nil {
		return false
	}
	e := rest.entry(&w.e)
	e.Ordinal = 0
	if e.Batch.Count == 0 {
		return w.delivered(0)
	}
	parts := []*journal.Entry{e}
	if w.loads() { // what is stored already is to be loaded, too, as the batch it was
		head := w.e
		head.N, head.Batch.Last, head.Batch.Count = 0, f.Last, f.Count
		parts = []*journal.Entry{&head, e}
	}
	into, err := w.r.split(w.spec, w.e.N, parts...)
	if err != nil {
		w.r.opt.Logger.Error("the journal cannot be written", "batch", w.e.N, "err", err)
		return false
	}
	w.into = append(w.into, into...)
	w.r.opt.Logger.Warn("an object that an earlier life wrote holds the beginning of this batch; the rest is delivered by itself",
		"batch", w.e.N, "key", w.e.Key, "delivered_to", f.Last.Pos)
	return true
}

// conflict gives the entry another key. Somebody must look at this: the log was restored from a copy, or the prefix is shared.
func (w *work) conflict(out record.Outcome) bool {
	w.r.opt.Metrics.conflict(w.r.opt.Stream)
	if out.Unreadable {
		w.r.salted.Store(true)
	}
	e := w.e
	e.Ordinal++
	e.Salt = w.r.saltOf(e.Salt)
	e.Attempts = 1 // nobody tried the new key
	var err error
	e.Key, err = w.r.key(w.spec, &e)
	w.r.opt.Logger.Error("the object key is taken by something else; it is left alone, and the batch goes under another key",
		"batch", w.e.N, "key", w.e.Key, "instead", e.Key, "found", out.Found != nil, "err", errors.Join(errConflict, err))
	if err != nil || !w.r.insist(e.N, func() error { return w.r.opt.Journal.Replace(e) }) {
		return false
	}
	w.renamed(e)
	return false
}
