package redshift

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"hydrant/internal/redshiftfake"
	"hydrant/record"
)

// An answer that is lost on the way back does not load a batch twice.
func TestLostAnswers(t *testing.T) {
	for fault, unsent := range map[redshiftfake.Fault]bool{redshiftfake.CutAfterCopy: false, redshiftfake.CutAfterCommit: false} {
		w := overWire(t, nil)
		ld := w.batch(1, `{"id":1}`)
		w.engine.Faults.Arm(fault, 1)
		w.mustRetry(t, ld, "Redshift.ConnectionFailed", unsent)
		w.mustLoad(t, ld)
		w.mustHold(t, "1|NULL")
	}
}

// When the ledger cannot be asked what the failed guard meant, that is the reason, and the batch may be loaded.
func TestLedgerNotAsked(t *testing.T) {
	w := overWire(t, nil)
	ld := w.batch(1, `{"id":1}`)
	w.mustLoad(t, ld)
	w.engine.OnStatement = func(sql string) {
		if strings.HasPrefix(sql, "SELECT 1 /") {
			w.engine.Faults.Arm(redshiftfake.WrongPassword, 1)
		}
	}
	w.mustRetry(t, ld, "Redshift.AuthenticationFailed", false)
	w.engine.OnStatement = nil
	w.mustLoad(t, ld)
	w.mustHold(t, "1|NULL")
}

// Without a ledger it does: that is what is said of it.
func TestNoLedger(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(func(o *Options) { o.NoLedger = true })
		ld := w.batch(1, `{"id":1}`)
		w.mustLoad(t, ld)
		w.mustLoad(t, ld)
		w.mustHold(t, "1|NULL", "1|NULL")
		if loaded, err := w.Loaded(context.Background(), ld.Stream, ld.ID); loaded || err != nil {
			t.Errorf("loaded: %v %v", loaded, err)
		}
		if err := w.Forget(context.Background(), ld.Stream, []string{ld.ID}); err != nil {
			t.Error(err)
		}
		for _, sql := range w.engine.Statements() {
			if strings.Contains(sql, "hydrant_loads") {
				t.Errorf("%s", sql)
			}
		}
	})
}

func TestLoadedAndForget(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(func(o *Options) { o.Ledger = "ops.loads" })
		ctx := context.Background()
		ld := w.batch(1, `{"id":1}`)
		look := func(stream string, want bool) {
			t.Helper()
			if loaded, err := w.Loaded(ctx, stream, ld.ID); loaded != want || err != nil {
				t.Errorf("%s: loaded %v, want %v; %v", stream, loaded, want, err)
			}
		}
		look("weblogs", false)
		w.mustLoad(t, ld)
		look("weblogs", true)
		look("other", false)
		ids := []string{}
		for i := range 2*forgetAtOnce + 1 {
			ids = append(ids, fmt.Sprintf("it's-%d", i))
		}
		for _, stream := range []string{"other", "weblogs"} {
			look("weblogs", true)
			if err := w.Forget(ctx, stream, append(ids, ld.ID)); err != nil {
				t.Fatal(err)
			}
		}
		look("weblogs", false)
		if got := w.memory.Rows("ops.loads"); len(got) != 0 {
			t.Errorf("ledger %q", got)
		}
	})
}

// A ledger that was dropped is made again, with the attempt after the one that found it gone.
func TestLedgerDropped(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(nil)
		w.mustLoad(t, w.batch(1, `{"id":1}`))
		w.memory.Drop("hydrant_loads")
		w.mustRetry(t, w.batch(2, `{"id":2}`), "Redshift.TableNotFound", true)
		w.mustLoad(t, w.batch(2, `{"id":2}`))
		w.mustHold(t, "1|NULL", "2|NULL")
	})
}

// refuses is a backend whose user may not create tables.
type refuses struct{ *redshiftfake.Memory }

// Open implements redshiftfake.Backend.
func (r refuses) Open(ctx context.Context) (redshiftfake.Session, error) {
	s, err := r.Memory.Open(ctx)
	return refusing{s}, err
}

type refusing struct{ redshiftfake.Session }

// Exec implements redshiftfake.Session.
func (r refusing) Exec(ctx context.Context, sql string) (redshiftfake.Result, error) {
	if strings.HasPrefix(sql, "CREATE") {
		return redshiftfake.Result{}, &redshiftfake.Error{Code: "42501", Message: "permission denied for schema public"}
	}
	return r.Session.Exec(ctx, sql)
}

func TestLedgerOfSomebodyElse(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(nil)
		w.engine.Backend = refuses{w.memory}
		ld := w.batch(1, `{"id":1}`)
		w.mustRetry(t, ld, "Redshift.InsufficientPrivilege", true)
		w.memory.Create("hydrant_loads", "loaded_at", "stream", "batch_id", "url", "records int")
		w.mustLoad(t, ld)
		w.mustLoad(t, ld)
		w.mustHold(t, "1|NULL")
	})
}

// Redshift reports what its compute nodes meet as an internal error, a division by zero too: the ledger tells what it means.
func TestGuardWithAnotherCode(t *testing.T) {
	transports(t, func(t *testing.T, mk func(func(*Options)) *world) {
		w := mk(nil)
		w.engine.Backend = compute{w.memory}
		ld := w.batch(1, `{"id":1}`)
		w.mustRetry(t, ld, "Redshift.InternalError", true) // the statement fails, and the ledger has no such batch
		w.engine.Backend = w.memory
		w.mustLoad(t, ld)
		w.engine.Backend = compute{w.memory}
		w.mustLoad(t, ld)
		w.mustHold(t, "1|NULL")
	})
}

// compute is a backend that fails the guard whatever stands in the ledger.
type compute struct{ *redshiftfake.Memory }

// Open implements redshiftfake.Backend.
func (c compute) Open(ctx context.Context) (redshiftfake.Session, error) {
	s, err := c.Memory.Open(ctx)
	return computing{s}, err
}

type computing struct{ redshiftfake.Session }

// Exec implements redshiftfake.Session.
func (c computing) Exec(ctx context.Context, sql string) (redshiftfake.Result, error) {
	if strings.HasPrefix(sql, "SELECT 1 /") {
		return redshiftfake.Result{}, &redshiftfake.Error{Code: "XX000", Message: "Divide by zero"}
	}
	return c.Session.Exec(ctx, sql)
}

var _ interface {
	Load(ctx context.Context, l *record.Load) record.Outcome
	Loaded(ctx context.Context, stream, id string) (bool, error)
	Forget(ctx context.Context, stream string, ids []string) error
	Close() error
} = (*Loader)(nil)
