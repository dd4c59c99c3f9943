package daemon

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"hydrant/buffer"
	"hydrant/buffer/wal"
	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/delivery"
	"hydrant/delivery/journal"
	"hydrant/delivery/staged"
	"hydrant/delivery/staging"
	"hydrant/internal/vfs"
	"hydrant/record"
	"hydrant/transform"
)

// stage is what a stream has whose processors must not see a record twice: a second log with what they made of the first one's records,
// the runner that fills it, and the reader that delivers it in place of the first log's. A stream that has had such processors keeps it.
type stage struct {
	s       *stream
	log     *wal.Log
	share   *wal.Share  // of the disk, for log
	late    atomic.Bool // what was delivered could not be given back yet
	main    *reader     // of the staged log
	runner  *staging.Runner
	from    record.Position // where the first log's records begin to be staged
	before  int             // version of those before
	arrival atomic.Int64    // of what is staged next
}

const stageFolder = "staged"

func (s *stream) stageDir() string { return filepath.Join(s.dir, stageFolder) }

func (s *stream) stageState() string { return filepath.Join(s.stageDir(), "state") }

// beginStage makes the second log of a stream that needs one from now on. What the first log holds already is delivered as it was before.
func (s *stream) beginStage(m meta) error {
	there, err := s.env.fs.Exists(s.stageState())
	if err != nil || there || !transform.IsStaged(m.spec()) {
		return err
	}
	st := staged.State{Version: m.Current}
	st.From, err = s.endOfFirst(m)
	if err != nil {
		return err
	}
	if st.From > 0 {
		st.Upto, st.Before = st.From-1, versionBefore(m)
	}
	if err := vfs.MkdirAll(s.env.fs, filepath.Join(s.stageDir(), logFolder)); err != nil {
		return err
	}
	if err := st.Save(s.env.fs, s.stageState()); err != nil {
		return err
	}
	return s.env.fs.SyncDir(s.dir)
}

// endOfFirst is where the log ends that a former life left; 0 when nothing was ever there.
func (s *stream) endOfFirst(m meta) (record.Position, error) {
	readers, err := s.openReaders(m)
	if err != nil {
		return 0, err
	}
	defer func() {
		for _, r := range readers {
			_ = r.journal.Close()
		}
	}()
	o := s.logOptions(m, readers, nil)
	o.Share = s.env.guard.NewShare(0, 0) // closing the log gives that back, not the stream's
	log, err := wal.Open(o)
	if err != nil {
		return 0, err
	}
	defer func() { _ = log.Close() }()
	if end := log.End(); end > 1 {
		return end, nil
	}
	return 0, nil
}

// versionBefore is the newest version that stages nothing, or the current one where that is not stored any more.
func versionBefore(m meta) int {
	for v := m.Current - 1; v > 0; v-- {
		if c, ok := m.Versions[v]; ok && !transform.IsStaged(c) {
			return v
		}
	}
	return m.Current
}

// openStage opens the second log; nil where the stream has none.
func (s *stream) openStage(m meta) (st *stage, err error) {
	there, err := s.env.fs.Exists(s.stageState())
	if err != nil || !there {
		return nil, err
	}
	saved, err := staged.Load(s.env.fs, s.stageState())
	if err != nil {
		return nil, err
	}
	st = &stage{s: s, share: s.share.Behind(), from: saved.From, before: saved.Before}
	j, err := journal.Open(s.env.fs, s.stageDir(), string(record.RoleMain))
	if err != nil {
		return nil, err
	}
	st.main = &reader{role: record.RoleMain, journal: j, staged: true}
	if st.log, err = st.openLog(m); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return st, nil
}

func (st *stage) openLog(m meta) (*wal.Log, error) {
	id, err := m.logID()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte("staged"), id[:]...))
	copy(id[:], sum[:])
	s, only := st.s, []*reader{st.main}
	return wal.Open(wal.Options{
		FS: s.env.fs, Dir: filepath.Join(s.stageDir(), logFolder), ID: id, Stream: m.Name, Pool: s.env.pool, Share: st.share,
		Floor: noted(only), Cursor: delivered(only), Logger: s.env.logger, Arrival: st.arrival.Load,
		Appended: func(int, int64) { st.main.runner.Wake() },
		Damaged:  func(wal.Damage) { s.env.metrics.damaged.WithLabelValues(m.Name).Inc() },
	})
}

// run makes the runner. first is the stream's first log.
func (st *stage) run(m meta, first *wal.Log) (err error) {
	s := st.s
	st.main.source = stagedSource{logSource{buffer.NewSource(st.log, s.limits(record.RoleMain))}}
	st.main.runner = s.newRunner(m.Name, st.main)
	st.runner, err = staging.New(staging.Options{
		Stream: m.Name, Source: logSource{buffer.NewSource(first, s.limits(record.RoleMain))}, Log: st.log,
		Chain: s.stagedChain, Version: func() int { m := s.snapshot(); return m.Current }, Same: s.sameRecords, Settled: st.settled, Full: st.full,
		Ask:     func() { st.main.runner.Wake() },
		Arrives: st.arrival.Store, Advance: st.staged,
		Load: func() (staged.State, error) { return staged.Load(s.env.fs, s.stageState()) },
		Save: func(n staged.State) error {
			n.From, n.Before = st.from, st.before
			return n.Save(s.env.fs, s.stageState())
		},
		Notes: stagedNotes{logNotes{st.log}}, Logger: s.env.logger,
	}, st.log.LastArrival())
	return err
}

func (st *stage) settled() bool {
	return len(st.main.journal.Pending()) == 0 && !st.main.source.Waits(st.main.journal.Settled().Pos)
}

// full says whether no more should be staged: as much waits as may of the stream or, on a disk whose free space is kept for what must be
// delivered, enough for the next batches.
func (st *stage) full() bool {
	used, limit := st.share.Used()
	if limit > 0 && used > limit {
		return true
	}
	return used > 2*st.s.limits(record.RoleMain)().Size && st.s.env.guard.Low()
}

// staged is called whenever more was staged.
func (st *stage) staged() {
	st.s.advance(false)
	if st.late.Swap(false) {
		st.trim(true)
	}
}

// stagedNotes is the staged log as processors learn from it.
type stagedNotes struct{ logNotes }

// Record implements staged.Frames.
func (l stagedNotes) Record(pos record.Position) (b []byte, err error) {
	err = buffer.NewSource(l.Log, nil).Read(context.Background(), pos, pos, func(rec record.Record) error {
		b = append(b, rec.Data...)
		return nil
	})
	return b, err
}

// stagedChain builds the processors of a version.
func (s *stream) stagedChain(version int) (staging.Chain, error) {
	c, ok := s.version(version)
	if !ok {
		return nil, fmt.Errorf("version %d of the stream is not stored", version)
	}
	if s.env.staged != nil {
		return s.env.staged(c)
	}
	keys, zone, err := partitionKeys(c)
	if err != nil {
		return nil, err
	}
	return transform.NewStaged(c, keys, zone, transform.Env{Stream: s.name, Account: s.env.aws.AccountID, Region: s.env.region, Logger: s.env.logger})
}

func (s *stream) sameRecords(a, b int) bool {
	x, okX := s.version(a)
	y, okY := s.version(b)
	return a == b || okX && okY && x.SameRecords(y)
}

// advance is called by delivery; idle: between two of its rounds.
func (st *stage) advance(idle bool) {
	defer st.runner.Wake() // it may wait for room, or for the end of what others staged
	if idle {
		st.runner.Turn()
	}
	st.trim(idle)
}

// trim gives back what was delivered of the staged log. What the processors remember must be durable before.
func (st *stage) trim(idle bool) {
	s := st.s
	s.trimMu.Lock()
	defer s.trimMu.Unlock()
	mark := st.main.journal.Cursor()
	if !st.log.Advance(mark.Pos, mark.Offset) && !idle {
		return
	}
	upto, err := st.runner.Sync()
	if errors.Is(err, staging.ErrBusy) {
		st.late.Store(true)
		return
	}
	if err = errors.Join(err, st.main.journal.Sync()); err != nil {
		s.env.logger.Error("what the processors remember cannot be made durable; nothing is trimmed", "stream", s.name, "err", err)
		return
	}
	if err := st.log.Trim(min(mark.Pos, upto+1), mark.Offset); err != nil {
		s.env.logger.Warn("delivered segments could not be given back", "stream", s.name, "err", err)
	}
}

// stagedSource gives records of the staged log the form that they had before.
type stagedSource struct{ logSource }

func (s stagedSource) Read(ctx context.Context, first, last record.Position, visit func(record.Record) error) error {
	return s.logSource.Read(ctx, first, last, unstaged(visit))
}

func (s stagedSource) Walk(from record.Position) delivery.Walk {
	return stagedWalk{s.logSource.Walk(from)}
}

type stagedWalk struct{ delivery.Walk }

func (w stagedWalk) Next(begin func(arrivalMillis, start, end int64), visit func(record.Record) error) (bool, error) {
	return w.Walk.Next(begin, unstaged(visit))
}

func unstaged(visit func(record.Record) error) func(record.Record) error {
	return func(rec record.Record) error {
		if err := staged.Read(&rec); err != nil {
			return err
		}
		return visit(rec)
	}
}

// partitionKeys are those of a stream's prefix, and where event times are put on the calendar.
func partitionKeys(c config.Stream) (keys []prefix.Key, zone *time.Location, err error) {
	spec := &delivery.Spec{}
	if err := destinationInto(spec, c); err != nil {
		return nil, nil, err
	}
	if spec.Prefix != nil {
		keys = spec.Prefix.Keys()
	}
	return keys, spec.Zone, nil
}

// isOpenBefore says whether records from before the staged log are not delivered yet.
func (st *stage) isOpenBefore() bool {
	for _, r := range st.s.readers {
		if r.until > 0 && !r.isOver() {
			return true
		}
	}
	return false
}

// noted is the highest position of the first log that the staged one knows.
func (st *stage) noted() record.Position {
	saved, err := staged.Load(st.s.env.fs, st.s.stageState())
	if err == nil {
		err = saved.CatchUp(stagedNotes{logNotes{st.log}}, func(staged.State, []byte) error { return nil })
	}
	if err != nil {
		return 0 // told when the runner is made
	}
	return saved.Upto
}
