package config

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// config reads the top level over the defaults.
func (r *reader) config(n *yaml.Node, c *Config) {
	s := r.section(n, "", "listen", "admin", "data_dir", "aws", "object_store", "auth", "shutdown_timeout",
		"shutdown", "min_free", "log", "streams")
	if s == nil {
		return
	}
	s.text("listen", &c.Listen)
	s.text("admin", &c.Admin)
	s.text("data_dir", &c.DataDir)
	s.text("object_store", &c.ObjectStore)
	s.text("shutdown", &c.Shutdown)
	s.duration("shutdown_timeout", &c.ShutdownTimeout)
	s.bytes("min_free", &c.MinFree)
	if aws := s.section("aws", "region", "account_id"); aws != nil {
		aws.text("region", &c.AWS.Region)
		aws.text("account_id", &c.AWS.AccountID)
	}
	if log := s.section("log", "format", "level"); log != nil {
		log.text("format", &c.Log.Format)
		log.text("level", &c.Log.Level)
	}
	s.auth(c)
	s.streams(c)
}

// section reads a section below this one; nil: absent, or reported.
func (s *section) section(key string, legal ...string) *section {
	n, ok := s.values[key]
	if !ok {
		return nil
	}
	return s.r.section(n, s.sub(key), legal...)
}

func (s *section) streams(c *Config) {
	n, ok := s.values["streams"]
	if !ok {
		return
	}
	if n = s.r.resolve(n, "streams"); n == nil || isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		s.r.fail(n, "streams", "is %s; write a list, each stream behind a dash", kindName(n))
		return
	}
	for i, one := range n.Content {
		path := fmt.Sprintf("streams[%d]", i)
		if s.r.visited > maxVisited {
			return
		}
		st := newStream()
		st.Line = one.Line
		s.r.stream(one, path, &st)
		c.Streams = append(c.Streams, st)
	}
}

// newStream has every default of YAML that zero could not stand for.
func newStream() Stream {
	var s Stream
	s.Normalize()
	return s
}

func (r *reader) stream(n *yaml.Node, path string, st *Stream) {
	s := r.section(n, path, "name", "source", "buffer", "processors", "partitioning", "format", "parquet", "compression",
		"compression_level", "destination", "retry", "backup", "tags")
	if s == nil {
		if !r.bad[path] {
			r.fail(n, path, "is empty; write name and destination, or remove the dash")
		}
		return
	}
	s.text("name", &st.Name)
	s.text("format", &st.Format)
	s.processors(st)
	s.partitioning(st)
	s.parquet(st)
	s.text("compression", &st.Compression)
	s.integer("compression_level", &st.CompressionLevel)
	s.source()
	if b := s.section("buffer", "size", "interval", "max_backlog", "guaranteed", "retain"); b != nil {
		b.bytes("size", &st.Buffer.Size)
		b.duration("interval", &st.Buffer.Interval)
		b.bytes("max_backlog", &st.Buffer.MaxBacklog)
		b.bytes("guaranteed", &st.Buffer.Guaranteed)
		b.duration("retain", &st.Buffer.Retain)
	}
	s.destination(st)
	if retry := s.section("retry", "for"); retry != nil {
		retry.duration("for", &st.Retry.For)
	}
	s.backup(st)
	s.tags(st)
}

// source must name exactly one kind when it is written.
func (s *section) source() {
	kinds := []string{"direct", "kinesis", "kafka", "file"}
	src := s.section("source", kinds...)
	if src == nil {
		return
	}
	for _, k := range kinds[1:] {
		src.unsupported(k, "use direct: {}")
	}
	src.section("direct")
	src.exactlyOne(kinds, "direct: {}")
}

// exactlyOne counts the legal keys; unknown ones have been reported.
func (s *section) exactlyOne(kinds []string, example string) {
	var found []string
	for _, k := range kinds {
		if _, ok := s.keys[k]; ok {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 0 && len(s.keys) == 0:
		s.r.fail(s.r.places[s.path], s.path, "is empty; write %s", example)
	case len(found) == 0:
		s.r.bad[s.path] = true
	case len(found) > 1:
		s.r.fail(s.keys[found[1]], s.path, "has %d kinds (%s); keep one", len(found), joinWords(found))
	}
}

// s3 reads an s3 section. A present but empty one gives a section without bucket, which the checks refuse.
func (s *section) s3() *S3 {
	if _, ok := s.keys["s3"]; !ok {
		return nil
	}
	d := &S3{SSE: SSENone, TimeZone: "UTC"}
	sec := s.section("s3", "bucket", "prefix", "error_prefix", "region", "endpoint", "path_style", "sse", "kms_key",
		"file_extension", "time_zone", "storage_class", "acl")
	if sec == nil {
		return d
	}
	for _, f := range []struct {
		key string
		to  *string
	}{
		{"bucket", &d.Bucket}, {"prefix", &d.Prefix}, {"error_prefix", &d.ErrorPrefix}, {"region", &d.Region},
		{"endpoint", &d.Endpoint}, {"sse", &d.SSE}, {"kms_key", &d.KMSKey}, {"file_extension", &d.FileExtension},
		{"time_zone", &d.TimeZone}, {"storage_class", &d.StorageClass}, {"acl", &d.ACL},
	} {
		sec.text(f.key, f.to)
	}
	sec.boolean("path_style", &d.PathStyle)
	return d
}

func (s *section) backup(st *Stream) {
	b := &st.Backup
	if st.Destination.Kind() != "" && st.FailedElsewhere() {
		b.Mode = BackupFailed
	}
	sec := s.section("backup", "mode", "s3", "buffer", "compression")
	if sec == nil {
		return
	}
	sec.text("mode", &b.Mode)
	sec.text("compression", &b.Compression)
	if b.Mode == BackupNone || b.Mode == BackupFailed {
		for _, key := range []string{"buffer", "compression"} {
			if n, ok := sec.keys[key]; ok {
				s.r.fail(n, sec.sub(key), "is used only with mode: all; records that are set aside are never compressed, and land with the batch they came from")
			}
		}
	}
	if buf := sec.section("buffer", "size", "interval"); buf != nil {
		buf.bytes("size", &b.Buffer.Size)
		buf.duration("interval", &b.Buffer.Interval)
	}
	b.S3 = sec.s3()
}

func (s *section) tags(st *Stream) {
	if s.has("tags") {
		st.Tags = s.textMap("tags")
	}
}
