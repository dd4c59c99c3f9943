package hecfake

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// refusal is why a body is not taken: a reply code, and which of its events is to blame when one is.
type refusal struct {
	code  int
	event *int
}

// collect takes all events of a body, or none.
func (s *Server) collect(parse func(*Server, *http.Request, []byte) ([]Event, *refusal)) func(*http.Request, []byte) reply {
	return func(r *http.Request, body []byte) reply {
		guid := channelOf(r)
		if code := s.checkChannel(r, guid); code != 0 {
			return reply{code: code}
		}
		events, no := parse(s, r, body)
		if no != nil {
			return reply{code: no.code, event: no.event}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for i := range events {
			events[i].Channel = guid
		}
		s.events = append(s.events, events...)
		if !s.Acks {
			return reply{}
		}
		id := s.newAck(guid)
		return reply{ackID: &id}
	}
}

// checkChannel: raw data and acknowledgements need a channel, and a channel is a GUID.
func (s *Server) checkChannel(r *http.Request, guid string) int {
	switch {
	case guid == "" && (s.Acks || strings.HasSuffix(r.URL.Path, "/raw")):
		return 10
	case guid != "" && !isGUID(guid):
		return 11
	}
	return 0
}

func channelOf(r *http.Request) string {
	if h := r.Header.Get("X-Splunk-Request-Channel"); h != "" {
		return h
	}
	return r.URL.Query().Get("channel")
}

func isGUID(s string) bool {
	parts := strings.Split(s, "-")
	for _, p := range parts {
		if strings.Trim(p, "0123456789abcdefABCDEF") != "" {
			return false
		}
	}
	return len(parts) == 5 && len(s) == 36 && len(parts[0]) == 8 && len(parts[1]) == 4 && len(parts[2]) == 4 && len(parts[3]) == 4
}

// parseRaw makes an event of each line that is not blank.
func parseRaw(s *Server, r *http.Request, body []byte) ([]Event, *refusal) {
	q := r.URL.Query()
	if !s.mayWrite(q.Get("index")) {
		return nil, &refusal{code: 7}
	}
	var out []Event
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		out = append(out, Event{Raw: bytes.Clone(line), Host: q.Get("host"), Source: q.Get("source"), SourceType: q.Get("sourcetype"), Index: q.Get("index")})
	}
	if len(out) == 0 {
		return nil, &refusal{code: 5}
	}
	return out, nil
}

// object is an event as it is sent.
type object struct {
	Time       json.RawMessage `json:"time"`
	Event      json.RawMessage `json:"event"`
	Fields     json.RawMessage `json:"fields"`
	Host       string          `json:"host"`
	Source     string          `json:"source"`
	SourceType string          `json:"sourcetype"`
	Index      string          `json:"index"`
}

// parseEvents reads objects that stand back to back and checks each as it comes, as the collector does.
func parseEvents(s *Server, _ *http.Request, body []byte) ([]Event, *refusal) {
	var out []Event
	d := json.NewDecoder(bytes.NewReader(body))
	for d.More() {
		n := len(out)
		var raw json.RawMessage
		var o object
		if d.Decode(&raw) != nil || json.Unmarshal(raw, &o) != nil {
			return nil, &refusal{code: 6, event: &n}
		}
		if code := s.checkEvent(&o); code != 0 {
			if code == 7 {
				n++ // the collector counts from 1 in this one case
			}
			return nil, &refusal{code: code, event: &n}
		}
		out = append(out, Event{Raw: raw, Event: o.Event, Time: o.Time, Host: o.Host, Source: o.Source, SourceType: o.SourceType, Index: o.Index})
	}
	if len(out) == 0 {
		return nil, &refusal{code: 5}
	}
	return out, nil
}

func (s *Server) checkEvent(o *object) int {
	switch {
	case o.Event == nil && o.Fields == nil:
		return 12
	case o.Event != nil && blank(o.Event):
		return 13
	case o.Time != nil && !numeric(o.Time):
		return 15
	case !s.mayWrite(o.Index):
		return 7
	}
	return 0
}

// blank: null, a string of spaces, an object or an array without content.
func blank(v json.RawMessage) bool {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return strings.TrimSpace(text) == "" // null, too, leaves the string empty
	}
	compact := strings.Join(strings.Fields(string(v)), "")
	return compact == "{}" || compact == "[]"
}

// numeric: a number, or a string that holds one.
func numeric(v json.RawMessage) bool {
	_, err := strconv.ParseFloat(strings.Trim(string(v), `"`), 64)
	return err == nil
}

func (s *Server) mayWrite(index string) bool {
	return index == "" || len(s.Indexes) == 0 || slices.Contains(s.Indexes, index)
}
