package transform

import (
	"bytes"

	"hydrant/internal/bodies/strictjson"
)

// edit is what happens to a field of a record, and to those beneath it.
type edit struct {
	name     string
	children []*edit
	each     *edit  // of an array's elements
	drop     bool   // the field goes
	rename   string // its new name; "": it keeps its own
	value    []byte // JSON in its place; nil: it keeps its value
	// change appends what takes the place of its value; nil: it keeps that.
	change func(dst, value []byte) []byte
}

// at is the edit of a path below e, made where there is none. "[]" stands for each element of an array.
func (e *edit) at(path []string) *edit {
	for _, name := range path {
		switch {
		case name != each:
			e = e.grow(name)
		case e.each == nil:
			e.each = &edit{}
			e = e.each
		default:
			e = e.each
		}
	}
	return e
}

const each = "[]"

func (e *edit) grow(name string) *edit {
	for _, c := range e.children {
		if c.name == name {
			return c
		}
	}
	c := &edit{name: name}
	e.children = append(e.children, c)
	return c
}

func (e *edit) child(key []byte) *edit {
	for _, c := range e.children {
		if c.name == string(key) {
			return c
		}
	}
	return nil
}

// splice rewrites JSON by edits: what none of them touches stays byte for byte, the order of keys and the way numbers are written included.
type splice struct {
	scan scanner
	root edit
	dst  []byte
	key  []byte
}

// rewrite appends the record as the edits make it. why is empty unless it is no JSON.
func (w *splice) rewrite(dst, data []byte) (out []byte, why string) {
	w.scan.b = data
	defer func() { w.scan.b, w.dst = nil, nil }()
	from := w.scan.space(0)
	end := w.scan.value(from, 0, nil)
	if end < 0 {
		if from == len(data) {
			return dst, "the record is empty"
		}
		return dst, w.scan.problem()
	}
	if rest := w.scan.space(end); rest != len(data) {
		return dst, "the record holds more than one JSON value; the deaggregate processor makes records of the parts"
	}
	w.dst = append(dst, data[:from]...)
	w.value(from, &w.root)
	return append(w.dst, data[end:]...), ""
}

// value copies the value at i, which is well-formed, and gives where it ends.
func (w *splice) value(i int, e *edit) (end int) {
	b := w.scan.b
	switch {
	case e != nil && e.value != nil:
		w.dst = append(w.dst, e.value...)
		return w.scan.value(i, 0, nil)
	case e != nil && e.change != nil:
		end = w.scan.value(i, 0, nil)
		w.dst = e.change(w.dst, b[i:end])
		return end
	case e != nil && b[i] == '{' && len(e.children) > 0:
		return w.object(i+1, e)
	case e != nil && b[i] == '[' && e.each != nil:
		return w.array(i+1, e.each)
	}
	end = w.scan.value(i, 0, nil)
	w.dst = append(w.dst, b[i:end]...)
	return end
}

func (w *splice) array(i int, e *edit) int {
	w.dst = append(w.dst, '[')
	for {
		at := w.scan.space(i)
		w.dst = append(w.dst, w.scan.b[i:at]...)
		switch w.scan.b[at] {
		case ']', ',':
			w.dst = append(w.dst, w.scan.b[at])
			i = at + 1
			if w.scan.b[at] == ']' {
				return i
			}
		default:
			i = w.value(at, e)
		}
	}
}

// object copies the members of an object, each with the space around it, and adds those that an edit gives a value and the object lacks.
func (w *splice) object(i int, e *edit) int {
	w.dst = append(w.dst, '{')
	seen, first := uint64(0), true
	for {
		at := w.scan.space(i)
		if w.scan.b[at] == '}' {
			w.missing(e, seen, first)
			w.dst = append(append(w.dst, w.scan.b[i:at]...), '}')
			return at + 1
		}
		if w.scan.b[at] == ',' {
			w.dst = append(w.dst, w.scan.b[i:at]...)
			i = at + 1
			continue
		}
		end, odd := w.scan.str(at + 1)
		c := w.find(e, at+1, end-1, odd, &seen)
		colon := w.scan.space(end)
		if c != nil && c.drop {
			i = w.scan.value(w.scan.space(colon+1), 0, nil)
			i = w.scan.space(i)
			continue
		}
		if !first {
			w.dst = append(w.dst, ',')
		}
		first = false
		w.dst = append(w.dst, w.scan.b[i:at]...)
		w.name(c, at, end)
		value := w.scan.space(colon + 1)
		w.dst = append(w.dst, w.scan.b[end:value]...)
		i = w.value(value, c)
	}
}

// find is the edit of a key; seen is told which of the children it is.
func (w *splice) find(e *edit, from, to int, odd bool, seen *uint64) *edit {
	key := w.scan.b[from:to]
	if odd {
		w.key = strictjson.Unquote(w.key[:0], key)
		key = w.key
	}
	c := e.child(key)
	for k, x := range e.children {
		if x == c && c != nil && k < 64 {
			*seen |= 1 << k
		}
	}
	return c
}

func (w *splice) name(c *edit, at, end int) {
	if c == nil || c.rename == "" {
		w.dst = append(w.dst, w.scan.b[at:end]...)
		return
	}
	w.dst = append(w.dst, quoted(c.rename)...)
}

// missing adds the members that have a value to be set and are not there, with the objects around them.
func (w *splice) missing(e *edit, seen uint64, first bool) {
	for k, c := range e.children {
		if k < 64 && seen&(1<<k) != 0 || !c.sets() {
			continue
		}
		if !first {
			w.dst = append(w.dst, ',')
		}
		first = false
		w.dst = append(append(w.dst, quoted(c.name)...), ':')
		w.make(c)
	}
}

func (w *splice) make(c *edit) {
	if c.value != nil {
		w.dst = append(w.dst, c.value...)
		return
	}
	w.dst = append(w.dst, '{')
	w.missing(c, 0, true)
	w.dst = append(w.dst, '}')
}

// sets says whether the edit, or one beneath it, gives a value.
func (e *edit) sets() bool {
	if e.value != nil {
		return true
	}
	for _, c := range e.children {
		if c.sets() {
			return true
		}
	}
	return false
}

// quoted is a JSON string.
func quoted(s string) []byte {
	b := bytes.NewBuffer(nil)
	appendJSON(b, s)
	return b.Bytes()
}
