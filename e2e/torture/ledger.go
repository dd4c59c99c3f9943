package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
	"sync"
)

// What is known about a record that was sent.
const (
	unsent  byte = iota
	unknown      // sent, but the answer was lost or was a refusal: may be there once or not at all
	acked        // answered with success: must be there, once
)

// lane is what one producer sends to one life of a stream, in order of seq.
type lane struct {
	life     string // names a stream from its creation to its deletion
	producer int
}

// ledger remembers the outcome of every record. Safe for concurrent use.
type ledger struct {
	mu    sync.RWMutex
	dead  bool // a power cut has begun: answers that arrive now count for nothing
	lanes map[lane]*outcomes
}

// outcomes belongs to one producer until the producers have ended.
type outcomes struct{ state []byte }

func newLedger() *ledger { return &ledger{lanes: map[lane]*outcomes{}} }

func (l *ledger) lane(k lane) *outcomes {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lanes[k] == nil {
		l.lanes[k] = &outcomes{}
	}
	return l.lanes[k]
}

// cut says whether answers count from now on. When cut(true) has returned, no later answer is noted as acknowledged.
func (l *ledger) cut(dead bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dead = dead
}

// reserve gives out the next n numbers of a lane, noted as unknown before they are sent.
func (o *outcomes) reserve(n int) (first int) {
	first = len(o.state)
	for range n {
		o.state = append(o.state, unknown)
	}
	return first
}

// acknowledged notes a success; it returns false when a power cut came first.
func (l *ledger) acknowledged(o *outcomes, first, n int) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.dead {
		return false
	}
	for i := range n {
		o.state[first+i] = acked
	}
	return true
}

// encode makes the record's bytes: it delimits and checks itself, whatever stands around it in an object.
func encode(k lane, seq int, payload string) string {
	body := fmt.Sprintf("%s|%d|%d|%s", k.life, k.producer, seq, payload)
	return fmt.Sprintf("{%s|%08x}", body, crc32.ChecksumIEEE([]byte(body)))
}

func decode(rec []byte) (lane, int, error) {
	at := bytes.LastIndexByte(rec, '|')
	if at < 0 {
		return lane{}, 0, fmt.Errorf("no record: %.80q", rec)
	}
	body, sum := rec[:at], string(rec[at+1:])
	if fmt.Sprintf("%08x", crc32.ChecksumIEEE(body)) != sum {
		return lane{}, 0, fmt.Errorf("damaged record: %.80q", rec)
	}
	f := strings.SplitN(string(body), "|", 4)
	if len(f) != 4 {
		return lane{}, 0, fmt.Errorf("no record: %.80q", rec)
	}
	producer, err1 := strconv.Atoi(f[1])
	seq, err2 := strconv.Atoi(f[2])
	if err1 != nil || err2 != nil || seq < 0 {
		return lane{}, 0, fmt.Errorf("no record: %.80q", rec)
	}
	return lane{f[0], producer}, seq, nil
}

// tally is what came out, compared with what went in.
type tally struct {
	sent, acked, delivered int
	lost, duplicates       int
	disordered, foreign    int // acknowledged records out of order; bytes that are no record of ours
	examples               []string

	ledger *ledger
	seen   map[lane][]byte
	last   map[lane]int
	shown  map[string]bool // objects and lanes that have their example
}

func (l *ledger) tally() *tally {
	return &tally{ledger: l, seen: map[lane][]byte{}, last: map[lane]int{}, shown: map[string]bool{}}
}

// example keeps the first failure of each kind for each place, a few in all.
func (t *tally) example(kind, place, format string, args ...any) {
	if t.shown[kind+place] || len(t.examples) >= 40 {
		return
	}
	t.shown[kind+place] = true
	t.examples = append(t.examples, kind+": "+place+": "+fmt.Sprintf(format, args...))
}

// object counts the records of one object. Objects of one stream must come in listing order.
func (t *tally) object(key string, body []byte) {
	for len(body) > 0 {
		if body[0] == '\n' {
			body = body[1:]
			continue
		}
		end := bytes.IndexByte(body, '}')
		if body[0] != '{' || end < 0 {
			t.foreign++
			t.example("foreign", key, "no record at %.80q", body)
			return
		}
		t.record(key, body[1:end])
		body = body[end+1:]
	}
}

func (t *tally) record(key string, rec []byte) {
	k, seq, err := decode(rec)
	o := t.ledger.lanes[k]
	if err != nil || o == nil || seq >= len(o.state) {
		t.foreign++
		t.example("foreign", key, "unknown record %.80q: %v", rec, err)
		return
	}
	if t.seen[k] == nil {
		t.seen[k] = make([]byte, len(o.state))
	}
	t.delivered++
	if t.seen[k][seq]++; t.seen[k][seq] == 2 {
		t.duplicates++
		t.example("duplicate", key, "%v record %d is here again", k, seq)
	}
	if o.state[seq] != acked {
		return
	}
	if before, ok := t.last[k]; ok && seq < before {
		t.disordered++
		t.example("out of order", key, "%v record %d after %d", k, seq, before)
	}
	t.last[k] = seq
}

// finish counts what is missing. Producers have ended by then.
func (t *tally) finish() {
	for k, o := range t.ledger.lanes {
		for seq, state := range o.state {
			t.sent++
			if state != acked {
				continue
			}
			t.acked++
			if t.seen[k] == nil || t.seen[k][seq] == 0 {
				t.lost++
				t.example("lost", k.life, "producer %d record %d", k.producer, seq)
			}
		}
	}
}

func (t *tally) ok() bool {
	return t.acked > 0 && t.lost == 0 && t.duplicates == 0 && t.disordered == 0 && t.foreign == 0
}

func (t *tally) String() string {
	return fmt.Sprintf("sent %d, acknowledged %d, delivered %d, lost %d, duplicates %d, out of order %d, foreign %d",
		t.sent, t.acked, t.delivered, t.lost, t.duplicates, t.disordered, t.foreign)
}
