// Package staging owns the loop that brings the records of a stream's first log through the processors that must not see a record twice,
// into the staged log, from which they are delivered. What such a processor answered is durable there together with what it remembers
// and how far the first log has come: after a crash it goes on behind that, and what was asked and not noted is asked again. It states what it
// needs of logs and processors; it knows neither.
package staging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"hydrant/delivery"
	"hydrant/delivery/staged"
	"hydrant/record"
)

// Source is the first log.
type Source interface {
	Walk(from record.Position) delivery.Walk
	Waits(pos record.Position) bool
}

// Log is the staged one.
type Log interface {
	// Append makes a put durable, with the arrival that Options.Arrives was told before.
	Append(ctx context.Context, p *record.Put) (record.ID, error)
}

// Chain are the processors. Not safe for concurrent use.
type Chain interface {
	// Process makes of each record what it becomes, valid until the next call. It calls changing before it changes what it remembers. After an
	// error that is not known any more.
	Process(ctx context.Context, recs []record.Record, changing func()) ([]record.Product, error)
	// Tick lets time go by; nil: that gives nothing. Next is when it would, Unix ms, 0 for never.
	Tick(nowMillis int64) *record.Product
	Next() int64
	// Gather is how many bytes Process likes to get, and how long a record may wait for them.
	Gather() (bytes int64, interval time.Duration)
	Apply(delta []byte) error
	Snapshot() []byte
	Restore(b []byte) error
	Close() error
}

// Options of a Runner. All are required but Logger.
type Options struct {
	Stream string
	Source Source
	Log    Log
	// Chain builds the processors of a version.
	Chain func(version int) (Chain, error)
	// Version is the stream's newest; Same says whether two make the same of a record.
	Version func() int
	Same    func(a, b int) bool
	// Settled says whether all that was staged was delivered: only then processors that make something else may begin.
	Settled func() bool
	// Ask is for a call of Turn, by delivery.
	Ask func()
	// Full says whether so much is staged that no more should be.
	Full func() bool
	// Arrives is told when the records of the next put were accepted, Unix ms, never decreasing.
	Arrives func(millis int64)
	// Advance is told whenever more was staged, and when nothing is left to do.
	Advance func()
	// Load gives what Save was told last, durably; a zero State where nothing was. Notes are those of the staged log.
	Load    func() (staged.State, error)
	Save    func(staged.State) error
	Notes   staged.Frames
	Backoff delivery.Backoff
	Logger  *slog.Logger
}

// Runner stages the records of one stream. Safe for concurrent use. It holds no goroutine while nothing waits.
type Runner struct {
	opt Options

	mu      sync.Mutex
	running bool
	again   bool
	stopped bool
	flushed bool
	ended   chan struct{}
	ctx     context.Context
	cancel  context.CancelFunc
	bell    chan struct{}
	trouble string

	stateMu sync.Mutex    // guards what follows
	state   staged.State  // without what the processors remember
	saved   staged.State  // the same, as the file has it
	moved   chan struct{} // closed when state changes

	turnMu   sync.Mutex // held while processors are made or exchanged; taken before memoryMu
	unturned error      // why that failed; told once

	memoryMu sync.Mutex // held from the first change of what the chain remembers until the log knows of it
	chain    Chain      // nil: not built, or what it remembers is not known; changed with turnMu, or by the loop

	arrived int64 // of the newest put; the loop's own
	oldest  atomic.Int64
	working atomic.Int64 // since when processors are at work, Unix ms; 0: they are not
}

// New returns a runner that does nothing until Wake. arrived is the arrival of the staged log's newest put, Unix ms.
func New(opt Options, arrived int64) (*Runner, error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	opt.Logger = opt.Logger.With("stream", opt.Stream)
	if opt.Backoff == (delivery.Backoff{}) {
		opt.Backoff = delivery.Backoff{First: 200 * time.Millisecond, Cap: 10 * time.Second}
	}
	r := &Runner{opt: opt, moved: make(chan struct{}), bell: make(chan struct{}, 1), arrived: arrived}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	s, err := opt.Load()
	if err != nil {
		return nil, err
	}
	r.saved = bare(s)
	if s.Version == 0 {
		s.Version = opt.Version()
	}
	if err := s.CatchUp(opt.Notes, func(staged.State, []byte) error { return nil }); err != nil {
		return nil, err
	}
	r.state = bare(s)
	r.goOn()
	return r, nil
}

// goOn takes up the newest version at once where it makes the same of records. Without that they go on under the one before, until it works.
func (r *Runner) goOn() {
	newest := r.opt.Version()
	if r.state.Version == newest || !r.opt.Same(r.state.Version, newest) {
		return
	}
	err := r.load()
	if err == nil {
		err = r.take(newest, false)
	}
	if err != nil {
		r.opt.Logger.Warn("the newest version is not taken up yet", "version", newest, "err", err)
	}
}

func bare(s staged.State) staged.State {
	s.Memory = nil
	return s
}

// Upto is how far the first log has been staged, durably: the next record to be staged, and where it begins at the earliest.
func (r *Runner) Upto() (pos record.Position, offset int64) {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	return r.state.Upto + 1, r.state.Offset
}

// Version is that of the processors that made the newest records.
func (r *Runner) Version() int {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	return r.state.Version
}

// OldestMillis is when the oldest record was accepted that is being staged, Unix ms; 0 for none.
func (r *Runner) OldestMillis() int64 { return r.oldest.Load() }

// Trouble is why nothing is staged at the moment, or that processors take long; "".
func (r *Runner) Trouble() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if began := r.working.Load(); r.trouble == "" && began != 0 {
		if d := time.Since(time.UnixMilli(began)); d > longWork {
			return fmt.Sprintf("they have been at work on the same records for %s; is a hook slow, or does it fail?", d.Round(time.Second))
		}
	}
	return r.trouble
}

// longWork is how long processors may take without that being told.
const longWork = 15 * time.Second

// ErrBusy is what Sync answers while what the processors remember is ahead of the log. It is asked again later.
var ErrBusy = errors.New("records are being staged")

// Sync makes durable what the processors remember, and gives the position of the staged log up to which that may be trimmed.
func (r *Runner) Sync() (upto record.Position, err error) {
	if s, same := r.current(); same {
		return s.Last, nil
	}
	if !r.memoryMu.TryLock() {
		return 0, ErrBusy
	}
	defer r.memoryMu.Unlock()
	if r.chain == nil {
		return 0, ErrBusy
	}
	s, _ := r.current()
	return s.Last, r.save(s)
}

// save makes a state durable, with what the processors remember; with memoryMu.
func (r *Runner) save(s staged.State) error {
	s.Memory = r.chain.Snapshot()
	if err := r.opt.Save(s); err != nil {
		return err
	}
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	r.saved = bare(s)
	r.state.Version = s.Version
	return nil
}

// reach says how far staging has come.
func (r *Runner) reach(s staged.State) {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	r.state = s
	close(r.moved)
	r.moved = make(chan struct{})
}

// current is how far staging has come, and whether the file has it.
func (r *Runner) current() (s staged.State, saved bool) {
	r.stateMu.Lock()
	defer r.stateMu.Unlock()
	return r.state, reflect.DeepEqual(r.state, r.saved)
}

// Wake says that there may be something to stage. Cheap; never blocks.
func (r *Runner) Wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	if r.running {
		r.again = true
		select {
		case r.bell <- struct{}{}:
		default:
		}
		return
	}
	r.running = true
	r.ended = make(chan struct{})
	go r.loop(r.ended)
}

// Flush gathers nothing any more: what is there is staged at once, now and from now on.
func (r *Runner) Flush() {
	r.mu.Lock()
	r.flushed = true
	r.mu.Unlock()
	r.Wake()
}

// Drain waits until everything that is in the first log was staged, or ctx ends.
func (r *Runner) Drain(ctx context.Context) error {
	for {
		r.stateMu.Lock()
		pos, moved := r.state.Upto+1, r.moved
		r.stateMu.Unlock()
		if !r.opt.Source.Waits(pos) {
			return nil
		}
		r.Wake()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Stop ends the loop; what was asked and not noted is asked again by the next life.
func (r *Runner) Stop() error {
	r.mu.Lock()
	r.stopped = true
	running, ended := r.running, r.ended
	r.mu.Unlock()
	r.cancel()
	if running {
		<-ended
	}
	_, err := r.Sync()
	if errors.Is(err, ErrBusy) {
		err = nil // the log has what is needed
	}
	r.memoryMu.Lock()
	defer r.memoryMu.Unlock()
	return errors.Join(err, r.drop())
}

// drop ends the processors; with memoryMu.
func (r *Runner) drop() error {
	if r.chain == nil {
		return nil
	}
	err := r.chain.Close()
	r.chain = nil
	return err
}
