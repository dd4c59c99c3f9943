package delivery

import (
	"errors"
	"slices"
	"time"

	"hydrant/internal/spool"
	"hydrant/record"
)

// partition is one of the open ones.
type partition struct {
	name  string
	cur   *chunk   // is being filled
	full  []*chunk // closed, waiting for their turn
	live  *chunk   // under way
	queue bool     // stands in ready
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
		case s.flushed:
			s.close(p, record.CloseFlush)
		case s.full || leaving:
			s.close(p, record.CloseEarly)
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
	// The limit, too, is held between accepted records only.
	limit := maxOpen
	if s.pass.maxActive > 0 {
		limit = min(limit, s.pass.maxActive)
	}
	for s.opened > limit && len(s.due) > 0 {
		if c := s.due[0]; c.of.cur == c {
			s.close(c.of, record.CloseEarly)
		}
		s.due = s.due[1:]
	}
	if len(s.due) > 2*s.opened+1024 { // what closed by size stands there still
		s.due = slices.DeleteFunc(s.due, func(c *chunk) bool { return c.of.cur != c })
	}
}
