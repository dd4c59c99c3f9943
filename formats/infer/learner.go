package infer

import (
	"unicode/utf8"

	"hydrant/config/schema"
	"hydrant/internal/bodies/strictjson"
)

// Learner learns the columns of one stream from its records, by the rules of the package. Memory is bounded by Limits, whatever the
// records. Not safe for concurrent use.
type Learner struct {
	limits Limits
	fold   folding
	root   *node
	base   []schema.Column
	leaves int
	names  int      // bytes of the names of all columns and fields
	object uint64   // number of the object under way, for finding keys that stand there twice
	undo   []change // what the record under way changed
	starts []int    // where its objects begin
	key    []byte   // scratch
}

// NewLearner begins with the columns that are known; base is not changed. Base types that learning does not give (int, date,
// map, ...) stay as they are, whatever the records hold there.
func NewLearner(base []schema.Column, limits Limits) *Learner {
	l := &Learner{limits: limits.withDefaults(), base: base}
	l.fold = newFolding(l.limits)
	l.root = l.fromType(&schema.Type{Kind: schema.Struct, Fields: base})
	l.leaves = schema.Leaves(base)
	return l
}

// Add learns from one record and says whether the columns, as they are now, take it; if not, they did not change. The record is not
// kept.
func (l *Learner) Add(record []byte) bool {
	if !l.split(record) || !l.learn(record) {
		l.takeBack()
		return false
	}
	l.commit()
	return true
}

// Columns is what is known: the columns of the base, then the new ones. added says that there are columns or fields that the base
// does not have, retyped that a leaf of the base has another type now; both may be true. If neither is, cols is the base.
func (l *Learner) Columns() (cols []schema.Column, added, retyped bool) {
	var d diff
	cols = d.columns(l.root)
	if !d.added && !d.retyped {
		cols = l.base
	}
	return cols, d.added, d.retyped
}

func (l *Learner) learn(record []byte) bool {
	for _, i := range l.starts {
		if !l.fields(l.root, &cursor{record, i}, 0) {
			return false
		}
	}
	return true
}

// maxJSONDepth is how many arrays and objects may stand inside each other in a record, as in the encoder.
const maxJSONDepth = 64

// wellFormed checks the JSON value at i and returns the index behind it.
func wellFormed(b []byte, i int) (end int, ok bool) {
	end, err := strictjson.Skip(b, i, strictjson.MaxDepth-maxJSONDepth)
	return end, err == nil
}

// split checks that a record is UTF-8 and JSON through and through and holds objects only, and notes where each begins.
func (l *Learner) split(b []byte) bool {
	l.starts = l.starts[:0]
	if !utf8.Valid(b) {
		return false
	}
	for i := strictjson.Space(b, 0); i < len(b); i = strictjson.Space(b, i) {
		from := i
		var ok bool
		if i, ok = wellFormed(b, from); !ok || !l.note(b, from) {
			return false
		}
	}
	return len(l.starts) > 0
}

// note notes where the objects begin that the value at i is or holds; false when it is neither an object nor an array of objects.
func (l *Learner) note(b []byte, i int) bool {
	if b[i] == '{' {
		l.starts = append(l.starts, i)
		return true
	}
	if b[i] != '[' {
		return false
	}
	c := cursor{b, i}
	for c.open(); c.at() != ']'; c.comma() {
		if c.at() != '{' {
			return false
		}
		l.starts = append(l.starts, c.i)
		c.skip()
	}
	return true
}

// value learns from the value at c, which stands in depth objects and arrays inside the record, and steps behind it. It returns
// false when the record is refused.
func (l *Learner) value(n *node, c *cursor, depth int) bool {
	if n.fixed != nil {
		c.skip()
		return true
	}
	switch c.at() {
	case '{', '[':
		return l.container(n, c, depth+1)
	case 'n':
		c.i += len("null")
		return true
	case '"':
		c.i, _, _ = strictjson.String(c.b, c.i)
		return l.widen(n, schema.String, false)
	case 't':
		c.i += len("true")
		return l.widen(n, schema.Boolean, false)
	case 'f':
		c.i += len("false")
		return l.widen(n, schema.Boolean, false)
	}
	kind, wide := classify(c.number())
	return l.widen(n, kind, wide)
}

// container learns from an object or array that is the depth-th inside the record.
func (l *Learner) container(n *node, c *cursor, depth int) bool {
	kind := schema.Struct
	if c.at() == '[' {
		kind = schema.Array
	}
	switch {
	case n.kind == kind:
	case n.kind == schema.String:
		c.skip()
		return true
	case n.kind != unknown:
		return !c.skipScalars()
	case depth > l.limits.MaxDepth:
		return !c.skipScalars() || l.widen(n, schema.String, false)
	}
	if n.kind == unknown { // then n is not in the tree yet, and needs no undoing
		n.kind = kind
		defer n.forgetIfEmpty()
	}
	if kind == schema.Array {
		return l.elements(n, c, depth)
	}
	return l.fields(n, c, depth)
}

// elements learns from the elements of the array at c.
func (l *Learner) elements(n *node, c *cursor, depth int) bool {
	if n.elem == nil {
		n.elem = &node{}
	}
	for c.open(); c.at() != ']'; c.comma() {
		if !l.value(n.elem, c, depth) {
			return false
		}
	}
	c.i++
	return true
}

// fields learns from the members of the object at c.
func (l *Learner) fields(n *node, c *cursor, depth int) bool {
	l.object++
	object, next := l.object, 0
	for c.open(); c.at() != '}'; c.comma() {
		key := c.key(&l.key)
		f, at := n.find(key, next, &l.fold)
		switch {
		case f == nil:
			if !l.newField(n, key, c, depth, object) {
				return false
			}
			continue
		case f.object != object:
		case l.limits.FirstOfDuplicates:
			c.skip()
			continue
		default:
			return false
		}
		f.object, next = object, at+1
		if !l.value(f.node, c, depth) {
			return false
		}
	}
	c.i++
	return true
}

// newField learns from a value whose key has no field yet; if it says something, the field is added.
func (l *Learner) newField(n *node, key []byte, c *cursor, depth int, object uint64) bool {
	if c.saysNothing() {
		c.skip()
		return true
	}
	id, name := l.fold.name(key)
	if name == "" {
		c.skip()
		return true
	}
	f := &field{id: id, name: name, node: &node{}, object: object}
	if !l.value(f.node, c, depth) {
		return false
	}
	if f.node.kind == unknown {
		return true
	}
	return l.attach(n, f)
}
