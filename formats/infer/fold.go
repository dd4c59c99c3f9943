package infer

import (
	"strings"

	"hydrant/config/schema"
)

// folding makes names of columns of JSON keys.
type folding struct {
	caseSensitive bool
	dots          bool
	byKey         map[string]string // JSON key, folded -> column
	taken         map[string]bool   // columns, folded, for which a key was named
}

func newFolding(l Limits) folding {
	f := folding{caseSensitive: l.CaseSensitive, dots: l.DotsToUnderscores, byKey: make(map[string]string), taken: make(map[string]bool)}
	for column, key := range l.Keys {
		f.byKey[f.id(key)] = column
		f.taken[f.id(column)] = true
	}
	return f
}

// id is what two names of the same column have in common.
func (f *folding) id(name string) string {
	if f.caseSensitive {
		return name
	}
	return strings.ToLower(name)
}

// name is the column of a key, and its id; both empty when the key cannot become one.
func (f *folding) name(key []byte) (id, name string) {
	if len(key) == 0 || len(key) > 4*schema.MaxNameBytes {
		return "", ""
	}
	name = f.id(string(key))
	if column, ok := f.byKey[name]; ok {
		return f.id(column), column
	}
	if f.dots {
		name = strings.ReplaceAll(name, ".", "_")
	}
	if f.taken[name] || len(name) > schema.MaxNameBytes {
		return "", ""
	}
	return name, name
}

// diff builds the columns of a tree and finds what changed.
type diff struct{ added, retyped bool }

func (d *diff) columns(n *node) []schema.Column {
	var cols []schema.Column
	for _, f := range n.fields {
		if f.node.base == nil {
			d.added = true
		}
		cols = append(cols, schema.Column{Name: f.name, Type: d.typeOf(f.node)})
	}
	return cols
}

// typeOf is the type of a node; that of the base itself where nothing changed.
func (d *diff) typeOf(n *node) *schema.Type {
	if n.fixed != nil {
		return n.fixed
	}
	t := &schema.Type{Kind: n.kind}
	switch n.kind {
	case schema.Array:
		t.Elem = d.typeOf(n.elem)
	case schema.Struct:
		t.Fields = d.columns(n)
	default:
		if n.base != nil && n.base.Kind != n.kind {
			d.retyped = true
		}
	}
	if t.Equal(n.base) {
		return n.base
	}
	return t
}
