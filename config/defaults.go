package config

import "time"

// Values that YAML and the API share. Sizes are in bytes.
const (
	defaultListen     = "127.0.0.1:4573"
	defaultAdmin      = "127.0.0.1:4574"
	defaultDataDir    = "./hydrant-data"
	defaultRegion     = "us-east-1"
	defaultAccountID  = "000000000000"
	defaultSize       = 5 * MB
	defaultMaxBacklog = 10 * GB
	defaultMinFree    = 256 * MB
	defaultInterval   = Duration(300 * time.Second)
	defaultRetry      = Duration(300 * time.Second)
	defaultShutdown   = Duration(25 * time.Second)
)

// Words of the configuration that other packages compare with.
const (
	StoreFile = "file"
	StoreS3   = "s3"

	ShutdownDeliver = "deliver"
	ShutdownKeep    = "keep"

	FormatJSON      = "json"
	FormatJSONArray = "json-array"
	FormatRaw       = "raw"
	FormatParquet   = "parquet"

	CompressionNone         = "none"
	CompressionGzip         = "gzip"
	CompressionSnappy       = "snappy"
	CompressionHadoopSnappy = "hadoop-snappy"
	CompressionZip          = "zip"
	CompressionZstd         = "zstd"

	SSENone = "none"
	SSES3   = "s3"
	SSEKMS  = "kms"

	BackupNone   = "none"
	BackupFailed = "failed"
	BackupAll    = "all"
)

// Default is the configuration without a file: everything on loopback, no streams.
func Default() *Config {
	return &Config{
		Listen:          defaultListen,
		Admin:           defaultAdmin,
		DataDir:         defaultDataDir,
		AWS:             AWS{Region: defaultRegion, AccountID: defaultAccountID},
		ObjectStore:     StoreFile,
		ShutdownTimeout: defaultShutdown,
		Shutdown:        ShutdownDeliver,
		MinFree:         defaultMinFree,
		Log:             Logging{Format: "text", Level: "info"},
	}
}

// Normalize fills in every default that is still missing. Zero is a legal interval and retry time:
// they get their defaults only when Buffer.Size is missing too, which means that nothing was decided yet.
func (s *Stream) Normalize() {
	if s.Source.Direct == nil {
		s.Source.Direct = &Direct{}
	}
	if s.Buffer.Size == 0 && s.Retry.For == 0 {
		s.Retry.For = defaultRetry
	}
	s.Buffer.fill()
	if s.Buffer.MaxBacklog == 0 {
		s.Buffer.MaxBacklog = defaultMaxBacklog
	}
	fillText(&s.Format, FormatJSON)
	if s.Format == FormatParquet && s.Parquet == nil {
		s.Parquet = &Parquet{}
	}
	if s.Parquet != nil {
		s.Parquet.fill()
	}
	fillText(&s.Compression, CompressionNone)
	s.Destination.fill(s.Compression)
	if s.Backup.Mode == "" && s.Destination.Kind() != "" && s.FailedElsewhere() {
		s.Backup.Mode = BackupFailed
	}
	s.Backup.fill()
}

// Defaults of format parquet.
const (
	defaultPageSize     = 1 * MB
	defaultRowGroupSize = 64 * MB
	defaultMaxColumns   = 5000
	defaultMaxDepth     = 16
)

func (p *Parquet) fill() {
	p.Schema.fill()
	fillText(&p.Compression, CompressionSnappy)
	fillText(&p.Dictionary, "auto")
	fillText(&p.Writer, "v1")
	fillText(&p.Timestamps, "millis")
	fillText(&p.Unknown, "drop")
	fillText(&p.Duplicates, "error")
	if p.PageSize == 0 {
		p.PageSize = defaultPageSize
	}
	if p.RowGroupSize == 0 {
		p.RowGroupSize = defaultRowGroupSize
	}
}

func (s *Schema) fill() {
	if s.Columns == nil && s.Glue == nil && s.File == "" {
		s.Infer = true
	}
	if s.Glue != nil {
		fillText(&s.Glue.Version, glueLatest)
	}
	if !s.Infer {
		return
	}
	if s.Limits.MaxColumns == 0 {
		s.Limits.MaxColumns = defaultMaxColumns
	}
	if s.Limits.MaxDepth == 0 {
		s.Limits.MaxDepth = defaultMaxDepth
	}
}

func (b *Backup) fill() {
	fillText(&b.Mode, BackupNone)
	fillText(&b.Compression, CompressionNone)
	b.Buffer.fill()
	if b.S3 != nil {
		b.S3.fill()
	}
}

func (b *Buffer) fill() {
	if b.Size != 0 {
		return
	}
	b.Size = defaultSize
	if b.Interval == 0 {
		b.Interval = defaultInterval
	}
}

func (s *S3) fill() {
	fillText(&s.SSE, SSENone)
	fillText(&s.TimeZone, "UTC")
	if s.PathStyle == nil {
		style := s.Endpoint != ""
		s.PathStyle = &style
	}
}

func fillText(s *string, value string) {
	if *s == "" {
		*s = value
	}
}
