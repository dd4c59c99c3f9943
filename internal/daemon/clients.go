package daemon

import (
	"context"
	"encoding/json"
	"io"
	"sync"

	"hydrant/config"
	"hydrant/delivery"
	"hydrant/record"
)

// clients are a stream's clients of destinations that are no object store: one for each way of reaching one and each form of what it
// takes. Made at their first use. Safe for concurrent use.
type clients struct {
	s *stream

	mu     sync.Mutex
	made   map[string]io.Closer
	counts bool // among those that share the memory for requests
}

func newClients(s *stream) *clients { return &clients{s: s, made: map[string]io.Closer{}} }

// requester is what a version's records are sent to.
func (c *clients) requester(version int) delivery.Requester {
	d := c.destination(version)
	if made := c.s.env.requester; made != nil {
		return sharedRequests{made(c.s.name, d), c.s.env}
	}
	client, err := c.client(d, func() (io.Closer, error) { return newRequester(c.s.env, c.s.name, d) })
	if err != nil {
		return unreachable{err}
	}
	return sharedRequests{client.(delivery.Requester), c.s.env}
}

// loader is what takes in a version's objects.
func (c *clients) loader(version int) delivery.Loader {
	d := c.destination(version)
	if made := c.s.env.loader; made != nil {
		return made(c.s.name, d)
	}
	client, err := c.client(d, func() (io.Closer, error) { return newLoader(c.s.env, d) })
	if err != nil {
		return unreachable{err}
	}
	return client.(delivery.Loader)
}

// destination is a version's, reached as the newest version says.
func (c *clients) destination(version int) config.Destination {
	m := c.s.snapshot()
	return m.Versions[version].Destination.ReachedBy(m.spec().Destination)
}

// client returns the one that was made for such a destination, or makes it.
func (c *clients) client(d config.Destination, make func() (io.Closer, error)) (io.Closer, error) {
	key, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if made := c.made[string(key)]; made != nil {
		return made, nil
	}
	made, err := make()
	if err != nil {
		return nil, err
	}
	c.made[string(key)] = made
	if !c.counts {
		c.counts = true
		c.s.env.requesting.Add(1)
	}
	return made, nil
}

func (c *clients) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, made := range c.made {
		_ = made.Close()
		delete(c.made, key)
	}
	if c.counts {
		c.counts = false
		c.s.env.requesting.Add(-1)
	}
}

// sharedRequests keeps the requests of all streams together within a bounded memory: the more streams, the smaller they are. No stream
// waits for another.
type sharedRequests struct {
	delivery.Requester
	env *env
}

const (
	requestMemory = 96 << 20 // record bytes of requests under way, of all streams
	leastRequest  = 256 << 10
)

// Limits are the destination's, as far as the memory reaches.
func (s sharedRequests) Limits() record.RequestLimits {
	l := s.Requester.Limits()
	share := requestMemory / workersPerReader / max(1, s.env.requesting.Load())
	l.Concurrent = max(1, min(l.Concurrent, int(share/leastRequest)))
	l.Bytes = min(l.Bytes, max(leastRequest, share/int64(l.Concurrent)))
	return l
}

// unreachable is a destination whose client could not be made: the batch waits, loudly, until the configuration or the environment is mended.
type unreachable struct{ err error }

func (u unreachable) outcome() record.Outcome {
	return record.Outcome{Kind: record.Retry, Code: "Hydrant.Configuration", Err: u.err, Unsent: true}
}

func (u unreachable) Send(context.Context, *record.Request) record.Reply {
	return record.Reply{Outcome: u.outcome()}
}

func (u unreachable) Limits() record.RequestLimits {
	return record.RequestLimits{Records: 1000, Bytes: leastRequest, Concurrent: 1}
}

func (u unreachable) Describe(*record.Item) []record.Field { return nil }

func (u unreachable) Load(context.Context, *record.Load) record.Outcome { return u.outcome() }

func (u unreachable) Loaded(context.Context, string, string) (bool, error) { return false, u.err }

func (u unreachable) Forget(context.Context, string, []string) error { return u.err }
