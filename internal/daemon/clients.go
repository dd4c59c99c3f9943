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

	mu   sync.Mutex
	made map[string]io.Closer
}

func newClients(s *stream) *clients { return &clients{s: s, made: map[string]io.Closer{}} }

// requester is what a version's records are sent to.
func (c *clients) requester(version int) delivery.Requester {
	d := c.destination(version)
	if made := c.s.env.requester; made != nil {
		return bounded(made(c.s.name, d), d, c.s.env)
	}
	client, err := c.client(d, func() (io.Closer, error) { return newRequester(c.s.env, c.s.name, d) })
	if err != nil {
		return unreachable{err}
	}
	return bounded(client.(delivery.Requester), d, c.s.env)
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
	return made, nil
}

func (c *clients) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, made := range c.made {
		_ = made.Close()
		delete(c.made, key)
	}
}

// What requests under way may take of memory, of all streams together: record bytes, of which sinks make bodies of about the same size.
const (
	requestMemory = 32 << 20
	leastRequest  = 128 << 10
	leastWhole    = 256 << 10
)

// bounded keeps requests whose size is settled when their batch closes within a share of the memory: the more streams have such a
// destination, the smaller they are.
func bounded(r delivery.Requester, d config.Destination, e *env) delivery.Requester {
	if !whole(d) {
		return r
	}
	return wholeRequests{r, e}
}

// whole says whether a destination takes a request or leaves it.
func whole(d config.Destination) bool { return d.Splunk != nil || d.HTTP != nil }

type wholeRequests struct {
	delivery.Requester
	env *env
}

// Limits are the destination's, as far as the share reaches.
func (w wholeRequests) Limits() record.RequestLimits {
	l := w.Requester.Limits()
	l.Bytes = min(l.Bytes, max(leastWhole, requestMemory/max(1, w.env.wholeStreams.Load())))
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
