package config

import (
	"maps"
	"slices"
	"strings"

	"hydrant/config/schema"
)

// checkKeys: a JSON key fills one column, and the columns that it is named for exist. Names of columns count at every
// level, as in OpenX: those of the table and those of its structs. Without columns they are not known yet.
func (j JSONReading) checkKeys(r *report, columns []SchemaColumn) {
	const path = "parquet.keys."
	id := strings.ToLower
	if j.CaseSensitive {
		id = func(s string) string { return s }
	}
	byKey, byColumn := map[string]string{}, map[string]string{} // id -> column
	for _, column := range slices.Sorted(maps.Keys(j.Keys)) {
		key := j.Keys[column]
		switch {
		case column == "":
			r.add(path, "names no column; write COLUMN: KEY")
		case key == "":
			r.add(path+column, "is empty; write the JSON key that the column is filled from")
		case byColumn[id(column)] != "":
			r.add(path+column, "is the column %q again, in another case; keep one", clip(byColumn[id(column)]))
		case byKey[id(key)] != "":
			r.add(path+column, "the JSON key %q belongs to the column %q already; a key fills one column", clip(key), clip(byKey[id(key)]))
		default:
			byKey[id(key)], byColumn[id(column)] = column, column
		}
	}
	if len(j.Keys) == 0 || len(columns) == 0 {
		return
	}
	level := make([]schema.Column, 0, len(columns))
	for _, c := range columns {
		t, err := schema.Parse(c.Type)
		if err != nil {
			return // reported
		}
		level = append(level, schema.Column{Name: c.Name, Type: t})
	}
	w := keyWalk{r: r, id: id, byKey: byKey, byColumn: byColumn, found: map[string]bool{}}
	w.level(level)
	for _, column := range slices.Sorted(maps.Values(byColumn)) {
		if !w.found[id(column)] {
			r.add(path+column, "is no column of the schema; correct the name, or remove it")
		}
	}
}

// keyWalk looks for the columns that have keys, level by level.
type keyWalk struct {
	r               *report
	id              func(string) string
	byKey, byColumn map[string]string
	found           map[string]bool // columns, by id
}

// level sees that no column would lose its own key to another one beside it.
func (w *keyWalk) level(columns []schema.Column) {
	here := map[string]bool{}
	for _, c := range columns {
		here[w.id(c.Name)] = true
	}
	for _, c := range columns {
		id := w.id(c.Name)
		_, named := w.byColumn[id]
		if named {
			w.found[id] = true
		}
		taker, taken := w.byKey[id]
		if taken && !named && here[w.id(taker)] {
			w.r.add("parquet.keys."+taker, "takes the JSON key of the column %q beside it; give that column a key of its own here, or remove it", clip(c.Name))
		}
		w.inside(c.Type)
	}
}

func (w *keyWalk) inside(t *schema.Type) {
	switch t.Kind {
	case schema.Array, schema.Map:
		w.inside(t.Elem)
	case schema.Struct:
		w.level(t.Fields)
	}
}
