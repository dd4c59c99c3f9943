package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Equal says whether two tables have the same columns: names, types and order.
func Equal(a, b []Column) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Name != b[i].Name || !a[i].Type.Equal(b[i].Type) {
			return false
		}
	}
	return true
}

// Equal says whether two types are the same, the names and order of struct fields included.
func (t *Type) Equal(o *Type) bool {
	if t == o {
		return true
	}
	if t == nil || o == nil || t.Kind != o.Kind || t.Precision != o.Precision || t.Scale != o.Scale {
		return false
	}
	return t.Key.Equal(o.Key) && t.Elem.Equal(o.Elem) && Equal(t.Fields, o.Fields)
}

// Leaves is how many columns of values a file with these columns has: one for each part that is not made of others.
func Leaves(cols []Column) int {
	n := 0
	for _, c := range cols {
		n += c.Type.Leaves()
	}
	return n
}

// Leaves is how many columns of values the type needs.
func (t *Type) Leaves() int {
	switch t.Kind {
	case Array:
		return t.Elem.Leaves()
	case Map:
		return t.Key.Leaves() + t.Elem.Leaves()
	case Struct:
		return Leaves(t.Fields)
	default:
		return 1
	}
}

// depth is how many arrays, maps and structs stand inside each other.
func (t *Type) depth() int {
	switch t.Kind {
	case Array, Map:
		return 1 + t.Elem.depth()
	case Struct:
		d := 0
		for _, f := range t.Fields {
			d = max(d, f.Type.depth())
		}
		return 1 + d
	default:
		return 0
	}
}

// Check says what no table can have: no columns, a name that is empty, too long, not UTF-8 or there twice at its level. Unless
// caseSensitive, names that differ only in case count as the same: JSON keys could not tell them apart.
func Check(cols []Column, caseSensitive bool) error {
	if len(cols) == 0 {
		return fmt.Errorf("a table needs at least one column")
	}
	return checkNames(cols, "", caseSensitive)
}

func checkNames(cols []Column, path string, caseSensitive bool) error {
	seen := make(map[string]string, len(cols))
	for _, c := range cols {
		at := path + c.Name
		switch {
		case c.Name == "":
			return fmt.Errorf("column %q has no name", at)
		case len(c.Name) > MaxNameBytes:
			return fmt.Errorf("the name of column %s has %d bytes, %d are allowed", quote(at), len(c.Name), MaxNameBytes)
		case !utf8.ValidString(c.Name):
			return fmt.Errorf("the name of column %q is not valid UTF-8", at)
		case c.Type == nil:
			return fmt.Errorf("column %q has no type", at)
		}
		key := c.Name
		if !caseSensitive {
			key = strings.ToLower(key)
		}
		if other, ok := seen[key]; ok {
			return fmt.Errorf("column %q stands there twice (%q): %s", at, other, twice(other == c.Name))
		}
		seen[key] = c.Name
		if err := checkType(c.Type, at, caseSensitive); err != nil {
			return err
		}
	}
	return nil
}

func twice(same bool) string {
	if same {
		return "give each a name of its own"
	}
	return "names that differ only in case need case-sensitive reading of JSON keys, and many readers cannot tell them apart"
}

func checkType(t *Type, at string, caseSensitive bool) error {
	switch t.Kind {
	case Array:
		return checkType(t.Elem, at+"[]", caseSensitive)
	case Map:
		return checkType(t.Elem, at+"{}", caseSensitive)
	case Struct:
		return checkNames(t.Fields, at+".", caseSensitive)
	default:
		return nil
	}
}

// MarshalText is String, for JSON: a column is {"Name":"a","Type":"array<int>"}.
func (t *Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText is Parse.
func (t *Type) UnmarshalText(b []byte) error {
	p, err := Parse(string(b))
	if err != nil {
		return err
	}
	*t = *p
	return nil
}

// Marshal is the columns as JSON that a person can read: [{"Name":"a","Type":"array<int>"}].
func Marshal(cols []Column) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if cols == nil {
		cols = []Column{}
	}
	if err := e.Encode(cols); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// Unmarshal reads what Marshal wrote. Unknown members and columns without name or type are errors.
func Unmarshal(b []byte) ([]Column, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	var cols []Column
	if err := d.Decode(&cols); err != nil {
		return nil, fmt.Errorf("columns: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("columns: text behind the end")
	}
	if len(cols) == 0 {
		return cols, nil
	}
	if err := Check(cols, true); err != nil {
		return nil, err
	}
	return cols, nil
}

// Named is a column as configurations and catalogs have it: with the name of its type.
type Named struct{ Name, Type string }

// FromNames parses the types of columns and checks the columns as Check does, in the same order. The error names the column.
func FromNames(named []Named, caseSensitive bool) ([]Column, error) {
	cols := make([]Column, len(named))
	for i, n := range named {
		t, err := Parse(n.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", quote(n.Name), err)
		}
		cols[i] = Column{Name: n.Name, Type: t}
	}
	if err := Check(cols, caseSensitive); err != nil {
		return nil, err
	}
	return cols, nil
}
