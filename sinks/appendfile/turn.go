package appendfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/cespare/xxhash/v2"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// turn is one call's work on a file. The file is opened for each, so that one that somebody renamed is left alone.
type turn struct {
	s *Store
	c *sidecar
	r Rotation

	h    vfs.File // the file, nil: not open
	size int64    // of the file
	sent bool     // bytes of the object may have been written
}

func (t *turn) close() {
	if t.h != nil {
		_ = t.h.Close() // what counts was synced
		t.h = nil
	}
}

// put appends the object unless a batch of its name arrived before.
func (t *turn) put(ctx context.Context, name string, o *record.Object) record.Outcome {
	err := t.finishRotation()
	if out, there := t.arrived(name); there {
		return out // whatever became of the rotation
	}
	if err == nil {
		err = t.openOrMake()
	}
	again := false
	if err == nil {
		again, err = t.settle(ctx, name, o)
	}
	if err != nil {
		return failed(err, false)
	}
	if out, there := t.arrived(name); there {
		return out
	}
	if !again && t.full(o.Size) {
		if err := t.rotate(); err != nil {
			return failed(err, false)
		}
	}
	if err := t.add(ctx, name, o, again); err != nil {
		return failed(err, t.sent)
	}
	return record.Outcome{Kind: record.Delivered}
}

func (t *turn) arrived(name string) (out record.Outcome, there bool) {
	id, there := t.c.known[name]
	return record.Outcome{Kind: record.Exists, Found: &id}, there
}

// head settles what is open of one batch. A file that is gone holds nothing of it.
func (t *turn) head(ctx context.Context, name string) error {
	if t.c.open == nil || t.c.open.name != name {
		return nil
	}
	err := t.openFile()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		_, err = t.settle(ctx, name, nil)
	}
	return err
}

func (t *turn) openFile() (err error) {
	if t.h, err = t.s.fs.Open(t.c.file); err != nil {
		t.h = nil
		return err
	}
	t.size, err = t.h.Size()
	return err
}

// openOrMake opens the file and makes sure that its name is durable, whoever made it.
func (t *turn) openOrMake() error {
	dir := path.Dir(t.c.file)
	err := t.openFile()
	if errors.Is(err, fs.ErrNotExist) {
		t.c.named, t.size = false, 0
		if err = vfs.MkdirAll(t.s.fs, dir); err == nil {
			t.h, err = t.s.fs.Create(t.c.file)
		}
	}
	if err != nil {
		return err
	}
	if t.c.named && t.size == t.c.end {
		return nil
	}
	t.tellOfOthers()
	t.c.named = false
	if err := t.s.fs.SyncDir(dir); err != nil {
		return err
	}
	t.c.named = true
	return nil
}

// tellOfOthers logs what other programs did to the file, once each time its sidecar is opened.
func (t *turn) tellOfOthers() {
	if t.c.told || t.c.open != nil || t.c.end == 0 || t.size == t.c.end {
		return
	}
	t.c.told = true
	if t.size < t.c.end {
		t.s.log.Info("somebody truncated or replaced a file; batches are appended to what is there now", "path", t.c.file)
		return
	}
	t.s.log.Warn("somebody else appends to a file, too; what both write at the same time may overwrite each other", "path", t.c.file)
}

// settle finds out what became of a batch whose end nobody saw. again says that the object o is that batch and that the file ends within it: it is
// to be written over what is there, which is its beginning. o may be nil.
func (t *turn) settle(ctx context.Context, name string, o *record.Object) (again bool, err error) {
	i := t.c.open
	if i == nil {
		return false, nil
	}
	whole, err := t.holds(i)
	switch {
	case err != nil:
		return false, err
	case whole:
		return false, t.keep(i)
	case t.size < i.offset:
		t.s.log.Warn("somebody truncated or replaced a file before a batch was known to be in it; the batch is appended again", "path", t.c.file)
		return false, t.c.note(lineVoid, false)
	case t.size > i.end():
		t.s.log.Warn("somebody else appended to a file before a batch was known to be in it; the batch is appended again", "path", t.c.file)
		return false, t.c.note(lineVoid, false)
	case o != nil && name == i.name && t.size-i.offset <= o.Size:
		if again, err = t.begins(ctx, i, o); again || err != nil {
			return again, err
		}
	}
	return false, t.cut(i)
}

// holds says whether the file has all bytes of a batch.
func (t *turn) holds(i *intent) (bool, error) {
	if t.size < i.end() {
		return false, nil
	}
	sum := xxhash.New()
	if _, err := io.Copy(sum, io.NewSectionReader(t.h, i.offset, i.size)); err != nil {
		return false, err
	}
	return sum.Sum64() == i.hash, nil
}

// keep makes durable what the file holds of a batch, and notes that the batch arrived. The bytes are written over themselves: if a sync of them failed
// once, another one alone would do nothing.
func (t *turn) keep(i *intent) error {
	buf := make([]byte, max(1, min(i.size, chunkBytes)))
	for off := i.offset; off < i.end(); {
		b := buf[:min(int64(len(buf)), i.end()-off)]
		if n, err := t.h.ReadAt(b, off); n < len(b) {
			return unexpected(err)
		}
		if _, err := t.h.WriteAt(b, off); err != nil {
			return err
		}
		off += int64(len(b))
	}
	if err := t.h.Sync(); err != nil {
		return err
	}
	return t.c.note(lineDone, false)
}

// errOther ends a comparison.
var errOther = errors.New("file sink: other bytes")

// begins says whether what the file holds from the intent's offset is the beginning of the object.
func (t *turn) begins(ctx context.Context, i *intent, o *record.Object) (bool, error) {
	there := make([]byte, chunkBytes)
	err := eachChunk(ctx, o, func(b []byte, off int64) error {
		have := there[:min(int64(len(b)), max(0, t.size-i.offset-off))]
		if n, err := t.h.ReadAt(have, i.offset+off); n < len(have) {
			return unexpected(err)
		}
		if string(have) != string(b[:len(have)]) {
			return errOther
		}
		return nil
	})
	if errors.Is(err, errOther) {
		return false, nil
	}
	return err == nil, err
}

// cut takes a torn batch off the end of the file, durably, because a later and shorter one would not cover it.
func (t *turn) cut(i *intent) error {
	if t.size > i.offset {
		if err := t.h.Truncate(i.offset); err != nil {
			return err
		}
		t.size = i.offset
	}
	if err := t.h.Sync(); err != nil {
		return err
	}
	return t.c.note(lineVoid, false)
}

// add notes the intent and writes the object: at the end of the file, or again over its own beginning.
func (t *turn) add(ctx context.Context, name string, o *record.Object, again bool) error {
	i := &intent{name: name, id: o.Identity, offset: t.size, size: o.Size}
	sum := xxhash.New()
	err := eachChunk(ctx, o, func(b []byte, _ int64) error {
		_, err := sum.Write(b)
		return err
	})
	if err != nil {
		return err
	}
	i.hash = sum.Sum64()
	if again {
		i.offset = t.c.open.offset
	}
	if !again || *i != *t.c.open {
		if err := t.c.note(t.c.intentLine(i, t.s.o.Now().UnixMilli()), true); err != nil {
			return err
		}
	}
	if err := t.write(ctx, o, i.offset); err != nil {
		return err
	}
	if err := t.c.note(lineDone, false); err != nil {
		// The batch is there, and the intent says so to whoever reads the sidecar next.
		t.s.log.Warn("a batch that arrived could not be noted", "path", t.c.file, "err", err)
	}
	return nil
}

func (t *turn) write(ctx context.Context, o *record.Object, at int64) error {
	err := eachChunk(ctx, o, func(b []byte, off int64) error {
		t.sent = true
		_, err := t.h.WriteAt(b, at+off)
		return err
	})
	if err != nil {
		return err
	}
	if err := t.h.Sync(); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	return nil
}
