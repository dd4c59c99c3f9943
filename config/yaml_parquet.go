package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"hydrant/config/schema"
)

// parquet reads the section over its defaults; format parquet has them without a section too.
func (s *section) parquet(st *Stream) {
	if _, ok := s.keys["parquet"]; !ok && st.Format != FormatParquet {
		return
	}
	p := &Parquet{}
	st.Parquet = p
	sec := s.section("parquet", "schema", "compression", "page_size", "row_group_size", "dictionary", "writer_version",
		"timestamps", "unknown_keys", "duplicate_keys", "case_sensitive", "dots_to_underscores", "keys", "timestamp_formats")
	p.fill()
	if sec == nil {
		return
	}
	sec.schema(&p.Schema)
	for _, f := range []struct {
		key string
		to  *string
	}{
		{"compression", &p.Compression}, {"dictionary", &p.Dictionary}, {"writer_version", &p.Writer},
		{"timestamps", &p.Timestamps}, {"unknown_keys", &p.Unknown}, {"duplicate_keys", &p.Duplicates},
	} {
		sec.text(f.key, f.to)
	}
	sec.bytes("page_size", &p.PageSize)
	sec.bytes("row_group_size", &p.RowGroupSize)
	sec.reading(&p.JSON)
}

func (s *section) reading(j *JSONReading) {
	s.flag("case_sensitive", &j.CaseSensitive)
	s.flag("dots_to_underscores", &j.DotsToUnderscores)
	s.texts("timestamp_formats", &j.TimestampFormats)
	n, ok := s.values["keys"]
	if !ok {
		return
	}
	sec := s.r.free(n, s.sub("keys"))
	if sec == nil {
		return
	}
	j.Keys = map[string]string{}
	for _, column := range sec.order {
		if _, v, ok := sec.scalar(column); ok {
			j.Keys[column] = v
		}
	}
}

func (s *section) flag(key string, to *bool) {
	var b *bool
	if s.boolean(key, &b); b != nil {
		*to = *b
	}
}

const schemaAdvice = "write infer, {columns: {NAME: TYPE}}, {glue: {database: NAME, table: NAME}} or {file: PATH}"

// schema is the word infer, or a section of one kind.
func (s *section) schema(to *Schema) {
	n, ok := s.values["schema"]
	if !ok {
		return
	}
	path := s.sub("schema")
	if s.isScalar("schema") {
		if at, v, ok := s.scalar("schema"); ok && v != "infer" {
			s.r.fail(at, path, "%q is not known; %s", clip(v), schemaAdvice)
		}
		return
	}
	kinds := []string{"infer", "columns", "glue", "file"}
	sec := s.section("schema", kinds...)
	switch {
	case sec == nil || len(sec.keys) == 0:
		if !s.r.bad[path] {
			s.r.fail(n, path, "is empty; %s", schemaAdvice)
		}
		return
	case len(sec.keys) > 1:
		s.r.fail(sec.keys[sec.order[1]], path, "has %d kinds (%s); keep one", len(sec.keys), joinWords(sec.order))
		return
	}
	if sec.order[0] == "infer" {
		sec.infer(to)
		return
	}
	*to = Schema{}
	switch sec.order[0] {
	case "columns":
		sec.columns(to)
	case "glue":
		sec.glue(to)
	case "file":
		sec.schemaFile(to)
	default:
		s.r.bad[path] = true // unknown, and reported
	}
}

func (s *section) infer(to *Schema) {
	if sec := s.section("infer", "max_columns", "max_depth"); sec != nil {
		sec.integer("max_columns", &to.Limits.MaxColumns)
		sec.integer("max_depth", &to.Limits.MaxDepth)
	}
}

func (s *section) glue(to *Schema) {
	to.Glue = &GlueTable{Version: glueLatest}
	sec := s.section("glue", "catalog", "database", "table", "region", "endpoint", "version")
	if sec == nil {
		return
	}
	g := to.Glue
	for _, f := range []struct {
		key string
		to  *string
	}{
		{"catalog", &g.Catalog}, {"database", &g.Database}, {"table", &g.Table}, {"region", &g.Region},
		{"endpoint", &g.Endpoint}, {"version", &g.Version},
	} {
		sec.text(f.key, f.to)
	}
}

// columns reads names and types in the order in which they are written.
func (s *section) columns(to *Schema) {
	sec := s.r.free(s.values["columns"], s.sub("columns"))
	if sec == nil || len(sec.order) == 0 {
		if !s.r.bad[s.sub("columns")] {
			s.r.fail(s.keys["columns"], s.sub("columns"), "is empty; write NAME: TYPE for each column, such as id: bigint")
		}
		s.r.bad[s.path] = true
		return
	}
	for i, name := range sec.order {
		if i > 0 && isNull(sec.values[name]) && strings.ContainsAny(name, ")>") {
			s.r.bad[sec.sub(sec.order[i-1])] = true
			s.r.fail(sec.keys[name], s.sub("columns"), "a type with a comma must stand in quotes within {...}; YAML takes what follows the comma for a column")
			return
		}
		c := SchemaColumn{Name: name}
		sec.text(name, &c.Type)
		to.Columns = append(to.Columns, c)
	}
}

// schemaFile is a schema that was read, or why it could not be.
type schemaFile struct {
	columns []SchemaColumn
	err     error
}

func (s *section) schemaFile(to *Schema) {
	n, name, ok := s.scalar("file")
	if !ok {
		s.r.bad[s.path] = true
		return
	}
	to.File = name
	f, known := s.r.schemas[name]
	if !known {
		f = readSchema(s.r.dir, name)
		s.r.schemas[name] = f
	}
	if f.err != nil {
		s.r.fail(n, s.sub("file"), "%s", f.err)
		s.r.bad[s.path] = true
		return
	}
	to.Columns = f.columns
}

// maxSchemaBytes bounds a schema file.
const maxSchemaBytes = 4 << 20

func readSchema(dir, name string) (f schemaFile) {
	data, err := readRegular(dir, name)
	if err != nil {
		return schemaFile{err: err}
	}
	columns, err := schema.FromFile(name, data)
	if err != nil {
		return schemaFile{err: fmt.Errorf("is no schema that columns can be made of: %w", err)}
	}
	for _, c := range columns {
		f.columns = append(f.columns, SchemaColumn{c.Name, c.Type.String()})
	}
	return f
}

// readRegular reads a file of bounded size, and waits for no pipe or device.
func readRegular(dir, name string) ([]byte, error) {
	path := name
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w; the path begins at the folder of the configuration file", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is no file", clip(name))
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSchemaBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	if len(data) > maxSchemaBytes {
		return nil, fmt.Errorf("%q is larger than the limit %s", clip(name), Bytes(maxSchemaBytes))
	}
	return data, nil
}
