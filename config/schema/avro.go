package schema

import (
	"strconv"
	"strings"
)

// avro makes types of an Avro schema.
type avro struct {
	converter
	names map[string]*Type // by full name; nil while the type is being read
}

func newAvro() *avro { return &avro{names: make(map[string]*Type)} }

// convert is the type of n, in the namespace space; nil for null.
func (a *avro) convert(n *node, space, path string, depth int) (*Type, error) {
	if err := a.count(n, path, depth); err != nil {
		return nil, err
	}
	switch n.kind {
	case '"':
		return a.named(n, space, path, depth)
	case '[':
		return a.union(n, space, path, depth)
	case '{':
		return a.complex(n, space, path, depth)
	}
	return nil, failAt(n, "%s: %s is no Avro type", column(path), n.what())
}

// named is a primitive type, or one that was defined before.
func (a *avro) named(n *node, space, path string, depth int) (*Type, error) {
	switch n.text {
	case "null":
		return nil, nil
	case "boolean", "int", "float", "double", "string":
		return &Type{Kind: kindOf(n.text)}, nil
	case "long":
		return &Type{Kind: BigInt}, nil
	case "bytes":
		return &Type{Kind: Binary}, nil
	}
	t, ok := a.names[fullName(n.text, space)]
	if !ok {
		t, ok = a.names[n.text]
	}
	switch {
	case !ok:
		return nil, failAt(n, "%s: the Avro type %s is not defined before it is used", column(path), quote(n.text))
	case t == nil:
		return nil, failAt(n, "%s: the record %s contains itself, and a column cannot", column(path), quote(n.text))
	}
	return t, a.reuse(n, t, path, depth)
}

// reuse counts a type that is used again as if it had been written out.
func (a *avro) reuse(n *node, t *Type, path string, depth int) error {
	a.types += Leaves([]Column{{Type: t}})
	return a.count(n, path, depth+t.depth())
}

func fullName(name, space string) string {
	if space == "" || strings.Contains(name, ".") {
		return name
	}
	return space + "." + name
}

func (a *avro) union(n *node, space, path string, depth int) (*Type, error) {
	var t *Type
	for _, item := range n.items {
		it, err := a.convert(item, space, path, depth)
		switch {
		case err != nil:
			return nil, err
		case it != nil && t != nil:
			return nil, failAt(item, "%s: a union may hold null and one other type, not %s and %s", column(path), quote(t.String()), quote(it.String()))
		case it != nil:
			t = it
		}
	}
	return t, nil
}

func (a *avro) complex(n *node, space, path string, depth int) (*Type, error) {
	inner := n.get("type")
	if inner == nil {
		return nil, failAt(n, "%s: an Avro schema needs a type", column(path))
	}
	if inner.kind != '"' {
		return a.convert(inner, space, path, depth)
	}
	switch inner.text {
	case "record", "error":
		return a.record(n, space, path, depth)
	case "enum":
		return a.define(n, space, &Type{Kind: String}), nil
	case "fixed":
		t, err := logical(n, &Type{Kind: Binary}, path)
		return a.define(n, space, t), err
	case "array":
		elem, err := a.part(n, "items", space, path, "[]", depth)
		return &Type{Kind: Array, Elem: elem}, err
	case "map":
		elem, err := a.part(n, "values", space, path, "{}", depth)
		return &Type{Kind: Map, Key: &Type{Kind: String}, Elem: elem}, err
	}
	t, err := a.named(inner, space, path, depth)
	if err != nil || t == nil {
		return nil, err
	}
	return logical(n, t, path)
}

func (a *avro) define(n *node, space string, t *Type) *Type {
	name, _ := names(n, space)
	a.names[name] = t
	return t
}

// names are the full name of a named type and the namespace inside it.
func names(n *node, space string) (name, inside string) {
	name = n.str("name")
	if !strings.Contains(name, ".") {
		if own := n.get("namespace"); own != nil && own.kind == '"' {
			space = own.text
		}
		return fullName(name, space), space
	}
	return name, name[:strings.LastIndexByte(name, '.')]
}

func (a *avro) part(n *node, member, space, path, mark string, depth int) (*Type, error) {
	v := n.get(member)
	if v == nil {
		return nil, failAt(n, "%s: an Avro %s needs %s", column(path), n.str("type"), member)
	}
	return a.notNull(v, space, path+mark, depth)
}

func (a *avro) notNull(n *node, space, path string, depth int) (*Type, error) {
	t, err := a.convert(n, space, path, depth+1)
	if err == nil && t == nil {
		err = failAt(n, "%s: it can only be null; name the type of what is not null, or leave it out", column(path))
	}
	return t, err
}

func (a *avro) record(n *node, space, path string, depth int) (*Type, error) {
	name, inside := names(n, space)
	fields := n.get("fields")
	if name == "" || fields == nil || fields.kind != '[' || len(fields.items) == 0 {
		return nil, failAt(n, "%s: an Avro record needs a name and a list of fields", column(path))
	}
	a.names[name] = nil
	t := &Type{Kind: Struct}
	for _, f := range fields.items {
		ft := f.get("type")
		if f.kind != '{' || f.str("name") == "" || ft == nil {
			return nil, failAt(f, "%s: a field of an Avro record needs a name and a type", column(path))
		}
		typ, err := a.notNull(ft, inside, fieldPath(path, f.str("name")), depth)
		if err != nil {
			return nil, err
		}
		t.Fields = append(t.Fields, Column{Name: f.str("name"), Type: typ})
	}
	if path != "" { // what the file describes as a whole is no column; Check looks at its names
		if err := checkNames(t.Fields, path+".", true); err != nil {
			return nil, failAt(n, "%w", err)
		}
	}
	a.names[name] = t
	return t, nil
}

// logical is the type that the logicalType of n makes of t; t itself where Avro says that it is to be ignored.
func logical(n *node, t *Type, path string) (*Type, error) {
	switch lt := n.str("logicalType"); {
	case lt == "decimal" && t.Kind == Binary:
		return avroDecimal(n, path)
	case lt == "date" && t.Kind == Int:
		return &Type{Kind: Date}, nil
	case lt == "uuid" && t.Kind == Binary:
		return &Type{Kind: String}, nil
	case t.Kind != BigInt:
	case lt == "timestamp-millis", lt == "timestamp-micros", lt == "local-timestamp-millis", lt == "local-timestamp-micros":
		return &Type{Kind: Timestamp}, nil
	}
	return t, nil
}

func avroDecimal(n *node, path string) (*Type, error) {
	precision, scale := n.get("precision"), n.get("scale")
	t := &Type{Kind: Decimal}
	var err error
	if precision != nil {
		t.Precision, err = strconv.Atoi(precision.text)
	}
	if err == nil && scale != nil {
		t.Scale, err = strconv.Atoi(scale.text)
	}
	if err != nil || t.Precision < 1 || t.Precision > 38 || t.Scale < 0 || t.Scale > t.Precision {
		return nil, failAt(n, "%s: a decimal needs a precision from 1 to 38 and a scale from 0 to that", column(path))
	}
	return t, nil
}
