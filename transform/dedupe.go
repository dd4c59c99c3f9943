package transform

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"time"

	"github.com/itchyny/gojq"

	"hydrant/config"
	"hydrant/record"
)

const codeDedupe = "Dedupe.EvaluationFailed"

// dedupe drops records whose key was seen within a window, by arrival: since the one that was kept, so that a key that keeps coming is let
// through once a window. It remembers 128 bits of a hash of each key.
type dedupe struct {
	scan    scanner
	query   *query // nil: the whole record is the key
	window  int64  // ms
	most    int
	missing string

	known map[dedupeKey]struct{}
	queue []sighting // oldest first, from head on
	head  int
}

type dedupeKey [16]byte

type sighting struct {
	key    dedupeKey
	millis int64
}

const sightingBytes = len(dedupeKey{}) + 8

func newDedupe(c *config.Dedupe) (stateful, error) {
	s := &dedupe{window: time.Duration(c.Window).Milliseconds(), most: c.MaxKeys, missing: c.Missing, known: map[dedupeKey]struct{}{}}
	if c.Key == "" {
		return s, nil
	}
	var err error
	s.query, err = compile(c.Key)
	return s, err
}

func (s *dedupe) decide(p part, arrivalMillis int64, out *output, delta []byte) []byte {
	key, has, err := s.key(p.data)
	if err == nil && !has && s.missing == config.OnErrorFail {
		err = errNoKey
	}
	switch {
	case err != nil:
		out.fail(p, failed(record.ProcessingFailed, codeDedupe, "dedupe: %v", err))
		return delta
	case !has:
		if s.missing == config.OnErrorKeep {
			out.add(p)
		}
		return delta
	}
	if s.saw(key, arrivalMillis) {
		return delta
	}
	out.add(p)
	delta = append(delta, key[:]...)
	return binary.LittleEndian.AppendUint64(delta, uint64(arrivalMillis))
}

var errNoKey = errors.New("the record has no key")

// key is the hash of a record's key; has is false where that is missing or null.
func (s *dedupe) key(data []byte) (k dedupeKey, has bool, err error) {
	if s.query != nil {
		v, why := decodeRecord(&s.scan, data)
		if why != "" {
			return k, false, errors.New(why)
		}
		x, err := s.query.run(v)
		if err != nil || x == nil {
			return k, false, err
		}
		if data, err = gojq.Marshal(x); err != nil {
			return k, false, err
		}
	} else {
		data = bytes.TrimSuffix(data, []byte("\n"))
	}
	sum := sha256.Sum256(data)
	copy(k[:], sum[:])
	return k, true, nil
}

// saw says whether a key was seen within the window; if not, it is now.
func (s *dedupe) saw(key dedupeKey, millis int64) bool {
	for s.head < len(s.queue) && s.queue[s.head].millis+s.window <= millis {
		s.forget()
	}
	if _, seen := s.known[key]; seen {
		return true
	}
	if len(s.known) >= s.most {
		s.forget()
	}
	s.known[key] = struct{}{}
	s.queue = append(s.queue, sighting{key, millis})
	return false
}

// forget lets the oldest key go.
func (s *dedupe) forget() {
	delete(s.known, s.queue[s.head].key)
	s.head++
	if s.head > 1024 && s.head > len(s.queue)/2 {
		s.queue = append([]sighting(nil), s.queue[s.head:]...)
		s.head = 0
	}
}

// tick implements stateful: nothing waits for time.
func (s *dedupe) tick(_ int64, _ *output, delta []byte) []byte { return delta }

func (s *dedupe) next() int64 { return 0 }

func (s *dedupe) apply(delta []byte) error {
	for ; len(delta) >= sightingBytes; delta = delta[sightingBytes:] {
		if s.saw(dedupeKey(delta[:16]), int64(binary.LittleEndian.Uint64(delta[16:]))) {
			return errDelta
		}
	}
	if len(delta) > 0 {
		return errDelta
	}
	return nil
}

const dedupeVersion = 1

func (s *dedupe) snapshot(to []byte) []byte {
	to = append(to, dedupeVersion)
	for _, x := range s.queue[s.head:] {
		to = append(to, x.key[:]...)
		to = binary.LittleEndian.AppendUint64(to, uint64(x.millis))
	}
	return to
}

func (s *dedupe) restore(b []byte) error {
	if len(b) == 0 || b[0] != dedupeVersion || (len(b)-1)%sightingBytes != 0 {
		return errDelta
	}
	n := (len(b) - 1) / sightingBytes
	s.known, s.queue, s.head = make(map[dedupeKey]struct{}, n), make([]sighting, 0, n), 0
	for b = b[1:]; len(b) > 0; b = b[sightingBytes:] {
		x := sighting{dedupeKey(b[:16]), int64(binary.LittleEndian.Uint64(b[16:]))}
		s.known[x.key] = struct{}{}
		s.queue = append(s.queue, x)
	}
	if len(s.known) != len(s.queue) {
		return errDelta
	}
	return nil
}
