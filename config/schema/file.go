package schema

import (
	"bytes"
	"errors"
	"fmt"
)

// FromFile reads the columns that a JSON Schema or an Avro record schema describes, in their order. Which of the two it is shows in
// the content: an Avro schema's type is "record". The records themselves are JSON in both cases. What no column can hold (a union,
// recursion, an object of which nothing is known) is an error that names the line and the column; name is used for that only.
// Constraints (required, minimum, pattern, ...) are no part of a column and are not checked.
func FromFile(name string, b []byte) ([]Column, error) {
	cols, err := fromFile(b)
	if err == nil {
		return cols, nil
	}
	var at *fileError
	if errors.As(err, &at) {
		line := 1 + bytes.Count(b[:min(max(at.offset, 0), int64(len(b)))], []byte("\n"))
		return nil, fmt.Errorf("%s:%d: %w", name, line, err)
	}
	return nil, fmt.Errorf("%s: %w", name, err)
}

func fromFile(b []byte) ([]Column, error) {
	root, err := readTree(b)
	if err != nil {
		return nil, err
	}
	if root.kind != '{' {
		return nil, failAt(root, "the file holds %s; a JSON Schema with properties or an Avro schema of a record is wanted", root.what())
	}
	var t *Type
	if root.str("type") == "record" {
		t, err = newAvro().record(root, "", "", 0)
	} else {
		t, err = (&jsonSchema{root: root, open: make(map[*node]bool)}).table()
	}
	if err != nil {
		return nil, err
	}
	return t.Fields, Check(t.Fields, true)
}

// converter counts what a file comes to: references can make much of little.
type converter struct{ types int }

func (c *converter) count(n *node, path string, depth int) error {
	if c.types++; c.types > maxFileTypes {
		return failAt(n, "column %s: the schema comes to more than %d types when its references are followed", quote(path), maxFileTypes)
	}
	if depth > MaxDepth+1 { // the record itself is a struct too
		return failAt(n, "column %s: nested deeper than %d; leave the inner part out or make it a string", quote(path), MaxDepth)
	}
	return nil
}

// fieldPath is the path of a struct's field.
func fieldPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
