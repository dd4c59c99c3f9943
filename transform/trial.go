package transform

import (
	"context"
	"math"
	"time"

	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/record"
)

// StepCount is what one processor did so far.
type StepCount struct {
	Name    string // as in YAML
	In, Out int    // records that it was given, and made
	Failed  int    // that it set aside
}

func (c *StepCount) add(in, out, failed int) {
	c.In, c.Out, c.Failed = c.In+in, c.Out+out, c.Failed+failed
}

// Trial runs all processors of a stream over records that nobody delivers, and counts. Hooks are really asked. Not safe for concurrent use.
type Trial struct{ c *Staged }

// NewTrial is New and NewStaged in one.
func NewTrial(s config.Stream, keys []prefix.Key, zone *time.Location, env Env) (*Trial, error) {
	if _, err := New(s, keys, zone); err != nil {
		return nil, err
	}
	c, err := newStaged(&builder{stream: s, keys: keys, zone: zone}, s.Processors, env)
	if err != nil {
		return nil, err
	}
	return &Trial{c}, nil
}

// Process gives what becomes of each record; it is valid until the next call.
func (t *Trial) Process(ctx context.Context, recs []record.Record) ([]record.Product, error) {
	return t.c.Process(ctx, recs, func() {})
}

// End gives what waits for time, as if that went by; nil when nothing does any more.
func (t *Trial) End() *record.Product { return t.c.Tick(math.MaxInt64) }

// Counts are those of the processors, in their order.
func (t *Trial) Counts() []StepCount { return t.c.counts }

// Close ends what the processors hold.
func (t *Trial) Close() error { return t.c.Close() }
