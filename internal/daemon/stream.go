package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"hydrant/buffer"
	"hydrant/buffer/receipts"
	"hydrant/buffer/wal"
	"hydrant/config"
	"hydrant/delivery"
	"hydrant/delivery/answers"
	"hydrant/delivery/journal"
	"hydrant/formats/infer"
	"hydrant/internal/spool"
	"hydrant/record"
)

const logFolder = "log"

// workersPerReader is how many batches of one reader are encoded or uploaded at once.
const workersPerReader = 2

// stream is one delivery stream at work: its log, and a reader with journal and runner for the destination and for a full backup.
// It costs no goroutine while nothing waits.
type stream struct {
	env  *env
	name string
	dir  string // DATA_DIR/streams/NAME~ID

	metaMu sync.RWMutex // guards meta; held while it is saved
	meta   *meta

	openMu  sync.Mutex // makes and opens; taken before metaMu
	log     *wal.Log
	share   *wal.Share
	readers []*reader
	stage   *stage // nil: what is delivered is made of the log itself
	ready   bool   // folder, journals and log are there and their names are durable
	failure error

	tidied record.Position // end of the log when tidy last looked; its own
	gone   bool            // closed for good; guarded by openMu

	refusals refusals
	puts     gate // closed before a deleted stream is drained

	trimMu sync.Mutex

	schemaMu    sync.Mutex // guards schemaStore
	schemaStore *infer.Store

	receipts *receipts.Receipts // opened with the log
	replayMu sync.Mutex         // one replay of error records at a time
	clients  *clients           // of destinations that are no object store

	removeMu sync.Mutex // guards removed
	removed  bool
}

// newStream registers the stream's share of the disk at once: it stays free before the first record comes.
func newStream(e *env, m *meta) *stream {
	s := &stream{env: e, meta: m, name: m.Name, dir: e.catalog.folder(m)}
	s.clients = newClients(s)
	if whole(m.spec().Destination) {
		e.wholeStreams.Add(1) // those that leave are counted until the next start: their batches were made for that many
	}
	b := m.spec().Buffer
	s.share = e.guard.NewShare(int64(b.MaxBacklog), e.guaranteed(int64(b.Guaranteed)))
	e.metrics.touch(m.Name)
	return s
}

// snapshot returns a copy of what is known of the stream.
func (s *stream) snapshot() meta {
	s.metaMu.RLock()
	defer s.metaMu.RUnlock()
	return *s.meta
}

// open opens what a former life left. A stream that never took a record has nothing to open, and costs nothing.
func (s *stream) open() error {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	return s.openLocked()
}

func (s *stream) openLocked() error {
	if s.log != nil || s.gone {
		return nil
	}
	if ok, err := s.env.fs.Exists(filepath.Join(s.dir, logFolder)); err != nil || !ok {
		return err
	}
	// A process that was killed may have ended between storing a version and syncing its name: what can be read is not durable for
	// that, and what batches are closed under must be.
	if err := s.env.fs.SyncDir(s.dir); err != nil {
		return err
	}
	m := s.snapshot()
	if err := s.beginStage(m); err != nil {
		return err
	}
	readers, err := s.openReaders(m)
	if err != nil {
		return err
	}
	st, err := s.openStage(m)
	if err != nil {
		return err
	}
	o := s.logOptions(m, readers, st)
	o.Appended = s.appended
	log, err := wal.Open(o)
	if err != nil {
		return err
	}
	s.stage = st
	for _, r := range readers {
		r.source = r.view(logSource{s.sourceOf(r, log)})
		r.runner = s.newRunner(m.Name, r)
	}
	if st != nil {
		if err := st.run(m, log); err != nil {
			return errors.Join(err, log.Close(), st.log.Close())
		}
		readers = append([]*reader{st.main}, readers...)
	}
	known, err := receipts.Open(s.env.fs, filepath.Join(s.dir, "receipts"), logNotes{log})
	if err != nil {
		return errors.Join(err, log.Close())
	}
	s.log, s.readers, s.receipts = log, readers, known
	s.advance(false)
	s.prune()
	s.wake()
	return nil
}

// logOptions are those of the stream's own log. st is its second one, nil for none.
func (s *stream) logOptions(m meta, readers []*reader, st *stage) wal.Options {
	id, _ := m.logID() // was read before
	o := wal.Options{
		FS: s.env.fs, Dir: filepath.Join(s.dir, logFolder), ID: id, Stream: m.Name, Pool: s.env.pool, Share: s.share,
		Retain: time.Duration(m.spec().Buffer.Retain), Floor: max(noted(readers), m.BackupFrom), Cursor: delivered(readers), Logger: s.env.logger,
		Damaged: func(wal.Damage) { s.env.metrics.damaged.WithLabelValues(m.Name).Inc() },
		Synced:  func(d time.Duration) { s.env.metrics.syncs.Observe(d.Seconds()) },
	}
	if st != nil { // its reader is not the one that the journals beside the log know
		upto := st.noted()
		o.Floor, o.Cursor = max(o.Floor, upto), 0
	}
	return o
}

// sourceOf is what a reader sees of the log: the main one only what came before records were staged.
func (s *stream) sourceOf(r *reader, log *wal.Log) *buffer.Source {
	src := buffer.NewSource(log, s.limits(r.role))
	if s.stage != nil && r.role == record.RoleMain {
		r.until = max(1, s.stage.from)
		src.Until(r.until)
	}
	return src
}

func (s *stream) newRunner(name string, r *reader) *delivery.Runner {
	role := r.role
	o := delivery.Options{
		Stream: name, Role: role, Source: r.source, Journal: r.journal,
		IsIdle:   func(err error) bool { return errors.Is(err, buffer.ErrIdle) },
		Specs:    &specs{stream: s, reader: r, role: role, built: map[int]*delivery.Spec{}},
		Sink:     func(p delivery.Place) delivery.Sink { return s.place(role, p) },
		NewSpool: func() *spool.Buffer { return spool.New(s.env.spoolDir, s.env.spoolBudget) },
		NewLanes: func() *spool.Lanes { return spool.NewLanes(s.env.spoolDir, s.env.lanes, s.env.spoolRoom) },
		Limits:   func() delivery.Limits { return delivery.Limits(s.limits(role)()) },
		Advance:  s.advanceOf(r), Workers: workersPerReader, Slots: s.env.slots, Metrics: s.env.metrics.delivery, Logger: s.env.logger,
	}
	if role == record.RoleMain {
		o.Requester, o.Loader = s.clients.requester, s.clients.loader
		o.Memory = s.env.requests
		o.RetryFor = func() time.Duration { m := s.snapshot(); return time.Duration(m.spec().Retry.For) }
		o.Answers = answers.New(s.env.fs, filepath.Join(s.folderOf(r), "answers"))
		if m := s.snapshot(); ordered(m.spec().Destination) {
			o.Workers = 1
		}
	}
	return delivery.New(o)
}

// ordered says whether batches must arrive one after the other: where that is the order of the records, or one transaction waits for the
// other anyway.
func ordered(d config.Destination) bool {
	return d.Splunk != nil || d.HTTP != nil || d.File != nil || d.Redshift != nil
}

func (s *stream) limits(role record.Role) func() buffer.Limits {
	return func() buffer.Limits {
		m := s.snapshot()
		b := m.spec().Buffer
		if role == record.RoleBackup {
			b = m.spec().Backup.Buffer
		}
		return buffer.Limits{Size: int64(b.Size), Interval: time.Duration(b.Interval)}
	}
}

// append makes a put durable. The first one makes the stream's folder.
func (s *stream) append(ctx context.Context, put *record.Put) (record.ID, error) {
	if !s.puts.enter() {
		return record.ID{}, record.ErrStreamDeleting
	}
	defer s.puts.leave()
	log, err := s.writable()
	if err != nil {
		return record.ID{}, s.refusals.note(s, err)
	}
	id, err := s.appendOnce(ctx, log, put)
	return id, s.refusals.note(s, err)
}

func (s *stream) writable() (*wal.Log, error) {
	s.metaMu.RLock()
	status := s.meta.Status
	s.metaMu.RUnlock()
	if status != statusActive {
		return nil, record.ErrStreamDeleting
	}
	s.openMu.Lock()
	defer s.openMu.Unlock()
	if s.ready {
		return s.log, nil
	}
	if s.gone {
		return nil, record.ErrStopping
	}
	if err := s.prepare(); err != nil {
		s.failure = err
		s.env.logger.Error("the stream cannot take records", "stream", s.name, "err", err)
		return nil, &record.Unavailable{Reason: "the stream's files cannot be made or opened: " + err.Error(), RetryAfter: time.Second}
	}
	s.ready, s.failure = true, nil
	return s.log, nil
}

// prepare makes everything durable that must be there before a record is accepted.
func (s *stream) prepare() error {
	if err := s.env.stopping(); err != nil {
		return err
	}
	s.metaMu.Lock()
	err := s.env.catalog.save(s.meta)
	s.metaMu.Unlock()
	if err != nil {
		return err
	}
	if ok, err := s.env.fs.Exists(filepath.Join(s.dir, logFolder)); err != nil {
		return err
	} else if !ok {
		if err := s.env.fs.Mkdir(filepath.Join(s.dir, logFolder)); err != nil {
			return err
		}
	}
	// Not only for a new folder: a former life may have ended between making a name and syncing it.
	if err := s.env.fs.SyncDir(s.dir); err != nil {
		return err
	}
	if err := s.openLocked(); err != nil {
		return err
	}
	for _, r := range s.readers {
		if err := r.journal.Prepare(); err != nil {
			return err
		}
	}
	return nil
}

// appended is called for each commit.
func (s *stream) appended(records int, bytes int64) {
	s.env.metrics.incoming(s.name, records, bytes)
	s.wake()
}

func (s *stream) wake() {
	for _, r := range s.readers {
		r.runner.Wake()
	}
	if s.stage != nil {
		s.stage.runner.Wake()
	}
}

func (s *stream) advanceOf(r *reader) func(idle bool) {
	if r.staged {
		return func(idle bool) { s.stage.advance(idle) }
	}
	return s.advance
}

func (s *stream) folderOf(r *reader) string {
	if r.staged {
		return s.stageDir()
	}
	return s.dir
}

// settledMark is how far the log is needed no more: everything before it was delivered, or made durable elsewhere.
func (s *stream) settledMark() journal.Mark {
	readers := slices.DeleteFunc(slices.Clone(s.readers), func(r *reader) bool {
		return r.staged || r.isOver() || s.stage != nil && r.finishing && len(r.journal.Pending()) == 0 // turned off, and done
	})
	if s.stage == nil {
		return slowest(readers)
	}
	mark := journal.Mark{}
	mark.Pos, mark.Offset = s.stage.runner.Upto()
	if len(readers) > 0 {
		if m := slowest(readers); m.Pos < mark.Pos {
			mark = m
		}
	}
	return mark
}

// advance moves the cursor to what all readers have delivered. Segments are freed only behind a cursor that is durable.
func (s *stream) advance(idle bool) {
	s.trimMu.Lock()
	defer s.trimMu.Unlock()
	mark := s.settledMark()
	if !s.log.Advance(mark.Pos, mark.Offset) && !idle {
		return
	}
	for _, r := range s.readers {
		if err := r.journal.Sync(); err != nil {
			s.env.logger.Error("the cursor cannot be made durable; nothing is trimmed", "stream", s.name, "err", err)
			return
		}
	}
	if err := s.receipts.Sync(); err != nil { // what is trimmed can be asked of nobody else
		s.env.logger.Error("which requests were taken cannot be made durable; nothing is trimmed", "stream", s.name, "err", err)
		return
	}
	if err := s.log.Trim(mark.Pos, mark.Offset); err != nil {
		s.env.logger.Warn("delivered segments could not be given back", "stream", s.name, "err", err)
	}
}

// fail notes why the stream cannot be used.
func (s *stream) fail(err error) {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	s.failure = err
}

// opened returns log and readers, nil while the stream holds nothing.
func (s *stream) opened() (*wal.Log, []*reader) {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	return s.log, s.readers
}

func (s *stream) isGone() bool {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	return s.gone
}

// drain delivers everything, or until ctx ends.
func (s *stream) drain(ctx context.Context) error {
	if err := s.open(); err != nil {
		return fmt.Errorf("nothing can be delivered: %w", err)
	}
	_, readers := s.opened()
	if s.stage != nil {
		s.stage.runner.Flush()
		if err := s.stage.runner.Drain(ctx); err != nil {
			return err
		}
	}
	for _, r := range readers {
		r.runner.Flush()
	}
	for _, r := range readers {
		if err := r.runner.Drain(ctx); err != nil {
			return err
		}
	}
	return nil
}

// close stops delivery and closes the files. Records that were not delivered stay.
func (s *stream) close() error {
	s.openMu.Lock()
	defer s.openMu.Unlock()
	s.gone = true
	if s.log == nil {
		return nil
	}
	var err error
	if s.stage != nil {
		err = s.stage.runner.Stop()
	}
	for _, r := range s.readers {
		r.runner.Stop()
	}
	s.clients.close()
	err = errors.Join(err, s.receipts.Sync(), s.receipts.Close(), s.log.Close())
	if s.stage != nil {
		err = errors.Join(err, s.stage.log.Close())
	}
	for _, r := range s.readers {
		err = errors.Join(err, r.journal.Sync(), r.journal.Close())
	}
	s.log, s.ready = nil, false
	if err != nil {
		return fmt.Errorf("stream %s: %w", s.name, err)
	}
	return nil
}

// tidy gives an idle stream's segments back. It also opens a stream that could not be opened before.
func (s *stream) tidy() {
	log, _ := s.opened()
	if log == nil {
		if err := s.open(); err != nil {
			s.env.logger.Error("the stream cannot be opened", "stream", s.name, "err", err)
		}
		return
	}
	end := log.End()
	still := end == s.tidied
	s.tidied = end
	if err := s.receipts.Sync(); err != nil { // so that the next start need not read far
		s.env.logger.Warn("which requests were taken could not be made durable", "stream", s.name, "err", err)
	}
	if !still || log.Backlog() != 0 {
		return
	}
	s.openMu.Lock()
	if s.log != nil { // it may have been closed since
		s.advance(true)
	}
	s.openMu.Unlock()
	if err := log.Shrink(); err != nil {
		s.env.logger.Warn("an idle stream's segments could not be given back", "stream", s.name, "err", err)
	}
}
