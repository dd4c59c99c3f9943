package delivery

import (
	"errors"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// chunkLife journals a closed chunk, if no earlier life did, and brings it to its destination.
func (r *Runner) chunkLife(c *chunk) {
	if c.lane != nil {
		defer c.lane.Close()
	}
	defer c.decide()
	if c.entry != nil {
		c.decide()
		if c.lane == nil {
			r.lifeFrom(*c.entry, false, nil)
			return
		}
		r.lifeFrom(*c.entry, false, c)
		return
	}
	e, ok := r.noteChunk(c)
	if !ok {
		return
	}
	c.noted.Store(true)
	c.decide()
	c.places = nil
	r.lifeFrom(e, true, c)
}

// decide says that it is known whether the chunk is in the journal. For its life alone.
func (c *chunk) decide() {
	select {
	case <-c.decided:
	default:
		close(c.decided)
	}
}

func (r *Runner) noteChunk(c *chunk) (e journal.Entry, ok bool) {
	for attempt := 1; ; attempt++ {
		var err error
		if e.N == 0 {
			e, err = r.planChunk(c)
		}
		if err == nil {
			if err = r.opt.Journal.Add(&e); err == nil {
				r.state.forget(0)
				r.opt.Metrics.closed(r.opt.Stream, r.opt.Role, c.batch.Reason)
				if c.aside != "" {
					r.setAsideNote(e.N, c.aside, c.batch.Count, c.code, c.message)
				}
				return e, true
			}
		}
		r.opt.Logger.Error("a partition's object cannot be journaled; nothing of it is delivered until that works", "attempt", attempt, "err", err)
		r.state.trouble(0, err)
		if !r.pause(r.opt.Backoff.wait(attempt)) {
			return e, false
		}
	}
}

// planChunk settles what an entry for the chunk writes, and under which name.
func (r *Runner) planChunk(c *chunk) (journal.Entry, error) {
	e := journal.Entry{Batch: c.batch, Role: r.opt.Role, Version: c.version, Partition: c.partition, Attempts: 1, Salt: r.saltOf(""),
		SetAside: c.aside, Code: c.code, Message: c.message, Only: c.set(), Scattered: true, Whole: c.aside == killedType}
	spec, err := r.opt.Specs.Spec(c.version)
	if err != nil {
		return e, err
	}
	e.Key, err = r.key(spec, &e)
	if errors.Is(err, errNoName) {
		e.SetAside, e.Code, e.Message = record.MetadataFailed, "DynamicPartitioning.InvalidPrefix", err.Error()
		e.Key, err = r.key(spec, &e)
	}
	e.Bucket = spec.bucket(&e)
	return e, err
}
