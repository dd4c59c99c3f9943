// Package demo makes sample web events and checks that each of them arrived exactly once. It knows nothing of
// streams or of how events travel.
package demo

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"time"
)

// Event is one visit of a page. Run and Seq identify it.
type Event struct {
	Time    time.Time `json:"time"`
	Run     string    `json:"run"`
	Seq     int       `json:"seq"`
	User    string    `json:"user"`
	Method  string    `json:"method"`
	Path    string    `json:"path"`
	Status  int       `json:"status"`
	Millis  float64   `json:"ms"`
	Bytes   int       `json:"bytes"`
	Country string    `json:"country"`
}

// Source makes the events of one run, numbered from 1. Not for concurrent use.
type Source struct {
	run string
	seq int
	rng *mathrand.Rand
}

// NewSource starts a run with a name of its own.
func NewSource() *Source {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return &Source{run: hex.EncodeToString(b[:]), rng: mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64()))}
}

// Run is the run's name.
func (s *Source) Run() string { return s.run }

// Sent is how many events were made.
func (s *Source) Sent() int { return s.seq }

// Lines makes n events, each a JSON object without a line feed.
func (s *Source) Lines(n int, now time.Time) ([][]byte, error) {
	lines := make([][]byte, n)
	for i := range lines {
		b, err := json.Marshal(s.event(now))
		if err != nil {
			return nil, err
		}
		lines[i] = b
	}
	return lines, nil
}

func (s *Source) event(now time.Time) Event {
	s.seq++
	e := Event{
		Time: now.UTC().Truncate(time.Millisecond), Run: s.run, Seq: s.seq,
		User:    fmt.Sprintf("u%04d", s.rng.IntN(2000)),
		Method:  pick(s.rng, "GET", "GET", "GET", "POST"),
		Path:    pick(s.rng, "/", "/search", "/cart", "/checkout", "/products/17", "/products/4711", "/help/returns"),
		Status:  pick(s.rng, 200, 200, 200, 200, 200, 301, 404, 500),
		Millis:  float64(s.rng.IntN(90_000)+500) / 1000,
		Country: pick(s.rng, "DE", "FR", "JP", "US", "BR", "IN"),
	}
	e.Bytes = 200 + s.rng.IntN(20_000)
	return e
}

func pick[T any](rng *mathrand.Rand, all ...T) T { return all[rng.IntN(len(all))] }
