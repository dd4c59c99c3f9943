package daemon

import (
	"fmt"
	"io"
	"time"

	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/delivery"
	"hydrant/formats/compress"
	"hydrant/formats/json"
	"hydrant/formats/raw"
	"hydrant/record"
	"hydrant/transform"
)

// buildSpec turns one version of a stream's configuration into what delivery writes for a role.
func buildSpec(s config.Stream, version int, role record.Role, learned schemas) (*delivery.Spec, error) {
	dest, shape, partitioned := s.Destination.S3, form{format: s.Format, compression: s.Compression, level: s.CompressionLevel}, s.Partitioned()
	if role == record.RoleBackup {
		dest, shape, partitioned = s.Backup.S3, form{format: config.FormatRaw, compression: s.Backup.Compression}, false
	}
	if dest == nil {
		return nil, fmt.Errorf("version %d has no destination for role %s", version, role)
	}
	main, errs, err := prefix.Both(dest.Prefix, dest.ErrorPrefix, partitioned)
	if err != nil {
		return nil, err
	}
	errorBucket := ""
	if b := s.Backup; role == record.RoleMain && b.Mode == config.BackupFailed && b.S3 != nil {
		errorBucket = b.S3.Bucket
		if _, errs, err = prefix.Both(b.S3.Prefix, b.S3.ErrorPrefix, false); err != nil {
			return nil, err
		}
	}
	zone := time.UTC
	if dest.TimeZone != "" {
		if zone, err = time.LoadLocation(dest.TimeZone); err != nil {
			return nil, err
		}
	}
	spec := &delivery.Spec{
		Version: version, Bucket: dest.Bucket, ErrorBucket: errorBucket, Prefix: main, ErrorPrefix: errs, Zone: zone, Extension: dest.FileExtension,
		ContentEncoding: compress.ContentEncoding(shape.compression), Partitioned: partitioned,
	}
	if role == record.RoleMain && len(s.Processors)+len(main.Keys()) > 0 {
		spec.NewStage = func() (delivery.Stage, error) { return transform.New(s, main.Keys(), zone) }
		if _, err := spec.NewStage(); err != nil { // what is wrong with it is said before a record is accepted
			return nil, err
		}
	}
	if s.Partitioning != nil {
		spec.MaxActive = s.Partitioning.MaxActive
	}
	return spec, shape.into(spec, s, learned)
}

// checkSpecs builds what the streams of a configuration would deliver: what cannot be built is an error before a record is accepted.
func checkSpecs(streams []config.Stream) error {
	unstored := func(c config.Parquet) *learnedSchemas { return &learnedSchemas{config: c} }
	for _, s := range streams {
		if s.Destination.S3 == nil {
			continue // the checks of the configuration say so
		}
		if _, err := buildSpec(s, 1, record.RoleMain, unstored); err != nil {
			return fmt.Errorf("stream %s: %w", s.Name, err)
		}
	}
	return nil
}

// form is how records become an object.
type form struct {
	format, compression string
	level               int
}

// into completes a spec by the encoder.
func (f form) into(spec *delivery.Spec, s config.Stream, learned schemas) error {
	if f.format == config.FormatParquet {
		return parquetInto(spec, s, learned)
	}
	if spec.Extension == "" {
		spec.Extension = compress.Extension(f.compression)
	}
	spec.NewEncoder = func(w io.Writer, name string, _ delivery.Schema) (delivery.Encoder, error) {
		return newEncoder(w, f.format, compress.Options{Codec: f.compression, Level: f.level, EntryName: name})
	}
	return nil
}

// framed is a record framing on top of a compressor.
type framed struct {
	delivery.Encoder
	compressor io.WriteCloser
}

func newEncoder(w io.Writer, format string, o compress.Options) (delivery.Encoder, error) {
	c, err := o.NewWriter(w)
	if err != nil {
		return nil, err
	}
	switch format {
	case config.FormatJSON:
		return &framed{json.New(c), c}, nil
	case config.FormatJSONArray:
		return &framed{json.NewArray(c), c}, nil
	case config.FormatRaw:
		return &framed{raw.New(c), c}, nil
	}
	return nil, fmt.Errorf("format %q is unknown", format)
}

func (f *framed) Close() error {
	err := f.Encoder.Close()
	if cerr := f.compressor.Close(); err == nil {
		err = cerr
	}
	return err
}
