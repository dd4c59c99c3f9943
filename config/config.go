// Package config owns one struct tree for the daemon and its streams. Strict YAML and the Firehose
// API's CreateDeliveryStream become the same Stream, with the same defaults and checks. It opens no
// port, makes no folder and calls no service: checking a configuration starts nothing.
package config

import "time"

// Bytes is a size; in YAML "64MB", "10GB", "512KB" or a plain number of bytes (KB = 2^10, MB = 2^20, GB = 2^30).
type Bytes int64

// Duration is a time span; in YAML "300s", "5m", "24h".
type Duration time.Duration

// Config is the whole file.
type Config struct {
	File            string   // where it was read from; "" for the defaults
	Listen          string   // records and control API, default 127.0.0.1:4573
	Admin           string   // metrics, health, console, default 127.0.0.1:4574
	DataDir         string   // default ./hydrant-data
	AWS             AWS      // what ARNs say and where SDK clients point
	ObjectStore     string   // "file" (default): buckets are folders under DataDir/s3; "s3"
	NoAuth          bool     // `auth: none` was written out
	Auth            *Auth    // who may send; nil: everybody
	ShutdownTimeout Duration // default 25s
	Shutdown        string   // "deliver" (default) or "keep"
	MinFree         Bytes    // free space below which puts are refused, default 256MB
	Log             Logging
	Streams         []Stream
}

// AWS names the account and region that ARNs carry.
type AWS struct {
	Region    string // default us-east-1
	AccountID string // default 000000000000
}

// Logging of the daemon itself.
type Logging struct {
	Format string // "text" (default) or "json"
	Level  string // debug, info (default), warn, error
}

// Stream is what a delivery stream is and does: the spec that YAML and the API share.
// It is stored as JSON in the data directory, one immutable version after the other. Secrets are stored as they were written: by
// reference, unless they stand in the configuration itself.
type Stream struct {
	Name             string
	Source           Source
	Buffer           Buffer
	Processors       []Processor   `json:",omitempty"` // in the order written
	Partitioning     *Partitioning `json:",omitempty"` // how dynamic partitioning behaves; nil: its defaults
	Format           string        // json (newline-delimited, YAML's default) | json-array | raw (the API's default) | parquet
	Parquet          *Parquet      `json:",omitempty"` // with format parquet
	Compression      string        // none | gzip | snappy | hadoop-snappy | zip | zstd
	CompressionLevel int           // 0: the codec's default
	Destination      Destination
	Retry            Retry
	Backup           Backup
	Tags             map[string]string `json:",omitempty"`
	API              *APIFields        `json:",omitempty"` // set for streams made by the API
	Line             int               `json:"-"`          // in the YAML file, for messages
}

// Source says where records come from. Exactly one is set; Direct is the default.
type Source struct {
	Direct *Direct `json:",omitempty"`
}

// Direct takes puts over the API and HTTP.
type Direct struct{}

// Processor is one step that a record passes on its way. Exactly one member is set.
type Processor struct {
	Decompress      string           `json:",omitempty"` // gzip: CloudWatch Logs payloads
	CloudWatchLogs  *CloudWatchLogs  `json:",omitempty"`
	Deaggregate     *Deaggregate     `json:",omitempty"`
	Partition       []PartitionQuery `json:",omitempty"` // in the order written
	AppendDelimiter string           `json:",omitempty"` // what is put behind each record
	JQ              string           `json:",omitempty"` // a jq expression: each value it gives becomes a record
	Filter          *Filter          `json:",omitempty"`
	Redact          *Redact          `json:",omitempty"`
	Set             *Set             `json:",omitempty"`
	Rename          *Rename          `json:",omitempty"`
	Drop            *Drop            `json:",omitempty"`
	Parse           *Parser          `json:",omitempty"`
	Timestamp       *Timestamp       `json:",omitempty"`
	Sample          *Sample          `json:",omitempty"`
	Dedupe          *Dedupe          `json:",omitempty"`
	Wasm            *Wasm            `json:",omitempty"`
	Lambda          *Lambda          `json:",omitempty"`
	Rollup          *Rollup          `json:",omitempty"`
}

// CloudWatchLogs takes CloudWatch Logs payloads apart.
type CloudWatchLogs struct {
	Extract string // "message": each log event's message becomes a record
}

// Deaggregate makes a record of each part of a record.
type Deaggregate struct {
	Type      string // json (objects one behind the other, or an array) | delimited
	Delimiter string `json:",omitempty"` // of delimited
}

// PartitionQuery is a partition key and the jq expression that finds its value in a record.
type PartitionQuery struct {
	Name  string
	Query string
}

// Partitioning says what dynamic partitioning does beside its keys.
type Partitioning struct {
	MaxActive int               `json:",omitempty"` // partitions open at once, up to 1,000,000; the oldest is closed early. 0: no limit
	Defaults  map[string]string `json:",omitempty"` // by key: in place of a missing, null or empty value
	EventTime *EventTime        `json:",omitempty"` // for !{eventTime:...}
}

// EventTime is where a record says when it happened.
type EventTime struct {
	Field   string   // a jq path, such as .timestamp
	Formats []string `json:",omitempty"` // patterns that prefix.TimeParser reads, "millis" or "seconds"; none: ISO 8601, yyyy-MM-dd HH:mm:ss, and epoch seconds or milliseconds
}

// Parquet says how records become Parquet files.
type Parquet struct {
	Schema       Schema
	Compression  string // snappy (default) | gzip | zstd | none
	PageSize     Bytes  // 64KB to 16MB, default 1MB
	RowGroupSize Bytes  // 1MB to 1GB of record bytes as received, default 64MB
	Dictionary   string // auto (default: per column, from a sample) | on | off
	Writer       string // v1 (default) | v2
	Timestamps   string // millis (default) | micros | nanos | int96
	Unknown      string // keys without a column: drop (default) | error
	Duplicates   string // a key that stands in an object twice: error (default) | first
	JSON         JSONReading
}

// Schema says which columns there are. Exactly one of Infer, Columns and Glue is set once the configuration was read.
type Schema struct {
	Infer   bool            `json:",omitempty"`
	Columns []SchemaColumn  `json:",omitempty"`
	Glue    *GlueTable      `json:",omitempty"`
	File    string          `json:",omitempty"` // a JSON Schema or Avro schema; its columns stand in Columns
	Limits  InferenceLimits // of Infer
}

// SchemaColumn is a column with the Hive name of its type.
type SchemaColumn struct{ Name, Type string }

// GlueTable is a table of the Glue Data Catalog.
type GlueTable struct {
	Catalog, Database, Table, Region, Endpoint string
	Version                                    string // a number, or LATEST (default): follow the table
}

// InferenceLimits bound an inferred schema.
type InferenceLimits struct {
	MaxColumns int // leaves, 1 to 10,000, default 5000; records that would add more are set aside
	MaxDepth   int // 1 to 32, default 16; what lies deeper is kept as JSON text
}

// JSONReading is how JSON becomes columns: Firehose's OpenX and Hive options.
type JSONReading struct {
	CaseSensitive     bool              `json:",omitempty"` // keys match columns only in the same case
	DotsToUnderscores bool              `json:",omitempty"`
	Keys              map[string]string `json:",omitempty"` // column name, at any level -> JSON key
	TimestampFormats  []string          `json:",omitempty"` // patterns that prefix.TimeParser reads, or "millis"; none: OpenX's inputs
}

// Buffer says when a batch closes and how much may wait.
type Buffer struct {
	Size       Bytes    // 1MB to 128MB of record bytes as received, default 5MB
	Interval   Duration // 0 to 900s from the first record's arrival, default 300s
	MaxBacklog Bytes    // log bytes that may wait for delivery, default 10GB
	Guaranteed Bytes    // part of the disk that other streams' backlogs cannot take, default: see docs
	Retain     Duration // how long delivered records stay in the log, default 0
}

// S3 is an object destination: S3 itself, a compatible store, or folders (object_store: file).
type S3 struct {
	Bucket        string
	Prefix        string
	ErrorPrefix   string
	Region        string
	Endpoint      string
	PathStyle     *bool // default: true when an endpoint is given
	SSE           string
	KMSKey        string
	FileExtension string
	TimeZone      string // IANA name, default UTC
	StorageClass  string
	ACL           string
}

// Retry bounds how long a failing delivery is tried before its records go to the backup. S3 and files are tried until they succeed.
type Retry struct {
	For Duration // 0 to 7200s, default 300s
}

// Backup keeps source records: only failed ones, or all.
type Backup struct {
	Mode        string // none | failed | all
	S3          *S3    `json:",omitempty"`
	Buffer      Buffer // size and interval for the backup's own objects
	Compression string
}

// APIFields are what CreateDeliveryStream said that Hydrant stores and echoes without acting on it,
// so that Describe answers what was asked for.
type APIFields struct {
	RoleARN           string         `json:",omitempty"`
	BucketARN         string         `json:",omitempty"`
	BackupRoleARN     string         `json:",omitempty"`
	BackupBucketARN   string         `json:",omitempty"`
	CloudWatchLogging map[string]any `json:",omitempty"`
	Extended          bool           // made with ExtendedS3DestinationConfiguration
	BackupLogging     map[string]any `json:",omitempty"` // CloudWatchLoggingOptions of the backup
	Processing        map[string]any `json:",omitempty"` // ProcessingConfiguration that is not enabled
	Partitioning      map[string]any `json:",omitempty"` // DynamicPartitioningConfiguration that is not enabled
	Conversion        map[string]any `json:",omitempty"` // DataFormatConversionConfiguration that is not enabled
	ThroughputHintMBs int            `json:",omitempty"` // of DirectPutSourceConfiguration
}
