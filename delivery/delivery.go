// Package delivery owns the loop that brings closed batches to a destination: journal, encode, attempt, retry,
// set aside, and move the cursor only when every record of a batch is delivered or set aside.
// It states what it needs of sources, encoders and sinks; it knows none of them.
package delivery

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"hydrant/config/prefix"
	"hydrant/delivery/answers"
	"hydrant/delivery/journal"
	"hydrant/internal/spool"
	"hydrant/record"
)

// Source yields the batches of one reader of a log.
type Source interface {
	// Next returns the batch that begins at or behind from as soon as it is closed; a closed flush channel closes it at the
	// log's end at once. It returns an error for which IsIdle is true when nothing waits. Called by one goroutine at a time.
	Next(ctx context.Context, from record.Position, flush <-chan struct{}) (record.Batch, error)
	// Read calls visit with every intact record of the range, in order. Safe for concurrent use. The data is valid until visit returns.
	Read(ctx context.Context, first, last record.Position, visit func(record.Record) error) error
	// Waits says whether Next would find a record at or behind pos.
	Waits(pos record.Position) bool
	// Reset forgets the batch in progress. Called by the goroutine that calls Next.
	Reset()
	// Walk reads put by put, from the record at from on.
	Walk(from record.Position) Walk
}

// Walk goes through a log. Not safe for concurrent use.
type Walk interface {
	// Next calls begin with the next put's arrival (Unix ms) and where it begins and ends in the log, then visit with every intact record of
	// it that is at or behind the beginning; false: at the log's end, more may come. An error of either comes back as it is, and the
	// walk is over.
	Next(begin func(arrivalMillis, start, end int64), visit func(record.Record) error) (ok bool, err error)
	// Mark is the next record to be read, and where its put begins: everything before it was visited or is unreadable.
	Mark() (record.Position, int64)
	Close()
}

// Stage turns records into what is delivered. Not safe for concurrent use.
type Stage interface {
	// Derive calls emit for each record that rec becomes, numbered from 0, in order; one that cannot be processed carries its
	// failure. The same record always becomes the same. It returns emit's error alone.
	Derive(rec record.Record, emit func(*record.Derived) error) error
}

// Sink is an object store. One attempt each, no retry inside. Safe for concurrent use.
type Sink interface {
	// Put writes the object unless its key is taken.
	Put(ctx context.Context, o *record.Object) record.Outcome
	// Head returns the identity of the object under a key. A missing bucket or key is exists == false without an error;
	// found is nil for an object that is not ours.
	Head(ctx context.Context, bucket, key string) (found *record.Identity, exists bool, err error)
}

// Requester is a destination that takes records in requests and answers for each of them. One attempt each, no retry inside. Safe for
// concurrent use.
type Requester interface {
	// Send offers the records once. What the request holds is not touched after it returned.
	Send(ctx context.Context, req *record.Request) record.Reply
	// Limits is asked before a request is packed; they may change with what the destination answered.
	Limits() record.RequestLimits
	// Describe gives what an item's error record says beside Firehose's common fields.
	Describe(item *record.Item) []record.Field
}

// Loader is a warehouse that takes in objects which lie in the store. One attempt each. Safe for concurrent use.
type Loader interface {
	// Load takes the object in, once for each ID, whatever was killed or cut on the way. Its outcome is Delivered or Retry.
	Load(ctx context.Context, l *record.Load) record.Outcome
	// Loaded says whether an object was taken in under that ID.
	Loaded(ctx context.Context, stream, id string) (bool, error)
	// Forget gives up what is kept of batches that are never offered again. It is a hint: it may fail.
	Forget(ctx context.Context, stream string, ids []string) error
}

// ErrSchema is what an Encoder answers to a record that the learned schema has no room for yet. Nothing of it was written.
var ErrSchema = errors.New("the schema has no room for a record")

// Encoder turns records into the bytes of one object. Not safe for concurrent use.
type Encoder interface {
	// Write adds a record. A *record.Failure, wrapped or not, means that nothing of this one record was written and that the object
	// goes on without it. Any other error is final.
	Write(data []byte) error
	// Close writes what is left and ends the object; the writer underneath stays open.
	Close() error
}

// Checker is an Encoder that reads its finished object once more before it is offered.
type Checker interface {
	Check(body io.ReaderAt, size int64) error
}

// Spec is what to write: where, under which names, in which form. It belongs to one version of a stream and never changes.
type Spec struct {
	Version         int
	Bucket          string
	ErrorBucket     string // of records that are set aside; Bucket when ""
	Prefix          *prefix.Template
	ErrorPrefix     *prefix.Template
	Zone            *time.Location
	Extension       string
	ContentEncoding string
	// NewEncoder starts an object. name is unique to the object, for containers that name their entries.
	NewEncoder func(w io.Writer, name string, schema Schema) (Encoder, error)
	// Schemas is where the format's schema is learned; nil: the format needs none, or has one of its own.
	Schemas Schemas
	// NewStage makes what turns records into what is delivered; nil: every record is delivered as it came.
	NewStage func() (Stage, error)
	// Partitioned: the stage names a partition for each record, and each partition has its own objects.
	Partitioned bool
	MaxActive   int // partitions open at once, 0 for any number
	// Requests, when not nil: records travel in requests to a Requester; only those that are set aside become objects.
	Requests *Requests
	// Loads: each object is handed to a Loader once it is stored. ManifestPrefix is where manifests of those go that it does not take in.
	Loads          bool
	ManifestPrefix *prefix.Template
}

// Requests says how records travel to a destination that takes them in requests.
type Requests struct {
	ErrorType string // of records that it refuses, or does not take in time
	// Whole: the destination takes a request or leaves it, and knows it by its ID. It is repeated with the same records in every life,
	// and the order of records is kept.
	Whole bool
	// Idempotent: the destination knows each record again; what it has taken need not be noted.
	Idempotent bool
	// AnswersFree: the time that answers are waited for does not count as time spent on retries.
	AnswersFree bool
	Backoff     Backoff
}

// Schema is which learned schema an object is written under, 0 for the first that is to be learned. Growing: records that it has no
// room for may still widen it; else they are failures.
type Schema struct {
	Number  int
	Growing bool
}

// Schemas keeps the schemas that were learned from a stream's records. Safe for concurrent use.
type Schemas interface {
	// Latest is 0 before the first. It may ask somebody else, and take its time.
	Latest(ctx context.Context) (int, error)
	// Learn widens the latest schema until every record that read yields fits it, if it can; it is durable before Learn returns.
	Learn(read func(visit func(data []byte) error) error) (number int, err error)
	// Generation names the schemas that a schema's types agree with; "" for the first ones. Objects of different generations stand in
	// folders beside each other, so that a reader of one finds types that agree.
	Generation(number int) (string, error)
}

// Specs keeps every spec version that an open entry may need.
type Specs interface {
	// Current is the version under which batches close now.
	Current() int
	// Spec returns a version's spec, for any version that the journal still names.
	Spec(version int) (*Spec, error)
}

// Limits say when a partition's object closes, whichever is reached first.
type Limits struct {
	Size     int64         // record bytes
	Interval time.Duration // from the arrival of the first record
}

// Place says which store is meant.
type Place struct {
	Version int // of the spec that the object is written under
	// Own: as that version reaches it. Objects go where the newest configuration says, whatever the version they are written under;
	// whether one arrived is asked of its version's own store, too.
	Own   bool
	Aside bool // the object holds records that were set aside
}

// Options of a Runner. All but Metrics, Logger and Advance are required; Requester, Loader, RetryFor and Answers only where a spec
// needs them.
type Options struct {
	Stream  string
	Role    record.Role
	Source  Source
	IsIdle  func(error) bool // tells the source's "nothing waits" from an error
	Journal *journal.Journal
	Specs   Specs
	// Sink is asked before each call.
	Sink func(Place) Sink
	// Requester and Loader of a version that has one, as the newest configuration reaches them; asked before each call.
	Requester func(version int) Requester
	Loader    func(version int) Loader
	// RetryFor is how long a Requester or Loader is tried before what it did not take is set aside.
	RetryFor func() time.Duration
	Answers  *answers.Store
	Memory   *Memory              // of requests
	NewSpool func() *spool.Buffer // takes the encoded form of an object
	// Limits and NewLanes are for partitions alone.
	Limits   func() Limits
	NewLanes func() *spool.Lanes
	// Advance is told how far this reader has come, after each entry that ended and when nothing is left to do (idle).
	// What it frees must first be made durable with Journal.Sync.
	Advance func(idle bool)
	Workers int                 // batches under way at once, at least 1
	Slots   *semaphore.Weighted // encoders at work in the whole daemon
	Backoff Backoff
	Metrics *Metrics
	Logger  *slog.Logger
}

// Runner delivers one reader of one log. Safe for concurrent use. It holds no goroutine while nothing waits.
type Runner struct {
	opt Options

	mu      sync.Mutex
	running bool
	again   bool // a wake came while the loop was about to end
	stopped bool
	flush   chan struct{}
	flushed bool
	ended   chan struct{} // closed when the loop ended; nil before the first
	cancel  context.CancelFunc
	ctx     context.Context

	bell  chan struct{}   // holds a token after a wake
	next  record.Position // of the batch to be closed next; the loop's own
	state stateBoard
	tries *semaphore.Weighted // attempts at objects of partitions

	workers *workers            // of the loop at work; its lives' own, too
	asides  *semaphore.Weighted // error objects under way beside the workers

	// entered: the loop knows what the processes before this one died of while they derived records, former.
	entered bool
	former  journal.Reading

	deadMu sync.Mutex
	dead   []string // files of answers that no entry needs, once that is durable
	loaded []string // what a warehouse has taken in and may forget
	// cleaned: what earlier lives left of answers is gone; the loop's own.
	cleaned bool

	partitions, oldest atomic.Int64 // open partitions, and the arrival of their oldest record

	// Where nobody may read whose object stands under a key, the keys of new batches carry a random word of this life: a log that was
	// restored from a copy must not meet its other self there. salted is set when that is known to be so.
	salt   string
	salted atomic.Bool
}

// New returns a runner that does nothing until Wake.
func New(opt Options) *Runner {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	opt.Logger = opt.Logger.With("stream", opt.Stream, "role", string(opt.Role))
	if opt.Workers < 1 {
		opt.Workers = 1
	}
	opt.Backoff = opt.Backoff.withDefaults()
	if opt.Metrics == nil {
		opt.Metrics = NewMetrics(nil)
	}
	r := &Runner{opt: opt, flush: make(chan struct{}), bell: make(chan struct{}, 1), next: opt.Journal.Closed().Pos, salt: rand.Text(),
		tries: semaphore.NewWeighted(partitionAttempts), asides: semaphore.NewWeighted(asidesAtOnce)}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	for _, e := range opt.Journal.Pending() {
		if e.Salt != "" {
			r.salted.Store(true)
		}
	}
	if err := opt.Journal.Damaged(); err != nil {
		opt.Logger.Error("the journal was damaged on disk; records may be delivered again", "err", err)
	}
	return r
}

// saltOf is the salt of a new key of an entry that had the given one.
func (r *Runner) saltOf(old string) string {
	if r.salted.Load() {
		return r.salt
	}
	return old
}

// Wake says that there may be something to deliver: records came in, or the journal holds unfinished entries. Cheap; never blocks.
func (r *Runner) Wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	if r.running {
		r.again = true
		r.ring()
		return
	}
	r.running = true
	r.ended = make(chan struct{})
	go r.loop(r.ended)
}

// ring makes the loop look around.
func (r *Runner) ring() {
	select {
	case r.bell <- struct{}{}:
	default:
	}
}

// Flush closes open batches at the log's end at once, now and from now on.
func (r *Runner) Flush() {
	r.mu.Lock()
	if !r.flushed {
		r.flushed = true
		close(r.flush)
	}
	r.mu.Unlock()
	r.Wake()
}

// idle returns a channel that is closed when the loop has nothing left to do; nil when it is not running.
func (r *Runner) idle() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.running {
		return nil
	}
	return r.ended
}

// Drained says that everything the log holds is delivered or set aside.
func (r *Runner) Drained() bool {
	return len(r.opt.Journal.Pending()) == 0 && !r.opt.Source.Waits(r.opt.Journal.Settled().Pos)
}

// Drain flushes and waits until everything is delivered or ctx ends.
func (r *Runner) Drain(ctx context.Context) error {
	for {
		r.Flush()
		if idle := r.idle(); idle != nil {
			select {
			case <-idle:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		// Asked before the next Flush, which starts the loop anew.
		switch {
		case r.Drained():
			return nil
		case r.ctx.Err() != nil:
			return r.ctx.Err() // stopped: nobody delivers any more
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// Stop ends the attempts in flight and waits for the loop. What was not delivered stays in the log and the journal.
func (r *Runner) Stop() {
	r.mu.Lock()
	r.stopped = true
	ended, running := r.ended, r.running
	r.mu.Unlock()
	r.cancel()
	if running {
		<-ended
	}
}

// Backoff is the wait between attempts: exponential, with full jitter.
type Backoff struct {
	First, Cap time.Duration
}

// Wait is the pause before the attempt after the n-th: doubling, with full jitter.
func (b Backoff) Wait(n int) time.Duration { return b.wait(n) }

func (b Backoff) withDefaults() Backoff {
	if b.First == 0 {
		b.First = 200 * time.Millisecond
	}
	if b.Cap == 0 {
		b.Cap = 10 * time.Second
	}
	return b
}
