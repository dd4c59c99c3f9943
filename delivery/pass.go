package delivery

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// pass reads the log from the first record that is not settled, makes what the stage makes of it, and skips what is settled already.
type pass struct {
	s       *scatterer
	walk    Walk
	stages  map[int]Stage // by version
	eras    []journal.Era
	current int // version that is configured now
	floor   record.Position
	skip    *journal.Set // settled, or under way in another form
	refills []*chunk     // entries of an earlier life whose records are gathered again, by their end
	refill  *journal.Set // all records of them

	leaving   bool            // the stream is partitioned no more:
	limit     record.Position // no more is read than was begun
	maxActive int

	reading journal.Reading // what is noted of this pass
	former  journal.Reading // and of the one before it, in another life
	entered time.Time
	killed  []record.Position // must not be derived again
	careful bool              // each record is noted before it is derived

	arrival, start, end int64 // of the put that is read
	src                 source
	version             int
}

var errLimit = errors.New("the pass ends here")

func (s *scatterer) newPass() (*pass, error) {
	j := s.r.opt.Journal
	p := &pass{s: s, stages: map[int]Stage{}, current: s.r.opt.Specs.Current()}
	spec, err := s.r.opt.Specs.Spec(p.current)
	if err != nil {
		return nil, err
	}
	p.leaving, p.maxActive = !spec.Partitioned, spec.MaxActive
	if !p.leaving {
		if err := j.BeginScatter(p.current); err != nil {
			return nil, err
		}
	}
	if err := p.era(j.Closed().Pos); err != nil {
		return nil, err
	}
	from := j.Cursor().Pos
	pending := j.Pending() // before what is done: an entry may end between the two
	sc := j.Scattered()
	p.floor, p.eras, p.skip, p.killed, p.refill = sc.Floor.Pos, sc.Eras, sc.Done, sc.Killed, journal.NewSet()
	p.limit = max(j.Closed().Pos, p.eras[len(p.eras)-1].From)
	for i := range pending {
		p.resume(&pending[i])
	}
	slices.SortFunc(p.refills, func(a, b *chunk) int { return cmp.Compare(a.entry.Batch.Last.Pos, b.entry.Batch.Last.Pos) })
	p.walk = s.r.opt.Source.Walk(from)
	if !s.r.entered { // what the process itself does afterwards is no death
		s.r.entered = true
		if sc.Reading != nil {
			s.r.former = *sc.Reading
		}
	}
	return p, p.enter()
}

// enter notes that records are being derived. A record that ended several processes by that is found out, and set aside.
func (p *pass) enter() error {
	p.former = p.s.r.former
	p.entered = time.Now()
	p.reading = journal.Reading{Lives: p.former.Lives + 1, At: p.former.At, AtLives: p.former.AtLives}
	if p.careful = p.former.Lives >= maxLives; p.careful {
		p.s.r.opt.Logger.Error("several processes have ended while they read the log; each record is noted before it is processed")
	}
	return p.s.r.opt.Journal.NoteReading(p.reading)
}

// survived notes that everything there is was derived, and the process lives.
func (p *pass) survived() error {
	if p.reading.Lives == 0 {
		return nil
	}
	p.reading, p.former, p.s.r.former, p.careful = journal.Reading{}, journal.Reading{}, journal.Reading{}, false
	return p.s.r.opt.Journal.NoteReading(p.reading)
}

// killer notes that a record is about to be derived; true: processes have ended at it.
func (p *pass) killer(pos record.Position) (bool, error) {
	lives := 1
	if pos == p.former.At {
		if p.former.AtLives >= atLives {
			return true, nil
		}
		lives = p.former.AtLives + 1
	}
	p.reading.At, p.reading.AtLives = pos, lives
	return false, p.s.r.opt.Journal.NoteReading(p.reading)
}

// calm is how long a pass goes on before it is noted that the process outlived it: not for each record that trickles in.
const calm = time.Second

// atLives is how many processes may end at one record.
const atLives = 2

// isKilled says whether the record was set aside as it came.
func (p *pass) isKilled(pos record.Position, again bool) bool {
	if slices.Contains(p.killed, pos) {
		return true
	}
	if again {
		for _, c := range p.refills {
			if c.entry.Whole && c.entry.Only.HasAny(pos) {
				return true
			}
		}
	}
	return false
}

// kill sets a record aside as it came.
func (p *pass) kill(rec record.Record) error {
	x := record.Derived{ID: rec.ID, ArrivalMillis: rec.ArrivalMillis, Data: rec.Data, Raw: rec.Data, Failure: &record.Failure{
		Type: killedType, Code: "Hydrant.ProcessKilled", Message: "the process ended several times while it processed this record"}}
	return p.derived(&x)
}

// era notes that another version makes the records from a position on, when that is so.
func (p *pass) era(from record.Position) error {
	j := p.s.r.opt.Journal
	sc := j.Scattered()
	last := sc.Eras[len(sc.Eras)-1]
	if p.leaving || last.Version == p.current {
		return nil
	}
	return j.AddEra(journal.Era{From: max(from, last.From), Version: p.current})
}

// resume takes up an entry of the journal: to be filled again, or to be left to the one that is at work on it.
func (p *pass) resume(e *journal.Entry) {
	if !e.Scattered || e.Only == nil {
		return
	}
	if !p.s.unstarted[e.N] {
		p.skip.Or(e.Only)
		return
	}
	c := &chunk{lane: p.s.lanes.NewLane(), version: e.Processors(), partition: e.Partition, entry: e, decided: make(chan struct{})}
	if c.aside = e.SetAside; c.aside != "" {
		c.partition = ""
	}
	p.refill.Or(e.Only)
	p.refills = append(p.refills, c)
}

// next reads one put.
func (p *pass) next() (more bool, err error) {
	if err := p.follow(); err != nil {
		return false, err
	}
	if at, _ := p.walk.Mark(); p.reading.Lives == 0 && p.s.r.opt.Source.Waits(at) {
		if err := p.enter(); err != nil {
			return false, err
		}
	}
	more, err = p.walk.Next(p.begin, p.record)
	if errors.Is(err, errLimit) {
		more, err = false, nil
	}
	if err == nil {
		p.refilled(!more)
	}
	if err == nil && !more && (p.reading.Lives > 1 || time.Since(p.entered) > calm) {
		err = p.survived()
	}
	return more, err
}

// follow takes up a new version of the stream.
func (p *pass) follow() error {
	now := p.s.r.opt.Specs.Current()
	if now == p.current {
		return nil
	}
	spec, err := p.s.r.opt.Specs.Spec(now)
	if err != nil {
		return err
	}
	at, _ := p.walk.Mark()
	p.current, p.leaving, p.maxActive = now, !spec.Partitioned, spec.MaxActive
	p.limit = max(at, p.s.r.opt.Journal.Closed().Pos)
	if err := p.era(at); err != nil {
		return err
	}
	p.eras = p.s.r.opt.Journal.Scattered().Eras
	return nil
}

// mark is where the pass has come to. A stream that is partitioned no more goes on at the limit, which may lie within a put.
func (p *pass) mark() journal.Mark {
	pos, offset := p.walk.Mark()
	if p.leaving && pos > p.limit {
		return journal.Mark{Pos: p.limit, Offset: p.start}
	}
	return journal.Mark{Pos: pos, Offset: offset}
}

// over: nothing more is to be read.
func (p *pass) over() bool {
	at, _ := p.walk.Mark()
	return p.leaving && at >= p.limit && !p.filling()
}

func (p *pass) filling() bool { return len(p.refills) > 0 }

// begin closes what is older than its interval before the records of the next put are added.
func (p *pass) begin(arrival, start, end int64) {
	p.arrival, p.start, p.end = max(arrival, p.arrival), start, end
	p.s.closeDue(true)
}

func (p *pass) record(rec record.Record) error {
	if p.leaving && rec.Pos >= p.limit {
		return errLimit
	}
	if rec.Pos > journal.MaxPosition {
		return fmt.Errorf("record %d is beyond what partitions can note, %d; make the stream anew", rec.Pos, journal.MaxPosition)
	}
	stage, err := p.stage(rec.Pos)
	if err != nil {
		return err
	}
	p.src = source{sum: digest(rec.Data)}
	again := p.filling() && p.refill.HasAny(rec.Pos)
	switch {
	case rec.Pos < p.floor && !again:
		return nil
	case p.isKilled(rec.Pos, again):
		return p.kill(rec)
	case p.careful && !again && !p.skip.HasAny(rec.Pos): // else it was derived before, and nobody died
		killer, err := p.killer(rec.Pos)
		if err != nil {
			return err
		}
		if killer {
			if err := p.s.r.opt.Journal.NoteKilled(rec.Pos); err != nil {
				return err
			}
			p.killed = append(p.killed, rec.Pos)
			p.s.r.opt.Logger.Error("a record has ended the process several times while it was processed; it is set aside", "position", rec.Pos)
			return p.kill(rec)
		}
	}
	if err := stage.Derive(rec, p.derived); err != nil {
		return err
	}
	p.s.closeFull()
	return nil
}

// versionOf is whose processors make something of a record: those of the entry that holds a part of it, else those of its era.
func (p *pass) versionOf(pos record.Position) int {
	if p.filling() && p.refill.HasAny(pos) {
		for _, c := range p.refills {
			if e := c.entry; e.Batch.First.Pos <= pos && pos <= e.Batch.Last.Pos && e.Only.HasAny(pos) {
				return c.version
			}
		}
	}
	v := p.eras[0].Version
	for _, e := range p.eras[1:] {
		if e.From <= pos {
			v = e.Version
		}
	}
	return v
}

// stage is that of the version that a record belongs to.
func (p *pass) stage(pos record.Position) (Stage, error) {
	v := p.versionOf(pos)
	p.version = v
	if st := p.stages[v]; st != nil {
		return st, nil
	}
	spec, err := p.s.r.opt.Specs.Spec(v)
	if err != nil {
		return nil, err
	}
	if spec.NewStage == nil {
		return nil, fmt.Errorf("version %d has no partitions", v)
	}
	st, err := spec.NewStage()
	if err == nil {
		p.stages[v] = st
	}
	return st, err
}

// derived brings a record where it belongs.
func (p *pass) derived(x *record.Derived) error {
	switch {
	case p.filling() && p.refill.Has(x.Pos, x.Sub):
		for _, c := range p.refills {
			if e := c.entry; e.Batch.First.Pos <= x.Pos && x.Pos <= e.Batch.Last.Pos && e.Only.Has(x.Pos, x.Sub) {
				return p.s.kept(c.add(p.src, x, p.start, p.end, &p.s.scratch))
			}
		}
		return nil
	case x.Pos < p.floor || p.skip.Has(x.Pos, x.Sub):
		return nil
	}
	return p.s.put(p.version, p.src, x, p.start, p.end)
}

// spill gives up gathering the records of open entries, when the lanes are full: their lives find them in the log.
func (p *pass) spill() {
	p.skip.Or(p.refill)
	p.refill = journal.NewSet()
	for _, c := range p.refills {
		c.lane.Close()
		c.lane = nil
	}
	p.refilled(true)
}

// refilled lets those entries go whose records have all been read.
func (p *pass) refilled(all bool) {
	at, _ := p.walk.Mark()
	for len(p.refills) > 0 && (all || p.refills[0].entry.Batch.Last.Pos < at) {
		c := p.refills[0]
		p.refills = p.refills[1:]
		x := record.Derived{Partition: []byte(c.partition)}
		if c.aside != "" {
			x.Failure = &record.Failure{Type: c.aside}
		}
		part := p.s.partition(c.version, &x)
		c.of = part
		part.full = append(part.full, c)
		p.s.enqueue(part)
	}
}
