package delivery

import (
	"hydrant/delivery/journal"
	"hydrant/record"
)

// settle journals what building the object found out, before anything of it is offered: under which schema it is written, and which
// records go to the error prefix instead. over: this entry has become others, or there is nothing left of it.
func (w *work) settle() (over bool, err error) {
	main := w.e
	if w.learned > 0 {
		main.Schema = w.learned
		if main.Key, err = w.r.key(w.spec, &main); err != nil {
			return false, err
		}
	}
	if len(w.failed) == 0 {
		if w.learned > 0 && !w.r.insist(main.N, func() error { return w.r.opt.Journal.Replace(main) }) {
			return true, w.r.ctx.Err()
		}
		w.settled(main)
		return false, nil
	}
	if w.wasWhole() {
		return w.delivered(0), nil
	}
	return w.part(main)
}

// settled goes on with the entry as it is journaled now.
func (w *work) settled(main journal.Entry) {
	w.e, w.learned, w.failed = main, 0, nil
	w.object.Key, w.object.Identity = main.Key, w.identityOf(&main)
}

func (w *work) identityOf(e *journal.Entry) record.Identity {
	id := w.object.Identity
	id.Role, id.Version, id.Partition = role(e), e.Version, partitionName(e)
	return id
}

// part splits off an entry for each type of failure.
func (w *work) part(main journal.Entry) (over bool, err error) {
	all := journal.NewSet()
	var into []*journal.Entry
	for _, t := range w.failedTypes() {
		f := w.failed[t]
		all.Or(f.set)
		aside := main
		aside.N, aside.SetAside, aside.Code, aside.Message = 0, t, f.code, f.message
		aside.Attempts, aside.Ordinal, aside.Bisecting, aside.Former = 0, 0, false, nil
		aside.Only, aside.Except = f.set.Pack(), nil
		into = append(into, &aside)
	}
	empty := w.object.Identity.Count == 0
	if main.Only != nil {
		main.Only = main.Only.Minus(all).Pack()
	} else {
		all.Or(main.Except)
		main.Except = all.Pack()
	}
	if !empty {
		into = append(into, &main)
	}
	out, err := w.r.split(w.spec, w.e.N, into...)
	if err != nil {
		return false, err
	}
	for _, t := range w.failedTypes() {
		f := w.failed[t]
		w.r.setAsideNote(w.e.N, t, f.set.Len(), f.code, f.message)
	}
	if empty {
		w.into = append(w.into, out...)
		return true, nil
	}
	w.into = append(w.into, out[:len(out)-1]...)
	w.settled(main)
	return false, nil
}

// setAsideNote counts and tells, once it is journaled, that records go to the error prefix.
func (r *Runner) setAsideNote(batch uint64, errorType string, n int, code, first string) {
	r.opt.Metrics.failed(r.opt.Stream, errorType, n)
	r.opt.Logger.Warn("records cannot be delivered as they are; they go to the error prefix", "batch", batch, "type", errorType,
		"records", n, "code", code, "first", first)
}

// wasWhole says whether an earlier life offered the object with the records that fail now, and it arrived: another version of the
// program judged them otherwise. What was offered without them is journaled so.
func (w *work) wasWhole() bool {
	if w.e.Attempts <= 1 {
		return false
	}
	mine := w.identityOf(&w.e)
	for _, s := range w.r.sinks(w.e.Version, w.r.isAside(role(&w.e))) {
		f, exists, err := s.Head(w.r.ctx, w.e.Bucket, w.e.Key)
		if err == nil && exists && f != nil && f.Stream == mine.Stream && f.Role == mine.Role && f.Version == mine.Version &&
			f.Partition == mine.Partition && f.First == mine.First && f.Last == mine.Last && f.Count != mine.Count {
			w.r.opt.Logger.Warn("an earlier life wrote this object with records that fail now; it stays as it is", "batch", w.e.N, "key", w.e.Key)
			return true
		}
	}
	return false
}
