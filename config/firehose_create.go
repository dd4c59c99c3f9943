package config

import (
	"strings"
	"time"

	"hydrant/config/prefix"
)

// StreamFromCreate makes a normalized stream, and its tags, of the body of a CreateDeliveryStream request.
// Unknown members are ignored, as in Firehose; members whose feature this version lacks are refused.
// Whether the name is taken is the caller's to check.
func StreamFromCreate(body []byte, _ AWS) (*Stream, map[string]string, *APIError) {
	req, apiErr := decodeCreate(body)
	if apiErr != nil {
		return nil, nil, apiErr
	}
	if apiErr = req.constraints(); apiErr != nil {
		return nil, nil, apiErr
	}
	shape, extended, apiErr := req.destination()
	if apiErr != nil {
		return nil, nil, apiErr
	}
	tags, apiErr := req.tags()
	if apiErr != nil {
		return nil, nil, apiErr
	}
	s := &Stream{Name: *req.DeliveryStreamName, Format: FormatRaw, Tags: tags, API: &APIFields{Extended: extended}}
	s.Normalize()
	if d := req.DirectPutSourceConfiguration; d != nil {
		s.API.ThroughputHintMBs = int(*d.ThroughputHintInMBs)
	}
	if apiErr = shape.apply(s); apiErr != nil {
		return nil, nil, apiErr
	}
	s.Normalize()
	if errs := s.Check(); len(errs) > 0 {
		return nil, nil, invalidArgument("%s", errs[0])
	}
	return s, tags, nil
}

// destination picks the one destination after refusing sources and destinations that this version lacks.
func (r *createRequest) destination() (shape *s3Shape, extended bool, err *APIError) {
	if err := r.source(); err != nil {
		return nil, false, err
	}
	others := r.named()
	n := len(others)
	if shape = r.S3DestinationConfiguration; shape != nil {
		n++
	}
	if r.ExtendedS3DestinationConfiguration != nil {
		shape, extended = r.ExtendedS3DestinationConfiguration, true
		n++
	}
	switch {
	case n != 1:
		return nil, false, invalidArgument("Exactly one destination configuration is supported for a Firehose")
	case len(others) == 1:
		return nil, false, unsupportedFeature(others[0])
	case r.DeliveryStreamEncryptionConfigurationInput != nil:
		return nil, false, unsupportedFeature("DeliveryStreamEncryptionConfigurationInput")
	}
	return shape, extended, nil
}

func (r *createRequest) source() *APIError {
	kind := "DirectPut"
	if r.DeliveryStreamType != nil {
		kind = *r.DeliveryStreamType
	}
	switch {
	case r.KinesisStreamSourceConfiguration != nil && kind != "KinesisStreamAsSource":
		return invalidArgument("KinesisSourceStreamConfig is only applicable for KinesisStreamAsSource stream type")
	case kind != "DirectPut":
		return unsupportedFeature("DeliveryStreamType " + kind)
	case r.MSKSourceConfiguration != nil:
		return unsupportedFeature("MSKSourceConfiguration")
	case r.DatabaseSourceConfiguration != nil:
		return unsupportedFeature("DatabaseSourceConfiguration")
	}
	return nil
}

func (r *createRequest) tags() (map[string]string, *APIError) {
	if r.Tags == nil {
		return nil, nil
	}
	tags := map[string]string{}
	for _, t := range *r.Tags {
		if strings.HasPrefix(strings.ToLower(*t.Key), "aws:") {
			return nil, invalidArgument("Tag keys must not begin with aws:, as %s does", *t.Key)
		}
		if _, twice := tags[*t.Key]; twice {
			return nil, invalidArgument("The tag key %s is given more than once", *t.Key)
		}
		value := ""
		if t.Value != nil {
			value = *t.Value
		}
		tags[*t.Key] = value
	}
	return tags, nil
}

// apply fills the stream's destination and backup. The shape's constraints hold.
func (s *s3Shape) apply(st *Stream) *APIError {
	if err := s.refuse(st.API); err != nil {
		return err
	}
	d, err := s.objects()
	if err != nil {
		return err
	}
	st.Destination.S3 = d
	if err := s.hints(&st.Buffer); err != nil {
		return err
	}
	st.Compression = s.compression()
	st.API.RoleARN, st.API.BucketARN = *s.RoleARN, *s.BucketARN
	st.API.CloudWatchLogging = s.CloudWatchLoggingOptions.echo()
	return s.backup(st)
}

func (s *s3Shape) backup(st *Stream) *APIError {
	if s.S3BackupMode == nil || *s.S3BackupMode != "Enabled" {
		return nil
	}
	b := s.S3BackupConfiguration
	if b == nil {
		return invalidArgument("S3BackupConfiguration must be given when S3BackupMode is Enabled")
	}
	d, err := b.objects()
	if err != nil {
		return err
	}
	if err := b.hints(&st.Backup.Buffer); err != nil {
		return err
	}
	st.Backup.Mode, st.Backup.S3, st.Backup.Compression = BackupAll, d, b.compression()
	st.API.BackupRoleARN, st.API.BackupBucketARN = *b.RoleARN, *b.BucketARN
	st.API.BackupLogging = b.CloudWatchLoggingOptions.echo()
	return nil
}

// objects is what bucket, prefixes, encryption and names come to.
func (s *s3Shape) objects() (*S3, *APIError) {
	d := &S3{
		Bucket:        (*s.BucketARN)[strings.LastIndex(*s.BucketARN, ":")+1:],
		Prefix:        orEmpty(s.Prefix),
		ErrorPrefix:   orEmpty(s.ErrorOutputPrefix),
		FileExtension: orEmpty(s.FileExtension),
		TimeZone:      orEmpty(s.CustomTimeZone),
	}
	if err := prefix.Validate(d.Prefix, d.ErrorPrefix, false); err != nil {
		return nil, invalidArgument("%s", err)
	}
	if _, err := d.Location(); err != nil {
		return nil, invalidArgument("CustomTimeZone %s is not a known time zone", d.TimeZone)
	}
	if e := s.EncryptionConfiguration; e != nil {
		if e.KMSEncryptionConfig != nil && e.NoEncryptionConfig != nil {
			return nil, invalidArgument("EncryptionConfiguration must have either NoEncryptionConfig or KMSEncryptionConfig")
		}
		if e.KMSEncryptionConfig != nil {
			d.SSE, d.KMSKey = SSEKMS, *e.KMSEncryptionConfig.AWSKMSKeyARN
		}
	}
	d.fill()
	return d, nil
}

// hints sets size and interval when they are given, which is both or none.
func (s *s3Shape) hints(b *Buffer) *APIError {
	h := s.BufferingHints
	if h == nil || h.SizeInMBs == nil && h.IntervalInSeconds == nil {
		return nil
	}
	if h.SizeInMBs == nil || h.IntervalInSeconds == nil {
		return invalidArgument("BufferingHints.SizeInMBs and BufferingHints.IntervalInSeconds must be specified together")
	}
	b.Size = Bytes(*h.SizeInMBs) * MB
	b.Interval = Duration(time.Duration(*h.IntervalInSeconds) * time.Second)
	return nil
}

func (s *s3Shape) compression() string {
	return compressionFromAPI(orEmpty(s.CompressionFormat))
}

// refuse keeps features that are off for Describe and refuses those that are on.
func (s *s3Shape) refuse(api *APIFields) *APIError {
	for _, f := range []struct {
		name      string
		given     map[string]any
		byDefault bool // what an absent Enabled means
		keep      *map[string]any
	}{
		{"ProcessingConfiguration", s.ProcessingConfiguration, false, &api.Processing},
		{"DynamicPartitioningConfiguration", s.DynamicPartitioningConfiguration, false, &api.Partitioning},
		{"DataFormatConversionConfiguration", s.DataFormatConversionConfiguration, true, &api.Conversion},
	} {
		if f.given == nil {
			continue
		}
		on, isBool := f.given["Enabled"].(bool)
		if !isBool && f.given["Enabled"] != nil {
			return notJSON(f.name + ".Enabled is not a boolean")
		}
		if on || !isBool && f.byDefault {
			if wantsORC(f.given) {
				return invalidArgument("OrcSerDe is not supported: no well-kept ORC writer for Go could be found; use ParquetSerDe")
			}
			return unsupportedFeature(f.name)
		}
		f.given["Enabled"] = false
		*f.keep = f.given
	}
	if p := api.Processing; p != nil && p["Processors"] == nil {
		p["Processors"] = []any{}
	}
	return nil
}

// wantsORC says whether a conversion names the serializer of ORC.
func wantsORC(conversion map[string]any) bool {
	output, _ := conversion["OutputFormatConfiguration"].(map[string]any)
	serializer, _ := output["Serializer"].(map[string]any)
	return serializer["OrcSerDe"] != nil
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
