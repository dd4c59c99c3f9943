package bodies

import (
	"context"
	"sync"
	"time"

	"hydrant/record"
)

// budget bounds the bytes that all requests together hold. Requests take from it piece by piece while
// their bodies arrive. Many half-read bodies could so block each other for ever; therefore one of the
// waiting requests at a time may overdraw until it is finished (the express lane). At least one request
// thus always moves, and what is held stays under the budget plus what one request may hold.
type budget struct {
	wait time.Duration // the longest anybody waits

	mu      sync.Mutex
	free    int64
	express *account
	queue   []*waiter // first come, first served
	refused uint64
}

// account is what one request holds.
type account struct {
	held int64
}

type waiter struct {
	acct  *account
	n     int64
	ready chan struct{}
}

// acquire takes n bytes for acct. It waits at most b.wait and then returns *record.Unavailable,
// or the context's error. It says how long it waited.
func (b *budget) acquire(ctx context.Context, acct *account, n int64) (waited time.Duration, err error) {
	b.mu.Lock()
	if b.express == acct || (len(b.queue) == 0 && b.free >= n) {
		b.take(acct, n)
		b.mu.Unlock()
		return 0, nil
	}
	w := &waiter{acct: acct, n: n, ready: make(chan struct{})}
	b.queue = append(b.queue, w)
	b.serve()
	b.mu.Unlock()
	start := time.Now()
	err = b.await(ctx, w)
	return time.Since(start), err
}

func (b *budget) await(ctx context.Context, w *waiter) error {
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	var err error
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = &record.Unavailable{Reason: "too many request bodies are being read", RetryAfter: time.Second}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, q := range b.queue {
		if q == w {
			b.queue = append(b.queue[:i], b.queue[i+1:]...)
			b.refused++
			b.serve()
			return err
		}
	}
	return nil // it was served in the same moment
}

// take books n bytes for acct. The caller holds the lock.
func (b *budget) take(acct *account, n int64) {
	b.free -= n
	acct.held += n
}

// serve gives the first in the queue what they wait for. The caller holds the lock.
func (b *budget) serve() {
	for len(b.queue) > 0 {
		w := b.queue[0]
		if b.free < w.n {
			if b.express != nil {
				return
			}
			b.express = w.acct
		}
		b.take(w.acct, w.n)
		b.queue = b.queue[1:]
		close(w.ready)
	}
}

// release gives n bytes of acct back.
func (b *budget) release(acct *account, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	acct.held -= n
	b.serve()
}

// close gives back all that acct holds, and the express lane.
func (b *budget) close(acct *account) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += acct.held
	acct.held = 0
	if b.express == acct {
		b.express = nil
	}
	b.serve()
}
