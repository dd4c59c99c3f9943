package daemon

import (
	"hydrant/buffer/wal"
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
	if err := log.Trouble(); err != nil {
		st.Trouble = err.Error()
	}
	for _, r := range readers {
		st.Readers = append(st.Readers, r.status(s, log))
	}
	return st
}

func (r *reader) status(s *stream, log *wal.Log) ReaderStatus {
	st := ReaderStatus{Role: r.role, Delivery: r.runner.State()}
	oldest := int64(0)
	for _, e := range r.journal.Pending() {
		st.BacklogRecords += int64(e.Batch.Count)
		if oldest == 0 || e.Batch.ArrivalMillis < oldest {
			oldest = e.Batch.ArrivalMillis
		}
	}
	if closed := r.journal.Closed().Pos; r.source.Waits(closed) {
		st.BacklogRecords += int64(log.End() - max(closed, log.Start()))
		if open := r.source.OldestMillis(); oldest == 0 {
			oldest = open
		}
	}
	st.OldestSeconds = age(s.env.now(), oldest)
	return st
}
