package daemon

import (
	"context"
	"errors"
	"io"
	"time"

	"hydrant/buffer/wal"
	"hydrant/record"
)

// logNotes is a log as its receipts read it.
type logNotes struct{ *wal.Log }

// Notes goes over the frames' headers, and reads those that have a note.
func (l logNotes) Notes(from record.Position, visit func(n *record.Note, last record.Position)) error {
	rd := l.NewReader(from)
	defer rd.Close()
	for {
		f, err := rd.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		n, err := f.Note()
		if err != nil {
			return err
		}
		if n != nil {
			visit(n, f.Last())
		}
	}
}

// appendOnce makes a put durable, unless its note says that it was taken before; then its first record has no ID.
func (s *stream) appendOnce(ctx context.Context, log *wal.Log, put *record.Put) (id record.ID, err error) {
	n, _ := put.Note()
	if n.Empty() {
		return log.Append(ctx, put)
	}
	var refused error // by the log
	_, err = s.receipts.Once(n, ctx.Done(), func() (record.Position, error) {
		id, refused = log.Append(ctx, put)
		return id.Pos + record.Position(put.Count()) - 1, refused
	})
	if err != nil && refused == nil && !errors.Is(err, record.ErrStopping) {
		err = &record.Unavailable{Reason: "whether the request was taken before cannot be noted: " + err.Error(), RetryAfter: time.Second}
	}
	return id, err
}

// Replay makes the records of a put durable that have not come back before: its note has the origin of each. accepted is how many are new.
func (d *Daemon) Replay(ctx context.Context, name string, put *record.Put) (accepted int, err error) {
	if d.stop.Load() {
		return 0, record.ErrStopping
	}
	s := d.stream(name)
	if s == nil {
		return 0, record.ErrStreamNotFound
	}
	return s.replay(ctx, put)
}

func (s *stream) replay(ctx context.Context, put *record.Put) (int, error) {
	if _, err := s.writable(); err != nil { // opens the stream, and so its receipts
		return 0, s.refusals.note(s, err)
	}
	s.replayMu.Lock() // two at once would both find a record new
	defer s.replayMu.Unlock()
	n, _ := put.Note()
	fresh, err := s.receipts.New(n.Origins)
	if err != nil || len(fresh) == 0 {
		return 0, err
	}
	if len(fresh) < put.Count() {
		some := record.NewPut()
		defer some.Release()
		var origins []record.Origin
		for _, i := range fresh {
			some.Add(put.Record(i))
			origins = append(origins, n.Origins[i])
		}
		if err := some.SetNote(record.Note{Origins: origins, Attributes: n.Attributes}); err != nil {
			return 0, err
		}
		put = some
	}
	if _, err := s.append(ctx, put); err != nil {
		return 0, err
	}
	return len(fresh), nil
}
