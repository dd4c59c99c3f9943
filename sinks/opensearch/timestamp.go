package opensearch

import (
	"bytes"
	"encoding/json"
	"time"
)

// timestamp adds a top-level field to objects without it. The zero value adds nothing.
type timestamp struct {
	name  string // as it is
	field string // as it stands in JSON, with its quotes and its colon; "" adds nothing
}

func newTimestamp(name string) timestamp {
	if name == "" {
		return timestamp{}
	}
	return timestamp{name: name, field: `"` + inside(name) + `":`}
}

// insertAt is where the field belongs in a document: behind its opening brace. lone: the object has no other member. ok is false for what
// has the field, is no object, or cannot be read.
func (t *timestamp) insertAt(doc []byte) (at int, lone, ok bool) {
	s := scanner{b: doc}
	s.space()
	at = s.i + 1
	for lone = true; ; lone = false {
		more, ok := s.next('{', '}', lone)
		if !more || !ok {
			s.space()
			return at, lone, ok && s.i == len(doc)
		}
		key, ok := s.key()
		if !ok || t.is(key) {
			return 0, false, false
		}
		if _, ok := s.value(1); !ok {
			return 0, false, false
		}
	}
}

// is compares a name as it stands in a document, where any character may be written as an escape.
func (t *timestamp) is(key []byte) bool {
	if bytes.IndexByte(key, '\\') < 0 {
		return string(key) == t.name
	}
	quoted := append(append([]byte{'"'}, key...), '"')
	var name string
	return json.Unmarshal(quoted, &name) == nil && name == t.name
}

// appendDocument writes a document of one line, with the field where it belongs.
func (t *timestamp) appendDocument(dst, doc []byte, arrivalMillis int64) []byte {
	if t.field == "" {
		return append(dst, doc...)
	}
	at, lone, ok := t.insertAt(doc)
	if !ok {
		return append(dst, doc...)
	}
	dst = append(dst, doc[:at]...)
	dst = append(dst, t.field...)
	dst = append(dst, '"')
	dst = time.UnixMilli(arrivalMillis).UTC().AppendFormat(dst, "2006-01-02T15:04:05.000Z")
	dst = append(dst, '"')
	if !lone {
		dst = append(dst, ',')
	}
	return append(dst, doc[at:]...)
}
