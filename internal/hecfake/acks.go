package hecfake

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// AckMode is what becomes of acknowledgements from now on.
type AckMode int

// The modes.
const (
	AckAtOnce AckMode = iota // indexed after AckDelay
	AckHeld                  // of requests taken now: not before Acknowledge
	AckLost                  // of requests taken now: never
	AckDenied                // questions are answered that acknowledgement is disabled (14)
)

// channel counts what was sent over it. A status is gone once it was read as true.
type channel struct {
	next int64
	acks map[int64]*ack
}

type ack struct {
	mode AckMode
	at   time.Time // when it is indexed, for AckAtOnce
}

// Poll is one question for acknowledgements.
type Poll struct {
	Channel string
	IDs     []int64
}

// SetAcks sets what becomes of acknowledgements.
func (s *Server) SetAcks(m AckMode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = m
}

// Acknowledge says that everything held is indexed.
func (s *Server) Acknowledge() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.channels {
		for _, a := range c.acks {
			if a.mode == AckHeld {
				*a = ack{mode: AckAtOnce}
			}
		}
	}
}

// Polls are the questions so far, in order.
func (s *Server) Polls() []Poll {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Poll(nil), s.polls...)
}

// newAck is called under the lock.
func (s *Server) newAck(guid string) int64 {
	c := s.channels[guid]
	if c == nil {
		c = &channel{acks: map[int64]*ack{}}
		s.channels[guid] = c
	}
	id := c.next
	c.next++
	mode := s.acks
	if mode == AckDenied {
		mode = AckAtOnce
	}
	c.acks[id] = &ack{mode: mode, at: time.Now().Add(s.AckDelay)}
	return id
}

// query answers {"acks":[…]} for one channel.
func (s *Server) query(r *http.Request, body []byte) reply {
	guid := channelOf(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	var q struct {
		Acks []int64 `json:"acks"`
	}
	c := s.channels[guid]
	switch {
	case !s.Acks || s.acks == AckDenied:
		return reply{code: 14}
	case guid == "":
		return reply{code: 10}
	case json.Unmarshal(body, &q) != nil || len(q.Acks) == 0:
		return reply{code: 6}
	}
	s.polls = append(s.polls, Poll{guid, q.Acks})
	if c == nil {
		return reply{code: 11}
	}
	out := map[string]bool{}
	for _, id := range q.Acks {
		a := c.acks[id]
		done := a != nil && a.mode == AckAtOnce && !time.Now().Before(a.at)
		if done {
			delete(c.acks, id)
		}
		out[strconv.FormatInt(id, 10)] = done
	}
	return reply{acks: out}
}
