package wal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand"
	"sync"
	"time"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// history is what the outside world knows of a log: what it sent, what was answered, and what a reader ever saw.
type history struct {
	mu     sync.Mutex
	puts   []*sentPut
	cursor record.Position // durable elsewhere: what was delivered and trimmed
	offset int64
	noted  record.Position           // the highest position that the outside ever noted
	ids    map[record.ID]uint64      // content of every identity that was ever given out or seen
	epochs map[record.Epoch]struct{} // of all openings
}

// sentPut is one put. Its records name it.
type sentPut struct {
	records [][]byte
	first   record.ID // when it was acknowledged
	acked   bool
	seen    bool // a reader saw it: it may never go away again
}

func newHistory() *history {
	return &history{cursor: 1, ids: map[record.ID]uint64{}, epochs: map[record.Epoch]struct{}{}}
}

// clone is for a world that branches off here.
func (h *history) clone() *history {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := newHistory()
	c.cursor, c.offset, c.noted = h.cursor, h.offset, h.noted
	for _, p := range h.puts {
		q := *p
		c.puts = append(c.puts, &q)
	}
	for k, v := range h.ids {
		c.ids[k] = v
	}
	for k := range h.epochs {
		c.epochs[k] = struct{}{}
	}
	return c
}

// filler is what records are cut from, each at its own place.
var filler = func() []byte {
	b := make([]byte, 6<<20)
	rng := rand.New(rand.NewSource(1))
	_, _ = rng.Read(b)
	return b
}()

// content of the i-th record of put n. A record of less than 12 bytes could not be named and is made longer.
func content(n, i, size int) []byte {
	b := make([]byte, max(size, 12))
	copy(b, filler[(n*4099+i*131)%(1<<20):])
	copy(b, fmt.Sprintf("%06d.%05d", n, i))
	return b
}

var digestSeed = maphash.MakeSeed()

// plan registers a put of random shape and returns it with its number.
func (h *history) plan(rng *rand.Rand, large bool) (int, *record.Put) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.puts)
	p := &sentPut{}
	h.puts = append(h.puts, p)
	count := 1
	if rng.Intn(3) == 0 {
		count += rng.Intn(20)
	}
	put := record.NewPut()
	for i := range count {
		b := content(n, i, randomSize(rng, large && i == 0))
		if i > 0 && rng.Intn(10) == 0 {
			b = nil // an empty record
		}
		p.records = append(p.records, b)
		put.Add(b)
	}
	return n, put
}

func randomSize(rng *rand.Rand, large bool) int {
	switch k := rng.Intn(40); {
	case large && k == 0:
		return rng.Intn(5 << 20)
	case large && k < 6:
		return rng.Intn(200 << 10)
	case k < 3:
		return rng.Intn(10 << 10)
	}
	return rng.Intn(300)
}

// send appends a put and notes the answer. It returns an error only for an answer that is not allowed.
func (h *history) send(l *Log, rng *rand.Rand, large bool) (ok bool, err error) {
	n, put := h.plan(rng, large)
	id, err := l.Append(context.Background(), put)
	put.Release()
	var un *record.Unavailable
	if errors.As(err, &un) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("put %d was answered %w", n, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.puts[n]
	p.acked, p.first = true, id
	for k, b := range p.records {
		if err := h.name(record.ID{Epoch: id.Epoch, Pos: id.Pos + record.Position(k)}, b); err != nil {
			return true, err
		}
	}
	return true, nil
}

// name notes that an identity means this content; it must never mean another.
func (h *history) name(id record.ID, b []byte) error {
	d := maphash.Bytes(digestSeed, b)
	if was, ok := h.ids[id]; ok && was != d {
		return fmt.Errorf("%v names two different records", id)
	}
	h.ids[id] = d
	return nil
}

// opened notes the epoch of an opening.
func (h *history) opened(l *Log) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.epochs[l.epoch]; ok {
		return fmt.Errorf("epoch %v was used before", l.epoch)
	}
	h.epochs[l.epoch] = struct{}{}
	return nil
}

// check reads all of a log and compares. What it sees it notes: that may never go away.
func (h *history) check(l *Log) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	rd := l.NewReader(0)
	defer rd.Close()
	seen := map[int]bool{}
	last, arrival := record.Position(0), int64(0)
	for {
		f, err := rd.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if f.First().Pos <= last || f.ArrivalMillis() < arrival {
			return fmt.Errorf("frame at position %d, arrival %d comes behind %d, %d", f.First().Pos, f.ArrivalMillis(), last, arrival)
		}
		last, arrival = f.Last(), f.ArrivalMillis()
		n, err := h.frame(f)
		if err != nil {
			return err
		}
		if seen[n] {
			return fmt.Errorf("put %d is there twice", n)
		}
		seen[n] = true
	}
	return h.allThere(seen)
}

// frame compares one frame with the put that it holds.
func (h *history) frame(f *Frame) (int, error) {
	n, k := -1, 0
	err := f.Records(0, noPosition, func(r record.Record) error {
		if k == 0 {
			if _, err := fmt.Sscanf(string(r.Data[:min(6, len(r.Data))]), "%06d", &n); err != nil || n >= len(h.puts) {
				return fmt.Errorf("position %d holds nothing that was sent: %.20q", r.Pos, r.Data)
			}
			if p := h.puts[n]; p.acked && p.first != r.ID {
				return fmt.Errorf("put %d was acknowledged as %v and is %v", n, p.first, r.ID)
			}
		}
		p := h.puts[n]
		if k >= len(p.records) || !bytes.Equal(p.records[k], r.Data) {
			return fmt.Errorf("record %d of put %d is not what was sent", k, n)
		}
		k++
		return h.name(r.ID, r.Data)
	})
	if err != nil {
		return n, err
	}
	if n < 0 || k != len(h.puts[n].records) || f.Last() != f.First().Pos+record.Position(k)-1 {
		return n, fmt.Errorf("%d records of put %d are there", k, n)
	}
	if p := h.puts[n]; !p.seen {
		p.seen, p.first = true, f.First()
	}
	h.noted = max(h.noted, f.Last())
	return n, nil
}

func (h *history) allThere(seen map[int]bool) error {
	for n, p := range h.puts {
		if (p.acked || p.seen) && !seen[n] && p.first.Pos >= h.cursor {
			return fmt.Errorf("put %d (position %d, acknowledged %v, seen %v) is lost; cursor %d", n, p.first.Pos, p.acked, p.seen, h.cursor)
		}
	}
	return nil
}

// trim delivers some frames from the cursor on and trims behind them.
func (h *history) trim(l *Log, frames int) error {
	rd := l.NewReader(h.cursor)
	defer rd.Close()
	for range frames {
		f, err := rd.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		h.mu.Lock()
		_, err = h.frame(f)
		h.cursor, h.offset = f.Last()+1, f.EndOffset()
		h.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return l.Trim(h.cursor, h.offset)
}

// modelClock is a wall clock that a test moves.
type modelClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *modelClock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *modelClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// open opens a disk the way the daemon does.
func (h *history) open(fs vfs.FS, clock *modelClock, change ...func(*Options)) (*rig, error) {
	r, err := tryRig(fs, h.noted, append(change, func(o *Options) {
		o.Now, o.Cursor = clock.read, h.cursor
		o.SyncLinger = time.Nanosecond
	})...)
	if err != nil {
		return nil, err
	}
	if err := r.log.Trim(h.cursor, h.offset); err != nil {
		return r, err
	}
	return r, h.opened(r.log)
}
