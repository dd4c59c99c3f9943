package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"hydrant/buffer/wal"
	"hydrant/config"
	"hydrant/delivery"
	"hydrant/record"
)

// Status is how a stream is, for people and metrics.
type Status struct {
	Name         string         `json:"name"`
	State        string         `json:"state"` // ACTIVE or DELETING
	Version      int            `json:"version"`
	Owner        string         `json:"owner"`
	BacklogBytes int64          `json:"backlog_bytes"`
	LogBytes     int64          `json:"log_bytes"`
	Trouble      string         `json:"trouble,omitempty"` // why puts are refused
	Readers      []ReaderStatus `json:"readers"`
}

// ReaderStatus is how one way of delivering the stream is.
type ReaderStatus struct {
	Role           record.Role    `json:"role"`
	BacklogRecords int64          `json:"backlog_records"`
	OldestSeconds  float64        `json:"oldest_undelivered_seconds"`
	Delivery       delivery.State `json:"delivery"`
	Staging        string         `json:"staging,omitempty"` // why processors get no further
}

func (s *stream) status() Status {
	m := s.snapshot()
	st := Status{Name: m.Name, State: m.Status, Version: m.Current, Owner: m.Owner, Readers: []ReaderStatus{}}
	s.openMu.Lock()
	log, readers, failure := s.log, s.readers, s.failure
	s.openMu.Unlock()
	if failure != nil {
		st.Trouble = failure.Error()
	}
	if log == nil {
		st.Readers = append(st.Readers, ReaderStatus{Role: record.RoleMain})
		return st
	}
	st.BacklogBytes, st.LogBytes = log.Backlog(), log.DiskBytes()
	if s.stage != nil {
		st.BacklogBytes, st.LogBytes = st.BacklogBytes+s.stage.log.Backlog(), st.LogBytes+s.stage.log.DiskBytes()
	}
	if err := log.Trouble(); err != nil {
		st.Trouble = err.Error()
	}
	if why := s.refusals.recent(s.env.now()); why != "" {
		st.Trouble = why
	}
	for _, r := range readers {
		switch {
		case r.staged:
			st.Readers = append(st.Readers, s.stage.status(log))
		case !r.isOver():
			st.Readers = append(st.Readers, r.status(s, log))
		}
	}
	return st
}

func (r *reader) status(s *stream, log *wal.Log) ReaderStatus {
	st := ReaderStatus{Role: r.role, Delivery: r.runner.State()}
	oldest := int64(0)
	for _, e := range r.journal.Pending() {
		if oldest == 0 || e.Batch.ArrivalMillis < oldest {
			oldest = e.Batch.ArrivalMillis
		}
	}
	end := log.Start()
	if closed := r.journal.Settled().Pos; r.source.Waits(closed) {
		end = log.End()
		if open := max(r.source.OldestMillis(), r.runner.OldestMillis()); oldest == 0 || open > 0 && open < oldest {
			oldest = open
		}
	}
	st.BacklogRecords = r.journal.Backlog(log.Start(), end)
	st.OldestSeconds = age(s.env.now(), oldest)
	return st
}

// status is that of the staged log's reader, with what is not staged yet.
func (st *stage) status(first *wal.Log) ReaderStatus {
	out := st.main.status(st.s, st.log)
	if upto, _ := st.runner.Upto(); first.Has(upto) { // else what is between is no record
		out.BacklogRecords += int64(first.End() - upto)
	}
	out.OldestSeconds = max(out.OldestSeconds, age(st.s.env.now(), st.runner.OldestMillis()))
	out.Staging = st.runner.Trouble()
	return out
}

// Statuses is the state of all streams.
func (d *Daemon) Statuses() []Status {
	names, _, _ := d.List(context.Background(), "", 1<<30)
	out := make([]Status, 0, len(names))
	for _, n := range names {
		if s := d.stream(n); s != nil {
			out = append(out, s.status())
		}
	}
	return out
}

// Words says how a stream is, in one line.
func (s Status) Words(now time.Time) string {
	words := []string{s.State}
	if s.Trouble != "" {
		words = append(words, "refusing puts: "+clip(s.Trouble))
	}
	for _, r := range s.Readers {
		if r.Staging != "" {
			words = append(words, "processors get no further: "+clip(r.Staging))
		}
		if r.Delivery.Retrying {
			what := string(r.Role)
			if r.Delivery.Partition != "" {
				what += " (partition " + clip(r.Delivery.Partition) + ")"
			}
			words = append(words, fmt.Sprintf("retrying %s: %s, attempt %d, next in %s: %s", what, r.Delivery.Code, r.Delivery.Attempt,
				max(0, r.Delivery.NextAttempt.Sub(now)).Round(time.Second), clip(r.Delivery.Error)))
		}
	}
	if s.BacklogBytes > 0 {
		words = append(words, config.Bytes(s.BacklogBytes).About()+" wait for delivery")
	}
	return strings.Join(words, "; ")
}

// clip shortens an error for one line.
func clip(s string) string {
	const limit = 300
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}

// refusals remembers that puts were answered 503, so that somebody is told: metrics each time, the log and the state now and then.
type refusals struct {
	mu     sync.Mutex
	why    string
	at     time.Time
	logged time.Time
}

// refusalEvery is how long a refusal shows in the state, and how often it is logged at most.
const refusalEvery = 10 * time.Second

// note counts a refusal and returns the error as it is.
func (r *refusals) note(s *stream, err error) error {
	var u *record.Unavailable
	if !errors.As(err, &u) {
		return err
	}
	s.env.metrics.refused.WithLabelValues(s.name).Inc()
	now := s.env.now()
	r.mu.Lock()
	r.why, r.at = u.Reason, now
	tell := now.Sub(r.logged) >= refusalEvery
	if tell {
		r.logged = now
	}
	r.mu.Unlock()
	if tell {
		s.env.logger.Warn("puts are refused", "stream", s.name, "err", u.Reason)
	}
	return err
}

// recent is why puts were refused a moment ago, "" when none was.
func (r *refusals) recent(now time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.why == "" || now.Sub(r.at) > refusalEvery {
		return ""
	}
	return r.why
}
