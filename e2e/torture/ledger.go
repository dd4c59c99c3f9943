package main

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
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
type outcomes struct {
	state []byte
	some  atomic.Bool // acknowledged; anybody may ask
}

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
	o.some.Store(true)
	return true
}

// begun says whether anything of a life has been acknowledged.
func (l *ledger) begun(life string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for k, o := range l.lanes {
		if k.life == life && o.some.Load() {
			return true
		}
	}
	return false
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
	disordered, foreign    int            // acknowledged records out of order; bytes that are no record of ours
	misplaced              int            // records that belong to another folder
	unreadable             int            // files that cannot be read, alone or together with those beside them
	misnamed               int            // objects whose identity does not say what they hold, or is that of another one
	aside                  map[string]int // records by error type
	moved                  int            // objects by the query of an older version
	examples               []string

	ledger *ledger
	seen   map[lane][]byte
	last   map[scope]int
	types  map[string]string // of a table's columns
	owners map[string]string // identity to key
	shown  map[string]bool   // objects and lanes that have their example

	judged   string // the object whose partition is being judged
	movedNow bool   // it has moved
}

// scope is where a lane's records must come in their order.
type scope struct {
	order string
	lane  lane
}

func (l *ledger) tally() *tally {
	return &tally{ledger: l, aside: map[string]int{}, seen: map[lane][]byte{}, last: map[scope]int{}, types: map[string]string{},
		owners: map[string]string{}, shown: map[string]bool{}}
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
func (t *tally) object(o object) {
	p, before, readable := placeOf(o.key), t.delivered+t.foreign, true
	var records int
	switch {
	case p.errorType != "":
		records = t.errorRecords(p, o.body)
	case recipeOf(p.stream) == 0:
		t.stretch(p, o.body)
		records = t.delivered + t.foreign - before
	case recipeOf(p.stream) == lines:
		for line := range bytes.Lines(o.body) {
			t.text(p, line)
			records++
		}
	default:
		records, readable = t.table(p, o.body)
	}
	if readable {
		t.identified(o, p, records)
	}
}

// stretch takes plain records that stand one behind the other.
func (t *tally) stretch(p place, body []byte) {
	for len(body) > 0 {
		if body[0] == '\n' {
			body = body[1:]
			continue
		}
		end := bytes.IndexByte(body, '}')
		if body[0] != '{' || end < 0 {
			t.foreign++
			t.example("foreign", p.key, "no record at %.80q", body)
			return
		}
		t.plain(p, body[:end+1])
		body = body[end+1:]
	}
}

// plain takes one record of a stream without a recipe.
func (t *tally) plain(p place, rec []byte) {
	rec = bytes.TrimRight(rec, "\n")
	k, seq, err := decode(rec[min(1, len(rec)):max(1, len(rec)-1)])
	if err != nil {
		t.foreign++
		t.example("foreign", p.key, "%v", err)
		return
	}
	t.one(p, k, seq)
}

// one counts a record of ours.
func (t *tally) one(p place, k lane, seq int) {
	o := t.ledger.lanes[k]
	if o == nil || seq >= len(o.state) {
		t.foreign++
		t.example("foreign", p.key, "nobody sent %v record %d", k, seq)
		return
	}
	if t.seen[k] == nil {
		t.seen[k] = make([]byte, len(o.state))
	}
	t.delivered++
	if t.seen[k][seq]++; t.seen[k][seq] == 2 {
		t.duplicates++
		t.example("duplicate", p.key, "%v record %d is here again", k, seq)
	}
	if o.state[seq] != acked {
		return
	}
	s := scope{p.order(), k}
	if before, ok := t.last[s]; ok && seq < before {
		t.disordered++
		t.example("out of order", p.key, "%v record %d after %d", k, seq, before)
	}
	t.last[s] = seq
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
	return t.acked > 0 && t.lost+t.duplicates+t.disordered+t.foreign+t.misplaced+t.unreadable+t.misnamed == 0
}

func (t *tally) String() string {
	var set []string
	for _, e := range slices.Sorted(maps.Keys(t.aside)) {
		set = append(set, fmt.Sprintf("%d %s", t.aside[e], e))
	}
	return fmt.Sprintf("sent %d, acknowledged %d, delivered %d (set aside: %s), lost %d, duplicates %d, out of order %d, foreign %d, misplaced %d, "+
		"unreadable %d, misnamed %d; %d objects moved to a newer version", t.sent, t.acked, t.delivered, cmp.Or(strings.Join(set, ", "), "none"), t.lost, t.duplicates, t.disordered,
		t.foreign, t.misplaced, t.unreadable, t.misnamed, t.moved)
}
