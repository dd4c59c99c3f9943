// Package journal is the small durable file in which a reader of a log notes each batch before it is
// delivered, and that it was. Two files take turns: the one in use is appended to; when it is full, or a sync
// failed, what still matters is written to the other one under the next generation. Both have their space
// written ahead, so that a full disk can always drain.
package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sort"
	"sync"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// op is one line of the journal. Exactly one member is set.
type op struct {
	Snapshot *snapshot       `json:",omitempty"`
	Put      *Entry          `json:",omitempty"` // new, or in place of the one with its number
	Done     uint64          `json:",omitempty"`
	Split    *split          `json:",omitempty"`
	Scatter  *Scatter        `json:",omitempty"`
	Floor    *Mark           `json:",omitempty"`
	Era      *Era            `json:",omitempty"`
	Settled  *Set            `json:",omitempty"`
	Reading  *Reading        `json:",omitempty"`
	Killed   record.Position `json:",omitempty"`
}

type snapshot struct {
	Closed  Mark
	LastN   uint64
	Open    []Entry
	Scatter *Scatter `json:",omitempty"`
}

// split replaces one entry by others, in one step.
type split struct {
	N    uint64
	Into []Entry
}

// Mark is a place in the log.
type Mark struct {
	Pos    record.Position // everything below it
	Offset int64           // the log's own measure of it
}

// Journal is safe for concurrent use.
type Journal struct {
	fs   vfs.FS
	path [2]string

	mu      sync.Mutex
	file    [2]vfs.File
	size    [2]int64
	broken  [2]bool // a sync failed: only a fresh file of that name may be written again
	cur     int
	gen     uint64
	at      int64 // where the next line goes
	unsaved bool  // lines behind the last sync
	open    map[uint64]Entry
	scatter *Scatter // not nil while records are settled out of their order
	lastN   uint64
	closed  Mark // batches were closed up to here
	damage  error
}

// Open reads the journal called name in dir. It makes nothing: the first write does. What a failing disk did to it does not
// prevent a start; see Damaged.
func Open(fsys vfs.FS, dir, name string) (*Journal, error) {
	j := &Journal{fs: fsys, open: map[uint64]Entry{}}
	best := -1
	var bestLines [2][][]byte
	var gens [2]uint64
	for i, suffix := range []string{"a", "b"} {
		j.path[i] = filepath.Join(dir, name+"-"+suffix+".journal")
		gen, lines, err := j.load(i)
		if err != nil {
			return nil, fmt.Errorf("journal %s: %w", j.path[i], err)
		}
		gens[i], bestLines[i] = gen, lines
		if gen > 0 && (best < 0 || gen > gens[best]) {
			best = i
		}
	}
	if best < 0 {
		return j, nil
	}
	j.cur, j.gen = best, gens[best]
	for _, line := range bestLines[best] {
		var o op
		if err := json.Unmarshal(line, &o); err != nil {
			return nil, fmt.Errorf("journal %s: %w", j.path[best], err)
		}
		j.apply(o)
	}
	// What a killed process wrote may be in memory only: this file is not appended to, the first write goes to the other one,
	// and Sync writes all of it once more before anything that it says is relied on.
	j.unsaved = true
	return j, nil
}

// Damaged says what Open found damaged and had to leave out, nil when nothing. Entries may then be missing: their records are
// batched anew, and what was delivered already may be delivered again in other batches.
func (j *Journal) Damaged() error { return j.damage }

func (j *Journal) apply(o op) {
	switch {
	case o.Snapshot != nil:
		clear(j.open)
		j.closed, j.lastN, j.scatter = o.Snapshot.Closed, o.Snapshot.LastN, o.Snapshot.Scatter
		for _, e := range o.Snapshot.Open {
			j.open[e.N] = e
		}
	case o.Put != nil:
		j.put(*o.Put)
	case o.Done != 0:
		j.scatter.settle(j.open[o.Done])
		delete(j.open, o.Done)
	case o.Scatter != nil:
		next := o.Scatter.orNil()
		if next == nil && j.scatter != nil && j.scatter.Floor.Pos > j.closed.Pos {
			j.closed = j.scatter.Floor // what became nothing is settled, too
		}
		j.scatter = next
	case o.Floor != nil || o.Era != nil || o.Settled != nil || o.Reading != nil || o.Killed != 0:
		j.scatter.note(o)
	case o.Split != nil:
		delete(j.open, o.Split.N)
		for _, e := range o.Split.Into {
			j.put(e)
		}
	}
}

func (j *Journal) put(e Entry) {
	j.open[e.N] = e
	j.lastN = max(j.lastN, e.N)
	if end := e.Batch.Last.Pos + 1; end > j.closed.Pos {
		j.closed = Mark{Pos: end, Offset: e.Batch.EndOffset}
	}
}

// Close closes the files. What was not synced may be lost.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	var errs []error
	for i, f := range j.file {
		if f != nil {
			errs = append(errs, f.Close())
			j.file[i] = nil
		}
	}
	return errors.Join(errs...)
}

// Files are the names of the journal's files.
func (j *Journal) Files() []string { return j.path[:] }

// Pending are the entries that were neither delivered nor set aside, in the order of the log.
func (j *Journal) Pending() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Entry, 0, len(j.open))
	for _, e := range j.open {
		out = append(out, e)
	}
	sort.Slice(out, func(a, b int) bool {
		if out[a].Batch.First.Pos != out[b].Batch.First.Pos {
			return out[a].Batch.First.Pos < out[b].Batch.First.Pos
		}
		return out[a].N < out[b].N
	})
	return out
}

// Closed is how far batches were closed: batching goes on there.
func (j *Journal) Closed() Mark {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed
}

// Cursor is how far everything was delivered or set aside, as far as this process knows. It is durable after Sync.
func (j *Journal) Cursor() Mark {
	j.mu.Lock()
	defer j.mu.Unlock()
	c := j.closed
	if j.scatter != nil {
		c = j.scatter.Floor
	}
	for _, e := range j.open {
		if e.Batch.First.Pos < c.Pos {
			c = Mark{Pos: e.Batch.First.Pos, Offset: e.Batch.StartOffset}
		}
	}
	return c
}

// Settled is the end of what was closed, or of what is settled where records are settled out of order.
func (j *Journal) Settled() Mark {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.scatter != nil {
		return j.scatter.Floor
	}
	return j.closed
}

// Noted is the highest position that the journal ever saw: the log must not hand it out again.
func (j *Journal) Noted() record.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	pos := j.closed.Pos
	if j.scatter != nil {
		pos = max(pos, j.scatter.Floor.Pos)
	}
	if pos == 0 {
		return 0
	}
	return pos - 1
}

// Versions are the spec versions that open entries still need.
func (j *Journal) Versions() map[int]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := map[int]bool{}
	if j.scatter != nil {
		for _, era := range j.scatter.Eras {
			v[era.Version] = true
		}
	}
	for _, e := range j.open {
		v[e.Version], v[e.Processors()] = true, true
		for f := e.Former; f != nil; f = f.Next {
			v[f.Version] = true
		}
	}
	return v
}

// Schemas are the learned schemas that open entries still need.
func (j *Journal) Schemas() map[int]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	n := map[int]bool{}
	for _, e := range j.open {
		if e.Schema > 0 {
			n[e.Schema] = true
		}
	}
	return n
}

// Answers are the files that open entries still need.
func (j *Journal) Answers() map[string]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	names := map[string]bool{}
	for _, e := range j.open {
		if e.Answers != "" {
			names[e.Answers] = true
		}
	}
	return names
}

// Add notes entries, durably, in one sync, and gives those a number that have none. After an error it is not known what is
// on disk: call it again with the same entries.
func (j *Journal) Add(entries ...*Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	ops := make([]op, len(entries))
	for i, e := range entries {
		j.number(e)
		c := *e
		ops[i] = op{Put: &c}
	}
	return j.write(ops, true)
}

func (j *Journal) number(e *Entry) {
	if e.N == 0 {
		j.lastN++
		e.N = j.lastN
	}
}

// Replace changes an open entry, durably.
func (j *Journal) Replace(e Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write([]op{{Put: &e}}, true)
}

// Progress changes an open entry lazily, as Done is: without it, what it notes is done once more.
func (j *Journal) Progress(e Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write([]op{{Put: &e}}, false)
}

// Split puts others in the place of an entry, durably, in one step, and gives those a number that have none. After an error
// call it again with the same entries: the entry must not be delivered any more.
func (j *Journal) Split(n uint64, into ...*Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := split{N: n}
	for _, e := range into {
		j.number(e)
		s.Into = append(s.Into, *e)
	}
	return j.write([]op{{Split: &s}}, true)
}

// Done notes that an entry was delivered or set aside. The note is lazy: it is durable with the next sync; without it
// the entry is repeated, and the destination recognises it.
func (j *Journal) Done(n uint64) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.write([]op{{Done: n}}, false)
}

// Sync makes all notes durable.
func (j *Journal) Sync() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.syncLocked()
}

func (j *Journal) syncLocked() error {
	if !j.unsaved {
		return nil
	}
	return j.save()
}

// write appends lines. State in memory changes even when the disk fails: the next write then starts a new file from it.
func (j *Journal) write(ops []op, durable bool) error {
	var lines []byte
	for _, o := range ops {
		j.apply(o)
		b, err := json.Marshal(o)
		if err != nil {
			return err
		}
		lines = appendLine(lines, j.gen, b)
	}
	j.unsaved = true
	if !j.usable() || j.at+int64(len(lines)) > j.size[j.cur] {
		if err := j.turn(); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
		return nil
	}
	if _, err := j.file[j.cur].WriteAt(lines, j.at); err != nil {
		j.broken[j.cur] = true
		return fmt.Errorf("journal: %w", err)
	}
	j.at += int64(len(lines))
	if durable {
		return j.save()
	}
	return nil
}

func (j *Journal) usable() bool { return j.gen > 0 && j.file[j.cur] != nil && !j.broken[j.cur] }

// save syncs the current file; after a failure it is never written again, and everything goes to the other one.
func (j *Journal) save() error {
	if j.usable() {
		err := j.file[j.cur].Sync()
		if err == nil {
			j.unsaved = false
			return nil
		}
		j.broken[j.cur] = true
	}
	if err := j.turn(); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	return nil
}

// Prepare writes the space of both files ahead, for a journal that has none yet. Call it before the first record is accepted.
func (j *Journal) Prepare() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for i := range j.path {
		if ok, err := j.fs.Exists(j.path[i]); err != nil || ok {
			if err != nil {
				return err
			}
			continue
		}
		if err := j.fresh(i, startBytes); err != nil {
			return fmt.Errorf("journal: %w", err)
		}
	}
	return nil
}

var _ io.Closer = (*Journal)(nil)
