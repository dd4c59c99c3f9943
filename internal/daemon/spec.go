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
)

// buildSpec turns one version of a stream's configuration into what delivery writes for a role.
func buildSpec(s config.Stream, version int, role record.Role) (*delivery.Spec, error) {
	dest, format, compression, level := s.Destination.S3, s.Format, s.Compression, s.CompressionLevel
	if role == record.RoleBackup {
		dest, format, compression, level = s.Backup.S3, config.FormatRaw, s.Backup.Compression, 0
	}
	if dest == nil {
		return nil, fmt.Errorf("version %d has no destination for role %s", version, role)
	}
	main, errs, err := prefix.Both(dest.Prefix, dest.ErrorPrefix)
	if err != nil {
		return nil, err
	}
	errorBucket := ""
	if b := s.Backup; role == record.RoleMain && b.Mode == config.BackupFailed && b.S3 != nil {
		errorBucket = b.S3.Bucket
		if _, errs, err = prefix.Both(b.S3.Prefix, b.S3.ErrorPrefix); err != nil {
			return nil, err
		}
	}
	zone := time.UTC
	if dest.TimeZone != "" {
		if zone, err = time.LoadLocation(dest.TimeZone); err != nil {
			return nil, err
		}
	}
	ext := dest.FileExtension
	if ext == "" {
		ext = compress.Extension(compression)
	}
	return &delivery.Spec{
		Version: version, Bucket: dest.Bucket, ErrorBucket: errorBucket, Prefix: main, ErrorPrefix: errs, Zone: zone, Extension: ext,
		ContentEncoding: compress.ContentEncoding(compression),
		NewEncoder: func(w io.Writer, name string) (delivery.Encoder, error) {
			return newEncoder(w, format, compress.Options{Codec: compression, Level: level, EntryName: name})
		},
	}, nil
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
