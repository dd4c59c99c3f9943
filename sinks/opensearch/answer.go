package opensearch

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// taken is how an item that was taken stands in an answer that is cut down to what we read.
const taken = `{"create":{"status":201}}`

// filter asks for that: of the many fields of a bulk answer only these are made, sent and read.
const filter = "errors,items.*.status,items.*.error,error,status"

// answerItem is what a bulk answer says of one item.
type answerItem struct {
	status int
	cause  []byte // JSON; nil where there is none
}

// readAnswer walks a bulk answer and hands over its items in order. It returns how many there are. ok: all of it has the shape of an
// answer; without that, nothing that was handed over means anything.
func readAnswer(b []byte, each func(i int, item answerItem)) (items int, ok bool) {
	s := &scanner{b: b}
	errors, list := false, false
	ok = s.members(func(s *scanner, key []byte) (bool, bool) {
		switch {
		case string(key) == "errors" && !errors:
			errors = true
			v, ok := s.value(1)
			return true, ok && (string(v) == "true" || string(v) == "false")
		case string(key) == "items" && !list:
			list = true
			var ok bool
			items, ok = s.items(each)
			return true, ok
		}
		return false, string(key) != "errors" && string(key) != "items"
	}, 0)
	s.space()
	return items, ok && errors && list && s.i == len(b)
}

// items steps over the list of items.
func (s *scanner) items(each func(i int, item answerItem)) (n int, ok bool) {
	if !s.take('[') {
		return 0, false
	}
	if s.take(']') {
		return 0, true
	}
	for ; ; n++ {
		s.space()
		item := answerItem{status: 201}
		if bytes.HasPrefix(s.b[s.i:], []byte(taken)) {
			s.i += len(taken)
		} else if item, ok = s.item(); !ok {
			return n, false
		}
		each(n, item)
		if s.take(']') {
			return n + 1, true
		}
		if !s.take(',') {
			return n, false
		}
	}
}

// item steps over one item: an object whose only member is named like the action.
func (s *scanner) item() (item answerItem, ok bool) {
	actions := 0
	ok = s.members(func(s *scanner, _ []byte) (bool, bool) {
		actions++
		return true, s.members(item.member, 3)
	}, 2)
	return item, ok && actions == 1 && item.status != 0
}

// member reads what matters of an item.
func (i *answerItem) member(s *scanner, key []byte) (taken, ok bool) {
	switch string(key) {
	case "status":
		v, ok := s.value(4)
		i.status = status(v)
		return true, ok && i.status != 0
	case "error":
		v, ok := s.value(4)
		i.cause = v
		if string(v) == "null" {
			i.cause = nil
		}
		return true, ok
	}
	return false, true
}

// status reads three digits, 0 when there is something else.
func status(v []byte) int {
	if len(v) != 3 {
		return 0
	}
	n := 0
	for _, c := range v {
		if c < '0' || c > '9' {
			return 0
		}
		n = 10*n + int(c-'0')
	}
	if n < 100 {
		return 0
	}
	return n
}

// cause is why a document, or a request, was refused. Its type is one of a documented set of names; its reason is for people, and
// may quote the document.
type cause struct {
	Type   string `json:"type"`
	Reason string `json:"reason"`
}

// readCause reads both forms: the usual object, and the bare text of old servers and of proxies.
func readCause(raw []byte) cause {
	var c cause
	if len(raw) > 0 && raw[0] == '"' {
		_ = json.Unmarshal(raw, &c.Reason) // what cannot be read says nothing
		return c
	}
	_ = json.Unmarshal(raw, &c)
	return c
}

// readRefusal reads the answer to a request that was refused as a whole.
func readRefusal(body []byte) cause {
	var r struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &r) != nil {
		return cause{}
	}
	return readCause(r.Error)
}

// clip cuts a text to at most n bytes, between two characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
