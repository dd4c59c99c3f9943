package config

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"hydrant/config/prefix"
)

// Limits of requests to destinations.
const (
	minRequestSize = 64 * KB
	maxRequestSize = 64 * MB
	maxRequests    = 64
	maxItems       = 10_000
	maxTimeout     = Duration(15 * time.Minute)
	maxCopyTimeout = Duration(2 * time.Hour)
	maxAckTimeout  = Duration(600 * time.Second)
	maxFileKeep    = 100_000
	maxAttributes  = 50
)

func (s *Stream) checkDestination(r *report) {
	d := s.Destination
	path := "destination." + d.Kind()
	switch {
	case d.S3 != nil:
		r.under(path, d.S3.check(s.API != nil, true))
		return
	case d.OpenSearch != nil:
		d.OpenSearch.check(r, path)
	case d.Redshift != nil:
		d.Redshift.check(r, path, s)
	case d.Splunk != nil:
		d.Splunk.check(r, path)
	case d.HTTP != nil:
		d.HTTP.check(r, path)
	case d.File != nil:
		d.File.check(r, path, s)
	default:
		r.add("destination", "is missing; write destination: {s3: {bucket: NAME}}")
		return
	}
	s.checkElsewhere(r)
}

// checkElsewhere is what holds for all destinations that are no object store.
func (s *Stream) checkElsewhere(r *report) {
	kind := s.Destination.Kind()
	switch {
	case s.Backup.Mode == BackupNone:
		r.add("backup.mode", "must be failed or all for the destination %s; records that it refuses must have a place", kind)
	case s.Backup.S3 == nil:
		r.add("backup", "is missing; the destination %s needs a place for records that it refuses: backup: {s3: {bucket: NAME}}", kind)
	}
	if s.Partitioned() {
		r.add("processors", "partitions are for the destination s3; remove partition and partitioning")
	}
	if s.Destination.Objects() {
		return
	}
	if s.Compression != CompressionNone {
		r.add("compression", "is for objects; write content_encoding: gzip in destination.%s, or remove it", kind)
	}
	if s.Format == FormatParquet || s.Format == FormatJSONArray {
		r.add("format", "%s is for objects; the destination %s takes records one by one, remove it", s.Format, kind)
	}
}

func (o *OpenSearch) check(r *report, path string) {
	if len(o.URLs) == 0 {
		r.add(path+".url", "is missing; write one such as https://search.example.com:9200")
	}
	for _, u := range o.URLs {
		checkURL(r, path+".url", u, false)
	}
	if !indexName.MatchString(o.Index) || strings.Trim(o.Index, ".") == "" {
		r.add(path+".index", "%q is no index name; use 1 to 80 lower-case letters, digits, . - and _, none of - _ + first", clip(o.Index))
	}
	r.oneOf(path+".rotation", o.Rotation, RotationNone, RotationHour, RotationDay, RotationWeek, RotationMonth)
	r.oneOf(path+".week_rule", o.WeekRule, "us", "iso")
	r.oneOf(path+".document_id", o.DocumentID, DocumentIDStable, DocumentIDNone)
	checkEncoding(r, path, o.Encoding)
	checkRange(r, path+".timeout", o.Timeout, Duration(time.Second), maxTimeout, "1s to 15m")
	o.Request.check(r, path)
	o.TLS.check(r, path)
	switch {
	case o.SigV4 != nil && (o.Username != "" || o.Password != ""):
		r.add(path+".sigv4", "stands beside username and password; keep one of them")
	case (o.Username == "") != (o.Password == ""):
		r.add(path+".username", "and password go together; write both, or neither")
	}
	if o.SigV4 != nil {
		r.oneOf(path+".sigv4.service", o.SigV4.Service, "es", "aoss")
		checkRegion(r, path+".sigv4.region", o.SigV4.Region)
		if o.SigV4.Service == "aoss" && o.Rotation != RotationNone {
			r.add(path+".rotation", "must be none for OpenSearch Serverless (aoss)")
		}
	}
}

func (s *Splunk) check(r *report, path string) {
	checkURL(r, path+".url", s.URL, false)
	if s.Token == "" {
		r.add(path+".token", "is missing; write the token of the HTTP Event Collector, ${NAME} or file:PATH")
	}
	r.oneOf(path+".endpoint", s.Endpoint, SplunkEvent, SplunkRaw)
	checkEncoding(r, path, s.Encoding)
	checkRange(r, path+".timeout", s.Timeout, Duration(time.Second), maxTimeout, "1s to 15m")
	if s.AckTimeout != 0 {
		checkRange(r, path+".ack_timeout", s.AckTimeout, Duration(time.Second), maxAckTimeout, "1s to 600s, or 0s for no acknowledgements")
	}
	s.Request.check(r, path)
	s.TLS.check(r, path)
}

func (h *HTTP) check(r *report, path string) {
	checkURL(r, path+".url", h.URL, true)
	checkEncoding(r, path, h.Encoding)
	checkRange(r, path+".timeout", h.Timeout, Duration(time.Second), maxTimeout, "1s to 15m")
	h.Request.check(r, path)
	h.TLS.check(r, path)
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		if !headerName.MatchString(name) {
			r.add(path+".headers", "%q is no name of a header", clip(name))
		}
	}
	h.checkBody(r, path)
	if len(h.CommonAttributes) > maxAttributes {
		r.add(path+".common_attributes", "%d attributes are above the limit %d; remove some", len(h.CommonAttributes), maxAttributes)
	}
	for _, k := range slices.Sorted(maps.Keys(h.CommonAttributes)) {
		if k == "" || len(k) > 256 || len(h.CommonAttributes[k]) > 1024 {
			r.add(path+".common_attributes", "%q: names have 1 to 256 characters, values at most 1024", clip(k))
		}
	}
}

func (h *HTTP) checkBody(r *report, path string) {
	switch {
	case !h.Plain && h.Body != "":
		r.add(path+".body", "is only for plain: true; Firehose's protocol has a body of its own")
	case h.Plain:
		r.oneOf(path+".body", h.Body, BodyNDJSON, BodyArray, BodyLoki)
		if len(h.CommonAttributes) > 0 {
			r.add(path+".common_attributes", "have no place in a plain request; remove them, or write headers")
		}
		if h.AccessKey != "" {
			r.add(path+".access_key", "has no place in a plain request; write it as one of headers")
		}
	}
	switch {
	case h.Body == BodyLoki && len(h.Labels) == 0:
		r.add(path+".labels", "is missing; Loki needs at least one label, such as {job: hydrant}")
	case h.Body != BodyLoki && len(h.Labels) > 0:
		r.add(path+".labels", "is only for body: loki")
	}
}

func (c *Redshift) check(r *report, path string, s *Stream) {
	switch {
	case c.DataAPI == nil && c.Postgres == nil:
		r.add(path, "says not how the cluster is reached; write data_api: {cluster: NAME, database: NAME} or postgres: {url: URL}")
	case c.DataAPI != nil && c.Postgres != nil:
		r.add(path, "has data_api and postgres; keep one")
	case c.DataAPI != nil:
		c.DataAPI.check(r, path+".data_api")
	case c.Postgres.URL == "":
		r.add(path+".postgres.url", "is missing; write one such as postgres://user@host:5439/db")
	}
	if !tableName.MatchString(c.Table) {
		r.add(path+".table", "%q is no table; write TABLE or SCHEMA.TABLE of letters, digits, _ and $", clip(c.Table))
	}
	for _, col := range c.Columns {
		if !columnName.MatchString(col) {
			r.add(path+".columns", "%q is no column", clip(col))
		}
	}
	if c.Ledger != LedgerNone && !tableName.MatchString(c.Ledger) {
		r.add(path+".ledger", "%q is no table; write TABLE, SCHEMA.TABLE or none", clip(c.Ledger))
	}
	checkRange(r, path+".timeout", c.Timeout, Duration(time.Second), maxCopyTimeout, "1s to 2h")
	if strings.Contains(c.CopyOptions, ";") || strings.Count(c.CopyOptions, "'")%2 == 1 {
		r.add(path+".copy_options", "must hold no ; and closed quotes")
	}
	c.checkObjects(r, path, s)
}

func (c *Redshift) checkObjects(r *report, path string, s *Stream) {
	if c.S3 == nil {
		r.add(path+".s3", "is missing; write s3: {bucket: NAME}, where COPY finds the batches")
	} else {
		r.under(path+".s3", c.S3.check(s.API != nil, false))
	}
	plain := c.Postgres != nil && c.Postgres.Plain
	switch {
	case plain && s.Format != FormatJSON:
		r.add("format", "must be json for a plain PostgreSQL server")
	case plain && c.CopyOptions != "":
		r.add(path+".copy_options", "has no place with plain: true, which inserts")
	case !slices.Contains([]string{FormatJSON, FormatRaw, FormatParquet}, s.Format):
		r.add("format", "COPY reads no %s; use json, raw (CSV, say, with copy_options) or parquet", s.Format)
	}
	if !slices.Contains([]string{CompressionNone, CompressionGzip, CompressionZstd}, s.Compression) || plain && s.Compression == CompressionZstd {
		r.add("compression", "COPY reads no %s; use none, gzip or zstd (plain: none or gzip)", s.Compression)
	}
}

func (a *DataAPI) check(r *report, path string) {
	switch {
	case (a.Cluster == "") == (a.Workgroup == ""):
		r.add(path, "needs cluster or workgroup, not both")
	case a.Database == "":
		r.add(path+".database", "is missing; name the database")
	case a.Cluster != "" && a.DBUser == "" && a.SecretARN == "":
		r.add(path, "needs db_user or secret_arn for a cluster")
	}
	checkRegion(r, path+".region", a.Region)
	if a.Endpoint != "" {
		checkURL(r, path+".endpoint", a.Endpoint, false)
	}
}

func (f *File) check(r *report, path string, s *Stream) {
	switch {
	case f.Path == "":
		r.add(path+".path", "is missing; write a file's path, or \"-\" for standard output")
	case strings.HasSuffix(f.Path, "/"):
		r.add(path+".path", "%q is a folder; name a file in it", clip(f.Path))
	default:
		if _, err := prefix.Parse(f.Path, prefix.Path); err != nil {
			r.add(path+".path", "%s", constraint(err))
		}
	}
	if f.Rotate.Size != 0 {
		checkRange(r, path+".rotate.size", f.Rotate.Size, 64*KB, maxSpace, "64KB and more, or leave it out")
	}
	if f.Rotate.Keep < 0 || f.Rotate.Keep > maxFileKeep {
		r.add(path+".rotate.keep", "%d is outside 0 (all) to %d", f.Rotate.Keep, maxFileKeep)
	}
	if s.Format == FormatParquet || s.Format == FormatJSONArray {
		r.add("format", "%s cannot be appended to; use json or raw", s.Format)
	}
	if !slices.Contains([]string{CompressionNone, CompressionGzip, CompressionZstd}, s.Compression) {
		r.add("compression", "%s cannot be appended to; use none, gzip or zstd", s.Compression)
	}
}

func (q Request) check(r *report, path string) {
	path += ".request"
	checkRange(r, path+".size", q.Size, minRequestSize, maxRequestSize, "64KB to 64MB")
	if q.Records < 1 || q.Records > maxItems {
		r.add(path+".records", "%d is outside 1 to %d", q.Records, maxItems)
	}
	if q.Concurrent < 1 || q.Concurrent > maxRequests {
		r.add(path+".concurrent", "%d is outside 1 to %d", q.Concurrent, maxRequests)
	}
}

func (t TLS) check(r *report, path string) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		r.add(path+".tls", "cert_file and key_file go together; write both, or neither")
	}
}

func checkEncoding(r *report, path, encoding string) {
	r.oneOf(path+".content_encoding", encoding, EncodingNone, EncodingGzip)
}

func checkRegion(r *report, path, region string) {
	if region != "" && !regionName.MatchString(region) {
		r.add(path, "%q is no region; write one such as us-east-1", clip(region))
	}
}

// checkURL: whole ones may have a query.
func checkURL(r *report, path, text string, whole bool) {
	if text == "" {
		r.add(path, "is missing; write one such as https://host:port")
		return
	}
	problem := endpointProblem(text)
	if u, err := url.Parse(text); whole && err == nil && u.Fragment == "" {
		u.RawQuery = ""
		problem = endpointProblem(u.String())
	}
	if problem != "" {
		r.add(path, "%q %s; write one such as https://host:port", clip(withoutUser(text)), problem)
	}
}

// withoutUser keeps a password out of messages.
func withoutUser(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		return text
	}
	u.User = nil
	return u.String()
}

var (
	indexName  = regexp.MustCompile(`^[a-z0-9.][a-z0-9._-]{0,79}$`)
	headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$")
	tableName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]{0,126}(\.[A-Za-z_][A-Za-z0-9_$]{0,126})?$`)
	columnName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$]{0,126}$`)
)
