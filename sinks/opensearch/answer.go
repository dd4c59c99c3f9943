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

// filterIDs asks for documents' ids, too.
const filterIDs = filter + ",items.*._id"

// answerItem is what a bulk answer says of one item.
type answerItem struct {
	status int
	cause  []byte // JSON; nil where there is none
	id     []byte // of the document, as it stands between quotes; nil where there is none
}

// answerScanner walks a bulk answer.
type answerScanner struct {
	scanner
	each         func(i int, item answerItem)
	errors, list bool // were met
	items        int
}

// readAnswer walks a bulk answer and hands over its items in order. It returns how many there are. ok: all of it has the shape of an
// answer; without that, nothing that was handed over means anything.
func readAnswer(b []byte, each func(i int, item answerItem)) (items int, ok bool) {
	s := &answerScanner{scanner: scanner{b: b}, each: each}
	for first := true; ; first = false {
		more, ok := s.next('{', '}', first)
		if !ok {
			return 0, false
		}
		if !more {
			s.space()
			return s.items, s.errors && s.list && s.i == len(b)
		}
		if !s.top() {
			return 0, false
		}
	}
}

// top steps over a member of the answer itself.
func (s *answerScanner) top() bool {
	key, ok := s.key()
	switch {
	case !ok:
		return false
	case string(key) == "errors" && !s.errors:
		s.errors = true
		v, ok := s.value(1)
		return ok && (string(v) == "true" || string(v) == "false")
	case string(key) == "items" && !s.list:
		s.list = true
		return s.walk()
	case string(key) == "errors" || string(key) == "items":
		return false // twice
	}
	_, ok = s.value(1)
	return ok
}

// walk steps over the list of items.
func (s *answerScanner) walk() bool {
	for ; ; s.items++ {
		more, ok := s.next('[', ']', s.items == 0)
		if !more || !ok {
			return ok
		}
		s.space()
		item := answerItem{status: 201}
		if bytes.HasPrefix(s.b[s.i:], []byte(taken)) {
			s.i += len(taken)
		} else if item, ok = s.item(); !ok {
			return false
		}
		s.each(s.items, item)
	}
}

// item steps over one item: an object whose only member is named like the action.
func (s *answerScanner) item() (item answerItem, ok bool) {
	if more, ok := s.next('{', '}', true); !more || !ok {
		return item, false
	}
	if _, ok := s.key(); !ok {
		return item, false
	}
	for first := true; ; first = false {
		more, ok := s.next('{', '}', first)
		if !ok {
			return item, false
		}
		if !more {
			break
		}
		if !s.member(&item) {
			return item, false
		}
	}
	return item, item.status != 0 && s.take('}')
}

// member reads what matters of an item.
func (s *answerScanner) member(item *answerItem) bool {
	key, ok := s.key()
	if !ok {
		return false
	}
	v, ok := s.value(4)
	switch string(key) {
	case "status":
		item.status = status(v)
		return ok && item.status != 0
	case "_id":
		if len(v) > 2 && v[0] == '"' {
			item.id = v[1 : len(v)-1]
		}
	case "error":
		item.cause = v
		if string(v) == "null" {
			item.cause = nil
		}
	}
	return ok
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
