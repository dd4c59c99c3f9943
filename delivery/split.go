package delivery

import (
	"fmt"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// bisect replaces an entry that ended processes by its halves, or sets its last record aside. What stands under its key already counts.
func (r *Runner) bisect(e *journal.Entry, blind bool) ([]journal.Entry, error) {
	r.opt.Logger.Error("a batch has ended the process several times; it is bisected", "batch", e.N, "first", e.Batch.First.Pos, "last", e.Batch.Last.Pos)
	now := formerOf(e)
	there, err := r.settledBefore(e, now)
	if err != nil && !blind {
		return nil, fmt.Errorf("whether the object is there already: %w", err)
	}
	if err != nil {
		r.opt.Logger.Error("whether the object is there already cannot be found out; its records may be delivered twice", "batch", e.N, "key", e.Key, "err", err)
	}
	if there {
		return nil, r.opt.Journal.Done(e.N)
	}
	spec, err := r.opt.Specs.Spec(e.Version)
	if err != nil {
		return nil, err
	}
	if spec.Loads && e.SetAside == "" {
		if there, err := r.arrived(now); there || err != nil && !blind {
			return r.loadAgain(e, err)
		}
	}
	if spec.Requests != nil && e.SetAside == "" || spec.Loads {
		now = nil // an object that arrives late settles nothing
	}
	if e.Batch.Count <= 1 || e.Batch.First.Pos == e.Batch.Last.Pos {
		aside := *e
		aside.Former = now
		return r.setAside(spec, aside, killedType, "Hydrant.ProcessKilled", "the process ended several times while it worked on this record")
	}
	halves, err := r.halves(e)
	if err != nil {
		return nil, err
	}
	for _, h := range halves {
		h.Bisecting, h.Former = true, now
	}
	return r.split(spec, e.N, halves...)
}

// loadAgain goes on with an entry as it is: its object is stored, so that it was made by a process that survived that, and what a
// warehouse may be taking in at this moment must not be offered once more in other pieces.
func (r *Runner) loadAgain(e *journal.Entry, err error) ([]journal.Entry, error) {
	if err != nil {
		return nil, fmt.Errorf("whether the object is there already: %w", err)
	}
	again := *e
	again.Attempts = 0
	return []journal.Entry{again}, r.opt.Journal.Replace(again)
}

// settledBefore says whether an earlier life settled an entry after all.
func (r *Runner) settledBefore(e *journal.Entry, now *journal.Former) (bool, error) {
	spec, err := r.opt.Specs.Spec(e.Version)
	switch {
	case err != nil:
		return false, err
	case e.SetAside != "":
	case spec.Requests != nil:
		r.opt.Logger.Warn("what earlier processes sent of this batch is not known for certain; records may be sent twice", "batch", e.N)
		return false, nil
	case spec.Loads:
		return r.opt.Loader(e.Version).Loaded(r.ctx, r.opt.Stream, r.loadID(e))
	}
	return r.arrived(now)
}

// shrink replaces an entry whose object is too large by its halves.
func (r *Runner) shrink(spec *Spec, e *journal.Entry) ([]journal.Entry, error) {
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
		e.Bucket = spec.bucket(e)
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
			if attempt > 1 {
				r.state.forget(n)
			}
			return true
		}
		r.opt.Logger.Error("the journal cannot be written; the batch waits", "batch", n, "attempt", attempt, "err", err)
		r.state.trouble(n, err)
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
		if !e.HasAny(rec.Pos) {
			return nil
		}
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
	e.Attempts = 0
	e.Batch = p.batch
	if of.Only != nil {
		e.Only = of.Only.Between(p.batch.First.Pos, p.batch.Last.Pos).Pack()
	}
	e.Batch.StartOffset, e.Batch.EndOffset, e.Batch.Reason = of.Batch.StartOffset, of.Batch.EndOffset, of.Batch.Reason
	return &e
}

// setAside turns an entry into one that writes its records to the error prefix.
func (r *Runner) setAside(spec *Spec, e journal.Entry, errorType, code, message string) ([]journal.Entry, error) {
	n := e.N
	e.N, e.SetAside, e.Code, e.Message = 0, errorType, code, message
	e.Attempts, e.Ordinal, e.Bisecting = 0, 0, false
	into, err := r.split(spec, n, &e)
	if err == nil {
		r.opt.Metrics.setAside(r.opt.Stream, e.Batch.Count)
	}
	return into, err
}
