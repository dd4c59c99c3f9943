package staging

import (
	"errors"
	"time"

	"hydrant/delivery/staged"
	"hydrant/record"
)

// load builds the processors and makes them remember what they did before this life. Until they know all of it, nobody may save what they know.
func (r *Runner) load() error {
	r.memoryMu.Lock()
	defer r.memoryMu.Unlock()
	if err := r.learn(); err != nil {
		return errors.Join(err, r.drop())
	}
	return nil
}

// learn does the work of load; with memoryMu.
func (r *Runner) learn() error {
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
	return err
}

// build makes the processors of a version in place of those that are there; with memoryMu.
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
			r.pause(r.opt.Backoff.Wait(attempt))
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
	if ready, err := r.prepare(); err != nil || !ready {
		return false, err
	}
	pos, _ := r.Upto()
	if r.opt.Source.Waits(pos) && !r.opt.Full() {
		return r.stageSome(pos)
	}
	return r.tick()
}

// prepare sees to it that the newest processors are there. false: that is waited for.
func (r *Runner) prepare() (ready bool, err error) {
	r.turnMu.Lock()
	defer r.turnMu.Unlock()
	if r.chain == nil {
		if err := r.load(); err != nil {
			return false, err
		}
	}
	return r.follow()
}

// follow takes up the stream's newest version; other processors only when Turn says that delivery is ready, which is asked for here.
func (r *Runner) follow() (ready bool, err error) {
	now, newest := r.Version(), r.opt.Version()
	if now == newest {
		return true, nil
	}
	if r.opt.Same(now, newest) {
		return true, r.take(newest, false)
	}
	err = r.unturned
	r.unturned = nil
	if err == nil && r.opt.Settled() {
		r.opt.Ask()
	}
	return false, err
}

// Turn is called by delivery when it is between two rounds, and no decision of the last one counts any more: other processors may begin if
// all that was staged was delivered. The version changes at no other time.
func (r *Runner) Turn() {
	if !r.turnMu.TryLock() {
		return // it is asked for again
	}
	defer r.turnMu.Unlock()
	newest := r.opt.Version()
	if r.opt.Same(r.Version(), newest) || !r.opt.Settled() {
		return
	}
	if r.unturned = r.take(newest, true); r.unturned == nil {
		r.opt.Logger.Info("other processors begin with what comes now", "version", newest)
	}
}

// take goes on under another version; others: its processors are not those that are there. That is durable before the first put says so: the
// version before is needed no more then, and may be gone when the next life begins.
func (r *Runner) take(version int, others bool) (err error) {
	r.memoryMu.Lock()
	defer r.memoryMu.Unlock()
	defer func() {
		if err != nil {
			err = errors.Join(err, r.drop())
		}
	}()
	if others {
		if err := r.build(version, nil); err != nil {
			return err
		}
	}
	s, _ := r.current()
	s.Version = version
	return r.save(s)
}

// stageSome gathers records and stages them.
func (r *Runner) stageSome(pos record.Position) (worked bool, err error) {
	g, err := r.gather(pos)
	if err != nil {
		return false, err
	}
	if len(g.recs) == 0 {
		return r.pass(g.next), nil
	}
	changed := false
	changing := func() {
		if !changed {
			r.memoryMu.Lock()
			changed = true
		}
	}
	defer func() {
		if err != nil { // what they remember is ahead of the log, perhaps: nobody may save it
			changing()
			err = errors.Join(err, r.drop())
		}
		if changed {
			r.memoryMu.Unlock()
		}
	}()
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
	defer r.memoryMu.Unlock()
	p := r.chain.Tick(now)
	if p != nil {
		err = r.writeTick(now, p)
	}
	if err != nil {
		return false, errors.Join(err, r.drop())
	}
	return p != nil, nil
}

// pass goes on behind records that are there and cannot be read. The next life finds that out again.
func (r *Runner) pass(next record.Position) bool {
	s, _ := r.current()
	if next <= s.Upto+1 {
		return false
	}
	s.Upto = next - 1
	r.reach(s)
	return true
}

// pause waits, whatever comes: what failed is not tried again for each put.
func (r *Runner) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.ctx.Done():
	}
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
