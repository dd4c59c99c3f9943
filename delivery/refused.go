package delivery

import (
	"context"

	"hydrant/delivery/answers"
	"hydrant/delivery/journal"
)

// encodeKept builds the object of an entry whose bytes are not made from the log: finished error records, or a manifest. done is false
// when the entry has none, or they are lost: then its error records are made of what the log and the entry know.
func (w *work) encodeKept(ctx context.Context) (done bool, err error) {
	if w.e.Loaded != nil {
		id := identity{kept: true}
		id.keep(w.e.Batch.First.Pos, 0, digest([]byte(w.e.Loaded.Bucket+"/"+w.e.Loaded.Key)))
		id.count = w.e.Batch.Count
		if err := writeManifest(w.spool, w.e.Loaded); err != nil {
			return true, err
		}
		w.made(id)
		return true, nil
	}
	if w.e.Answers == "" {
		return false, nil
	}
	id := identity{kept: true}
	err = w.r.opt.Answers.Read(w.e.Answers, func(a answers.Answer) error {
		if !w.e.Has(a.Pos, a.Sub) {
			return nil
		}
		id.keep(a.Pos, a.Sub, a.Sum)
		if _, err := w.spool.Write(a.Line); err != nil {
			return err
		}
		return ctx.Err()
	})
	if err == nil && id.count == w.e.Only.Len() {
		w.made(id)
		return true, nil
	}
	if ctx.Err() != nil {
		return true, ctx.Err()
	}
	w.r.opt.Logger.Error("what the destination said of refused records cannot be read; their error records say what it said of the first", "batch", w.e.N, "err", err)
	w.restart()
	return false, nil
}

// restart throws away what was written.
func (w *work) restart() {
	w.release()
	w.spool = w.r.opt.NewSpool()
}

// forgetAnswers says that an entry's file is needed no more, once that is durable.
func (r *Runner) forgetAnswers(e *journal.Entry) {
	if e.Answers == "" {
		return
	}
	r.deadMu.Lock()
	r.dead = append(r.dead, e.Answers)
	r.deadMu.Unlock()
}

// sweep removes files of answers that no entry needs any more. Called when the journal was just synced, or syncs it.
func (r *Runner) sweep(synced bool) {
	r.deadMu.Lock()
	dead := r.dead
	r.dead = nil
	r.deadMu.Unlock()
	if len(dead) == 0 {
		return
	}
	if !synced && r.opt.Journal.Sync() != nil {
		return // the next life removes them
	}
	needed := r.opt.Journal.Answers() // halves of an error object share a file
	for _, name := range dead {
		if !needed[name] {
			r.opt.Answers.Remove(name)
		}
	}
}

// cleanAnswers removes what earlier lives left, before this one writes anything.
func (r *Runner) cleanAnswers() {
	if r.cleaned || r.opt.Answers == nil {
		return
	}
	if r.cleaned = r.opt.Journal.Sync() == nil; r.cleaned {
		r.opt.Answers.Keep(r.opt.Journal.Answers())
	}
}
