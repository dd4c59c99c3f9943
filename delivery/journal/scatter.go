package journal

import (
	"slices"

	"hydrant/record"
)

// Scatter is what a journal knows while records are settled out of their order, as partitions are: each closes at its own time.
type Scatter struct {
	Floor Mark // everything below it is settled: delivered, set aside, dropped, or in an open entry
	Eras  []Era
	Done  *Set // what is settled at and above Floor and in no open entry

	Reading *Reading          `json:",omitempty"` // not nil while records are being derived
	Killed  []record.Position `json:",omitempty"` // records above Floor that must not be derived again
}

// Reading is what is known of processes that ended while they derived records: nobody has an entry for these yet.
type Reading struct {
	Lives   int             // processes that began, this one included
	At      record.Position `json:",omitempty"` // the record that was being derived, noted once Lives are many
	AtLives int             `json:",omitempty"` // processes that were at it
}

// Era says whose processors make the records from a position on, up to the next era.
type Era struct {
	From    record.Position
	Version int
}

// orNil: a Scatter without eras ends the scattering.
func (s *Scatter) orNil() *Scatter {
	if len(s.Eras) == 0 {
		return nil
	}
	c := *s
	c.Done = s.Done.Clone()
	c.Eras = append([]Era(nil), s.Eras...)
	c.Killed = append([]record.Position(nil), s.Killed...)
	return &c
}

// settle notes that an entry's records are.
func (s *Scatter) settle(e Entry) {
	if s == nil || !e.Scattered || e.Only == nil {
		return
	}
	s.Done.Or(e.Only)
	s.Done.RemoveBelow(s.Floor.Pos)
}

func (s *Scatter) note(o op) {
	if s == nil {
		return
	}
	if o.Reading != nil {
		s.Reading = o.Reading
		if s.Reading.Lives == 0 {
			s.Reading = nil
		}
	}
	if o.Killed != 0 {
		s.Killed = append(s.Killed, o.Killed)
	}
	if o.Era != nil {
		s.Eras = append(s.Eras, *o.Era)
	}
	if o.Settled != nil {
		s.Done.Or(o.Settled)
	}
	if o.Floor != nil && o.Floor.Pos > s.Floor.Pos {
		s.Floor = *o.Floor
	}
	s.Done.RemoveBelow(s.Floor.Pos)
	s.Killed = slices.DeleteFunc(s.Killed, func(p record.Position) bool { return p < s.Floor.Pos })
	for len(s.Eras) > 1 && s.Eras[1].From <= s.Floor.Pos {
		s.Eras = s.Eras[1:]
	}
}

// Backlog is how many records wait in a log that ends before end and begins at start: in open entries, and behind what was closed.
// Where one accepted record has become several it is an estimate.
func (j *Journal) Backlog(start, end record.Position) int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	from, n := j.closed.Pos, int64(0)
	if j.scatter != nil {
		from = j.scatter.Floor.Pos
		n -= int64(j.scatter.Done.Len())
	}
	if from = max(from, start); end > from {
		n += int64(end - from)
	}
	n = max(n, 0)
	for _, e := range j.open {
		switch {
		case e.Scattered && j.scatter != nil: // what is above the floor is counted above
			n += int64(e.Only.FirstBelow(from))
		case j.scatter == nil || e.Batch.First.Pos < from:
			n += int64(e.Batch.Count)
		}
	}
	return n
}

// BeginScatter notes, durably, that from the end of what was closed on records are settled one by one, made by the processors of
// version. Nothing happens when that is so already.
func (j *Journal) BeginScatter(version int) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.scatter != nil {
		return j.syncLocked() // the note may not have reached the disk
	}
	s := &Scatter{Done: NewSet(), Floor: j.closed, Eras: []Era{{From: j.closed.Pos, Version: version}}}
	return j.write([]op{{Scatter: s}}, true)
}

// EndScatter notes, durably, that all records below the end of what was closed are settled or in open entries.
func (j *Journal) EndScatter() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write([]op{{Scatter: &Scatter{}}}, true)
}

// Scattered returns a copy of what is known of records settled out of order; nil when none are.
func (j *Journal) Scattered() *Scatter {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.scatter == nil {
		return nil
	}
	return j.scatter.orNil()
}

// AddEra notes, durably, that the processors of another version make the records from a position on.
func (j *Journal) AddEra(e Era) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write([]op{{Era: &e}}, true)
}

// NoteReading notes how far the derivation of records is; the zero value: it is over. The note is lazy: it is read after the end
// of a process, not of a machine.
func (j *Journal) NoteReading(r Reading) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write([]op{{Reading: &r}}, false)
}

// NoteKilled notes, durably, that a record must not be derived again.
func (j *Journal) NoteKilled(pos record.Position) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write([]op{{Killed: pos}}, true)
}

// Raise notes that everything below a mark is settled or in an open entry, and that more is settled above it without an entry
// (nil: nothing). The note is lazy, as Done is.
func (j *Journal) Raise(floor Mark, settled *Set) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if settled.Empty() {
		settled = nil
	}
	if settled == nil && (j.scatter == nil || floor.Pos <= j.scatter.Floor.Pos) {
		return nil
	}
	return j.write([]op{{Floor: &floor, Settled: settled}}, false)
}
