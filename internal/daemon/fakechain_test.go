package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"time"

	"hydrant/config"
	"hydrant/delivery/staging"
	"hydrant/record"
)

// fakeHook is what the processors of streams named once… ask: it never answers the same twice, sets some records aside, and takes its time. It
// outlives the daemons of a test. Safe for concurrent use.
type fakeHook struct {
	mu    sync.Mutex
	rng   *rand.Rand
	calls int
	hangs bool
}

// chain stands in place of a stream's processors. It remembers every record it has seen, and drops one that it sees again: none should be,
// and one that is was seen by a life whose answer nobody kept.
func (h *fakeHook) chain(config.Stream) (staging.Chain, error) {
	return &fakeChain{h: h, seen: map[string]bool{}}, nil
}

type fakeChain struct {
	h    *fakeHook
	seen map[string]bool
	last int64 // of the records that were seen since the last tick, when one is to come
}

func (c *fakeChain) Process(ctx context.Context, recs []record.Record, changing func()) ([]record.Product, error) {
	answers, wait := c.h.ask(recs)
	if !waitFor(ctx, wait) {
		return nil, ctx.Err()
	}
	changing()
	for i := range recs {
		line := string(recs[i].Data)
		if c.seen[line] {
			answers[i].Records = nil
			continue
		}
		c.seen[line] = true
		c.last = recs[i].ArrivalMillis
		answers[i].Delta = []byte(line + "\x00")
	}
	return answers, nil
}

func (h *fakeHook) ask(recs []record.Record) ([]record.Product, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls++
	out := make([]record.Product, len(recs))
	for i, r := range recs {
		d := record.Derived{Data: fmt.Appendf(nil, "%s#%d\n", strings.TrimSpace(string(r.Data)), h.rng.Int()), Raw: r.Data, ArrivalMillis: r.ArrivalMillis}
		if h.rng.Intn(10) == 0 {
			d.Data, d.Failure = r.Data, &record.Failure{Type: record.ProcessingFailed, Code: "Lambda.ProcessingFailed", Message: "today not", Attempts: 3}
		}
		out[i].Records = []record.Derived{d}
	}
	wait := time.Duration(h.rng.Int63n(int64(3 * time.Second)))
	if h.hangs {
		wait = time.Hour
	}
	return out, wait
}

// Tick gives nothing but what it remembers: that it is due no more.
func (c *fakeChain) Tick(nowMillis int64) *record.Product {
	if c.Next() == 0 || c.Next() > nowMillis {
		return nil
	}
	c.last = 0
	return &record.Product{Delta: []byte("tick\x00")}
}

func (c *fakeChain) Next() int64 {
	if c.last == 0 {
		return 0
	}
	return c.last + 20_000
}

func (c *fakeChain) Gather() (int64, time.Duration) { return 500, 4 * time.Second }

func (c *fakeChain) Apply(delta []byte) error {
	for _, line := range strings.Split(string(delta), "\x00") {
		switch {
		case line == "":
		case line == "tick":
			c.last = 0
		case c.seen[line]:
			return errors.New("a record was seen twice")
		default:
			c.seen[line] = true
		}
	}
	return nil
}

func (c *fakeChain) Snapshot() []byte {
	var b strings.Builder
	for line := range c.seen {
		b.WriteString(line + "\x00")
	}
	return []byte(b.String())
}

func (c *fakeChain) Restore(b []byte) error { return c.Apply(b) }

func (c *fakeChain) Close() error { return nil }

// once is a stream whose processors must not see a record twice.
func once(s config.Stream) config.Stream {
	s.Processors = append([]config.Processor{{Dedupe: &config.Dedupe{}}}, s.Processors...)
	s.Normalize()
	return s
}

// asked takes off what the hook put behind a record.
func asked(line string) string {
	line, _, _ = strings.Cut(line, "#")
	return line
}
