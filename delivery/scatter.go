package delivery

import (
	"slices"
	"time"

	"hydrant/delivery/journal"
	"hydrant/internal/spool"
	"hydrant/record"
)

const (
	// partitionAttempts is how many objects of partitions are built and offered at once.
	partitionAttempts = 16
	// partitionLives is how many partitions may have an object under way, those that are stuck included.
	partitionLives = 256
	// readyPartitions is how many closed objects may wait before no more of the log is read.
	readyPartitions = 64
	// maxOpen bounds what partitions cost in memory: beyond it the oldest is closed early.
	maxOpen = 1 << 16
	// gather is how long more records may come in before the loop works on them.
	gather = 10 * time.Millisecond
	// minInterval is what an interval of 0 means: records of one moment still share an object.
	minInterval = time.Second
)

// scatters says whether records are settled one by one, by partition, or still have to be since an older version.
func (r *Runner) scatters() bool {
	if r.opt.Journal.Scattered() != nil {
		return true
	}
	spec, err := r.opt.Specs.Spec(r.opt.Specs.Current())
	return err == nil && spec.Partitioned
}

// scatterer reads the log once and gathers its records by partition. It belongs to the loop.
type scatterer struct {
	r     *Runner
	w     *workers
	lanes *spool.Lanes
	lim   Limits
	pass  *pass

	parts     map[string]*partition
	compact   int          // how long created may grow before it is looked through
	created   []*chunk     // not noted yet, and some that are: by first record
	due       []*chunk     // open, by first record; and some that closed since
	opened    int          // partitions with an open chunk
	ready     []*partition // with a closed chunk, and no life
	lives     int
	ended     chan *partition
	unstarted map[uint64]bool // entries of an earlier life that have none in this one yet
	flushed   bool
	full      bool // the lanes take no more until what they hold is delivered
	scratch   []byte
	touched   []*partition
}

// scatter works until nothing waits and nothing is open.
func (r *Runner) scatter(w *workers) {
	s := &scatterer{r: r, w: w, parts: map[string]*partition{}, ended: make(chan *partition, partitionLives), unstarted: map[uint64]bool{}}
	for _, e := range r.opt.Journal.Pending() {
		s.unstarted[e.N] = e.Scattered
	}
	for attempt := 1; r.ctx.Err() == nil; attempt++ {
		err := s.begin()
		if err == nil {
			err = s.run()
		}
		s.end()
		if err == nil {
			break
		}
		if r.ctx.Err() == nil {
			r.opt.Logger.Error("partitions cannot be filled; beginning anew with what is not under way", "err", err)
			r.state.trouble(0, err)
			r.lookOldest()
		}
		r.pause(r.opt.Backoff.wait(min(attempt, 10)))
	}
	for s.lives > 0 { // stopped: they end soon
		s.over(<-s.ended)
	}
}

// begin opens what a pass over the log needs.
func (s *scatterer) begin() (err error) {
	for _, p := range s.parts { // what is under way must be in the journal, or it would be read once more
		select {
		case <-p.live.decided:
		case <-s.r.ctx.Done():
			return s.r.ctx.Err()
		}
	}
	s.lanes = s.r.opt.NewLanes()
	s.lim = s.limits()
	s.pass, err = s.newPass()
	if err == nil {
		s.r.state.forget(0)
	}
	return err
}

// lookOldest finds out how old what waits is, while it cannot be read as it should be.
func (r *Runner) lookOldest() {
	w := r.opt.Source.Walk(r.opt.Journal.Settled().Pos)
	defer w.Close()
	_, _ = w.Next(func(arrival, _, _ int64) { r.oldest.Store(arrival) }, func(record.Record) error { return errLimit })
}

func (s *scatterer) limits() Limits {
	l := s.r.opt.Limits()
	l.Interval = max(l.Interval, minInterval)
	return l
}

// end forgets what is not journaled. Lives that are under way find their records in the log when their lane is gone.
func (s *scatterer) end() {
	if s.pass != nil {
		s.pass.walk.Close()
		if s.r.ctx.Err() != nil {
			_ = s.pass.survived()
		}
	}
	s.pass = nil
	if s.lanes != nil {
		s.lanes.Close()
	}
	for name, p := range s.parts {
		p.cur, p.full, p.queue = nil, nil, false
		if p.live == nil {
			delete(s.parts, name)
		}
	}
	s.created, s.due, s.ready, s.opened = nil, nil, nil, 0
	s.r.partitions.Store(0)
}

// run reads, closes and starts until there is nothing to do.
func (s *scatterer) run() error {
	for s.r.ctx.Err() == nil {
		s.collect()
		s.start()
		read, err := s.read()
		if err != nil {
			return err
		}
		if s.full && s.pass.filling() {
			s.pass.spill()
		}
		s.closeDue(read)
		s.start()
		if read {
			continue
		}
		s.raise()
		if s.idle() {
			if err := s.pass.survived(); err != nil {
				return err
			}
			return s.leave()
		}
		if time.Since(s.pass.entered) > calm {
			if err := s.pass.survived(); err != nil {
				return err
			}
		}
		s.wait()
	}
	return nil
}

// collect takes back the partitions whose life ended.
func (s *scatterer) collect() {
	some := false
	for {
		select {
		case p := <-s.ended:
			s.over(p)
			some = true
			continue
		default:
		}
		break
	}
	if some {
		s.raise()
	}
}

func (s *scatterer) over(p *partition) {
	s.lives--
	p.live = nil
	s.enqueue(p)
	if p.cur == nil && len(p.full) == 0 {
		delete(s.parts, p.name)
	}
}

// enqueue puts a partition that has something closed in the queue.
func (s *scatterer) enqueue(p *partition) {
	if p.live == nil && !p.queue && len(p.full) > 0 {
		p.queue = true
		s.ready = append(s.ready, p)
	}
}

// start gives closed chunks a life: one of a partition at a time, so that one that is stuck holds up only itself.
func (s *scatterer) start() {
	for len(s.ready) > 0 && s.lives < partitionLives {
		p := s.ready[0]
		s.ready = s.ready[1:]
		c := p.full[0]
		p.full = p.full[1:]
		p.queue, p.live = false, c
		s.lives++
		if c.entry != nil {
			delete(s.unstarted, c.entry.N)
		}
		s.w.wg.Go(func() {
			s.r.chunkLife(c)
			s.ended <- p
			s.r.ring()
		})
	}
}

// read takes the next put of the log, unless enough is waiting for the destination already.
func (s *scatterer) read() (more bool, err error) {
	if s.full && !s.roomAgain() {
		return false, nil
	}
	if len(s.ready) >= readyPartitions || s.pass.over() {
		return false, nil
	}
	return s.pass.next()
}

// roomAgain: everything that was gathered is delivered.
func (s *scatterer) roomAgain() bool {
	if s.opened > 0 || len(s.ready) > 0 || s.lives > 0 && s.lanes.Held() > 4<<20 {
		return false
	}
	s.full = false
	s.lanes.Retry()
	return true
}

// floor is the first record that is neither settled nor in an entry of the journal.
func (s *scatterer) floor() journal.Mark {
	for len(s.created) > 0 && s.created[0].noted.Load() {
		s.created = s.created[1:]
	}
	if len(s.created) > s.compact { // behind one that is stuck stand many that are not
		s.created = slices.DeleteFunc(s.created, func(c *chunk) bool { return c.noted.Load() })
		s.compact = 2*len(s.created) + 1024
	}
	s.r.partitions.Store(int64(len(s.parts)))
	s.r.oldest.Store(0)
	if len(s.created) > 0 {
		b := s.created[0].batch
		s.r.oldest.Store(b.ArrivalMillis)
		return journal.Mark{Pos: b.First.Pos, Offset: b.StartOffset}
	}
	return s.pass.mark()
}

func (s *scatterer) raise() {
	if err := s.r.opt.Journal.Raise(s.floor(), nil); err != nil {
		s.r.opt.Logger.Warn("how far the partitions have come could not be noted", "err", err)
	}
	if s.r.opt.Advance != nil {
		s.r.opt.Advance(false)
	}
}

// idle: everything that was read is delivered or set aside.
func (s *scatterer) idle() bool {
	return s.opened == 0 && len(s.ready) == 0 && s.lives == 0 && !s.w.busy() && !s.pass.filling()
}

// leave notes where the loop goes on. A stream that is partitioned no more goes on in ranges.
func (s *scatterer) leave() error {
	pos, _ := s.pass.walk.Mark()
	s.r.next = pos
	if !s.pass.leaving {
		return nil
	}
	if !s.r.insist(0, s.r.opt.Journal.EndScatter) {
		return s.r.ctx.Err()
	}
	s.r.next = s.r.opt.Journal.Closed().Pos
	return nil
}

// wait stays until something may be done.
func (s *scatterer) wait() {
	d := time.Hour
	if len(s.due) > 0 && len(s.ready) < readyPartitions {
		d = max(0, time.Until(s.due[0].deadline))
	}
	flush := s.r.flush
	if s.flushed {
		flush = nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.r.bell:
		pause(s.r.ctx, min(gather, d))
	case <-t.C:
	case <-flush:
	case <-s.r.ctx.Done():
	}
}
