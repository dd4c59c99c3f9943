package config

import (
	"fmt"
	"strconv"
	"time"
)

// DestinationID is the id of a stream's only destination.
const DestinationID = "destinationId-000000000001"

// StreamMeta is what Describe says of a stream beside its spec.
type StreamMeta struct {
	ARN              string
	Status           string // ACTIVE, DELETING, ...
	VersionID        int
	Created, Updated time.Time // Updated may be zero
}

// Describe is the DeliveryStreamDescription of a stream, ready to be written as JSON: all members
// that the API requires, with the defaults that Firehose fills in. The stream may come from YAML: what only
// the API names (roles) is made up then, zstd, unknown there, shows as UNCOMPRESSED, and what has no place there
// (inferred and inline schemas, defaults of partition keys, event times) is left out.
func Describe(s Stream, meta StreamMeta) map[string]any {
	s = normalized(s)
	d := map[string]any{
		"DeliveryStreamName":   s.Name,
		"DeliveryStreamARN":    meta.ARN,
		"DeliveryStreamStatus": meta.Status,
		"DeliveryStreamType":   "DirectPut",
		"VersionId":            strconv.Itoa(meta.VersionID),
		"HasMoreDestinations":  false,
		"Destinations":         []any{describeDestination(s, meta.ARN)},
		"DeliveryStreamEncryptionConfiguration": map[string]any{
			"Status": "DISABLED",
		},
	}
	if s.API != nil && s.API.ThroughputHintMBs > 0 {
		d["Source"] = map[string]any{"DirectPutSourceDescription": map[string]any{"ThroughputHintInMBs": s.API.ThroughputHintMBs}}
	}
	if !meta.Created.IsZero() {
		d["CreateTimestamp"] = seconds(meta.Created)
	}
	if !meta.Updated.IsZero() {
		d["LastUpdateTimestamp"] = seconds(meta.Updated)
	}
	return d
}

// seconds is the API's form of a time.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// describeDestination has both descriptions of an S3 destination, as Firehose answers for either kind.
func describeDestination(s Stream, arn string) map[string]any {
	out := map[string]any{"DestinationId": DestinationID}
	if s.Destination.S3 == nil {
		return out
	}
	api := s.API
	if api == nil {
		api = &APIFields{}
	}
	part := objectsPart{s.Destination.S3, s.Buffer, s.Compression, api.RoleARN, api.BucketARN, api.CloudWatchLogging, arn}
	out["S3DestinationDescription"] = part.describe()
	e := part.describe()
	e["S3BackupMode"] = "Disabled"
	if s.Backup.Mode == BackupAll && s.Backup.S3 != nil {
		e["S3BackupMode"] = "Enabled"
		e["S3BackupDescription"] = objectsPart{s.Backup.S3, s.Backup.Buffer, s.Backup.Compression, api.BackupRoleARN, api.BackupBucketARN, api.BackupLogging, arn}.describe()
	}
	e["CustomTimeZone"] = s.Destination.S3.TimeZone
	if x := s.Destination.S3.FileExtension; x != "" {
		e["FileExtension"] = x
	}
	for name, v := range map[string]map[string]any{
		"ProcessingConfiguration":           firstOf(describeProcessors(s.Processors), api.Processing),
		"DynamicPartitioningConfiguration":  firstOf(describePartitioning(s), api.Partitioning),
		"DataFormatConversionConfiguration": firstOf(describeConversion(s.Parquet), api.Conversion),
	} {
		if v != nil {
			e[name] = v
		}
	}
	out["ExtendedS3DestinationDescription"] = e
	return out
}

// objectsPart is what the description of a destination and of a backup have in common.
type objectsPart struct {
	s3                 *S3
	buffer             Buffer
	compression        string
	roleARN, bucketARN string // "": made up
	logging            map[string]any
	streamARN          string
}

func (p objectsPart) describe() map[string]any {
	d := map[string]any{
		"RoleARN":   p.roleARN,
		"BucketARN": p.bucketARN,
		"BufferingHints": map[string]any{
			"SizeInMBs":         max(1, int64(p.buffer.Size/MB)),
			"IntervalInSeconds": int64(time.Duration(p.buffer.Interval) / time.Second),
		},
		"CompressionFormat":       compressionToAPI(p.compression),
		"EncryptionConfiguration": map[string]any{"NoEncryptionConfig": "NoEncryption"},
	}
	region, account, awsPartition := partsOf(p.streamARN)
	if p.roleARN == "" {
		d["RoleARN"] = fmt.Sprintf("arn:%s:iam::%s:role/hydrant", awsPartition, account)
	}
	if p.bucketARN == "" {
		d["BucketARN"] = fmt.Sprintf("arn:%s:s3:::%s", awsPartition, p.s3.Bucket)
	}
	if p.s3.SSE == SSEKMS {
		d["EncryptionConfiguration"] = map[string]any{"KMSEncryptionConfig": map[string]any{"AWSKMSKeyARN": keyARN(p.s3.KMSKey, region, account, awsPartition)}}
	}
	for name, v := range map[string]string{"Prefix": p.s3.Prefix, "ErrorOutputPrefix": p.s3.ErrorPrefix} {
		if v != "" {
			d[name] = v
		}
	}
	if p.logging != nil {
		d["CloudWatchLoggingOptions"] = p.logging
	}
	return d
}
