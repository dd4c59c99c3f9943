package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// createRequest is CreateDeliveryStream as far as it is understood; what is absent or null is nil.
type createRequest struct {
	DeliveryStreamName               *string
	DeliveryStreamType               *string
	DirectPutSourceConfiguration     *throughputShape
	KinesisStreamSourceConfiguration *json.RawMessage
	MSKSourceConfiguration           *json.RawMessage
	DatabaseSourceConfiguration      *json.RawMessage

	DeliveryStreamEncryptionConfigurationInput *json.RawMessage

	S3DestinationConfiguration         *s3Shape
	ExtendedS3DestinationConfiguration *s3Shape
	otherDestinations
	Tags *[]tagShape
}

// otherDestinations are known so that they can be refused by name.
type otherDestinations struct {
	RedshiftDestinationConfiguration                   *json.RawMessage
	ElasticsearchDestinationConfiguration              *json.RawMessage
	AmazonopensearchserviceDestinationConfiguration    *json.RawMessage
	AmazonOpenSearchServerlessDestinationConfiguration *json.RawMessage
	SplunkDestinationConfiguration                     *json.RawMessage
	HttpEndpointDestinationConfiguration               *json.RawMessage //nolint:revive // the member's name on the wire
	SnowflakeDestinationConfiguration                  *json.RawMessage
	IcebergDestinationConfiguration                    *json.RawMessage
}

// named lists those that are present.
func (o otherDestinations) named() []string {
	var names []string
	for _, d := range []struct {
		name string
		raw  *json.RawMessage
	}{
		{"RedshiftDestinationConfiguration", o.RedshiftDestinationConfiguration},
		{"ElasticsearchDestinationConfiguration", o.ElasticsearchDestinationConfiguration},
		{"AmazonopensearchserviceDestinationConfiguration", o.AmazonopensearchserviceDestinationConfiguration},
		{"AmazonOpenSearchServerlessDestinationConfiguration", o.AmazonOpenSearchServerlessDestinationConfiguration},
		{"SplunkDestinationConfiguration", o.SplunkDestinationConfiguration},
		{"HttpEndpointDestinationConfiguration", o.HttpEndpointDestinationConfiguration},
		{"SnowflakeDestinationConfiguration", o.SnowflakeDestinationConfiguration},
		{"IcebergDestinationConfiguration", o.IcebergDestinationConfiguration},
	} {
		if d.raw != nil {
			names = append(names, d.name)
		}
	}
	return names
}

type throughputShape struct{ ThroughputHintInMBs *int64 }

type tagShape struct{ Key, Value *string }

type hintsShape struct{ SizeInMBs, IntervalInSeconds *int64 }

type encryptionShape struct {
	NoEncryptionConfig  *string
	KMSEncryptionConfig *struct{ AWSKMSKeyARN *string }
}

// s3Shape is S3DestinationConfiguration; the members from FileExtension on are those that only
// ExtendedS3DestinationConfiguration has.
type s3Shape struct {
	RoleARN, BucketARN        *string
	Prefix, ErrorOutputPrefix *string
	BufferingHints            *hintsShape
	CompressionFormat         *string
	EncryptionConfiguration   *encryptionShape
	CloudWatchLoggingOptions  *loggingShape

	FileExtension                     *string
	CustomTimeZone                    *string
	S3BackupMode                      *string
	S3BackupConfiguration             *s3Shape
	ProcessingConfiguration           map[string]any
	DynamicPartitioningConfiguration  map[string]any
	DataFormatConversionConfiguration map[string]any
}

// plain forgets the members that the shape without Extended does not know: the API ignores unknown members.
func (s *s3Shape) plain() {
	if s == nil {
		return
	}
	s.FileExtension, s.CustomTimeZone, s.S3BackupMode, s.S3BackupConfiguration = nil, nil, nil, nil
	s.ProcessingConfiguration, s.DynamicPartitioningConfiguration, s.DataFormatConversionConfiguration = nil, nil, nil
}

// maxCreateBytes bounds a request, since parts of it are stored as they came.
const maxCreateBytes = 1 << 20

func decodeCreate(body []byte) (*createRequest, *APIError) {
	if len(body) > maxCreateBytes {
		return nil, invalidArgument("the request is larger than %s", Bytes(maxCreateBytes))
	}
	if !bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return nil, notJSON("the request is not a JSON object")
	}
	var req createRequest
	if err := json.Unmarshal(body, &req); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return nil, notJSON(fmt.Sprintf("the member %s cannot be a %s", wrong.Field, wrong.Value))
		}
		return nil, notJSON("the request is not valid JSON")
	}
	req.S3DestinationConfiguration.plain()
	if e := req.ExtendedS3DestinationConfiguration; e != nil {
		e.S3BackupConfiguration.plain()
	}
	return &req, nil
}

func notJSON(message string) *APIError {
	return &APIError{"SerializationException", message, http.StatusBadRequest}
}

func (r *createRequest) constraints() *APIError {
	c := &constraints{}
	c.required("deliveryStreamName", r.DeliveryStreamName, 1, 64, whole(`[a-zA-Z0-9_.-]+`))
	c.enum("deliveryStreamType", r.DeliveryStreamType, []string{"DirectPut", "KinesisStreamAsSource", "MSKAsSource", "DatabaseAsSource"})
	if d := r.DirectPutSourceConfiguration; d != nil {
		const path = "directPutSourceConfiguration.throughputHintInMBs"
		if d.ThroughputHintInMBs == nil {
			c.add(path, "not be null")
		}
		c.number(path, d.ThroughputHintInMBs, 1, 100)
	}
	r.S3DestinationConfiguration.constraints(c, "s3DestinationConfiguration")
	r.ExtendedS3DestinationConfiguration.constraints(c, "extendedS3DestinationConfiguration")
	r.tagConstraints(c)
	return c.err()
}

func (r *createRequest) tagConstraints(c *constraints) {
	if r.Tags == nil {
		return
	}
	switch n := len(*r.Tags); {
	case n == 0:
		c.add("tags", "have length greater than or equal to 1")
	case n > maxTags:
		c.add("tags", "have length less than or equal to %d", maxTags)
		return
	}
	legal := whole(`[\p{L}\p{Z}\p{N}_.:\/=+\-@%]*`)
	for i, t := range *r.Tags {
		path := fmt.Sprintf("tags.%d.member", i+1)
		c.required(path+".key", t.Key, 1, 128, legal)
		c.text(path+".value", t.Value, 0, 256, legal)
	}
}

func (s *s3Shape) constraints(c *constraints, path string) {
	if s == nil {
		return
	}
	c.required(path+".roleARN", s.RoleARN, 1, 512, whole(`arn:.*:iam::\d{12}:role/[a-zA-Z_0-9+=,.@\-_/]+`))
	c.required(path+".bucketARN", s.BucketARN, 1, 2048, whole(`arn:.*:s3:::[\w\.\-]{1,255}`))
	c.text(path+".prefix", s.Prefix, 0, 1024, nil)
	c.text(path+".errorOutputPrefix", s.ErrorOutputPrefix, 0, 1024, nil)
	if h := s.BufferingHints; h != nil {
		c.number(path+".bufferingHints.sizeInMBs", h.SizeInMBs, 1, 128)
		c.number(path+".bufferingHints.intervalInSeconds", h.IntervalInSeconds, 0, 900)
	}
	c.enum(path+".compressionFormat", s.CompressionFormat, compressionFormats())
	if e := s.EncryptionConfiguration; e != nil {
		c.enum(path+".encryptionConfiguration.noEncryptionConfig", e.NoEncryptionConfig, []string{"NoEncryption"})
		if k := e.KMSEncryptionConfig; k != nil {
			c.required(path+".encryptionConfiguration.kMSEncryptionConfig.aWSKMSKeyARN", k.AWSKMSKeyARN, 1, 512, whole(`arn:.*:kms:[a-zA-Z0-9\-]+:\d{12}:(key|alias)/[a-zA-Z_0-9+=,.@\-_/]+`))
		}
	}
	c.text(path+".fileExtension", s.FileExtension, 0, 128, whole(`^$|\.[0-9a-z!\-_.*'()]+`))
	c.text(path+".customTimeZone", s.CustomTimeZone, 0, 50, whole(`^$|[a-zA-Z/_]+`))
	c.enum(path+".s3BackupMode", s.S3BackupMode, []string{"Disabled", "Enabled"})
	s.CloudWatchLoggingOptions.constraints(c, path+".cloudWatchLoggingOptions")
	s.S3BackupConfiguration.constraints(c, path+".s3BackupConfiguration")
}

// loggingShape is stored and echoed; Hydrant writes no CloudWatch logs.
type loggingShape struct {
	Enabled                     *bool
	LogGroupName, LogStreamName *string
}

func (l *loggingShape) constraints(c *constraints, path string) {
	if l == nil {
		return
	}
	c.text(path+".logGroupName", l.LogGroupName, 0, 512, whole(`[\.\-_/#A-Za-z0-9]*`))
	c.text(path+".logStreamName", l.LogStreamName, 0, 512, whole(`[^:*]*`))
}

// echo is what Describe answers; nil when nothing was given.
func (l *loggingShape) echo() map[string]any {
	if l == nil {
		return nil
	}
	m := map[string]any{"Enabled": l.Enabled != nil && *l.Enabled}
	if l.LogGroupName != nil {
		m["LogGroupName"] = *l.LogGroupName
	}
	if l.LogStreamName != nil {
		m["LogStreamName"] = *l.LogStreamName
	}
	return m
}
