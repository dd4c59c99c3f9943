package config

import "slices"

// Destination says where batches go. Exactly one is set.
type Destination struct {
	S3         *S3         `json:",omitempty"`
	OpenSearch *OpenSearch `json:",omitempty"`
	Redshift   *Redshift   `json:",omitempty"`
	Splunk     *Splunk     `json:",omitempty"`
	HTTP       *HTTP       `json:",omitempty"`
	File       *File       `json:",omitempty"`
}

// OpenSearch is a cluster that takes records as documents, over _bulk.
type OpenSearch struct {
	// How it is reached.
	URLs     []string // nodes, taken in turn
	Username string   `json:",omitempty"`
	Password Secret   `json:",omitempty"`
	SigV4    *SigV4   `json:",omitempty"`
	TLS      TLS
	Encoding string   // of requests: none (default) | gzip
	Request  Request  // default 2MB, 5000 records, 2 at once
	Timeout  Duration // of one request, 1s to 15m, default 60s

	// What it takes.
	Index      string // name or, with rotation, its beginning; or a data stream
	Rotation   string // none | hour | day (default) | week | month; by arrival, UTC
	WeekRule   string // us (default): as Firehose's guide writes | iso
	DocumentID string // stable (default): from the record's position, once each | none: the cluster's
	Timestamp  string `json:",omitempty"` // field that gets the arrival time where a document has none, such as @timestamp
	Pipeline   string `json:",omitempty"` // ingest pipeline
	TypeName   string `json:",omitempty"` // only for Elasticsearch up to 6
}

// SigV4 signs requests with the SDK's standard credentials.
type SigV4 struct {
	Service string // es (default) | aoss
	Region  string `json:",omitempty"` // default aws.region
}

// TLS says whom to trust and who we are. Files are read when the daemon starts.
type TLS struct {
	CAFile             string `json:",omitempty"` // PEM; default: the system's
	CertFile, KeyFile  string `json:",omitempty"` // PEM; a client certificate
	ServerName         string `json:",omitempty"` // default: the URL's
	InsecureSkipVerify bool   `json:",omitempty"` // trust anybody
}

// Request bounds what is sent at once.
type Request struct {
	Size       Bytes // of the records, 64KB to 64MB
	Records    int   // 1 to 10,000
	Concurrent int   // 1 to 64 of a batch at once
}

// Splunk is an HTTP Event Collector.
type Splunk struct {
	URL        string
	Token      Secret
	TLS        TLS
	Encoding   string // none (default) | gzip
	Request    Request
	Timeout    Duration // of one request, default 60s
	AckTimeout Duration // how long an acknowledgement is waited for, 1s to 600s, default 180s; 0s: a 200 is delivery

	Endpoint   string // event | raw (default)
	Host       string `json:",omitempty"`
	Source     string `json:",omitempty"`
	SourceType string `json:",omitempty"`
	Index      string `json:",omitempty"`
}

// HTTP is an endpoint that speaks Firehose's HTTP delivery protocol or, plain, any server that answers 2xx.
type HTTP struct {
	URL       string
	AccessKey Secret `json:",omitempty"`
	TLS       TLS
	Encoding  string            // none (default) | gzip
	Headers   map[string]Secret `json:",omitempty"`
	Request   Request
	Timeout   Duration // of one request, 1s to 15m, default 180s

	CommonAttributes map[string]string `json:",omitempty"`
	Plain            bool              `json:",omitempty"`
	Body             string            // of plain: ndjson (default) | json-array | loki
	Labels           map[string]string `json:",omitempty"` // of body loki
}

// Redshift is a table that batches are copied into, by way of objects in S3.
type Redshift struct {
	DataAPI  *DataAPI  `json:",omitempty"` // exactly one of these two
	Postgres *Postgres `json:",omitempty"`
	Timeout  Duration  // of one COPY, 1s to 2h, default 15m

	Table       string
	Columns     []string `json:",omitempty"`
	CopyOptions string   // default: JSON 'auto', and the codec's word
	Credentials Secret   `json:",omitempty"` // IAM_ROLE '…' | IAM_ROLE default | CREDENTIALS '…'; default: IAM_ROLE default
	Ledger      string   // table of what was copied, default hydrant_loads; none: at least once
	S3          *S3      // where the objects go
}

// DataAPI reaches a cluster or a workgroup through the Redshift Data API.
type DataAPI struct {
	Cluster, Workgroup, Database, DBUser, SecretARN, Region, Endpoint string
}

// Postgres reaches a database with PostgreSQL's protocol.
type Postgres struct {
	URL      Secret // postgres://… or jdbc:redshift://…
	Username string `json:",omitempty"`
	Password Secret `json:",omitempty"`
	Plain    bool   `json:",omitempty"` // a PostgreSQL server: INSERT in place of COPY
}

// File appends batches to files on this machine's disk.
type File struct {
	Path   string // may hold prefix expressions; relative to the folder the daemon runs in; "-": standard output
	Rotate Rotate
}

// Rotate says when a file is put aside as PATH.1.
type Rotate struct {
	Size Bytes // 0: never
	Keep int   // old files, 0: all
}

// Words of the destinations that other packages compare with.
const (
	RotationNone  = "none"
	RotationHour  = "hour"
	RotationDay   = "day"
	RotationWeek  = "week"
	RotationMonth = "month"

	DocumentIDStable = "stable"
	DocumentIDNone   = "none"

	EncodingNone = "none"
	EncodingGzip = "gzip"

	SplunkEvent = "event"
	SplunkRaw   = "raw"

	BodyNDJSON = "ndjson"
	BodyArray  = "json-array"
	BodyLoki   = "loki"

	LedgerNone    = "none"
	defaultLedger = "hydrant_loads"

	Stdout = "-" // as the path of a file
)

// Kind is the destination's name in YAML; "" when there is none.
func (d Destination) Kind() string {
	switch {
	case d.S3 != nil:
		return "s3"
	case d.OpenSearch != nil:
		return "opensearch"
	case d.Redshift != nil:
		return "redshift"
	case d.Splunk != nil:
		return "splunk"
	case d.HTTP != nil:
		return "http"
	case d.File != nil:
		return "file"
	}
	return ""
}

// Objects says whether the destination takes each batch as one object, in the stream's format and compression.
func (d Destination) Objects() bool { return d.S3 != nil || d.Redshift != nil || d.File != nil }

// FailedElsewhere says whether records that are set aside have no place in the destination itself: the backup's bucket takes them.
func (s Stream) FailedElsewhere() bool { return s.Destination.S3 == nil }

// FailedS3 is where records that are set aside go, nil when nowhere is said.
func (s Stream) FailedS3() *S3 {
	if s.FailedElsewhere() || s.Backup.Mode == BackupFailed && s.Backup.S3 != nil {
		return s.Backup.S3
	}
	return s.Destination.S3
}

// WritesStdout says whether a stream delivers to standard output: nothing else may be written there.
func (c *Config) WritesStdout() bool {
	return slices.ContainsFunc(c.Streams, func(s Stream) bool { return s.Destination.File != nil && s.Destination.File.Path == Stdout })
}
