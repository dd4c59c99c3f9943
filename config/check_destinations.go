package config

import (
	"slices"
	"strings"
	"time"
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
	case s.Backup.S3 == nil && s.Backup.Mode != BackupAll: // of all, its own check says so
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

// checkInOrder: requests that a destination takes whole or not at all go one after the other.
func (q Request) checkInOrder(r *report, path string) {
	if q.Concurrent > 1 {
		r.add(path+".request.concurrent", "has no effect here: requests of a stream go one after the other, in order; remove it")
	}
}

// check leaves the files to whoever reads the configuration.
func (t TLS) check(r *report, path string, urls ...string) {
	path += ".tls"
	secure := func(u string) bool { return !strings.HasPrefix(strings.ToLower(u), "http:") }
	switch {
	case t == TLS{}:
		return
	case len(urls) > 0 && !slices.ContainsFunc(urls, secure):
		r.add(path, "has no effect with http; write an https URL, or remove it")
	case t.CAFile != "" && t.InsecureSkipVerify:
		r.add(path+".insecure_skip_verify", "trusts anybody, so that ca_file has no effect; keep one of them")
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		r.add(path, "cert_file and key_file go together; write both, or neither")
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

// checkURL is for what more is added to.
func checkURL(r *report, path, text string) {
	if text == "" {
		r.add(path, "is missing; write one such as https://host:port")
		return
	}
	if problem := endpointProblem(text); problem != "" {
		r.add(path, "%q %s; write one such as https://host:port", clip(withoutSecrets(text)), problem)
	}
}

// checkEndpoint is for a URL that is asked as it is, and may have a query.
func checkEndpoint(r *report, path, text string) {
	if strings.Contains(text, "#") {
		r.add(path, "%q must have no fragment (#); remove it", clip(withoutSecrets(text)))
		return
	}
	bare, query, _ := strings.Cut(text, "?")
	if strings.ContainsFunc(query, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		r.add(path, "has a control character behind the ?; remove it")
		return
	}
	checkURL(r, path, bare)
}

// withoutSecrets keeps out of messages what may be a password or a token: all but the scheme where there is a user, a query or a fragment.
func withoutSecrets(text string) string {
	if !strings.ContainsAny(text, "@?#") {
		return text
	}
	scheme, _, ok := strings.Cut(text, "://")
	if !ok || strings.ContainsAny(scheme, "@?#") {
		return "…"
	}
	return scheme + "://…"
}
