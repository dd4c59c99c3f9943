package transform

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/record"
)

// asker is a processor that asks somebody else, who may answer differently a second time, or in time only once.
type asker interface {
	// ask hands out what each of ps becomes, in their order. Its error is that of ctx alone: nothing is known then; what cannot be processed
	// is a failed part.
	ask(ctx context.Context, ps []part, arrivalMillis []int64) ([][]part, error)
	// gather is how many bytes one call should have, and how long a record may wait for them.
	gather() (bytes int64, interval time.Duration)
	io.Closer
}

// Env is what processors that ask somebody know of the daemon.
type Env struct {
	Stream          string
	Account, Region string // of the stream's ARN
	Logger          *slog.Logger
}

// stagedCount is how many of the processors are run once, in the order of the log, their results kept: all up to the last one that must not
// see a record twice.
func stagedCount(ps []config.Processor) int {
	for n := len(ps); n > 0; n-- {
		if p := ps[n-1]; p.Lambda != nil || p.Wasm != nil || p.Dedupe != nil || p.Rollup != nil {
			return n
		}
	}
	return 0
}

// IsStaged says whether a stream has processors that must not see a record twice.
func IsStaged(s config.Stream) bool { return stagedCount(s.Processors) > 0 }

// Staged runs the processors of a stream that must not see a record twice, and those before them. Not safe for concurrent use.
type Staged struct {
	steps    []stagedStep
	counts   []StepCount // by step
	out      output
	room     room
	arrivals []int64
	arrived  int64 // the latest arrival that a stateful processor was told
}

// stagedStep is one of the three.
type stagedStep struct {
	pure  processor
	ask   asker
	state stateful
}

// NewStaged builds the chain of processors that are staged; those behind them are New's. keys and zone are as for New.
func NewStaged(s config.Stream, keys []prefix.Key, zone *time.Location, env Env) (*Staged, error) {
	return newStaged(&builder{stream: s, keys: keys, zone: zone}, s.Processors[:stagedCount(s.Processors)], env)
}

func newStaged(b *builder, processors []config.Processor, env Env) (*Staged, error) {
	c := &Staged{}
	c.out.room = &c.room
	for i, p := range processors {
		step, err := b.stagedStep(p, env)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("processor %d: %w", i+1, err), c.Close())
		}
		if step != (stagedStep{}) {
			c.steps = append(c.steps, step)
			c.counts = append(c.counts, StepCount{Name: p.Name()})
		}
	}
	return c, nil
}

func (b *builder) stagedStep(p config.Processor, env Env) (s stagedStep, err error) {
	switch {
	case p.Lambda != nil:
		s.ask, err = b.lambda(p.Lambda, env)
	case p.Wasm != nil:
		s.ask, err = newWasm(p.Wasm, env)
	case p.Dedupe != nil:
		s.state, err = newDedupe(p.Dedupe)
	case p.Rollup != nil:
		s.state, err = newRollup(p.Rollup)
	default:
		s.pure, err = b.step(p)
	}
	if err != nil {
		return stagedStep{}, err
	}
	return s, nil
}

// Gather is how many record bytes one call of Process should have, and how long a record may wait for that: the most that a processor wants.
func (c *Staged) Gather() (bytes int64, interval time.Duration) {
	for _, s := range c.steps {
		if s.ask != nil {
			b, d := s.ask.gather()
			bytes, interval = max(bytes, b), max(interval, d)
		}
	}
	return bytes, interval
}

// Process makes of each record what it becomes, in the order of the log; what it returns is valid until the next call. It calls changing
// before it changes what processors remember. Its error is that of ctx alone: then nothing is known, and the state is to be restored before
// the next call.
func (c *Staged) Process(ctx context.Context, recs []record.Record, changing func()) ([]record.Product, error) {
	c.letGo()
	b := newBlock(recs)
	for i, s := range c.steps {
		if s.state != nil {
			changing()
		}
		in, failures := b.count()
		if err := c.step(ctx, i, s, b); err != nil {
			return nil, err
		}
		out, now := b.count()
		c.counts[i].add(in, out, now-failures)
	}
	return b.products(), nil
}

func (c *Staged) step(ctx context.Context, i int, s stagedStep, b *block) error {
	if s.ask != nil {
		return c.ask(ctx, s.ask, b)
	}
	b.each(func(src int, p part) []part {
		c.out.reset()
		if s.pure != nil {
			s.pure.process(p, &c.out)
			return c.out.list
		}
		c.arrived = max(c.arrived, b.recs[src].ArrivalMillis)
		b.deltas[src] = c.decide(i, b.deltas[src], func(delta []byte) []byte { return s.state.decide(p, c.arrived, &c.out, delta) })
		return c.out.list
	})
	return nil
}

// decide appends a delta with the number of its step.
func (c *Staged) decide(step int, to []byte, f func(delta []byte) []byte) []byte {
	delta := f(nil)
	if len(delta) == 0 {
		return to
	}
	to = binary.AppendUvarint(to, uint64(step))
	to = binary.AppendUvarint(to, uint64(len(delta)))
	return append(to, delta...)
}

func (c *Staged) ask(ctx context.Context, a asker, b *block) error {
	ps, arrivals := make([]part, 0, len(b.list)), c.arrivals[:0]
	for _, x := range b.list {
		if x.failure == nil {
			ps, arrivals = append(ps, x.part), append(arrivals, b.recs[x.src].ArrivalMillis)
		}
	}
	c.arrivals = arrivals
	if len(ps) == 0 {
		return nil
	}
	answers, err := a.ask(ctx, ps, arrivals)
	if err != nil {
		return err
	}
	if len(answers) != len(ps) {
		return fmt.Errorf("%d of %d records were answered", len(answers), len(ps)) // a mistake of ours
	}
	b.each(func(int, part) []part {
		first := answers[0]
		answers = answers[1:]
		return first
	})
	return nil
}

// Tick lets time go by for processors that wait for it, and gives what they hand out; nil: nothing.
func (c *Staged) Tick(nowMillis int64) *record.Product {
	c.letGo()
	c.arrived = max(c.arrived, nowMillis)
	for i, s := range c.steps {
		if s.state == nil || s.state.next() == 0 || s.state.next() > nowMillis {
			continue
		}
		b := newBlock([]record.Record{{ArrivalMillis: c.arrived}})
		c.out.reset()
		b.deltas[0] = c.decide(i, nil, func(delta []byte) []byte { return s.state.tick(c.arrived, &c.out, delta) })
		b.list = b.list[:0]
		for _, p := range c.out.list {
			b.list = append(b.list, blockPart{part: p})
		}
		for j, rest := range c.steps[i+1:] {
			if rest.ask != nil {
				continue // the configuration refuses askers behind these
			}
			_ = c.step(context.Background(), i+1+j, rest, b)
		}
		return &b.products()[0]
	}
	return nil
}

// Next is when Tick would give something, Unix ms; 0: nothing waits for time.
func (c *Staged) Next() (at int64) {
	for _, s := range c.steps {
		if s.state == nil {
			continue
		}
		if n := s.state.next(); n > 0 && (at == 0 || n < at) {
			at = n
		}
	}
	return at
}

// letGo forgets the records of the last call.
func (c *Staged) letGo() {
	c.out.reset()
	c.room.reset()
}

var errDelta = errors.New("what changed in the processors' state cannot be read")

// Apply changes the state as the call did that gave this delta.
func (c *Staged) Apply(delta []byte) error {
	for len(delta) > 0 {
		i, n := binary.Uvarint(delta)
		size, m := binary.Uvarint(delta[max(n, 0):])
		if n <= 0 || m <= 0 || i >= uint64(len(c.steps)) || c.steps[i].state == nil || size > uint64(len(delta)-n-m) {
			return errDelta
		}
		if err := c.steps[i].state.apply(delta[n+m : n+m+int(size)]); err != nil {
			return fmt.Errorf("processor %d: %w", i+1, err)
		}
		delta = delta[n+m+int(size):]
	}
	return nil
}

// Snapshot is the state of all processors; nil when they remember nothing.
func (c *Staged) Snapshot() []byte {
	var all []byte
	for i, s := range c.steps {
		if s.state != nil {
			b := s.state.snapshot(nil)
			all = binary.AppendUvarint(all, uint64(i))
			all = append(binary.AppendUvarint(all, uint64(len(b))), b...)
		}
	}
	return all
}

// Restore reads a Snapshot into a chain that has seen nothing.
func (c *Staged) Restore(b []byte) error {
	for len(b) > 0 {
		i, n := binary.Uvarint(b)
		size, m := binary.Uvarint(b[max(n, 0):])
		if n <= 0 || m <= 0 || i >= uint64(len(c.steps)) || c.steps[i].state == nil || size > uint64(len(b)-n-m) {
			return errDelta
		}
		if err := c.steps[i].state.restore(b[n+m : n+m+int(size)]); err != nil {
			return fmt.Errorf("processor %d: %w", i+1, err)
		}
		b = b[n+m+int(size):]
	}
	return nil
}

// Close ends what the processors hold.
func (c *Staged) Close() (err error) {
	for _, s := range c.steps {
		if s.ask != nil {
			err = errors.Join(err, s.ask.Close())
		}
	}
	return err
}
