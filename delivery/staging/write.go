package staging

import (
	"errors"
	"time"

	"hydrant/delivery/staged"
	"hydrant/record"
)

// What is staged at once.
const (
	gatherBytes    = 1 << 20 // at least, where so much waits
	maxGatherBytes = 16 << 20
	gatherRecords  = 20_000
	putBytes       = 4 << 20  // of one put of the staged log
	putRecords     = 50_000   // of the same
	deltaBytes     = 64 << 10 // of what is remembered by one put
	maxParts       = 1 << 16  // of one record: so many can be numbered
)

// gathered is what is staged at once. The records lie in memory of its own.
type gathered struct {
	recs  []record.Record
	ends  []int64 // of each record's put in the first log
	arena []byte
	limit int64
	bytes int64
	next  record.Position // where the first log goes on behind them
}

var errEnough = errors.New("enough was gathered")

// gather reads what waits from a position on, and waits for more while the processors like that.
func (r *Runner) gather(pos record.Position) (*gathered, error) {
	want, interval := r.chain.Gather()
	g := &gathered{limit: min(max(want, gatherBytes), maxGatherBytes)}
	w := r.opt.Source.Walk(pos)
	defer w.Close()
	defer func() { g.next, _ = w.Mark() }()
	var deadline time.Time
	for r.ctx.Err() == nil {
		more, err := g.read(w)
		switch {
		case errors.Is(err, errEnough):
			return g, nil
		case err != nil:
			return g, err
		case more:
			continue
		case len(g.recs) == 0 || g.bytes >= want || r.isFlushed():
			return g, nil
		}
		r.oldest.Store(g.recs[0].ArrivalMillis)
		if deadline.IsZero() {
			deadline = r.until(g.recs[0].ArrivalMillis, interval)
		}
		left := time.Until(deadline)
		if left <= 0 {
			return g, nil
		}
		r.rest(left)
	}
	return g, r.ctx.Err()
}

// until is when records that arrived then are staged, however few they are: no later than an interval from now, whatever the clock did.
func (r *Runner) until(arrivalMillis int64, interval time.Duration) time.Time {
	now := time.Now()
	waited := max(0, now.Sub(time.UnixMilli(arrivalMillis)))
	return now.Add(interval - min(waited, interval))
}

func (r *Runner) isFlushed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flushed
}

// read takes one put.
func (g *gathered) read(w interface {
	Next(func(int64, int64, int64), func(record.Record) error) (bool, error)
}) (more bool, err error) {
	var start, end int64
	full := false
	more, err = w.Next(func(_, s, e int64) { start, end = s, e }, func(rec record.Record) error {
		if full = g.bytes >= g.limit || len(g.recs) >= gatherRecords; full {
			return errEnough
		}
		from := len(g.arena)
		g.arena = append(g.arena, rec.Data...)
		rec.Data = g.arena[from:len(g.arena):len(g.arena)] // growing leaves it where it is
		g.recs, g.ends = append(g.recs, rec), append(g.ends, end)
		g.bytes += int64(len(rec.Data))
		return nil
	})
	if full { // its put goes on
		for i := len(g.ends) - 1; i >= 0 && g.ends[i] == end; i-- {
			g.ends[i] = start
		}
	}
	return more, err
}

// write makes durable what became of records, as puts of the staged log, and with each how far that is and what is remembered by it.
func (r *Runner) write(g *gathered, products []record.Product) error {
	p := &staging{put: record.NewPut()}
	defer func() { p.put.Release() }()
	for i, x := range products {
		x.Records = bounded(x, g.recs[i].Data)
		if p.full(x) {
			if err := r.append(p); err != nil {
				return err
			}
		}
		p.begin(max(r.arrived, g.recs[i].ArrivalMillis))
		if size(x) > record.MaxPutBytes {
			p.addWhole(&g.recs[i], x)
		} else {
			p.add(&g.recs[i], x)
		}
		p.upto, p.offset = g.recs[i].Pos, g.ends[i]
	}
	return r.append(p)
}

// bounded is what became of a record, or one failure where that is more than a put may hold.
func bounded(x record.Product, raw []byte) []record.Derived {
	if len(x.Records) == 0 || size(x) <= record.MaxPutBytes && len(x.Records) <= maxParts {
		return x.Records
	}
	return []record.Derived{{Data: raw, Raw: raw, ArrivalMillis: x.Records[0].ArrivalMillis, Failure: staged.TooLarge()}}
}

// size is how much of a put what became of a record takes at most.
func size(x record.Product) int {
	n := len(x.Delta) + 1
	for i := range x.Records {
		n += staged.Size(&x.Records[i])
	}
	return n
}

// writeTick makes durable what time going by made.
func (r *Runner) writeTick(nowMillis int64, x *record.Product) error {
	p := &staging{put: record.NewPut()}
	defer func() { p.put.Release() }()
	pos, offset := r.Upto()
	p.upto, p.offset = pos-1, offset
	p.begin(max(r.arrived, nowMillis))
	p.add(nil, *x)
	return r.append(p)
}

// staging is a put of the staged log in the making.
type staging struct {
	put     *record.Put
	delta   []byte
	upto    record.Position
	offset  int64
	arrival int64
	begun   bool
	scratch []byte
	whole   []record.Origin // of a record that stands there as it was accepted
}

func (p *staging) full(x record.Product) bool {
	return p.begun && (p.put.Bytes() >= putBytes || p.put.Bytes()+size(x) > record.MaxPutBytes || p.put.Count()+len(x.Records) > putRecords ||
		p.whole != nil || len(p.delta)+len(x.Delta) > deltaBytes)
}

func (p *staging) begin(arrival int64) {
	if !p.begun {
		p.begun, p.arrival = true, arrival
	}
}

// add writes what became of a record, nil for what was made of many.
func (p *staging) add(rec *record.Record, x record.Product) {
	p.delta = append(p.delta, x.Delta...)
	for i := range x.Records {
		d := &x.Records[i]
		switch {
		case rec == nil:
			d.ArrivalMillis = p.arrival
		case rec.Origin != nil:
			d.Origin = &record.Origin{ID: rec.Origin.ID, Sub: rec.Origin.Sub + uint16(i)}
		default:
			d.Origin = &record.Origin{ID: rec.ID, Sub: uint16(i)}
		}
		p.scratch = staged.Append(p.scratch[:0], d, p.arrival)
		p.put.Add(p.scratch)
	}
}

// addWhole writes a record that leaves no room for anything beside it. It stands there as it came, as one that cannot be processed.
func (p *staging) addWhole(rec *record.Record, x record.Product) {
	p.delta = append(p.delta, x.Delta...)
	o := record.Origin{ID: rec.ID}
	if rec.Origin != nil {
		o = *rec.Origin
	}
	p.whole = []record.Origin{o}
	p.put.Add(rec.Data)
}

// append makes the put durable. It is tried until that works, or the process stops: nothing else may be staged before.
func (r *Runner) append(p *staging) error {
	s, _ := r.current()
	note := record.Note{Staged: &record.Staged{Upto: p.upto, Offset: p.offset, Version: s.Version, Delta: p.delta}, Origins: p.whole}
	switch {
	case len(p.delta) > deltaBytes && p.whole == nil:
		p.put.Add(staged.AppendDelta(nil, p.delta))
		staged.Shorten(&note)
	case p.put.Count() == 0:
		p.put.Add(staged.AppendNothing(nil))
	}
	if err := p.put.SetNote(note); err != nil {
		return err
	}
	r.arrived = p.arrival
	r.opt.Arrives(p.arrival)
	id, err := r.opt.Log.Append(r.ctx, p.put)
	for attempt := 1; err != nil; attempt++ {
		if r.ctx.Err() != nil {
			return err
		}
		r.say(err.Error())
		r.opt.Logger.Error("staged records cannot be written; they wait", "attempt", attempt, "err", err)
		r.pause(r.opt.Backoff.Wait(attempt))
		id, err = r.opt.Log.Append(r.ctx, p.put)
	}
	s.Upto, s.Offset, s.Last = p.upto, p.offset, id.Pos+record.Position(p.put.Count())-1
	r.reach(s)
	p.put.Reset()
	p.delta, p.whole, p.begun = p.delta[:0], nil, false
	return nil
}
