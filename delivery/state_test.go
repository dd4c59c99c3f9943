package delivery

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"hydrant/delivery/journal"
	"hydrant/record"
)

func stateEntry(n uint64, pos record.Position) journal.Entry {
	return journal.Entry{N: n, Key: "k", Batch: record.Batch{First: record.ID{Pos: pos}, Count: 3}}
}

// TestStateShowsTheOldestThatFails, whatever the others do.
func TestStateShowsTheOldestThatFails(t *testing.T) {
	var b stateBoard
	old, young := stateEntry(9, 1), stateEntry(2, 50)
	steps := []struct {
		what     string
		do       func()
		inFlight int
		code     string // "" when nothing fails
	}{
		{"nothing yet", func() {}, 0, ""},
		{"two attempts", func() { b.attempt(old); b.attempt(young) }, 2, ""},
		{"the young one fails", func() { b.retrying(young, record.Outcome{Code: "S3.Young"}, 1, time.Second) }, 2, "S3.Young"},
		{"the old one, too", func() { b.retrying(old, record.Outcome{Code: "S3.Old"}, 7, time.Second) }, 2, "S3.Old"},
		{"the young one is delivered", func() { b.delivered(young, nil, time.Now()); b.forget(young.N) }, 1, "S3.Old"},
		{"the old one is tried again", func() { b.attempt(old) }, 1, "S3.Old"},
		{"a batch cannot be journaled", func() { b.trouble(0, errors.New("full")) }, 1, "Hydrant.Journal"},
		{"it can", func() { b.forget(0) }, 1, "S3.Old"},
		{"the old one is delivered", func() { b.delivered(old, nil, time.Now()) }, 0, ""},
	}
	for _, s := range steps {
		s.do()
		if got := b.state(); got.InFlight != s.inFlight || got.Code != s.code || got.Retrying != (s.code != "") {
			t.Errorf("%s: %+v", s.what, got)
		}
	}
	if s := b.state(); s.LastKey != "k" || s.LastRecords != 3 || s.Attempt != 0 {
		t.Errorf("%+v", s)
	}
}

func TestStateAsJSON(t *testing.T) {
	b, err := json.Marshal(State{InFlight: 1, LastKey: "k"})
	if want := `{"in_flight":1,"retrying":false,"last_key":"k"}`; err != nil || string(b) != want {
		t.Errorf("%s, %v; want %s", b, err, want)
	}
}
