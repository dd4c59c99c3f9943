package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func streamNamed(t *testing.T, c *Config, name string) Stream {
	t.Helper()
	for _, s := range c.Streams {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no stream %s", name)
	return Stream{}
}

func goodFile(t *testing.T, name string) *Config {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	c, err := parseCorpus(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParquetDefaults(t *testing.T) {
	c := goodFile(t, "parquet.good.yml")
	want := Parquet{Schema: Schema{Infer: true, Limits: InferenceLimits{5000, 16}}, Compression: "snappy", PageSize: MB, RowGroupSize: 64 * MB,
		Dictionary: "auto", Writer: "v1", Timestamps: "millis", Unknown: "drop", Duplicates: "error"}
	if got := *streamNamed(t, c, "defaults").Parquet; !sameAsStored(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	made := Stream{Format: FormatParquet}
	made.Normalize()
	if !sameAsStored(*made.Parquet, want) {
		t.Errorf("got %+v, want %+v", *made.Parquet, want)
	}
	if p := streamNamed(t, c, "limits").Parquet; p.Schema.Limits != (InferenceLimits{200, 4}) || p.Dictionary != "off" {
		t.Errorf("%+v", p)
	}
	if g := streamNamed(t, c, "latest").Parquet.Schema; g.Glue.Version != "LATEST" || g.Infer || g.Columns != nil {
		t.Errorf("%+v", g)
	}
}

func TestParquetSettings(t *testing.T) {
	p := *streamNamed(t, goodFile(t, "parquet.good.yml"), "columns").Parquet
	want := Parquet{
		Schema: Schema{Columns: []SchemaColumn{{"zone", "string"}, {"id", "bigint"}, {"price", "decimal(10,2)"}, {"tags", "array<string>"},
			{"who", "struct<name:string,age:int>"}, {"at", "timestamp"}}},
		Compression: "zstd", PageSize: 512 * KB, RowGroupSize: 128 * MB, Dictionary: "on", Writer: "v2", Timestamps: "int96",
		Unknown: "error", Duplicates: "first",
		JSON: JSONReading{CaseSensitive: true, DotsToUnderscores: true, Keys: map[string]string{"zone": "time.zone", "at": "@timestamp"},
			TimestampFormats: []string{"millis", "dd/MMM/yyyy:HH:mm:ss Z"}},
	}
	if !sameAsStored(p, want) {
		t.Errorf("got\n%+v\nwant\n%+v", p, want)
	}
}

// TestSchemaFile: its columns become the stream's, so that a changed file is a changed stream.
func TestSchemaFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load := func() Stream {
		t.Helper()
		c, err := Load(filepath.Join(dir, "h.yml"))
		if err != nil {
			t.Fatal(err)
		}
		return c.Streams[0]
	}
	write("h.yml", "streams:\n  - name: a\n    format: parquet\n    parquet: {schema: {file: e.json}}\n    destination: {s3: {bucket: lake}}\n")
	write("e.json", `{"properties":{"zone":{"type":"string"},"id":{"type":"integer"}}}`)
	before := load()
	want := Schema{File: "e.json", Columns: []SchemaColumn{{"zone", "string"}, {"id", "bigint"}}}
	if !sameAsStored(before.Parquet.Schema, want) {
		t.Errorf("got %+v, want %+v", before.Parquet.Schema, want)
	}
	if !before.SameOutput(load()) {
		t.Error("the same file is a change")
	}
	write("e.json", `{"properties":{"zone":{"type":"string"},"id":{"type":"string"}}}`)
	if before.SameOutput(load()) {
		t.Error("a changed file is no change")
	}
	inline := before
	inline.Parquet = copyOf(before.Parquet)
	inline.Parquet.Schema.File = ""
	if !inline.SameOutput(before) {
		t.Error("where the columns stand is a change")
	}
	write("e.json", strings.Repeat(" ", maxSchemaBytes+1))
	if _, err := Load(filepath.Join(dir, "h.yml")); err == nil || !strings.Contains(err.Error(), "larger than the limit 4MB") {
		t.Errorf("%v", err)
	}
	absolute := strings.ReplaceAll(string(must(os.ReadFile(filepath.Join(dir, "h.yml")))), "e.json", filepath.Join(dir, "f.json"))
	write("f.json", `{"properties":{"id":{"type":"integer"}}}`)
	if _, err := Parse([]byte(absolute), "elsewhere/h.yml", testEnv); err != nil {
		t.Error(err)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

// TestLargestSchema: columns are counted with those inside of others.
func TestLargestSchema(t *testing.T) {
	s := Stream{Name: "a", Format: FormatParquet, Destination: Destination{S3: &S3{Bucket: "lake"}}, Parquet: &Parquet{}}
	for i := range maxLeaves / 2 {
		s.Parquet.Schema.Columns = append(s.Parquet.Schema.Columns, SchemaColumn{fmt.Sprintf("c%d", i), "struct<a:int,b:array<int>>"})
	}
	s.Normalize()
	if errs := s.Check(); len(errs) > 0 {
		t.Error(errs)
	}
	s.Parquet.Schema.Columns = append(s.Parquet.Schema.Columns, SchemaColumn{"one", "int"})
	if errs := s.Check(); len(errs) != 1 || !strings.Contains(errs[0].Error(), "come to 10001 columns") {
		t.Error(errs)
	}
}

// TestUnnormalizedSchemas: what only other sides than YAML can come up with.
func TestUnnormalizedSchemas(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Stream)
		want   string
	}{
		"none":      {func(s *Stream) { s.Parquet.Schema = Schema{File: "x"} }, "parquet.schema: must be of one kind"},
		"two":       {func(s *Stream) { s.Parquet.Schema.Glue = &GlueTable{} }, "parquet.schema: must be of one kind"},
		"empty":     {func(s *Stream) { s.Parquet.Schema = Schema{Columns: []SchemaColumn{}} }, "parquet.schema.columns: a table needs at least one column"},
		"no name":   {func(s *Stream) { s.Parquet.Schema = Schema{Columns: []SchemaColumn{{"", "int"}}} }, "has no name"},
		"section":   {func(s *Stream) { s.Parquet = nil }, "parquet: is missing"},
		"processor": {func(s *Stream) { s.Processors = []Processor{{}} }, "processors[0]: names no processor"},
		"place":     {func(s *Stream) { s.Destination = Destination{Splunk: &Splunk{}} }, "format: parquet is for objects"},
	} {
		s := Stream{Name: "a", Format: FormatParquet, Destination: Destination{S3: &S3{Bucket: "lake"}}}
		s.Normalize()
		c.change(&s)
		if errs := s.Check(); len(errs) == 0 || !strings.Contains(fmt.Sprint(errs), c.want) {
			t.Errorf("%s: got %v, want %s", name, errs, c.want)
		}
	}
}
