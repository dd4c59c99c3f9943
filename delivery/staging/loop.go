package staging

import (
	"errors"
	"time"

	"hydrant/delivery/staged"
	"hydrant/record"
)

// load builds the processors and makes them remember what they did before this life.
func (r *Runner) load() error {
	s, err := r.opt.Load()
	if err != nil {
		return err
	}
	if s.Version == 0 {
		s.Version = r.opt.Version()
	}
	if err := r.build(s.Version, s.Memory); err != nil {
		return err
	}
	made := s.Version
	err = s.CatchUp(r.opt.Notes, func(now staged.State, delta []byte) error {
		if !r.opt.Same(now.Version, made) {
			if err := r.build(now.Version, nil); err != nil {
				return err
			}
		}
		made = now.Version
		return r.chain.Apply(delta)
	})
	if err == nil && !r.opt.Same(r.Version(), made) { // others had begun, and staged nothing yet
		err = r.build(r.Version(), nil)
	}
	if err != nil {
		return errors.Join(err, r.drop())
	}
	return nil
}

// build makes the processors of a version in place of those that are there.
func (r *Runner) build(version int, memory []byte) error {
	if err := r.drop(); err != nil {
		r.opt.Logger.Warn("processors could not be ended", "err", err)
	}
	c, err := r.opt.Chain(version)
	if err != nil {
		return err
	}
	if err := c.Restore(memory); err != nil {
		return errors.Join(err, c.Close())
	}
	r.memoryMu.Lock()
	defer r.memoryMu.Unlock()
	r.chain = c
	return nil
}

// loop stages until nothing waits.
func (r *Runner) loop(ended chan struct{}) {
	for attempt := 1; ; {
		worked, err := r.once()
		if r.ctx.Err() != nil {
			worked, err = false, nil
		}
		if err != nil {
			r.say(err.Error())
			r.opt.Logger.Error("records cannot be staged; they wait", "attempt", attempt, "err", err)
			r.rest(r.opt.Backoff.Wait(attempt))
			attempt++
			continue
		}
		r.say("")
		r.opt.Advance()
		attempt = 1
		if worked {
			continue
		}
		r.oldest.Store(0)
		if r.finish(ended) {
			return
		}
	}
}

func (r *Runner) say(trouble string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.trouble = trouble
}

// finish ends the loop unless something came meanwhile.
func (r *Runner) finish(ended chan struct{}) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() == nil && r.again {
		r.again = false
		return false
	}
	r.running = false
	close(ended)
	return true
}

// once stages some records, or lets time go by; worked: there may be more to do.
func (r *Runner) once() (worked bool, err error) {
	if r.chain == nil {
		if err := r.load(); err != nil {
			return false, err
		}
	}
	if ready, err := r.follow(); err != nil || !ready {
		return false, err
	}
	pos, _ := r.Upto()
	if r.opt.Source.Waits(pos) && !r.opt.Full() {
		return r.stageSome(pos)
	}
	return r.tick()
}

// follow takes up the stream's newest processors, once what others staged was delivered. false: that is waited for.
func (r *Runner) follow() (ready bool, err error) {
	now, newest := r.Version(), r.opt.Version()
	same := r.opt.Same(now, newest)
	if now == newest {
		return true, nil
	}
	if !same {
		if !r.opt.Settled() {
			return false, nil
		}
		if err := r.build(newest, nil); err != nil {
			return false, err
		}
		r.opt.Logger.Info("other processors begin with what comes now", "version", newest)
	}
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	r.state.Version = newest
	return true, nil
}

// stageSome gathers records and stages them.
func (r *Runner) stageSome(pos record.Position) (worked bool, err error) {
	g, err := r.gather(pos)
	if err != nil || len(g.recs) == 0 {
		return false, err
	}
	changed := false
	defer func() {
		if changed {
			r.memoryMu.Unlock()
		}
		if err != nil { // what they remember is ahead of the log, perhaps
			err = errors.Join(err, r.drop())
		}
	}()
	changing := func() {
		if !changed {
			r.memoryMu.Lock()
			changed = true
		}
	}
	r.working.Store(time.Now().UnixMilli())
	products, err := r.chain.Process(r.ctx, g.recs, changing)
	r.working.Store(0)
	if err == nil {
		err = r.write(g, products)
	}
	return err == nil, err
}

// tick lets time go by for processors that wait for it. It waits itself until the next of them is due, or something comes.
func (r *Runner) tick() (worked bool, err error) {
	next := r.chain.Next()
	if next == 0 || r.opt.Full() {
		return false, nil
	}
	now := time.Now().UnixMilli()
	if now < next {
		r.rest(min(time.Duration(next-now)*time.Millisecond, time.Minute))
		return true, nil
	}
	r.memoryMu.Lock()
	p := r.chain.Tick(now)
	if p != nil {
		err = r.writeTick(now, p)
	}
	r.memoryMu.Unlock()
	if err != nil {
		return false, errors.Join(err, r.drop())
	}
	return p != nil, nil
}

// rest waits, shorter when something comes.
func (r *Runner) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.bell:
	case <-r.ctx.Done():
	}
}
