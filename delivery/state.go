package delivery

import (
	"sync"
	"time"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// State is what a runner is doing, for people: /readyz and /api/streams. While several batches fail, it tells of the oldest.
type State struct {
	InFlight    int       `json:"in_flight"`
	Partitions  int       `json:"partitions,omitzero"` // open ones: they hold records that are not delivered
	Partition   string    `json:"partition,omitzero"`  // whose object is being retried
	Retrying    bool      `json:"retrying"`
	Attempt     int       `json:"attempt,omitzero"`
	Code        string    `json:"code,omitzero"`
	Error       string    `json:"error,omitzero"`
	NextAttempt time.Time `json:"next_attempt,omitzero"`
	LastKey     string    `json:"last_key,omitzero"`
	LastAt      time.Time `json:"last_at,omitzero"` // of the last delivery; zero before the first
	LastRecords int       `json:"last_records,omitzero"`
	LastBytes   int64     `json:"last_bytes,omitzero"`
}

// stateBoard gathers State from the workers.
type stateBoard struct {
	mu      sync.Mutex
	last    State // of the deliveries
	entries map[uint64]*entryState
}

// entryState is how one entry is. Number 0 is a batch that has no entry yet.
type entryState struct {
	pos       record.Position
	partition string
	inFlight  bool
	failed    bool
	attempt   int
	code      string
	err       string
	next      time.Time
}

// of is called with mu held.
func (b *stateBoard) of(n uint64) *entryState {
	if b.entries == nil {
		b.entries = map[uint64]*entryState{}
	}
	s := b.entries[n]
	if s == nil {
		s = &entryState{}
		b.entries[n] = s
	}
	return s
}

func (b *stateBoard) attempt(e journal.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.of(e.N)
	s.pos, s.partition, s.inFlight = e.Batch.First.Pos, e.Partition, true
}

// forget ends what is known of an entry.
func (b *stateBoard) forget(n uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, n)
}

func (b *stateBoard) retrying(e journal.Entry, out record.Outcome, attempt int, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.of(e.N)
	s.pos, s.failed, s.attempt, s.code, s.err, s.next = e.Batch.First.Pos, true, attempt, out.Code, errText(out.Err), time.Now().Add(wait)
}

// trouble: the journal cannot be written.
func (b *stateBoard) trouble(n uint64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.of(n)
	s.failed, s.code, s.err, s.next = true, "Hydrant.Journal", errText(err), time.Time{}
}

func (b *stateBoard) delivered(e journal.Entry, o *record.Object, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, e.N)
	b.last = State{LastKey: e.Key, LastAt: now, LastRecords: e.Batch.Count}
	if o != nil {
		b.last.LastBytes = o.Size
	}
}

// sent: the records of an entry were taken in requests.
func (b *stateBoard) sent(e journal.Entry, n int, bytes int64, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, e.N)
	b.last = State{LastAt: now, LastRecords: n, LastBytes: bytes}
}

// State says what the runner is doing.
func (r *Runner) State() State {
	s := r.state.state()
	s.Partitions = int(r.partitions.Load())
	return s
}

// OldestMillis is the arrival of the oldest record of an open partition, Unix ms; 0 when there is none.
func (r *Runner) OldestMillis() int64 { return r.oldest.Load() }

func (b *stateBoard) state() State {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.last
	var oldest *entryState
	for _, e := range b.entries {
		if e.inFlight {
			s.InFlight++
		}
		if e.failed && (oldest == nil || e.pos < oldest.pos) {
			oldest = e
		}
	}
	if oldest != nil {
		s.Partition = oldest.partition
		s.Retrying, s.Attempt, s.Code, s.Error, s.NextAttempt = true, oldest.attempt, oldest.code, oldest.err, oldest.next
	}
	return s
}
