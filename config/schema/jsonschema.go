package schema

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// jsonSchema makes types of a JSON Schema of any draft. Only what says which values there are is read.
type jsonSchema struct {
	converter
	root *node
	open map[*node]bool // what a reference that is being followed leads to
}

func (s *jsonSchema) table() (*Type, error) {
	t, err := s.convert(s.root, "", 0)
	if err != nil {
		return nil, err
	}
	if t == nil || t.Kind != Struct {
		return nil, failAt(s.root, "the schema describes no object with properties; properties become columns")
	}
	return t, nil
}

// convert is the type of the values that n allows; nil when only null is allowed.
func (s *jsonSchema) convert(n *node, path string, depth int) (*Type, error) {
	if err := s.count(n, path, depth); err != nil {
		return nil, err
	}
	if n.kind != '{' {
		return nil, failAt(n, "%s: %s stands where a schema with a type is wanted", column(path), n.what())
	}
	if ref := n.get("$ref"); ref != nil {
		return s.follow(ref, path, depth)
	}
	said := n.get("type") != nil || n.get("properties") != nil // then alternatives are constraints
	for _, word := range []string{"anyOf", "oneOf", "allOf"} {
		if v := n.get(word); v != nil && !said {
			return s.oneOf(word, v, path, depth)
		}
	}
	names, err := typeNames(n, path)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(t string) bool { return t == "null" })
	if len(names) == 2 && slices.Contains(names, "integer") && slices.Contains(names, "number") {
		names = []string{"number"}
	}
	switch len(names) {
	case 0:
		return nil, nil
	case 1:
		return s.named(n, names[0], path, depth)
	}
	return nil, failAt(n, "%s: values of the types %s cannot share a column; choose one (string holds every scalar)", column(path), strings.Join(names, ", "))
}

func column(path string) string {
	if path == "" {
		return "the schema itself"
	}
	return "column " + quote(path)
}

// typeNames are the types that n names, or that its other words imply.
func typeNames(n *node, path string) ([]string, error) {
	t := n.get("type")
	switch {
	case t == nil:
		return impliedTypes(n, path)
	case t.kind == '"':
		return []string{t.text}, nil
	case t.kind != '[' || len(t.items) == 0:
		return nil, failAt(t, "%s: type is %s, not the name of a type or a list of names", column(path), t.what())
	}
	var names []string
	for _, item := range t.items {
		if item.kind != '"' {
			return nil, failAt(item, "%s: type holds %s, not the name of a type", column(path), item.what())
		}
		if !slices.Contains(names, item.text) {
			names = append(names, item.text)
		}
	}
	return names, nil
}

func impliedTypes(n *node, path string) ([]string, error) {
	values := []*node{n.get("const")}
	if e := n.get("enum"); e != nil {
		values = e.items
	}
	switch {
	case n.get("properties") != nil || n.get("additionalProperties") != nil || n.get("patternProperties") != nil:
		return []string{"object"}, nil
	case n.get("items") != nil || n.get("prefixItems") != nil:
		return []string{"array"}, nil
	case len(values) == 0 || values[0] == nil:
		return nil, failAt(n, "%s: the schema says no type; add one", column(path))
	}
	var names []string
	for _, v := range values {
		if name := typeOf(v); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// typeOf is the type of a value that a schema lists.
func typeOf(v *node) string {
	switch v.kind {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't':
		return "boolean"
	case 'n':
		return "null"
	}
	if _, err := strconv.ParseInt(v.text, 10, 64); err == nil {
		return "integer"
	}
	return "number"
}

func (s *jsonSchema) named(n *node, name, path string, depth int) (*Type, error) {
	switch name {
	case "boolean":
		return &Type{Kind: Boolean}, nil
	case "integer":
		return &Type{Kind: BigInt}, nil
	case "number":
		return &Type{Kind: Double}, nil
	case "string":
		switch n.str("format") {
		case "date-time":
			return &Type{Kind: Timestamp}, nil
		case "date":
			return &Type{Kind: Date}, nil
		}
		return &Type{Kind: String}, nil
	case "array":
		return s.array(n, path, depth)
	case "object":
		return s.object(n, path, depth)
	}
	return nil, failAt(n, "%s: JSON Schema has no type %s", column(path), quote(name))
}

func (s *jsonSchema) array(n *node, path string, depth int) (*Type, error) {
	items := n.get("items")
	if items == nil || items.kind != '{' || n.get("prefixItems") != nil {
		return nil, failAt(n, "%s: an array needs items: one schema for all its elements", column(path))
	}
	elem, err := s.part(items, path+"[]", depth)
	if err != nil {
		return nil, err
	}
	return &Type{Kind: Array, Elem: elem}, nil
}

// part is the type of a value inside another one, which must not be null always.
func (s *jsonSchema) part(n *node, path string, depth int) (*Type, error) {
	t, err := s.convert(n, path, depth+1)
	if err == nil && t == nil {
		err = failAt(n, "%s: the schema allows only null; name the type of what is not null, or leave it out", column(path))
	}
	return t, err
}

func (s *jsonSchema) object(n *node, path string, depth int) (*Type, error) {
	rest, err := restOf(n, path)
	if err != nil {
		return nil, err
	}
	props := n.get("properties")
	named := props != nil && len(props.members) > 0
	switch {
	case props != nil && props.kind != '{':
		return nil, failAt(props, "%s: properties is %s, not an object", column(path), props.what())
	case named && rest != nil:
		return nil, failAt(rest, "%s: an object is a struct (properties) or a map (additionalProperties with a schema), not both", column(path))
	case named:
		return s.properties(props, path, depth)
	case rest == nil:
		return nil, failAt(n, "%s: an object needs properties (a struct) or additionalProperties with a schema (a map); "+
			`or make it {"type":"string"}, which keeps JSON text`, column(path))
	case path == "":
		return nil, failAt(n, "the schema itself has no properties; properties become columns")
	}
	elem, err := s.part(rest, path+"{}", depth)
	if err != nil {
		return nil, err
	}
	return &Type{Kind: Map, Key: &Type{Kind: String}, Elem: elem}, nil
}

// restOf is the schema of the values under keys that properties does not name; nil when nothing is said about them.
func restOf(n *node, path string) (*node, error) {
	patterns := n.get("patternProperties")
	more := n.get("additionalProperties")
	if more != nil && (more.kind != '{' || len(more.members) == 0) {
		more = nil
	}
	switch {
	case patterns == nil || len(patterns.members) == 0:
		return more, nil
	case len(patterns.members) > 1 || more != nil:
		return nil, failAt(patterns, "%s: the keys of a map share one type: give additionalProperties, or one patternProperties", column(path))
	}
	return patterns.members[0].value, nil
}

func (s *jsonSchema) properties(props *node, path string, depth int) (*Type, error) {
	t := &Type{Kind: Struct}
	for _, m := range props.members {
		ft, err := s.part(m.value, fieldPath(path, m.key), depth)
		if err != nil {
			return nil, err
		}
		t.Fields = append(t.Fields, Column{Name: m.key, Type: ft})
	}
	return t, nil
}

// oneOf is the one type that all alternatives beside null come to.
func (s *jsonSchema) oneOf(word string, list *node, path string, depth int) (*Type, error) {
	if list.kind != '[' || len(list.items) == 0 {
		return nil, failAt(list, "%s: %s is %s, not a list of schemas", column(path), word, list.what())
	}
	if word == "allOf" && len(list.items) > 1 {
		return nil, failAt(list, "%s: allOf of several schemas cannot become a column; write the schema out", column(path))
	}
	var t *Type
	for _, item := range list.items {
		it, err := s.convert(item, path, depth)
		switch {
		case err != nil:
			return nil, err
		case t == nil:
			t = it
		case it == nil || t.Equal(it):
		case isNumber(t) && isNumber(it):
			t = &Type{Kind: Double}
		default:
			return nil, failAt(item, "%s: the alternatives %s and %s of %s cannot share a column; choose one (string holds every scalar)",
				column(path), quote(t.String()), quote(it.String()), word)
		}
	}
	return t, nil
}

func isNumber(t *Type) bool { return t.Kind == BigInt || t.Kind == Double }

// follow converts what a reference leads to.
func (s *jsonSchema) follow(ref *node, path string, depth int) (*Type, error) {
	target := s.root
	pointer, local := strings.CutPrefix(ref.text, "#")
	if ref.kind != '"' || !local || pointer != "" && pointer[0] != '/' {
		return nil, failAt(ref, "%s: $ref %s leads out of this file; only references such as #/$defs/name are followed", column(path), ref.what())
	}
	for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if pointer == "" {
			break
		}
		if target = stepTo(target, step); target == nil {
			return nil, failAt(ref, "%s: $ref %s leads nowhere", column(path), quote(ref.text))
		}
	}
	if s.open[target] || target == s.root {
		return nil, failAt(ref, "%s: $ref %s is recursive, and a column cannot contain itself; make it a string, which keeps JSON text", column(path), quote(ref.text))
	}
	if len(s.open) >= maxFileDepth {
		return nil, failAt(ref, "%s: more than %d references lead from one to the next", column(path), maxFileDepth)
	}
	s.open[target] = true
	defer delete(s.open, target)
	return s.convert(target, path, depth)
}

// stepTo follows one step of a JSON pointer.
func stepTo(n *node, step string) *node {
	if plain, err := url.PathUnescape(step); err == nil {
		step = plain
	}
	step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
	if i, err := strconv.Atoi(step); err == nil && n.kind == '[' && i >= 0 && i < len(n.items) {
		return n.items[i]
	}
	return n.get(step)
}
