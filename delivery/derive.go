package delivery

import (
	"context"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// killedType is the error type of records that no process survived. Those of a range are set aside as they came: no processor sees
// them again. Those of a partition have been through the processors before they had an entry: it was not these that killed.
const killedType = "process-killed"

// deriver makes an entry's records from the log, or from what the stage of a partitioned stream left in a lane.
type deriver struct {
	r     *Runner
	e     *journal.Entry
	stage Stage // nil: records are delivered as they came
	lane  *chunk
	from  record.Position // nothing before it is made once more; 0: from the entry's beginning
}

// source is a record as it came, or its digest when only that was kept.
type source struct {
	rec record.Record
	sum uint64
}

func (r *Runner) deriver(e *journal.Entry, lane *chunk) (*deriver, error) {
	d := &deriver{r: r, e: e, lane: lane}
	if e.SetAside == killedType && (!e.Scattered || e.Whole) || lane != nil {
		return d, nil
	}
	spec, err := r.opt.Specs.Spec(e.Processors())
	if err != nil || spec.NewStage == nil {
		return d, err
	}
	d.stage, err = spec.NewStage()
	return d, err
}

// each calls visit with every record of the entry, up to the position last. The data is valid until visit returns.
func (d *deriver) each(ctx context.Context, last record.Position, visit func(source, *record.Derived) error) error {
	if d.lane != nil {
		return d.lane.read(ctx, d.e, last, visit)
	}
	var out record.Derived
	var src source
	emit := func(x *record.Derived) error {
		if !d.e.Has(x.Pos, x.Sub) {
			return nil
		}
		x.Origin = src.rec.Origin
		return visit(src, x)
	}
	return d.r.opt.Source.Read(ctx, max(d.from, d.e.Batch.First.Pos), min(last, d.e.Batch.Last.Pos), func(rec record.Record) error {
		if !d.e.HasAny(rec.Pos) {
			return nil
		}
		src.rec = rec
		if d.e.Scattered {
			src.sum = digest(rec.Data)
		}
		if d.stage != nil {
			return d.stage.Derive(rec, emit)
		}
		out = record.Derived{ID: rec.ID, ArrivalMillis: rec.ArrivalMillis, Data: rec.Data, Raw: rec.Data}
		out.Origin = rec.Origin
		if m := rec.Made; m != nil && m.Nothing {
			return nil
		} else if m != nil && m.Raw != nil {
			out.Raw = m.Raw // an error record has what was accepted
		}
		if d.e.SetAside == killedType {
			return visit(src, &out) // whole, whatever became of a part of it
		}
		return emit(&out)
	})
}

func (w *work) newIdentity() identity {
	return identity{scattered: w.e.Scattered, kept: w.e.Answers != ""}
}

// identify gives the identity of the entry's records up to a position: of those that an object of it would hold.
func (w *work) identify(ctx context.Context, last record.Position) (identity, error) {
	id := w.newIdentity()
	d, err := w.r.deriver(&w.e, w.lane)
	if err != nil {
		return id, err
	}
	err = d.each(ctx, last, func(src source, x *record.Derived) error {
		if x.Failure == nil || w.e.SetAside != "" {
			id.add(src, x)
		}
		return nil
	})
	return id, err
}
