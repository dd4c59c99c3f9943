package delivery

import (
	"sync"
	"time"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// State is what a runner is doing, for people: readiness, console, describe.
type State struct {
	InFlight    int
	Retrying    bool
	Attempt     int
	Code        string
	Error       string
	NextAttempt time.Time
	LastKey     string
	LastAt      time.Time // of the last delivery; zero before the first
	LastRecords int
	LastBytes   int64
}

// stateBoard gathers State from the workers.
type stateBoard struct {
	mu       sync.Mutex
	last     State
	inFlight map[uint64]bool
}

func (b *stateBoard) attempt(e journal.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.inFlight == nil {
		b.inFlight = map[uint64]bool{}
	}
	b.inFlight[e.N] = true
}

func (b *stateBoard) forget(n uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.inFlight, n)
}

func (b *stateBoard) retrying(_ journal.Entry, out record.Outcome, attempt int, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last.Retrying, b.last.Attempt, b.last.Code, b.last.Error = true, attempt, out.Code, errText(out.Err)
	b.last.NextAttempt = time.Now().Add(wait)
}

func (b *stateBoard) trouble(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last.Retrying, b.last.Code, b.last.Error = true, "Hydrant.Journal", errText(err)
}

func (b *stateBoard) delivered(e journal.Entry, o *record.Object, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.inFlight, e.N)
	b.last = State{LastKey: e.Key, LastAt: now, LastRecords: e.Batch.Count}
	if o != nil {
		b.last.LastBytes = o.Size
	}
}

// State says what the runner is doing.
func (r *Runner) State() State {
	r.state.mu.Lock()
	defer r.state.mu.Unlock()
	s := r.state.last
	s.InFlight = len(r.state.inFlight)
	return s
}
