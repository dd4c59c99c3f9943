package parquet

import (
	"unicode/utf8"

	"hydrant/config/schema"
)

// What follows fits JSON into columns. Each function gets the record and the index of a value, and returns the index
// behind it, or broken after it has said why in e.fail. rep is the repetition level of the first thing it adds; depth is
// how many arrays and objects the value stands in.

// unknownMode is what becomes of a key without a column.
type unknownMode uint8

const (
	unknownDrop unknownMode = iota
	unknownError
	unknownStrict // an error or a reason to grow, unless it holds nothing
)

func unknownModeOf(isError bool, o options) unknownMode {
	switch {
	case o.strict:
		return unknownStrict
	case isError:
		return unknownError
	}
	return unknownDrop
}

func (e *Encoder) writeRecord(b []byte) bool {
	e.fail = scratchFailure{}
	if !utf8.Valid(b) {
		return e.fail.set(failUTF8, nil, 0) != broken
	}
	if len(e.cols) == 0 {
		e.fail.grow = e.opts.growing
		return e.fail.set(failNoColumns, nil, 0) != broken
	}
	before := e.rows
	for i := skipSpace(b, 0); i < len(b); i = skipSpace(b, i) {
		switch b[i] {
		case '{':
			i = e.writeRow(b, i, 0)
		case '[':
			i = e.writeRows(b, i)
		default:
			i = e.fail.set(failNoObject, nil, i)
		}
		if i == broken {
			return false
		}
	}
	if e.rows == before {
		return e.fail.set(failEmpty, nil, 0) != broken
	}
	return true
}

func (e *Encoder) writeRow(b []byte, i, depth int) int {
	i = e.structure(e.root, b, i, 0, depth)
	if i != broken {
		e.row++
		e.rows++
	}
	return i
}

// writeRows adds the elements of an array.
func (e *Encoder) writeRows(b []byte, i int) int {
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i >= len(b) || b[i] != '{' {
			return e.fail.set(failNoObject, nil, i)
		}
		if i = e.writeRow(b, i, 1); i == broken {
			return broken
		}
		more := false
		if i, more = e.comma(b, i, ']'); i == broken || !more {
			return i
		}
	}
}

// comma passes the comma behind a value and the white space around it, or the closing bracket.
func (e *Encoder) comma(b []byte, i int, shut byte) (_ int, more bool) {
	i = skipSpace(b, i)
	if i < len(b) {
		if b[i] == ',' {
			return skipSpace(b, i+1), true
		}
		if b[i] == shut {
			return i + 1, false
		}
	}
	return e.fail.set(failSyntax, nil, i), false
}

// structure fits the object at i into the fields of n.
func (e *Encoder) structure(n *node, b []byte, i int, rep uint8, depth int) int {
	if depth++; depth > maxDepth {
		return e.fail.set(failDepth, n, i)
	}
	e.object++
	object := e.object
	more := true
	if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
		i, more = i+1, false
	}
	for expect := &n.first; more; {
		slot := *expect
		if slot != nil && len(b)-i >= len(slot.text) && string(b[i:i+len(slot.text)]) == slot.text {
			if i += len(slot.text); i < len(b) && b[i] <= ' ' {
				i = skipSpace(b, i)
			}
		} else if slot, i = e.findKey(n, b, i); i == broken {
			return broken
		} else if slot != &n.other {
			*expect = slot
		}
		expect = &slot.next
		if i = e.field(n, slot.field, b, i, field{object, rep, depth}); i == broken {
			return broken
		}
		if i+1 < len(b) && b[i] == ',' && b[i+1] == '"' {
			i++
		} else if i, more = e.comma(b, i, '}'); i == broken {
			return broken
		}
	}
	if n != e.root {
		e.missing(n, object, rep)
	}
	return i
}

// missing adds a null for each field that the object had not. The columns of the file get theirs later.
func (e *Encoder) missing(n *node, object uint64, rep uint8) {
	for f, seen := range n.seen {
		if seen != object {
			e.null(n.fields[f], rep)
		}
	}
}

// colon passes a colon and the white space around it.
func colon(b []byte, i int) int {
	if i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	if i >= len(b) || b[i] != ':' {
		return broken
	}
	if i++; i < len(b) && b[i] <= ' ' {
		return skipSpace(b, i)
	}
	return i
}

// field is where the value of a key stands.
type field struct {
	object uint64
	rep    uint8
	depth  int
}

// field fits the value of a key; f is negative for one without a column.
func (e *Encoder) field(n *node, f int32, b []byte, i int, at field) int {
	if f < 0 {
		return e.unknown(n, f, b, i, at.depth)
	}
	if n.seen[f] == at.object {
		if !e.opts.firstWins {
			return e.fail.set(failTwice, n.fields[f], i)
		}
		return e.skip(b, i, at.depth)
	}
	n.seen[f] = at.object
	n = n.fields[f]
	if n.kind == schema.String && i < len(b) && b[i] == '"' { // the most frequent by far, so that it comes first
		if end := plainEnd(b, i+1); end < len(b) && b[end] == '"' {
			n.col.level(e, at.rep, n.def)
			n.col.putBytes(b[i+1 : end])
			return end + 1
		}
	}
	return e.value(n, b, i, at.rep, at.depth)
}

// unknown passes the value of a key without a column.
func (e *Encoder) unknown(n *node, f int32, b []byte, i, depth int) int {
	s := skipper{}
	end := s.skip(b, i, depth)
	if end == broken {
		return e.fail.skipped(&s, i)
	}
	if e.opts.unknown == unknownError || e.opts.unknown == unknownStrict && s.found && f != neverField {
		e.fail.grow = e.opts.growing
		return e.fail.set(failUnknown, n, i)
	}
	return end
}

func (e *Encoder) skip(b []byte, i, depth int) int {
	s := skipper{}
	end := s.skip(b, i, depth)
	if end == broken {
		return e.fail.skipped(&s, i)
	}
	return end
}

// findKey finds what the key at i stands for, and returns the index behind the colon.
func (e *Encoder) findKey(n *node, b []byte, i int) (*keySlot, int) {
	if i >= len(b) || b[i] != '"' {
		return nil, e.fail.set(failSyntax, n, i)
	}
	end, escaped := scanString(b, i)
	if end == broken {
		return nil, e.fail.set(failSyntax, n, i)
	}
	end++
	behind := colon(b, end)
	if behind == broken {
		return nil, e.fail.set(failSyntax, n, i)
	}
	if slot, ok := n.known[string(b[i:end])]; ok {
		return slot, behind
	}
	key := string(b[i+1 : end-1])
	if escaped {
		key = string(unescape(nil, b[i+1:end-1]))
	}
	f, never := n.keys.find(&e.opts.folding, key)
	if never {
		f = neverField
	}
	if len(n.known) >= len(n.fields)+maxKnownKeys || len(key) > maxKnownKeys {
		n.other = keySlot{field: f}
		return &n.other, behind
	}
	slot := &keySlot{text: string(b[i:end]) + ":", field: f}
	n.known[slot.text[:end-i]] = slot
	return slot, behind
}

// null adds a null for n. A column of the file whose whole value is null gets it later, for many rows at once.
func (e *Encoder) null(n *node, rep uint8) {
	if n.def == 1 {
		return
	}
	for _, c := range n.leaves {
		c.level(e, rep, n.def-1)
	}
}

// empty adds an array or map without elements.
func (e *Encoder) empty(n *node, rep uint8) {
	for _, c := range n.leaves {
		c.level(e, rep, n.def)
	}
}

// value fits the value at i into n.
func (e *Encoder) value(n *node, b []byte, i int, rep uint8, depth int) int {
	if i >= len(b) {
		return e.fail.set(failSyntax, n, i)
	}
	if b[i] == 'n' {
		end := scanWord(b, i, "null")
		if end == broken {
			return e.fail.set(failSyntax, n, i)
		}
		e.null(n, rep)
		return end
	}
	switch n.kind {
	case schema.Struct:
		if b[i] == '{' {
			return e.structure(n, b, i, rep, depth)
		}
		if b[i] == '[' && !e.opts.strict {
			return e.positional(n, b, i, rep, depth)
		}
		return e.nothing(n, b, i, rep, depth)
	case schema.Array:
		return e.array(n, b, i, rep, depth)
	case schema.Map:
		if b[i] == '{' {
			return e.mapping(n, b, i, rep, depth)
		}
		return e.nothing(n, b, i, rep, depth)
	}
	return e.scalar(n, b, i, rep, depth)
}

// nothing takes for null what stands for no value: "" where OpenX does, and when the schema is inferred an object or array
// without a scalar in it, such as {} or [null], because it may have come before the column had a type. Anything else does not fit.
func (e *Encoder) nothing(n *node, b []byte, i int, rep uint8, depth int) int {
	end := broken
	if !e.opts.strict {
		end = scanWord(b, i, `""`)
	} else if b[i] == '{' || b[i] == '[' {
		s := skipper{}
		if end = s.skip(b, i, depth); end == broken {
			return e.fail.skipped(&s, i)
		}
		if s.found {
			end = broken
		}
	}
	if end == broken {
		return e.fail.set(failMisfit, n, i)
	}
	e.null(n, rep)
	return end
}

func (e *Encoder) array(n *node, b []byte, i int, rep uint8, depth int) int {
	if b[i] != '[' {
		if e.opts.strict || b[i] == '{' || scanWord(b, i, `""`) != broken {
			return e.nothing(n, b, i, rep, depth)
		}
		return e.value(n.elem, b, i, rep, depth) // a scalar becomes an array of one
	}
	if depth++; depth > maxDepth {
		return e.fail.set(failDepth, n, i)
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == ']' {
		e.empty(n, rep)
		return i + 1
	}
	for more := true; more; rep = n.rep {
		if i = e.value(n.elem, b, i, rep, depth); i == broken {
			return broken
		}
		if i, more = e.comma(b, i, ']'); i == broken {
			return broken
		}
	}
	return i
}

// positional fits the elements of an array into the fields in their order; an empty array is null.
func (e *Encoder) positional(n *node, b []byte, i int, rep uint8, depth int) int {
	if depth++; depth > maxDepth {
		return e.fail.set(failDepth, n, i)
	}
	start := i
	if i = skipSpace(b, i+1); i < len(b) && b[i] == ']' {
		e.null(n, rep)
		return i + 1
	}
	f := 0
	for more := true; more; f++ {
		if f == len(n.fields) {
			return e.fail.set(failMisfit, n, start)
		}
		if i = e.value(n.fields[f], b, i, rep, depth); i == broken {
			return broken
		}
		if i, more = e.comma(b, i, ']'); i == broken {
			return broken
		}
	}
	for ; f < len(n.fields); f++ {
		e.null(n.fields[f], rep)
	}
	return i
}
