// Package journal is the small durable file in which a reader of a log notes each batch before it is
// delivered, and that it was. Two files take turns: the one in use is appended to; when it is full, or a sync
// failed, what still matters is written to the other one under the next generation. Both have their space
// written ahead, so that a full disk can always drain.
package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"path/filepath"
	"sort"
	"sync"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// op is one line of the journal. Exactly one member is set.
type op struct {
	Snapshot *snapshot `json:",omitempty"`
	Put      *Entry    `json:",omitempty"` // new, or in place of the one with its number
	Done     uint64    `json:",omitempty"`
	Split    *split    `json:",omitempty"`
}

type snapshot struct {
	Closed Mark
	LastN  uint64
	Open   []Entry
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
	lastN   uint64
	closed  Mark // batches were closed up to here
	damage  error
}

const (
	magic       = "HYDRJRN1"
	headBytes   = 32 // magic, generation, snapshot length, checksums
	lineHead    = 8  // length, checksum
	startBytes  = 8 << 10
	maxFileSize = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

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

// load returns the generation (0: nothing usable) and the lines of one file.
func (j *Journal) load(i int) (gen uint64, lines [][]byte, err error) {
	b, err := vfs.ReadFile(j.fs, j.path[i], maxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	gen, n, ok := header(b)
	if !ok {
		if !blank(b) {
			j.damaged(i, errHeader)
		}
		return 0, nil, nil
	}
	lines, end := linesFrom(b, headBytes, gen)
	if end >= headBytes+n {
		return gen, lines, nil
	}
	// The snapshot itself is torn: the other file still holds everything, unless this one had been in use.
	if used, _ := linesFrom(b, headBytes+n, gen); len(used) > 0 {
		j.damaged(i, errSnapshot)
	}
	return 0, nil, nil
}

// header reads a file's generation and the length of its snapshot. It lies in one sector, which is written whole or not at all.
func header(b []byte) (gen uint64, snapshotBytes int, ok bool) {
	if len(b) < headBytes || string(b[:8]) != magic {
		return 0, 0, false
	}
	le := binary.LittleEndian
	gen, snapshotBytes = le.Uint64(b[8:]), int(le.Uint32(b[16:]))
	ok = crc32.Checksum(b[:20], castagnoli) == le.Uint32(b[20:]) && snapshotBytes >= lineHead && headBytes+snapshotBytes <= len(b)
	return gen, snapshotBytes, ok
}

// blank says whether a file was prepared and never written.
func blank(b []byte) bool {
	for _, c := range b[:min(headBytes, len(b))] {
		if c != 0 {
			return false
		}
	}
	return true
}

// linesFrom reads intact lines of a generation, and says where they end.
func linesFrom(b []byte, at int, gen uint64) (lines [][]byte, end int) {
	le := binary.LittleEndian
	for at+lineHead <= len(b) {
		size := int(le.Uint32(b[at:]))
		if size == 0 || at+lineHead+size > len(b) || sum(gen, b[at+lineHead:at+lineHead+size]) != le.Uint32(b[at+4:]) {
			break
		}
		lines = append(lines, bytes.Clone(b[at+lineHead:at+lineHead+size]))
		at += lineHead + size
	}
	return lines, at
}

var (
	errHeader   = errors.New("the header is damaged; what was noted there is lost")
	errSnapshot = errors.New("the snapshot is damaged; what was noted there is lost")
)

func (j *Journal) damaged(i int, err error) {
	j.damage = errors.Join(j.damage, fmt.Errorf("journal %s: %w", j.path[i], err))
}

// Damaged says what Open found damaged and had to leave out, nil when nothing. Entries may then be missing: their records are
// batched anew, and what was delivered already may be delivered again in other batches.
func (j *Journal) Damaged() error { return j.damage }

// sum makes lines of an earlier generation, still in the file, no lines of this one.
func sum(gen uint64, b []byte) uint32 {
	var g [8]byte
	binary.LittleEndian.PutUint64(g[:], gen)
	return crc32.Update(crc32.Checksum(g[:], castagnoli), castagnoli, b)
}

func (j *Journal) apply(o op) {
	switch {
	case o.Snapshot != nil:
		clear(j.open)
		j.closed, j.lastN = o.Snapshot.Closed, o.Snapshot.LastN
		for _, e := range o.Snapshot.Open {
			j.open[e.N] = e
		}
	case o.Put != nil:
		j.put(*o.Put)
	case o.Done != 0:
		delete(j.open, o.Done)
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
	for _, e := range j.open {
		if e.Batch.First.Pos < c.Pos {
			c = Mark{Pos: e.Batch.First.Pos, Offset: e.Batch.StartOffset}
		}
	}
	return c
}

// Noted is the highest position that the journal ever saw: the log must not hand it out again.
func (j *Journal) Noted() record.Position {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed.Pos == 0 {
		return 0
	}
	return j.closed.Pos - 1
}

// Versions are the spec versions that open entries still need.
func (j *Journal) Versions() map[int]bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	v := map[int]bool{}
	for _, e := range j.open {
		v[e.Version] = true
		for f := e.Former; f != nil; f = f.Next {
			v[f.Version] = true
		}
	}
	return v
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

func appendLine(to []byte, gen uint64, line []byte) []byte {
	to = binary.LittleEndian.AppendUint32(to, uint32(len(line)))
	to = binary.LittleEndian.AppendUint32(to, sum(gen, line))
	return append(to, line...)
}

// turn writes what still matters to the other file, under the next generation, and goes on there. When it fails, the file in use
// is not appended to either: the other one may be on disk with the next generation, and would hide what is appended.
func (j *Journal) turn() error {
	err := j.tryTurn()
	if err != nil {
		j.broken[j.cur] = true
	}
	return err
}

func (j *Journal) tryTurn() error {
	other := 1 - j.cur
	s := snapshot{Closed: j.closed, LastN: j.lastN}
	for _, e := range j.open {
		s.Open = append(s.Open, e)
	}
	b, err := json.Marshal(op{Snapshot: &s})
	if err != nil {
		return err
	}
	gen := j.gen + 1
	body := appendLine(nil, gen, b)
	image := make([]byte, headBytes, headBytes+len(body))
	le := binary.LittleEndian
	copy(image, magic)
	le.PutUint64(image[8:], gen)
	le.PutUint32(image[16:], uint32(len(body)))
	le.PutUint32(image[20:], crc32.Checksum(image[:20], castagnoli))
	image = append(image, body...)
	if err := j.prepare(other, int64(len(image))); err != nil {
		j.broken[other] = true
		return err
	}
	if _, err := j.file[other].WriteAt(image, 0); err != nil {
		j.broken[other] = true
		return err
	}
	if err := j.file[other].Sync(); err != nil {
		j.broken[other] = true
		return err
	}
	j.cur, j.gen, j.at, j.unsaved = other, gen, int64(len(image)), false
	return nil
}

// prepare makes a file that can take n bytes and some lines more without growing. A file whose sync failed is replaced.
func (j *Journal) prepare(i int, n int64) error {
	want := int64(startBytes)
	for want < 2*n {
		want *= 2
	}
	if j.file[i] == nil && !j.broken[i] {
		f, err := j.fs.Open(j.path[i])
		if err == nil {
			j.file[i] = f
			if j.size[i], err = f.Size(); err != nil {
				return err
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if j.file[i] != nil && !j.broken[i] && j.size[i] >= want {
		return nil
	}
	return j.fresh(i, want)
}

// fresh writes a new file of the given size beside the old one and puts it in its place, name and blocks durable.
func (j *Journal) fresh(i int, size int64) error {
	if j.file[i] != nil {
		_ = j.file[i].Close()
		j.file[i] = nil
	}
	tmp := j.path[i] + ".tmp"
	if err := j.fs.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := j.fs.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, size), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.fs.Rename(tmp, j.path[i])
	}
	if err == nil {
		err = j.fs.SyncDir(filepath.Dir(j.path[i]))
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	j.file[i], j.size[i], j.broken[i] = f, size, false
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
