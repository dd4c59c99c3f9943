package wal

import (
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// Options of one log. FS, Dir, ID, Pool and Share are required.
type Options struct {
	FS     vfs.FS
	Dir    string // of this log alone; it and its parents exist and are durable
	ID     LogID  // drawn once when the stream was made
	Stream string // for messages only
	Pool   *Pool
	Share  *Share        // of the disk, for this stream
	Retain time.Duration // how long delivered records stay readable

	// Floor is the highest position that anything outside the log ever noted (cursor, journal).
	Floor record.Position
	// Cursor is the position below which everything was delivered, 1 when nothing was. It tells a lost first segment from
	// one that was trimmed; 0 for unknown: then the loss of the oldest segments goes unnoticed here.
	Cursor record.Position

	Logger *slog.Logger
	// Appended is called after a commit became durable, with its records and record bytes.
	// It runs on the committing goroutine and must not block.
	Appended func(records int, bytes int64)
	// Damaged is called for each stretch that was set aside.
	Damaged func(Damage)
	// Synced is told how long each sync of frames took.
	Synced func(time.Duration)
	// Now is the wall clock; time.Now when nil.
	Now func() time.Time
	// Arrival is when what is appended next was accepted, Unix ms; nil: now.
	Arrival func() int64
	// SyncLinger is how long a commit waits for company when others were in the last one; 0 for the default.
	SyncLinger time.Duration
}

// Damage is a stretch of a log that could not be read back.
type Damage struct {
	File     string
	Offset   int64
	Bytes    int64
	From, To record.Position // records that may be missing; To is 0 when unknown
	Copy     string          // where the bytes were copied, "" when there were none to copy
	Why      string
}

// Log is the durable log of one stream. Safe for concurrent use.
type Log struct {
	opt   Options
	epoch record.Epoch

	mu        sync.Mutex
	segs      []*segment // oldest first; the last one is written unless sealed
	lastNum   uint64
	next      record.Position // of the next record accepted
	durable   record.Position // one past the last durable record
	arrival   int64           // of the last record
	commit    uint64          // number of the last commit
	logOffset int64           // frame bytes since the log began, up to the durable end
	cursor    record.Position // everything below is delivered or set aside
	trimTo    record.Position // the cursor as far as it is durable: segments below may go
	lastClass int64

	queue      []*pending
	committing bool
	lastGroup  int // puts in the last commit
	closed     bool
	failures   int
	retryAt    time.Time
	trouble    error // why the log does not take puts at the moment

	pendingBytes int64 // frames in the queue or being written
	cursorOffset int64 // log offset of the cursor: what lies between it and the end is the backlog
	seen         map[damageKey]bool
	idle         *sync.Cond // signalled when nobody commits any more

	grown chan struct{} // closed and replaced when the durable end moves
}

// Open reads what is durable. It adds nothing: the first Append makes the first segment of the new epoch.
// Damage is reported through Options.Damaged and never an error.
func Open(opt Options) (*Log, error) {
	if opt.Now == nil {
		opt.Now = time.Now
	}
	if opt.SyncLinger == 0 {
		opt.SyncLinger = 150 * time.Microsecond
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{opt: opt, epoch: randomEpoch(), grown: make(chan struct{}), seen: map[damageKey]bool{}}
	l.idle = sync.NewCond(&l.mu)
	if err := l.recover(); err != nil {
		return nil, fmt.Errorf("log %s: %w", opt.Dir, err)
	}
	return l, nil
}

// End is the position of the next record that will become readable: all below is durable.
func (l *Log) End() record.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable
}

// Start is the position of the oldest record that is still there, End when there is none.
func (l *Log) Start() record.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segs {
		if !s.empty() {
			return s.basePos
		}
	}
	return l.durable
}

// Backlog is the bytes that wait for delivery: frames from the cursor on.
func (l *Log) Backlog() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting()
}

func (l *Log) waiting() int64 { return l.logOffset + l.pendingBytes - l.cursorOffset }

// DiskBytes is the space that the log's segments take at most.
func (l *Log) DiskBytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int64(0)
	for _, s := range l.segs {
		if s.pooled {
			n += s.capacity
		} else {
			n += s.end
		}
	}
	return n
}

// Trouble is why the log refuses puts at the moment, nil when it takes them.
func (l *Log) Trouble() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trouble
}

// Close writes the seal, waits for the commit in flight and closes the files. Appends after it fail with record.ErrStopping.
// Readers must be closed before.
func (l *Log) Close() error {
	l.mu.Lock()
	l.closed = true
	defer l.mu.Unlock()
	for l.committing {
		l.idle.Wait()
	}
	l.opt.Share.Leave()
	err := l.seal()
	for _, s := range l.segs {
		if cerr := s.file.Close(); err == nil {
			err = cerr
		}
	}
	l.segs = nil
	return err
}

// seal writes the frame that tells recovery that nothing behind it was ever acknowledged.
func (l *Log) seal() error {
	s := l.active()
	if s == nil || s.empty() || s.end+frameHeaderBytes > s.capacity {
		return nil
	}
	b := make([]byte, frameHeaderBytes)
	h := frameHeader{salt: s.salt, commit: l.commit + 1, prevCommit: uint32(s.commitEnd), flags: flagSeal, firstPos: l.durable, arrival: l.arrival, of: 1}
	h.tailSum = checksum(nil)
	h.encode(b)
	if _, err := s.file.WriteAt(b, s.end); err != nil {
		return err
	}
	return s.file.Sync()
}

// active is the segment that frames are written to, nil when the next put must make one.
func (l *Log) active() *segment {
	if len(l.segs) == 0 {
		return nil
	}
	if s := l.segs[len(l.segs)-1]; !s.sealed {
		return s
	}
	return nil
}

func (l *Log) now() int64 { return l.opt.Now().UnixMilli() }

// LastArrival is when the newest record was accepted, Unix ms.
func (l *Log) LastArrival() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.arrival
}

// Epoch is that of the log's records.
func (l *Log) Epoch() record.Epoch { return l.epoch }

func (l *Log) arrives() int64 {
	if l.opt.Arrival != nil {
		return l.opt.Arrival()
	}
	return l.now()
}

// noPosition is behind every record.
const noPosition = record.Position(math.MaxUint64)
