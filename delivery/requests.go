package delivery

import (
	"context"
	"errors"
	"sync"
	"time"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// sending is one process's work on an entry whose records travel in requests. It ends with each record taken by the destination, or
// with a finished error record that is durable before an error object is written.
//
// The entry is gone over in rounds: each offers what is not settled yet, so that nothing of it is held in memory between two rounds.
type sending struct {
	r    *Runner
	e    journal.Entry
	spec *Spec
	to   Requester

	board  settlement
	rounds int
	barren int // rounds since the destination took something
	last   record.Outcome
	halved sync.Map // ids of requests that were too large, in this life

	mu     sync.Mutex    // guards what follows: notes are written beside the rounds
	since  time.Time     // of the first failure; zero: nothing failed
	waited time.Duration // on retries, in this life
	lives  int           // Attempts, as far as this life knows
}

// send works on an entry until all of it is settled, and returns what it turned into.
func (r *Runner) send(e journal.Entry, spec *Spec) (into []journal.Entry) {
	s := &sending{r: r, e: e, spec: spec, to: r.opt.Requester(e.Version), lives: e.Attempts}
	s.board.begin(s)
	defer s.board.abort()
	defer s.surviveSoon()()
	for r.ctx.Err() == nil {
		s.rounds++
		before, _ := s.board.taken()
		over, err := s.round(r.ctx)
		if now, _ := s.board.taken(); now == before {
			s.barren++
		} else {
			s.barren = 1
		}
		s.survived()
		switch {
		case r.ctx.Err() != nil:
			return nil
		case err != nil:
			s.last = record.Outcome{Kind: record.Retry, Code: readFailed, Err: err}
		case over:
			return s.finish()
		case s.expired():
			if err := s.giveUp(r.ctx); err == nil {
				return s.finish()
			}
		}
		if !s.wait() {
			return nil
		}
	}
	return nil
}

// round offers everything that is not settled, once. over: now everything is.
func (s *sending) round(ctx context.Context) (over bool, err error) {
	s.r.state.attempt(s.e)
	s.to = s.r.opt.Requester(s.e.Version) // it may be reached otherwise by now
	began := time.Now()
	p := newPacker(ctx, s)
	err = s.pack(ctx, p)
	for errors.Is(err, errHeld) {
		if err = p.begin(time.Hour); err == nil {
			err = s.pack(ctx, p)
		}
	}
	err = errors.Join(err, p.end())
	if errors.Is(err, errStopped) {
		err = nil
	}
	if p.out.Kind == record.Retry {
		s.last = p.out
		s.failedFirst(began)
		return false, err
	}
	return err == nil, err
}

// pack goes on where the packer stands.
func (s *sending) pack(ctx context.Context, p *packer) error {
	return s.each(ctx, p.heldPos, func(x *record.Derived) error {
		if x.Failure == nil {
			return p.add(x)
		}
		if !s.board.has(x.Pos, x.Sub) {
			s.board.failed(x, x.Failure, 1, nil)
		}
		return nil
	})
}

// failedFirst notes when the time for retries began.
func (s *sending) failedFirst(began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = began
	}
}

// each goes over the entry's records as the processors make them, from a position on.
func (s *sending) each(ctx context.Context, from record.Position, visit func(*record.Derived) error) error {
	d, err := s.r.deriver(&s.e, nil)
	if err != nil {
		return err
	}
	d.from = from
	return d.each(ctx, s.e.Batch.Last.Pos, func(_ source, x *record.Derived) error { return visit(x) })
}

// expired says whether the time for retries is over. It counts while a process runs, in all lives.
func (s *sending) expired() bool {
	if s.last.Kind != record.Retry || s.last.Code == readFailed {
		return false
	}
	return s.spent() >= s.r.opt.RetryFor()
}

// spent is the time that counts as spent on retries, in all lives.
func (s *sending) spent() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := time.Duration(s.e.WaitedMillis) * time.Millisecond
	switch {
	case s.spec.Requests.AnswersFree:
		return before + s.waited
	case s.since.IsZero():
		return before
	}
	return before + time.Since(s.since)
}

// giveUp sets aside what the destination did not take in time.
func (s *sending) giveUp(ctx context.Context) error {
	s.r.opt.Logger.Error("the destination did not take these records in time; they go to the backup", "batch", s.e.N, "code", s.last.Code, "attempts", s.rounds)
	f := &record.Failure{Type: s.spec.Requests.ErrorType, Code: s.last.Code, Message: errText(s.last.Err)}
	return s.each(ctx, 0, func(x *record.Derived) error {
		if !s.board.has(x.Pos, x.Sub) {
			s.board.failed(x, f, s.rounds, s.to.Describe(itemOf(x)))
		}
		return nil
	})
}

// wait tells what went wrong and waits before the next round, as long as retries may still take. False: stopped.
func (s *sending) wait() bool {
	wait := max(s.spec.Requests.Backoff.withDefaults().wait(s.barren), s.last.RetryAfter)
	if left := s.r.opt.RetryFor() - s.spent(); left > 0 {
		wait = min(wait, left) // a last attempt at the end of the time
	}
	s.r.opt.Metrics.retried(s.r.opt.Stream, s.r.opt.Role, s.last.Code)
	s.r.state.retrying(s.e, s.last, s.rounds, wait)
	if loud(s.rounds) {
		s.r.opt.Logger.Warn("delivery failed; trying again", "batch", s.e.N, "attempt", s.rounds, "code", s.last.Code, "err", s.last.Err, "next_in", wait)
	}
	s.note()
	began := time.Now()
	ok := s.r.pause(wait)
	s.mu.Lock()
	s.waited += time.Since(began)
	s.mu.Unlock()
	return ok
}

const readFailed = "Hydrant.ReadFailed"

// note tells the journal, lazily, what the destination has taken and how long it was tried.
func (s *sending) note() {
	e := s.e
	e.Sent = s.board.sent()
	e.WaitedMillis = s.spent().Milliseconds()
	s.mu.Lock()
	e.Attempts = s.lives
	s.mu.Unlock()
	if err := s.r.opt.Journal.Progress(e); err != nil {
		s.r.opt.Logger.Warn("what was delivered could not be noted; after a crash it is offered again", "batch", e.N, "err", err)
	}
}

// survived takes back what claim counts: only lives that died of the entry count. At worst a death too many is counted.
func (s *sending) survived() {
	s.mu.Lock()
	known := s.lives <= 1
	s.lives = 1
	s.mu.Unlock()
	if known {
		return
	}
	s.note()
	if err := s.r.opt.Journal.Sync(); err != nil {
		s.r.opt.Logger.Warn("that the process lives could not be noted", "batch", s.e.N, "err", err)
	}
}

// surviveSoon: what kills a process does so while records are made and packed. Who lives on and waits for an answer did not die of them,
// whatever ends the process then.
func (s *sending) surviveSoon() (stop func()) {
	t := time.AfterFunc(calm, s.survived)
	return func() { t.Stop() }
}

// finish ends an entry that is settled: what was refused becomes entries of error objects in its place, in one step.
func (s *sending) finish() []journal.Entry {
	asides := s.board.asides()
	if len(asides) == 0 {
		if err := s.r.opt.Journal.Done(s.e.N); err != nil {
			s.r.opt.Logger.Warn("the delivery could not be noted", "batch", s.e.N, "err", err)
		}
		s.told(0)
		return nil
	}
	into, err := s.r.split(s.spec, s.e.N, asides...)
	if err != nil {
		if s.r.ctx.Err() == nil {
			s.r.opt.Logger.Error("the records of a batch that were refused cannot be set aside yet", "batch", s.e.N, "err", err)
		}
		return nil // the entry is still in the journal; the loop takes it up again
	}
	s.board.keep()
	refused := 0
	for _, a := range asides {
		refused += a.Only.Len()
		s.r.setAsideNote(s.e.N, a.SetAside, a.Only.Len(), a.Code, a.Message)
	}
	s.r.opt.Metrics.setAside(s.r.opt.Stream, refused)
	s.told(refused)
	return into
}

func (s *sending) told(refused int) {
	n, bytes := s.board.taken()
	s.r.opt.Metrics.sent(s.r.opt.Stream, s.r.opt.Role, n, bytes)
	s.r.state.sent(s.e, n, bytes, time.Now())
	s.r.opt.Logger.Debug("delivered", "batch", s.e.N, "records", n, "refused", refused, "attempts", s.rounds)
}

func itemOf(x *record.Derived) *record.Item {
	return &record.Item{ID: x.ID, Sub: x.Sub, Origin: x.Origin, ArrivalMillis: x.ArrivalMillis, Data: x.Data}
}
