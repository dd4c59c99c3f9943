package config

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const (
	testRole = `"RoleARN":"arn:aws:iam::123456789012:role/r"`
	testS3   = testRole + `,"BucketARN":"arn:aws:s3:::lake"`
)

func createExtended(members string) string {
	return `{"DeliveryStreamName":"s","ExtendedS3DestinationConfiguration":{` + testS3 + members + `}}`
}

func TestCreateDefaults(t *testing.T) {
	s, tags, err := StreamFromCreate([]byte(createExtended("")), Default().AWS)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name != "s" || s.Format != "raw" || s.Compression != "none" || s.Destination.S3.Bucket != "lake" || len(tags) != 0 {
		t.Errorf("%+v", s)
	}
	if s.Buffer.Size != 5*MB || s.Buffer.Interval.String() != "5m" || s.Backup.Mode != "none" || !s.API.Extended {
		t.Errorf("%+v", s)
	}
}

func TestCreateAll(t *testing.T) {
	body := `{"DeliveryStreamName":"s","DeliveryStreamType":"DirectPut","Unknown":{"x":[1]},"KinesisStreamSourceConfiguration":null,
	 "DirectPutSourceConfiguration":{"ThroughputHintInMBs":7},
	 "Tags":[{"Key":"a","Value":"b"},{"Key":"c"}],
	 "ExtendedS3DestinationConfiguration":{` + testS3 + `,"Prefix":"p/!{timestamp:yyyy}/","ErrorOutputPrefix":"e/!{firehose:error-output-type}/",
	  "BufferingHints":{"SizeInMBs":1,"IntervalInSeconds":0},"CompressionFormat":"HADOOP_SNAPPY","FileExtension":".x","CustomTimeZone":"Asia/Tokyo",
	  "EncryptionConfiguration":{"KMSEncryptionConfig":{"AWSKMSKeyARN":"arn:aws:kms:us-east-1:123456789012:key/k"}},
	  "CloudWatchLoggingOptions":{"Enabled":true,"LogGroupName":"g","LogStreamName":"l"},
	  "ProcessingConfiguration":{"Enabled":false},"DynamicPartitioningConfiguration":{"Enabled":false},"DataFormatConversionConfiguration":{"Enabled":false},
	  "S3BackupMode":"Enabled","S3BackupConfiguration":{` + testRole + `,"BucketARN":"arn:aws:s3:::copies","CompressionFormat":"GZIP","BufferingHints":{"SizeInMBs":2,"IntervalInSeconds":60}}}}`
	s, tags, err := StreamFromCreate([]byte(body), Default().AWS)
	if err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(tags) != "map[a:b c:]" {
		t.Errorf("tags %v", tags)
	}
	d := s.Destination.S3
	if d.SSE != "kms" || d.FileExtension != ".x" || d.TimeZone != "Asia/Tokyo" || s.Buffer.Size != MB || s.Buffer.Interval != 0 || s.Compression != "hadoop-snappy" {
		t.Errorf("%+v %+v", s, d)
	}
	if s.Backup.Mode != "all" || s.Backup.S3.Bucket != "copies" || s.Backup.Compression != "gzip" || s.Backup.Buffer.Size != 2*MB {
		t.Errorf("%+v", s.Backup)
	}
	got := describeJSON(t, *s)
	for _, want := range []string{`"CompressionFormat":"HADOOP_SNAPPY"`, `"S3BackupMode":"Enabled"`, `"BucketARN":"arn:aws:s3:::copies"`, `"LogGroupName":"g"`,
		`"AWSKMSKeyARN":"arn:aws:kms:us-east-1:123456789012:key/k"`, `"ThroughputHintInMBs":7`, `"ProcessingConfiguration":{"Enabled":false,"Processors":[]}`,
		`"IntervalInSeconds":0`, `"FileExtension":".x"`, `"CustomTimeZone":"Asia/Tokyo"`, `"RoleARN":"arn:aws:iam::123456789012:role/r"`} {
		if !strings.Contains(got, want) {
			t.Errorf("Describe lacks %s:\n%s", want, got)
		}
	}
}

func describeJSON(t *testing.T, s Stream) string {
	t.Helper()
	meta := StreamMeta{ARN: StreamARN(Default().AWS, s.Name), Status: "ACTIVE", VersionID: 1, Created: time.UnixMilli(1446075815822)}
	data, err := json.Marshal(Describe(s, meta))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestDescribeYAMLStream(t *testing.T) {
	s := Stream{Name: "web", Compression: "zstd", Buffer: Buffer{Size: MB + 1}, Destination: Destination{S3: &S3{Bucket: "lake", SSE: SSEKMS, KMSKey: "alias/k"}}}
	const objects = `"BucketARN":"arn:aws:s3:::lake","BufferingHints":{"IntervalInSeconds":0,"SizeInMBs":1},"CompressionFormat":"UNCOMPRESSED",`
	const rest = `"EncryptionConfiguration":{"KMSEncryptionConfig":{"AWSKMSKeyARN":"arn:aws:kms:us-east-1:000000000000:alias/k"}},"RoleARN":"arn:aws:iam::000000000000:role/hydrant"`
	want := `{"CreateTimestamp":1446075815.822,"DeliveryStreamARN":"arn:aws:firehose:us-east-1:000000000000:deliverystream/web",` +
		`"DeliveryStreamEncryptionConfiguration":{"Status":"DISABLED"},"DeliveryStreamName":"web","DeliveryStreamStatus":"ACTIVE","DeliveryStreamType":"DirectPut",` +
		`"Destinations":[{"DestinationId":"destinationId-000000000001","ExtendedS3DestinationDescription":{` + objects + `"CustomTimeZone":"UTC",` + rest +
		`,"S3BackupMode":"Disabled"},"S3DestinationDescription":{` + objects + rest + `}}],"HasMoreDestinations":false,"VersionId":"1"}`
	if got := describeJSON(t, s); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if s.Destination.S3.TimeZone != "" {
		t.Error("Describe changed its argument")
	}
}

func TestCompressionBothWays(t *testing.T) {
	for _, f := range compressionFormats() {
		if got := compressionToAPI(compressionFromAPI(f)); got != f {
			t.Errorf("%s became %s", f, got)
		}
	}
}

func TestCreateRefuses(t *testing.T) {
	const invalid, validation = "InvalidArgumentException", "ValidationException"
	const one = "1 validation error detected: Value at '"
	const path = one + "extendedS3DestinationConfiguration."
	for _, c := range []struct{ body, kind, want string }{
		{``, "SerializationException", "not a JSON object"},
		{`null`, "SerializationException", "not a JSON object"},
		{`{"DeliveryStreamName":`, "SerializationException", "not valid JSON"},
		{`{"DeliveryStreamName":5}`, "SerializationException", "DeliveryStreamName cannot be a number"},
		{`{}`, validation, one + "deliveryStreamName' failed to satisfy constraint: Member must not be null"},
		{`{"DeliveryStreamName":"` + strings.Repeat("a", 65) + `"}`, validation, "Member must have length less than or equal to 64"},
		{`{"DeliveryStreamName":""}`, validation, "Member must have length greater than or equal to 1"},
		{`{"DeliveryStreamName":"a b"}`, validation, "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"},
		{`{"DeliveryStreamName":"s\n"}`, validation, "regular expression"},
		{`{"DeliveryStreamName":"s","DeliveryStreamType":"X"}`, validation, "[DirectPut, KinesisStreamAsSource, MSKAsSource, DatabaseAsSource]"},
		{`{"DeliveryStreamName":"s"}`, invalid, "Exactly one destination configuration is supported for a Firehose"},
		{`{"DeliveryStreamName":"s","S3DestinationConfiguration":{` + testS3 + `},"SplunkDestinationConfiguration":{}}`, invalid, "Exactly one destination configuration is supported for a Firehose"},
		{`{"DeliveryStreamName":"s","SplunkDestinationConfiguration":{}}`, invalid, "SplunkDestinationConfiguration is not supported by this version"},
		{`{"DeliveryStreamName":"s","IcebergDestinationConfiguration":{}}`, invalid, "IcebergDestinationConfiguration is not supported by this version"},
		{`{"DeliveryStreamName":"s","DeliveryStreamType":"KinesisStreamAsSource","KinesisStreamSourceConfiguration":{}}`, invalid, "KinesisStreamAsSource is not supported by this version"},
		{`{"DeliveryStreamName":"s","KinesisStreamSourceConfiguration":{}}`, invalid, "KinesisSourceStreamConfig is only applicable for KinesisStreamAsSource stream type"},
		{`{"DeliveryStreamName":"s","MSKSourceConfiguration":{}}`, invalid, "MSKSourceConfiguration is not supported"},
		{`{"DeliveryStreamName":"s","DirectPutSourceConfiguration":{}}`, validation, "throughputHintInMBs' failed to satisfy constraint: Member must not be null"},
		{`{"DeliveryStreamName":"s","S3DestinationConfiguration":{` + testS3 + `},"DeliveryStreamEncryptionConfigurationInput":{"KeyType":"AWS_OWNED_CMK"}}`, invalid, "not supported by this version"},
		{`{"DeliveryStreamName":"s","S3DestinationConfiguration":{` + testS3 + `},"Tags":[]}`, validation, one + "tags' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{`{"DeliveryStreamName":"s","S3DestinationConfiguration":{` + testS3 + `},"Tags":[{"Key":"aws:x"}]}`, invalid, "aws:"},
		{`{"DeliveryStreamName":"s","S3DestinationConfiguration":{` + testS3 + `},"Tags":[{"Key":"x"},{"Key":"x"}]}`, invalid, "more than once"},
		{`{"DeliveryStreamName":"s","ExtendedS3DestinationConfiguration":{}}`, validation, "2 validation errors detected: Value at 'extendedS3DestinationConfiguration.roleARN' failed to satisfy constraint: Member must not be null; Value at 'extendedS3DestinationConfiguration.bucketARN' failed"},
		{createExtended(`,"CompressionFormat":"gzip"`), validation, path + "compressionFormat' failed to satisfy constraint: Member must satisfy enum value set: [ZIP, HADOOP_SNAPPY, Snappy, GZIP, UNCOMPRESSED]"},
		{createExtended(`,"FileExtension":"gz"`), validation, path + "fileExtension' failed to satisfy constraint: Member must satisfy regular expression pattern: ^$|\\.[0-9a-z!\\-_.*'()]+"},
		{createExtended(`,"FileExtension":".` + strings.Repeat("a", 128) + `"`), validation, "length less than or equal to 128"},
		{createExtended(`,"CustomTimeZone":"Etc/GMT+3"`), validation, path + "customTimeZone'"},
		{createExtended(`,"CustomTimeZone":"Nowhere"`), invalid, "not a known time zone"},
		{createExtended(`,"CustomTimeZone":"Local"`), invalid, "not a known time zone"},
		{createExtended(`,"BufferingHints":{"SizeInMBs":0,"IntervalInSeconds":901}`), validation, "2 validation errors detected"},
		{createExtended(`,"BufferingHints":{"SizeInMBs":5}`), invalid, "must be specified together"},
		{createExtended(`,"Prefix":"` + strings.Repeat("a", 1025) + `"`), validation, "length less than or equal to 1024"},
		{createExtended(`,"Prefix":"!{timestamp:yyyy}/"`), invalid, "Ths supplied prefix(es) do not satisfy the following constraint: ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"},
		{createExtended(`,"Prefix":"!{partitionKeyFromQuery:a}/","ErrorOutputPrefix":"e/"`), invalid, "Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled."},
		{createExtended(`,"S3BackupMode":"On"`), validation, "[Disabled, Enabled]"},
		{createExtended(`,"S3BackupMode":"Enabled"`), invalid, "S3BackupConfiguration must be given"},
		{createExtended(`,"S3BackupConfiguration":{}`), validation, "extendedS3DestinationConfiguration.s3BackupConfiguration.roleARN"},
		{createExtended(`,"ProcessingConfiguration":{"Enabled":true,"Processors":[]}`), invalid, "ProcessingConfiguration is not supported"},
		{createExtended(`,"ProcessingConfiguration":{"Enabled":"yes"}`), "SerializationException", "not a boolean"},
		{createExtended(`,"DynamicPartitioningConfiguration":{"Enabled":true}`), invalid, "DynamicPartitioningConfiguration is not supported"},
		{createExtended(`,"DataFormatConversionConfiguration":{}`), invalid, "DataFormatConversionConfiguration is not supported"},
		{createExtended(`,"DataFormatConversionConfiguration":{"OutputFormatConfiguration":{"Serializer":{"ParquetSerDe":{}}}}`), invalid, "DataFormatConversionConfiguration is not supported"},
		{createExtended(`,"DataFormatConversionConfiguration":{"OutputFormatConfiguration":{"Serializer":{"OrcSerDe":{}}}}`), invalid, "OrcSerDe is not supported: no well-kept ORC writer for Go could be found; use ParquetSerDe"},
		{createExtended(`,"DataFormatConversionConfiguration":{"OutputFormatConfiguration":[]}`), invalid, "DataFormatConversionConfiguration is not supported"},
		{createExtended(`,"Prefix":"!{eventTime:yyyy}/","ErrorOutputPrefix":"e/"`), invalid, "Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled."},
		{createExtended(`,"EncryptionConfiguration":{"NoEncryptionConfig":"No"}`), validation, "[NoEncryption]"},
		{createExtended(`,"EncryptionConfiguration":{"KMSEncryptionConfig":{}}`), validation, "aWSKMSKeyARN"},
		{strings.Replace(createExtended(""), ":::lake", ":::..", 1), invalid, "no bucket name"},
		{strings.Replace(createExtended(""), ":::lake", ":::a/b", 1), validation, "bucketARN"},
		{`{"DeliveryStreamName":"` + strings.Repeat("a", maxCreateBytes) + `"}`, invalid, "larger than 1MB"},
	} {
		_, _, err := StreamFromCreate([]byte(c.body), Default().AWS)
		if err == nil || err.Type != c.kind || !strings.Contains(err.Message, c.want) || err.Status != 400 {
			t.Errorf("%.120s\n got %v\nwant %s: %s", c.body, err, c.kind, c.want)
		}
	}
}

// TestPlainIgnoresExtended: members that a shape does not have are unknown members.
func TestPlainIgnoresExtended(t *testing.T) {
	body := `{"DeliveryStreamName":"s","S3DestinationConfiguration":{` + testS3 + `,"FileExtension":".x","S3BackupMode":"x"}}`
	s, _, err := StreamFromCreate([]byte(body), Default().AWS)
	if err != nil || s.Destination.S3.FileExtension != "" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestStreamARN(t *testing.T) {
	for region, want := range map[string]string{"eu-west-1": "aws", "cn-north-1": "aws-cn", "us-gov-west-1": "aws-us-gov"} {
		got := StreamARN(AWS{Region: region, AccountID: "123456789012"}, "s")
		if want := "arn:" + want + ":firehose:" + region + ":123456789012:deliverystream/s"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// FuzzStreamFromCreate: no panic; what is taken passes the checks, can be stored and described.
func FuzzStreamFromCreate(f *testing.F) {
	f.Add([]byte(createExtended(`,"Prefix":"a","BufferingHints":{"SizeInMBs":1,"IntervalInSeconds":0},"CompressionFormat":"ZIP"`)))
	f.Add([]byte(createExtended(`,"S3BackupMode":"Enabled","S3BackupConfiguration":{` + testS3 + `}`)))
	f.Add([]byte(createExtended(`,"ProcessingConfiguration":{},"CloudWatchLoggingOptions":{"Enabled":true}`)))
	f.Add([]byte(`{"DeliveryStreamName":"s","S3DestinationConfiguration":{` + testS3 + `},"Tags":[{"Key":"a","Value":"b"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, _, err := StreamFromCreate(body, Default().AWS)
		if err != nil {
			return
		}
		if errs := s.Check(); len(errs) > 0 {
			t.Fatal(errs)
		}
		stored, jsonErr := json.Marshal(s)
		var again Stream
		if jsonErr != nil || json.Unmarshal(stored, &again) != nil || !again.SameOutput(*s) {
			t.Fatalf("stored form is not the same: %s, %v", stored, jsonErr)
		}
		if _, jsonErr := json.Marshal(Describe(*s, StreamMeta{ARN: "x"})); jsonErr != nil {
			t.Fatal(jsonErr)
		}
	})
}

// TestDescribeFeatures: what only YAML can switch on shows as the API would say it.
func TestDescribeFeatures(t *testing.T) {
	processors, files := goodFile(t, "processors.good.yml"), goodFile(t, "parquet.good.yml")
	for _, c := range []struct {
		stream Stream
		want   []string
	}{
		{streamNamed(t, processors, "everything"), []string{
			`"ProcessingConfiguration":{"Enabled":true,"Processors":[` +
				`{"Parameters":[{"ParameterName":"CompressionFormat","ParameterValue":"GZIP"}],"Type":"Decompression"},` +
				`{"Parameters":[{"ParameterName":"DataMessageExtraction","ParameterValue":"true"}],"Type":"CloudWatchLogProcessing"},` +
				`{"Parameters":[{"ParameterName":"SubRecordType","ParameterValue":"DELIMITED"},{"ParameterName":"Delimiter","ParameterValue":"IyMjIw=="}],"Type":"RecordDeAggregation"},` +
				`{"Parameters":[{"ParameterName":"MetadataExtractionQuery","ParameterValue":"{customer:(.customer_id),y:(.ts|strftime(\"%Y\"))}"},{"ParameterName":"JsonParsingEngine","ParameterValue":"JQ-1.6"}],"Type":"MetadataExtraction"},` +
				`{"Parameters":[{"ParameterName":"Delimiter","ParameterValue":"\n"}],"Type":"AppendDelimiterToRecord"}]}`,
			`"DynamicPartitioningConfiguration":{"Enabled":true,"RetryOptions":{"DurationInSeconds":300}}`}},
		{streamNamed(t, processors, "short"), []string{`{"ParameterName":"SubRecordType","ParameterValue":"JSON"}]`}},
		{streamNamed(t, files, "defaults"), []string{
			`"InputFormatConfiguration":{"Deserializer":{"OpenXJsonSerDe":{"CaseInsensitive":true,"ConvertDotsInJsonKeysToUnderscores":false}}}`,
			`"ParquetSerDe":{"BlockSizeBytes":67108864,"Compression":"SNAPPY","EnableDictionaryCompression":true,"MaxPaddingBytes":0,"PageSizeBytes":1048576,"WriterVersion":"V1"}`,
			`"CompressionFormat":"UNCOMPRESSED"`}},
		{streamNamed(t, files, "columns"), []string{`{"HiveJsonSerDe":{"TimestampFormats":["millis","dd/MMM/yyyy:HH:mm:ss Z"]}}`, `"Compression":"UNCOMPRESSED"`, `"WriterVersion":"V2"`}},
		{streamNamed(t, files, "glue"), []string{
			`"SchemaConfiguration":{"CatalogId":"123456789012","DatabaseName":"lake","Region":"eu-west-1","TableName":"events","VersionId":"7"}`,
			`"ColumnToJsonKeyMappings":{"id":"ID"}`}},
	} {
		got := describeJSON(t, c.stream)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: Describe lacks %s:\n%s", c.stream.Name, want, got)
			}
		}
	}
}
