package config

import (
	"regexp"
	"strings"
	"unicode/utf8"

	"hydrant/config/schema"
)

// Limits of format parquet.
const (
	minPageSize     = 64 * KB
	maxPageSize     = 16 * MB
	minRowGroupSize = 1 * MB
	maxRowGroupSize = 1 * GB
	maxLeaves       = 10_000
	maxInferDepth   = schema.MaxDepth

	glueLatest = "LATEST"
)

// checkFormat: the format, and what may not stand beside it.
func (s *Stream) checkFormat(r *report) {
	if s.Format == "orc" {
		r.add("format", "orc is not supported: no well-kept ORC writer for Go could be found; use parquet, which the same readers read")
		return
	}
	r.oneOf("format", s.Format, FormatJSON, FormatJSONArray, FormatRaw, FormatParquet)
	if s.Format != FormatParquet {
		if s.Parquet != nil {
			r.add("parquet", "is used only with format: parquet; write that, or remove it")
		}
		return
	}
	if s.Compression != CompressionNone {
		r.add("compression", "parquet files are compressed inside; remove it, and choose with parquet: {compression: ...}")
	}
	if s.Parquet == nil {
		r.add("parquet", "is missing; write parquet: {schema: infer}")
		return
	}
	s.Parquet.check(r)
}

func (p *Parquet) check(r *report) {
	r.oneOf("parquet.compression", p.Compression, CompressionSnappy, CompressionGzip, CompressionZstd, CompressionNone)
	checkRange(r, "parquet.page_size", p.PageSize, minPageSize, maxPageSize, "64KB to 16MB")
	checkRange(r, "parquet.row_group_size", p.RowGroupSize, minRowGroupSize, maxRowGroupSize, "1MB to 1GB")
	r.oneOf("parquet.dictionary", p.Dictionary, "auto", "on", "off")
	r.oneOf("parquet.writer_version", p.Writer, "v1", "v2")
	r.oneOf("parquet.timestamps", p.Timestamps, "millis", "micros", "nanos", "int96")
	r.oneOf("parquet.unknown_keys", p.Unknown, "drop", "error")
	r.oneOf("parquet.duplicate_keys", p.Duplicates, "error", "first")
	checkTimeFormats(r, "parquet.timestamp_formats", p.JSON.TimestampFormats, "millis")
	p.Schema.check(r, p.JSON.CaseSensitive)
	p.checkInferred(r)
	p.JSON.checkKeys(r, p.Schema.Columns)
}

func (s *Schema) check(r *report, caseSensitive bool) {
	const path = "parquet.schema"
	kinds := 0
	for _, set := range []bool{s.Infer, s.Columns != nil, s.Glue != nil} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		r.add(path, "must be of one kind; %s", schemaAdvice)
	case s.Infer:
		s.Limits.check(r)
	case s.Glue != nil:
		s.Glue.check(r, path+".glue")
	default:
		s.checkColumns(r, caseSensitive)
	}
}

func (l InferenceLimits) check(r *report) {
	if l.MaxColumns < 1 || l.MaxColumns > maxLeaves {
		r.add("parquet.schema.infer.max_columns", "%d is outside the limits; use 1 to %d", l.MaxColumns, maxLeaves)
	}
	if l.MaxDepth < 1 || l.MaxDepth > maxInferDepth {
		r.add("parquet.schema.infer.max_depth", "%d is outside the limits; use 1 to %d", l.MaxDepth, maxInferDepth)
	}
}

func (s *Schema) checkColumns(r *report, caseSensitive bool) {
	path := "parquet.schema.columns"
	if s.File != "" {
		path = "parquet.schema.file"
	}
	var columns []schema.Column
	for _, c := range s.Columns {
		t, err := schema.Parse(c.Type)
		if err != nil {
			r.add(path+"."+c.Name, "%s", err)
			continue
		}
		columns = append(columns, schema.Column{Name: c.Name, Type: t})
	}
	if len(columns) < len(s.Columns) {
		return
	}
	if err := schema.Check(columns, caseSensitive); err != nil {
		r.add(path, "%s", err)
		return
	}
	if n := schema.Leaves(columns); n > maxLeaves {
		r.add(path, "come to %d columns with those inside of structs, arrays and maps; use at most %d", n, maxLeaves)
	}
}

var glueVersion = regexp.MustCompile(`^(LATEST|[0-9]{1,18})$`)

func (g *GlueTable) check(r *report, path string) {
	for _, f := range []struct {
		key, value string
		needed     bool
	}{{"database", g.Database, true}, {"table", g.Table, true}, {"catalog", g.Catalog, false}} {
		switch {
		case f.value == "" && f.needed:
			r.add(path+"."+f.key, "is missing; name the Glue %s", f.key)
		case utf8.RuneCountInString(f.value) > 255 || strings.ContainsFunc(f.value, func(c rune) bool { return c < ' ' }):
			r.add(path+"."+f.key, "%q is no name; use at most 255 characters", clip(f.value))
		}
	}
	if g.Region != "" && !regionName.MatchString(g.Region) {
		r.add(path+".region", "%q is no region; write one such as us-east-1", clip(g.Region))
	}
	if g.Endpoint != "" {
		if problem := endpointProblem(g.Endpoint); problem != "" {
			r.add(path+".endpoint", "%q %s; write one such as http://127.0.0.1:9000", clip(g.Endpoint), problem)
		}
	}
	if !glueVersion.MatchString(g.Version) {
		r.add(path+".version", "%q is no version; write LATEST or a number", clip(g.Version))
	}
}

// checkInferred refuses what an inferred schema leaves without effect.
func (p *Parquet) checkInferred(r *report) {
	if !p.Schema.Infer {
		return
	}
	if p.Unknown != "drop" {
		r.add("parquet.unknown_keys", "has no effect: while the schema is inferred, a key without a column becomes one; remove it, or name the columns in parquet.schema")
	}
	const noTimes = "has no effect: an inferred schema has no timestamps, it keeps text and numbers; remove it, or name the columns in parquet.schema"
	if p.Timestamps != "millis" {
		r.add("parquet.timestamps", noTimes)
	}
	if len(p.JSON.TimestampFormats) > 0 {
		r.add("parquet.timestamp_formats", noTimes)
	}
}
