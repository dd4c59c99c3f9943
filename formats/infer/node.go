package infer

import "hydrant/config/schema"

// unknown is the kind of what no value has said anything about.
const unknown schema.Kind = 0

// node is what is known of a column or of a part of one. In the tree of a Learner no node is unknown.
type node struct {
	kind   schema.Kind
	wide   bool         // of a bigint: one of its integers is not exact as a double
	fixed  *schema.Type // a type that learning does not give: it stays
	base   *schema.Type // what it was at the beginning; nil when it is new
	elem   *node        // of an array
	fields []*field     // of a struct, in their order
	byID   map[string]*field
	byKey  map[string]*field // by JSON key: some that were seen, to spare the folding
}

// field is a column, or a field of a struct.
type field struct {
	id      string // its name, folded: one in its struct
	name    string
	key     string // a JSON key that it was found by; empty: not yet
	index   int
	object  uint64 // the last object that has it
	settled bool   // a record that was taken has it
	node    *node
}

// spareKeys bounds the memory for keys that differ only in case from what is known.
const spareKeys = 64

// find is the field for a key and its index; first it looks at the index next, because records repeat the order of their keys.
func (n *node) find(key []byte, next int, fold *folding) (*field, int) {
	if next < len(n.fields) && n.fields[next].key == string(key) && len(key) > 0 {
		return n.fields[next], next
	}
	f, ok := n.byKey[string(key)]
	if !ok {
		id, _ := fold.name(key)
		if f, ok = n.byID[id]; !ok || id == "" {
			return nil, 0
		}
		n.remember(key, f)
	}
	return f, f.index
}

func (n *node) remember(key []byte, f *field) {
	if !f.settled || len(n.byKey) >= len(n.fields)*2+spareKeys {
		return
	}
	if n.byKey == nil {
		n.byKey = make(map[string]*field)
	}
	s := string(key)
	n.byKey[s] = f
	if f.key == "" {
		f.key = s
	}
}

func (n *node) add(f *field) {
	if n.byID == nil {
		n.byID = make(map[string]*field)
	}
	f.index = len(n.fields)
	n.fields = append(n.fields, f)
	n.byID[f.id] = f
}

func (n *node) removeLast() *field {
	f := n.fields[len(n.fields)-1]
	n.fields = n.fields[:len(n.fields)-1]
	delete(n.byID, f.id)
	return f
}

// forgetIfEmpty makes unknown again a struct or array that stays without a part.
func (n *node) forgetIfEmpty() {
	if n.kind == schema.Struct && len(n.fields) == 0 || n.kind == schema.Array && n.elem != nil && n.elem.kind == unknown {
		n.kind, n.elem = unknown, nil
	}
}

// fromType is the node of a type that is known at the beginning.
func (l *Learner) fromType(t *schema.Type) *node {
	n := &node{kind: t.Kind, base: t}
	switch t.Kind {
	case schema.Boolean, schema.BigInt, schema.Double, schema.String:
	case schema.Array:
		n.elem = l.fromType(t.Elem)
	case schema.Struct:
		for _, c := range t.Fields {
			l.names += len(c.Name)
			n.add(&field{id: l.fold.id(c.Name), name: c.Name, settled: true, node: l.fromType(c.Type)})
		}
	default:
		n.fixed = t
	}
	return n
}

// change is what a record did to the tree, so that it can be taken back: a field was added to n, or n had kind and wide.
type change struct {
	n     *node
	field bool
	leaf  bool // n became one
	kind  schema.Kind
	wide  bool
}

// widen makes n take a scalar of kind k too. False: that would be one leaf too many, or n is no scalar.
func (l *Learner) widen(n *node, k schema.Kind, wide bool) bool {
	wide = wide || n.wide
	to := join(n.kind, k, wide)
	leaf := n.kind == unknown
	switch {
	case n.kind.Nested():
		return false
	case to == n.kind && (wide == n.wide || to == schema.String):
		return true
	case leaf && l.leaves >= l.limits.MaxColumns:
		return false
	case leaf:
		l.leaves++
	}
	l.undo = append(l.undo, change{n: n, leaf: leaf, kind: n.kind, wide: n.wide})
	n.kind, n.wide = to, wide
	return true
}

// join is the narrowest type that holds the values of two scalar types; wide says that one of the integers is not exact as a double.
func join(a, b schema.Kind, wide bool) schema.Kind {
	switch {
	case a == unknown || a == b:
		return b
	case a == schema.BigInt && b == schema.Double, a == schema.Double && b == schema.BigInt:
		if !wide {
			return schema.Double
		}
	}
	return schema.String
}

// attach adds a field behind the others. False: the names would be too much.
func (l *Learner) attach(n *node, f *field) bool {
	if l.names += len(f.name); l.names > maxNames {
		l.names -= len(f.name)
		return false
	}
	n.add(f)
	l.undo = append(l.undo, change{n: n, field: true})
	return true
}

// commit makes the changes of a record stay.
func (l *Learner) commit() {
	for _, c := range l.undo {
		if c.field {
			for i := len(c.n.fields) - 1; i >= 0 && !c.n.fields[i].settled; i-- {
				c.n.fields[i].settled = true
			}
		}
	}
	l.undo = l.undo[:0]
}

// takeBack undoes the changes of a record.
func (l *Learner) takeBack() {
	for i := len(l.undo) - 1; i >= 0; i-- {
		c := l.undo[i]
		if c.field {
			l.names -= len(c.n.removeLast().name)
			continue
		}
		if c.leaf {
			l.leaves--
		}
		c.n.kind, c.n.wide = c.kind, c.wide
	}
	l.undo = l.undo[:0]
}
