// Package receipts knows which requests a log has taken, so that one that is sent again is taken once: by the key in the note of its put,
// and for records that come back from an error prefix by what they were. The notes in the log are the truth; a small file beside it knows
// what lay in parts of the log that are gone, and how far it knows the log, so that a start need not read all of it.
//
// The file is a list of fixed lines, appended without a sync; Sync comes before anything is trimmed from the log. What the file lacks
// after a power cut is found in the log, behind the last mark that the file has.
package receipts

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"sync"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// MaxRequests is how many requests are known, the newest: what is sent again later than that many others is taken again.
const MaxRequests = 1 << 18

// MaxOrigins is how many records may come back to one stream: each is remembered for as long as the stream is there, in 32 bytes of the file
// and about as many of memory.
const MaxOrigins = 1 << 24

const (
	lineBytes    = 32
	maxFileBytes = 1 << 30

	lineMark    = 1 // the log is known up to a position
	lineRequest = 2
	lineOrigin  = 3
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Frames is a log as Open reads it.
type Frames interface {
	// Notes calls visit with the note of each put that has one, from the put with that position on, and where it ends.
	Notes(from record.Position, visit func(n *record.Note, last record.Position)) error
	// End is the position of the next record.
	End() record.Position
}

// Receipts is safe for concurrent use.
type Receipts struct {
	fs   vfs.FS
	path string
	log  Frames

	mu       sync.Mutex
	file     vfs.File // nil: not made yet, or not to be written any more
	at       int64    // where the next line goes
	broken   bool     // the file may lack lines: it is made anew before the next sync
	marked   record.Position
	requests map[record.RequestKey]record.Position // last position of the put
	order    []record.RequestKey                   // oldest first
	origins  map[[16]byte]struct{}                 // keys of what came back
	most     int                                   // of them
	flights  map[record.RequestKey]chan struct{}   // being taken; closed when that has ended
	inFlight int
	closed   bool
}

// Open reads what is known of a log. It makes no file.
func Open(fsys vfs.FS, path string, log Frames) (*Receipts, error) {
	r := &Receipts{fs: fsys, path: path, log: log, requests: map[record.RequestKey]record.Position{},
		origins: map[[16]byte]struct{}{}, most: MaxOrigins, flights: map[record.RequestKey]chan struct{}{}}
	there, err := fsys.Exists(path)
	if err != nil || !there {
		return r, err // no put ever had a note
	}
	b, err := vfs.ReadFile(fsys, path, maxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("receipts: %w", err)
	}
	r.load(b)
	r.broken = true // what a killed process wrote may be in memory only: the first change writes all of it anew
	return r, r.catchUp()
}

// load reads lines up to the first that is not whole.
func (r *Receipts) load(b []byte) {
	le := binary.LittleEndian
	for ; len(b) >= lineBytes; b = b[lineBytes:] {
		if crc32.Checksum(b[4:lineBytes], castagnoli) != le.Uint32(b) {
			return
		}
		pos := record.Position(le.Uint64(b[24:]))
		var name [16]byte
		copy(name[:], b[8:])
		switch b[4] {
		case lineMark:
			r.marked = max(r.marked, pos)
		case lineRequest:
			r.know(record.RequestKey(name), pos)
		case lineOrigin:
			r.origins[name] = struct{}{}
		}
	}
}

// catchUp reads what the log holds behind the last mark.
func (r *Receipts) catchUp() error {
	return r.log.Notes(r.marked+1, func(n *record.Note, last record.Position) {
		if n.Request != (record.RequestKey{}) {
			r.know(n.Request, last)
		}
		for _, o := range n.Origins {
			r.origins[o.Key()] = struct{}{}
		}
	})
}

func (r *Receipts) know(key record.RequestKey, last record.Position) {
	if _, known := r.requests[key]; !known {
		r.order = append(r.order, key)
	}
	r.requests[key] = last
	if len(r.order) > MaxRequests {
		delete(r.requests, r.order[0])
		r.order = r.order[1:]
	}
}

// Once calls take, unless the request was taken before; a repeat that comes while the first is being taken waits for it. take's error
// comes back: then the request is not taken. done ends the wait.
func (r *Receipts) Once(n *record.Note, done <-chan struct{}, take func() (last record.Position, err error)) (repeated bool, err error) {
	for {
		r.mu.Lock()
		if _, taken := r.requests[n.Request]; taken && n.Request != (record.RequestKey{}) {
			r.mu.Unlock()
			return true, nil
		}
		flight := r.flights[n.Request]
		if flight == nil || n.Request == (record.RequestKey{}) {
			break
		}
		r.mu.Unlock()
		select {
		case <-flight:
		case <-done:
			return false, errGone
		}
	}
	if r.closed {
		r.mu.Unlock()
		return false, record.ErrStopping
	}
	if err := r.prepare(); err != nil { // with mu held
		r.mu.Unlock()
		return false, err
	}
	flight := make(chan struct{})
	if n.Request != (record.RequestKey{}) {
		r.flights[n.Request] = flight
	}
	r.inFlight++
	r.mu.Unlock()
	last, err := take()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight--
	if r.flights[n.Request] == flight {
		delete(r.flights, n.Request)
	}
	close(flight)
	if err == nil {
		r.note(n, last)
	}
	return false, err
}

var errGone = errors.New("the request was given up while an earlier one like it was being taken")

// New gives the origins that were not taken yet, as indexes. It fails with record.ErrReplayFull when so many cannot be remembered.
func (r *Receipts) New(origins []record.Origin) (fresh []int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[[16]byte]bool{}
	for i, o := range origins {
		k := o.Key()
		if _, taken := r.origins[k]; !taken && !seen[k] {
			seen[k] = true
			fresh = append(fresh, i)
		}
	}
	if len(r.origins)+len(fresh) > r.most && len(fresh) > 0 {
		return nil, record.ErrReplayFull
	}
	return fresh, nil
}

// prepare makes the file before the first put with a note: where there is none, a start reads no notes.
func (r *Receipts) prepare() error {
	if r.file != nil && !r.broken {
		return nil
	}
	return r.rewrite()
}

// note adds what a put was to memory and, lazily, to the file.
func (r *Receipts) note(n *record.Note, last record.Position) {
	var lines []byte
	if n.Request != (record.RequestKey{}) {
		r.know(n.Request, last)
		lines = appendLine(lines, lineRequest, n.Request, last)
	}
	for _, o := range n.Origins {
		r.origins[o.Key()] = struct{}{}
		lines = appendLine(lines, lineOrigin, o.Key(), 0)
	}
	r.append(lines)
	if r.at > lineBytes*int64(4*len(r.order)+len(r.origins)+max(1024, len(r.origins)/4)) {
		_ = r.rewrite() // most of it is old; after an error the next Sync tries again
	}
}

func (r *Receipts) append(lines []byte) {
	if r.file == nil || r.broken {
		return
	}
	if _, err := r.file.WriteAt(lines, r.at); err != nil {
		r.broken = true
		return
	}
	r.at += int64(len(lines))
}

// Sync makes durable what is known of the log's records up to here: they may then be trimmed. It also marks how far the file knows the log.
func (r *Receipts) Sync() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.file == nil && len(r.order) == 0 && len(r.origins) == 0 {
		return nil
	}
	if r.file == nil || r.broken {
		return r.rewrite()
	}
	r.mark()
	if err := r.file.Sync(); err != nil {
		r.broken = true
		return r.rewrite()
	}
	return nil
}

// mark notes how far the file knows the log, unless a put is on its way whose lines are not written yet.
func (r *Receipts) mark() {
	if end := r.log.End(); r.inFlight == 0 && end > r.marked+1 {
		r.marked = end - 1
		r.append(appendLine(nil, lineMark, [16]byte{}, r.marked))
	}
}

// rewrite makes the file anew, durably, with what is still worth knowing.
func (r *Receipts) rewrite() error {
	if end := r.log.End(); r.inFlight == 0 && end > 1 {
		r.marked = max(r.marked, end-1)
	}
	var b bytes.Buffer
	b.Write(appendLine(nil, lineMark, [16]byte{}, r.marked))
	for k := range r.origins {
		b.Write(appendLine(nil, lineOrigin, k, 0))
	}
	for _, k := range r.order {
		b.Write(appendLine(nil, lineRequest, k, r.requests[k]))
	}
	if r.file != nil {
		_ = r.file.Close()
		r.file = nil
	}
	if err := vfs.WriteFileAtomic(r.fs, r.path, b.Bytes()); err != nil {
		return fmt.Errorf("receipts: %w", err)
	}
	f, err := r.fs.Open(r.path)
	if err != nil {
		return fmt.Errorf("receipts: %w", err)
	}
	r.file, r.at, r.broken = f, int64(b.Len()), false
	return nil
}

func appendLine(to []byte, kind byte, name [16]byte, pos record.Position) []byte {
	var b [lineBytes]byte
	le := binary.LittleEndian
	b[4] = kind
	copy(b[8:], name[:])
	le.PutUint64(b[24:], uint64(pos))
	le.PutUint32(b[0:], crc32.Checksum(b[4:], castagnoli))
	return append(to, b[:]...)
}

// Close closes the file. What was not synced is found in the log again.
func (r *Receipts) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

var _ io.Closer = (*Receipts)(nil)
