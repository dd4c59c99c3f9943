package daemon

import (
	"context"
	"errors"
	"io/fs"

	"hydrant/buffer"
	"hydrant/config"
	"hydrant/delivery"
	"hydrant/delivery/journal"
	"hydrant/record"
)

// reader is one way of delivering the stream's records: to the destination, or to a backup of everything.
type reader struct {
	role    record.Role
	source  source
	journal *journal.Journal
	runner  *delivery.Runner

	start     record.Position // nothing below it is delivered this way
	finishing bool            // was turned off: delivers what it had closed, closes nothing new
	staged    bool            // reads the staged log
	until     record.Position // its log ends there, for good; 0: it goes on
}

// isOver says that there is nothing more for the reader to do, ever.
func (r *reader) isOver() bool {
	return r.until > 0 && len(r.journal.Pending()) == 0 && (r.until == 1 || r.journal.Cursor().Pos >= r.until)
}

// source is what a reader reads.
type source interface {
	delivery.Source
	OldestMillis() int64
}

// view is the part of the log that belongs to the reader.
func (r *reader) view(s logSource) source {
	switch {
	case r.finishing:
		return closedSource{s}
	case r.start > 0:
		return laterSource{s, r.start}
	}
	return s
}

// logSource is a stream's own log.
type logSource struct{ *buffer.Source }

// Walk reads it put by put.
func (s logSource) Walk(from record.Position) delivery.Walk { return s.Source.Walk(from) }

// closedSource yields no more batches; those that were closed can still be read.
type closedSource struct{ logSource }

func (closedSource) Next(context.Context, record.Position, <-chan struct{}) (record.Batch, error) {
	return record.Batch{}, buffer.ErrIdle
}

func (closedSource) Waits(record.Position) bool { return false }

// laterSource begins at a position.
type laterSource struct {
	logSource
	start record.Position
}

func (l laterSource) Next(ctx context.Context, from record.Position, flush <-chan struct{}) (record.Batch, error) {
	return l.logSource.Next(ctx, max(from, l.start), flush)
}

func (l laterSource) Waits(pos record.Position) bool { return l.logSource.Waits(max(pos, l.start)) }

func (l laterSource) Walk(from record.Position) delivery.Walk {
	return l.logSource.Walk(max(from, l.start))
}

// openReaders opens the journals: of the destination, and of a backup that is configured or has something to finish.
func (s *stream) openReaders(m meta) (readers []*reader, err error) {
	j, err := journal.Open(s.env.fs, s.dir, string(record.RoleMain))
	if err != nil {
		return nil, err
	}
	readers = append(readers, &reader{role: record.RoleMain, journal: j})
	if j, err = journal.Open(s.env.fs, s.dir, string(record.RoleBackup)); err != nil {
		return nil, err
	}
	r := &reader{role: record.RoleBackup, journal: j, start: m.BackupFrom}
	switch {
	case m.spec().Backup.Mode == config.BackupAll:
		return append(readers, r), nil
	case len(j.Pending()) > 0:
		r.finishing = true
		return append(readers, r), nil
	}
	return readers, s.retireBackup(j)
}

// retireBackup forgets the journal of a backup that was turned off and has nothing left to deliver, but not how far it had come:
// turned on again, it must not deliver the same records under new names.
func (s *stream) retireBackup(j *journal.Journal) error {
	closed := j.Closed().Pos
	if closed == 0 {
		return j.Close()
	}
	s.metaMu.Lock()
	m := *s.meta
	m.BackupFrom = max(m.BackupFrom, closed)
	err := s.env.catalog.save(&m)
	if err == nil {
		s.meta = &m
	}
	s.metaMu.Unlock()
	if err != nil {
		s.env.logger.Warn("the journal of a backup that is off is kept; the next start tries again", "stream", s.name, "err", err)
		return j.Close()
	}
	if err := j.Close(); err != nil {
		return err
	}
	for _, path := range j.Files() {
		if err := s.env.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return s.env.fs.SyncDir(s.dir)
}

// noted is the highest position that any journal knows.
func noted(readers []*reader) (pos record.Position) {
	for _, r := range readers {
		pos = max(pos, r.journal.Noted())
	}
	return pos
}

// slowest is how far all readers have come.
func slowest(readers []*reader) journal.Mark {
	mark := readers[0].journal.Cursor()
	for _, r := range readers[1:] {
		if r.finishing && len(r.journal.Pending()) == 0 {
			continue
		}
		if c := r.journal.Cursor(); c.Pos < mark.Pos {
			mark = c
		}
	}
	return mark
}

// delivered is the position below which segments may be missing because they were trimmed. A reader that has closed nothing yet
// says nothing about it: it may be younger than the log.
func delivered(readers []*reader) record.Position {
	pos := record.Position(0)
	for _, r := range readers {
		if c := r.journal.Cursor().Pos; c > 0 && (pos == 0 || c < pos) {
			pos = c
		}
	}
	return max(1, pos)
}
