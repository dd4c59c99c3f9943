package delivery

import (
	"errors"
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

// partition is one of the open ones.
type partition struct {
	name  string
	cur   *chunk   // is being filled
	full  []*chunk // closed, waiting for their turn
	live  *chunk   // under way
	queue bool     // stands in ready
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

func (s *scatterer) limits() Limits {
	l := s.r.opt.Limits()
	l.Interval = max(l.Interval, minInterval)
	return l
}

// end forgets what is not journaled. Lives that are under way find their records in the log when their lane is gone.
func (s *scatterer) end() {
	if s.pass != nil {
		s.pass.walk.Close()
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
	s.r.oldest.Store(0)
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
	if s.opened > 0 || len(s.ready) > 0 || s.lives > 0 {
		return false
	}
	s.full = false
	s.lanes.Retry()
	return true
}

// closeDue closes what is old enough: by the arrival of what was read last, at the log's end by the clock.
func (s *scatterer) closeDue(reading bool) {
	if !s.flushed {
		select {
		case <-s.r.flush:
			s.flushed = true
		default:
		}
	}
	leaving := s.pass.over()
	now := time.Now()
	for len(s.due) > 0 {
		c := s.due[0]
		p := c.of
		switch {
		case p.cur != c: // closed by size
		case s.pass.arrival >= c.batch.ArrivalMillis+s.lim.Interval.Milliseconds():
			s.close(p, record.CloseInterval)
		case reading || len(s.ready) >= readyPartitions && !s.flushed && !s.full:
			return // older records may be in the log
		case s.flushed || s.full || leaving:
			s.close(p, record.CloseFlush)
		case !now.Before(c.deadline):
			s.close(p, record.CloseInterval)
		default:
			return
		}
		s.due = s.due[1:]
	}
}

// close ends the open chunk of a partition.
func (s *scatterer) close(p *partition, reason record.CloseReason) {
	c := p.cur
	if c == nil {
		return
	}
	c.batch.Reason = reason
	p.cur = nil
	s.opened--
	p.full = append(p.full, c)
	s.enqueue(p)
}

// put adds a record to its partition.
func (s *scatterer) put(version int, src source, x *record.Derived, start, end int64) error {
	p := s.partition(version, x)
	if p.cur == nil {
		s.open(p, version, x)
	}
	if len(s.touched) == 0 || s.touched[len(s.touched)-1] != p {
		s.touched = append(s.touched, p)
	}
	return s.kept(p.cur.add(src, x, start, end, &s.scratch))
}

// kept: a record that fills the lanes up is in them all the same; all partitions close early then, so that a full disk drains.
func (s *scatterer) kept(err error) error {
	if !errors.Is(err, spool.ErrFull) {
		return err
	}
	if !s.full {
		s.r.opt.Logger.Warn("the spool of partitions is full; all of them are delivered before more of the log is read", "err", err)
	}
	s.full = true
	return nil
}

// partition finds or makes the partition of a record. Failures are gathered by type.
func (s *scatterer) partition(version int, x *record.Derived) *partition {
	b := append(s.scratch[:0], byte(version), byte(version>>8), byte(version>>16), byte(version>>24))
	if x.Failure != nil {
		b = append(append(b, '!'), x.Failure.Type...)
	} else {
		b = append(append(b, '/'), x.Partition...)
	}
	s.scratch = b
	if p := s.parts[string(b)]; p != nil {
		return p
	}
	p := &partition{name: string(b)}
	s.parts[p.name] = p
	return p
}

func (s *scatterer) open(p *partition, version int, x *record.Derived) {
	limit := maxOpen
	if s.pass.maxActive > 0 {
		limit = min(limit, s.pass.maxActive)
	}
	for s.opened >= limit && len(s.due) > 0 {
		if c := s.due[0]; c.of.cur == c {
			s.close(c.of, record.CloseFlush)
		}
		s.due = s.due[1:]
	}
	c := &chunk{of: p, lane: s.lanes.NewLane(), version: version, decided: make(chan struct{})}
	if x.Failure != nil {
		c.aside, c.code, c.message = x.Failure.Type, x.Failure.Code, x.Failure.Message
	} else {
		c.partition = string(x.Partition)
	}
	left := time.Until(time.UnixMilli(x.ArrivalMillis).Add(s.lim.Interval))
	c.deadline = time.Now().Add(min(max(left, 0), s.lim.Interval))
	p.cur = c
	s.opened++
	s.created = append(s.created, c)
	s.due = append(s.due, c)
}

// closeFull closes what reached its size. Not in the middle of what was made of one accepted record: an object's name begins with
// the position of its first.
func (s *scatterer) closeFull() {
	for _, p := range s.touched {
		if p.cur != nil && p.cur.batch.Bytes >= s.lim.Size {
			s.close(p, record.CloseSize)
		}
	}
	s.touched = s.touched[:0]
}

// floor is the first record that is neither settled nor in an entry of the journal.
func (s *scatterer) floor() journal.Mark {
	for len(s.created) > 0 && s.created[0].noted.Load() {
		s.created = s.created[1:]
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

// chunkLife journals a closed chunk, if no earlier life did, and brings it to its destination.
func (r *Runner) chunkLife(c *chunk) {
	defer c.lane.Close()
	defer c.decide()
	if c.entry != nil {
		c.decide()
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
		SetAside: c.aside, Code: c.code, Message: c.message, Only: c.set(), Scattered: true}
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
