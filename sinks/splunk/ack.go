package splunk

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"hydrant/record"
)

// maxPollEvery is what the time between two questions grows to.
const maxPollEvery = 10 * time.Second

// askFunc asks for the acknowledgements of a channel; see Sink.askAcks.
type askFunc func(ctx context.Context, guid string, body []byte) (acked map[string]bool, final *record.Outcome, err error)

// tracker knows who waits for which acknowledgement, and asks for all of a channel at once: a status is gone once it was read, so that
// whoever reads it must hand it to the one who waits for it. While somebody waits on a channel, one goroutine asks for it; it ends
// when nobody waits any more, and close waits for it.
//
// An id is a node's own count, so that two sends at once over one channel could be confused by a restart between them, in the moment
// before the second one's answer arrives. Limits allows one send at a time, and a channel is not used again after a wait that failed.
type tracker struct {
	ask    askFunc
	every  time.Duration
	ctx    context.Context // ends with close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	current *channel
}

// channel is a GUID and who waits for what was sent over it. Its fields but guid are guarded by the tracker's lock.
type channel struct {
	guid    string
	kick    chan struct{} // tells the asking goroutine that somebody new waits
	stop    context.CancelFunc
	waiting map[int64]*waiter
	last    error // why the last question got no acknowledgements
}

// waiter is a send that was accepted.
type waiter struct {
	id   int64
	done chan record.Outcome // holds one
}

func newTracker(guid string, every time.Duration, ask askFunc) *tracker {
	t := &tracker{ask: ask, every: every, current: newChannel(guid)}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

func newChannel(guid string) *channel {
	return &channel{guid: guid, kick: make(chan struct{}, 1), waiting: map[int64]*waiter{}}
}

// channel is the one to send over.
func (t *tracker) channel() *channel {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.current
}

// abandon makes later sends use a new channel. Those who wait on the old one go on.
func (t *tracker) abandon(ch *channel) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current == ch {
		t.current = newChannel(newGUID())
	}
}

// enter begins to wait. If somebody waits for the same id on the channel, both are in doubt: their statuses cannot be told apart.
func (t *tracker) enter(ch *channel, id int64) (*waiter, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if other := ch.waiting[id]; other != nil {
		t.settle(ch, other, inDoubt(errTwice))
		return nil, false
	}
	w := &waiter{id: id, done: make(chan record.Outcome, 1)}
	if t.closed {
		return w, true // its wait ends at once, by ctx
	}
	ch.waiting[id] = w
	if ch.stop == nil {
		var ctx context.Context
		ctx, ch.stop = context.WithCancel(t.ctx)
		t.wg.Go(func() { t.poll(ctx, ch) })
		return w, true
	}
	select {
	case ch.kick <- struct{}{}:
	default:
	}
	return w, true
}

// leave ends a wait. The outcome may have come in the same moment; last is why the last question failed.
func (t *tracker) leave(ch *channel, w *waiter) (out record.Outcome, settled bool, last error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case out = <-w.done:
		return out, true, nil
	default:
	}
	t.forget(ch, w)
	return out, false, ch.last
}

// settle is called under the lock.
func (t *tracker) settle(ch *channel, w *waiter, out record.Outcome) {
	if ch.waiting[w.id] == w {
		w.done <- out
		t.forget(ch, w)
	}
}

// forget is called under the lock. The last one out ends the asking.
func (t *tracker) forget(ch *channel, w *waiter) {
	if ch.waiting[w.id] == w {
		delete(ch.waiting, w.id)
	}
	if len(ch.waiting) == 0 && ch.stop != nil {
		ch.stop()
		ch.stop = nil
	}
}

// poll asks until ctx ends: every PollEvery at first, then less often. Somebody new is asked for after PollEvery at the latest.
func (t *tracker) poll(ctx context.Context, ch *channel) {
	wait := t.every
	due := time.Now().Add(wait)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ch.kick:
			wait = t.every
			if soon := time.Now().Add(wait); soon.Before(due) {
				due = soon
				timer.Reset(wait)
			}
			continue
		case <-timer.C:
		}
		t.round(ctx, ch)
		wait = max(t.every, min(2*wait, maxPollEvery))
		due = time.Now().Add(wait)
		timer.Reset(wait)
	}
}

// round asks once for everybody who waits on the channel.
func (t *tracker) round(ctx context.Context, ch *channel) {
	asked := t.waiters(ch)
	if len(asked) == 0 {
		return
	}
	ids := make([]int64, len(asked))
	for i, w := range asked {
		ids[i] = w.id
	}
	body, _ := json.Marshal(map[string][]int64{"acks": ids}) // numbers always have a JSON form
	acked, final, err := t.ask(ctx, ch.guid, body)
	t.mu.Lock()
	defer t.mu.Unlock()
	if ctx.Err() == nil {
		ch.last = err
	}
	for _, w := range asked {
		switch {
		case final != nil:
			t.settle(ch, w, *final)
		case acked[strconv.FormatInt(w.id, 10)]:
			t.settle(ch, w, record.Outcome{Kind: record.Delivered})
		}
	}
}

// waiters are all on the channel, by rising id.
func (t *tracker) waiters(ch *channel) []*waiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]*waiter, 0, len(ch.waiting))
	for _, w := range ch.waiting {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b *waiter) int { return cmp.Compare(a.id, b.id) })
	return out
}

// close ends all waits and all asking, and returns when no goroutine is left.
func (t *tracker) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.cancel()
	t.wg.Wait()
}

// readAcks reads {"acks":{"1":true,…}}; false when the answer is none such.
func readAcks(a answer) (map[string]bool, bool) {
	var r struct {
		Acks map[string]bool `json:"acks"`
	}
	if a.status != http.StatusOK || json.Unmarshal(a.body, &r) != nil || r.Acks == nil {
		return nil, false
	}
	return r.Acks, true
}
