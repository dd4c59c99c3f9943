package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // so that time zones are known on machines without a database

	"hydrant/config/prefix"
)

// Limits of a stream.
const (
	minSize     = 1 * MB
	maxSize     = 128 * MB
	maxSpace    = 1 << 20 * GB
	maxInterval = Duration(900 * time.Second)
	maxRetry    = Duration(7200 * time.Second)
	maxRetain   = Duration(10 * 365 * 24 * time.Hour)
	maxShutdown = Duration(time.Hour)
	maxTags     = 50
)

// Check gives everything that is wrong with a normalized stream, as *FieldErrors whose paths begin
// at the stream: "buffer.size".
func (s *Stream) Check() []error {
	r := &report{}
	switch {
	case s.Name == "":
		r.add("name", "is missing; every stream needs one")
	case !streamName.MatchString(s.Name):
		r.add("name", "%q is no stream name; use 1 to 64 letters, digits, _, . and -", clip(s.Name))
	case strings.Trim(s.Name, ".") == "":
		r.add("name", "%q is no stream name: it is a folder's name for itself or its parent; add a letter", s.Name)
	}
	s.Buffer.check(r, "buffer")
	s.Buffer.checkSpace(r)
	s.checkFormat(r)
	s.checkProcessors(r)
	s.checkPartitioning(r)
	checkCompression(r, s.Compression, s.CompressionLevel)
	s.checkDestination(r)
	checkRange(r, "retry.for", s.Retry.For, 0, maxRetry, "0s to 7200s")
	s.Backup.check(r, s.API != nil)
	s.checkFailed(r)
	r.errs = append(r.errs, checkTags(s.Tags)...)
	return r.errs
}

func (b Buffer) check(r *report, path string) {
	checkRange(r, path+".size", b.Size, minSize, maxSize, "1MB to 128MB")
	checkRange(r, path+".interval", b.Interval, 0, maxInterval, "0s to 900s")
}

func (b Buffer) checkSpace(r *report) {
	switch {
	case b.MaxBacklog < b.Size:
		r.add("buffer.max_backlog", "%s is below buffer.size %s; a batch must fit", b.MaxBacklog, b.Size)
	case b.MaxBacklog > maxSpace:
		r.add("buffer.max_backlog", "%s is above the limit %s", b.MaxBacklog, maxSpace)
	}
	switch {
	case b.Guaranteed < 0:
		r.add("buffer.guaranteed", "cannot be negative")
	case b.Guaranteed > b.MaxBacklog:
		r.add("buffer.guaranteed", "%s is above buffer.max_backlog %s; lower it or raise max_backlog", b.Guaranteed, b.MaxBacklog)
	}
	checkRange(r, "buffer.retain", b.Retain, 0, maxRetain, "0s to "+maxRetain.String())
}

func codecs() []string {
	return []string{CompressionNone, CompressionGzip, CompressionSnappy, CompressionHadoopSnappy, CompressionZip, CompressionZstd}
}

func checkCompression(r *report, codec string, level int) {
	r.oneOf("compression", codec, codecs()...)
	highest := 0
	switch codec {
	case CompressionGzip, CompressionZip:
		highest = 9
	case CompressionZstd:
		highest = 22
	}
	switch {
	case level == 0:
	case highest == 0:
		r.add("compression_level", "compression %s has no levels; remove it", clip(codec))
	case level < 1 || level > highest:
		r.add("compression_level", "%d is outside the levels of %s; use 1 to %d", level, codec, highest)
	}
}

func (b Backup) check(r *report, fromAPI bool) {
	r.oneOf("backup.mode", b.Mode, BackupNone, BackupFailed, BackupAll)
	r.oneOf("backup.compression", b.Compression, codecs()...)
	b.Buffer.check(r, "backup.buffer")
	switch {
	case b.S3 != nil && b.Mode == BackupNone:
		r.add("backup.s3", "is used only with mode: failed (records that are set aside) or mode: all (every record)")
	case b.S3 != nil:
		r.under("backup.s3", b.S3.check(fromAPI, false))
	case b.Mode == BackupAll:
		r.add("backup.s3", "is missing; mode all needs s3: {bucket: NAME} for the copies")
	}
}

// checkFailed: records that are set aside go to the backup's bucket through the destination's store, as plain JSON lines.
func (s *Stream) checkFailed(r *report) {
	b := s.Backup
	if b.Mode != BackupFailed || b.S3 == nil || s.FailedElsewhere() {
		return
	}
	own := map[string]bool{
		"region": b.S3.Region != "", "endpoint": b.S3.Endpoint != "", "sse": b.S3.SSE != "" && b.S3.SSE != SSENone,
		"kms_key": b.S3.KMSKey != "", "storage_class": b.S3.StorageClass != "", "acl": b.S3.ACL != "",
		"file_extension": b.S3.FileExtension != "", "time_zone": b.S3.TimeZone != "" && b.S3.TimeZone != "UTC",
	}
	for _, key := range slices.Sorted(maps.Keys(own)) {
		if own[key] {
			r.add("backup.s3."+key, "has no effect with mode: failed, which writes through the destination's store; remove it")
		}
	}
}

var (
	bucketName    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	oldBucketName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,255}$`)
	extensionName = regexp.MustCompile(`^\.[0-9a-z!\-_.*'()]{1,127}$`)
	keyName       = regexp.MustCompile(`^[!-~]+$`)
	className     = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,63}$`)
)

// check gives paths that begin at the section. Streams of the API may name any bucket that its pattern allows.
// Whether partition expressions have their keys is the stream's to check, where there may be any.
func (s *S3) check(fromAPI, mayPartition bool) []error {
	r := &report{}
	if err := checkBucket(s.Bucket, fromAPI); err != nil {
		r.add("bucket", "%s", err)
	}
	s.checkPrefixes(r, mayPartition)
	s.checkService(r)
	if s.FileExtension != "" && !extensionName.MatchString(s.FileExtension) {
		r.add("file_extension", "%q is no extension; write a dot, then at most 127 of 0-9 a-z ! - _ . * ' ( )", clip(s.FileExtension))
	}
	if _, err := s.Location(); err != nil {
		r.add("time_zone", "%q is no time zone; write an IANA name, such as Europe/Berlin", clip(s.TimeZone))
	}
	return r.errs
}

// Location is the zone of the times in keys.
func (s *S3) Location() (*time.Location, error) {
	if s.TimeZone == "Local" {
		return nil, errors.New("the machine's own zone is not allowed")
	}
	return time.LoadLocation(s.TimeZone)
}

func checkBucket(name string, fromAPI bool) error {
	if name == "" {
		return errors.New("is missing; name the bucket")
	}
	if fromAPI {
		if !oldBucketName.MatchString(name) || strings.Trim(name, ".") == "" {
			return fmt.Errorf("%q is no bucket name", clip(name))
		}
		return nil
	}
	switch {
	case !bucketName.MatchString(name):
		return fmt.Errorf("%q is no bucket name; use 3 to 63 lower-case letters, digits, dots and hyphens, a letter or digit first and last", clip(name))
	case strings.Contains(name, ".."):
		return fmt.Errorf("%q is no bucket name: two dots stand side by side", clip(name))
	case net.ParseIP(name) != nil:
		return fmt.Errorf("%q is no bucket name: it looks like an IP address", clip(name))
	}
	for _, p := range []string{"xn--", "sthree-"} {
		if strings.HasPrefix(name, p) {
			return fmt.Errorf("%q is no bucket name: the beginning %s is reserved", clip(name), p)
		}
	}
	for _, p := range []string{"-s3alias", "--ol-s3", ".mrap", "--table-s3"} {
		if strings.HasSuffix(name, p) {
			return fmt.Errorf("%q is no bucket name: the end %s is reserved", clip(name), p)
		}
	}
	return nil
}

// checkPrefixes says which of the two texts is at fault.
func (s *S3) checkPrefixes(r *report, mayPartition bool) {
	main, err := prefix.Parse(s.Prefix, prefix.Main)
	if err != nil {
		r.add("prefix", "%s", constraint(err))
		return
	}
	keys := main.Keys()
	if len(keys) > 0 && !mayPartition {
		r.add("prefix", "%s: the copies of source records are not partitioned; use !{timestamp:...}", keys[0])
		return
	}
	if err := prefix.Validate(s.Prefix, s.ErrorPrefix, len(keys) > 0); err != nil {
		if s.ErrorPrefix == "" {
			r.add("error_prefix", "%s; write one such as errors/!{firehose:error-output-type}/", constraint(err))
		} else {
			r.add("error_prefix", "%s", constraint(err))
		}
	}
}

// constraint is the rule that a prefix breaks, in YAML's words.
func constraint(err error) string {
	var rule *prefix.RuleError
	if !errors.As(err, &rule) {
		return err.Error()
	}
	return strings.NewReplacer("ErrorOutputPrefix", "error_prefix", "Prefix", "prefix").Replace(rule.Constraint)
}

func (s *S3) checkService(r *report) {
	if s.Region != "" && !regionName.MatchString(s.Region) {
		r.add("region", "%q is no region; write one such as us-east-1", clip(s.Region))
	}
	if s.Endpoint != "" {
		if problem := endpointProblem(s.Endpoint); problem != "" {
			r.add("endpoint", "%q %s; write one such as http://127.0.0.1:9000", clip(s.Endpoint), problem)
		}
	}
	r.oneOf("sse", s.SSE, SSENone, SSES3, SSEKMS)
	switch {
	case s.SSE == SSEKMS && s.KMSKey == "":
		r.add("kms_key", "is missing; sse: kms needs the key's ARN or id")
	case s.KMSKey != "" && !keyName.MatchString(s.KMSKey):
		r.add("kms_key", "%q is no key; write its ARN, its id or alias/NAME", clip(s.KMSKey))
	case s.SSE != SSEKMS && s.KMSKey != "":
		r.add("kms_key", "is only for sse: kms; write that, or remove kms_key")
	}
	if s.StorageClass != "" && !className.MatchString(s.StorageClass) {
		r.add("storage_class", "%q is no storage class; write one such as STANDARD_IA", clip(s.StorageClass))
	}
	if s.ACL != "" {
		r.oneOf("acl", s.ACL, "private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read", "bucket-owner-full-control")
	}
}

func endpointProblem(text string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "is no URL"
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "is no http or https URL"
	case u.User != nil:
		return "must hold no credentials"
	case u.RawQuery != "" || u.Fragment != "":
		return "must have no query"
	}
	return ""
}
