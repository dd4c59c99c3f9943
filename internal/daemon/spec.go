package daemon

import (
	"errors"
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
	spec := &delivery.Spec{Version: version}
	if role == record.RoleBackup {
		if s.Backup.S3 == nil {
			return nil, fmt.Errorf("version %d has no destination for role %s", version, role)
		}
		shape := form{format: config.FormatRaw, compression: s.Backup.Compression}
		if err := objectsInto(spec, s.Backup.S3, false); err != nil {
			return nil, err
		}
		return spec, shape.into(spec, s, learned)
	}
	if err := destinationInto(spec, s); err != nil {
		return nil, fmt.Errorf("version %d: %w", version, err)
	}
	if err := asideInto(spec, s); err != nil {
		return nil, err
	}
	if err := stageInto(spec, s); err != nil {
		return nil, err
	}
	if spec.Requests != nil {
		return spec, nil
	}
	shape := form{format: s.Format, compression: s.Compression, level: s.CompressionLevel}
	return spec, shape.into(spec, s, learned)
}

// destinationInto says where main objects go, or how requests are made.
func destinationInto(spec *delivery.Spec, s config.Stream) (err error) {
	switch d := s.Destination; {
	case d.S3 != nil:
		return objectsInto(spec, d.S3, s.Partitioned())
	case d.Redshift != nil && d.Redshift.S3 != nil:
		spec.Loads = true
		if err := objectsInto(spec, d.Redshift.S3, false); err != nil {
			return err
		}
		spec.ManifestPrefix, err = prefix.Parse(spec.Prefix.Head()+"errors/manifests/", prefix.Main)
		return err
	case d.File != nil:
		spec.Zone = time.UTC
		spec.Prefix, err = prefix.Parse(d.File.Path+"/", prefix.Path)
		return err
	case d.OpenSearch != nil:
		spec.Requests = &delivery.Requests{ErrorType: "AmazonOpenSearchService-failed", Idempotent: d.OpenSearch.DocumentID == config.DocumentIDStable,
			Backoff: delivery.Backoff{First: 500 * time.Millisecond, Cap: 30 * time.Second}}
	case d.Splunk != nil:
		spec.Requests = &delivery.Requests{ErrorType: "splunk-failed", Whole: true, AnswersFree: true,
			Backoff: delivery.Backoff{First: time.Second, Cap: 30 * time.Second}}
	case d.HTTP != nil:
		spec.Requests = &delivery.Requests{ErrorType: "http-endpoint-failed", Whole: true, AnswersFree: true,
			Backoff: delivery.Backoff{First: time.Second, Cap: 2 * time.Minute}}
	default:
		return errors.New("it has no destination")
	}
	spec.Zone = time.UTC
	return nil
}

// objectsInto says where objects go, and those of records that are set aside, unless they go elsewhere.
func objectsInto(spec *delivery.Spec, d *config.S3, partitioned bool) (err error) {
	spec.Bucket, spec.Extension, spec.Partitioned = d.Bucket, d.FileExtension, partitioned
	if spec.Zone, err = d.Location(); err != nil {
		return err
	}
	spec.Prefix, spec.ErrorPrefix, err = prefix.Both(d.Prefix, d.ErrorPrefix, partitioned)
	return err
}

// asideInto says where records that are set aside go, when that is not the destination itself.
func asideInto(spec *delivery.Spec, s config.Stream) (err error) {
	d := s.FailedS3()
	switch d {
	case s.Destination.S3:
		return nil
	case nil:
		return errors.New("records that are set aside have no place: backup.s3 is missing")
	}
	spec.ErrorBucket = d.Bucket
	_, spec.ErrorPrefix, err = prefix.Both(d.Prefix, d.ErrorPrefix, false)
	return err
}

// stageInto makes the chain of processors.
func stageInto(spec *delivery.Spec, s config.Stream) error {
	var keys []prefix.Key
	if spec.Prefix != nil {
		keys = spec.Prefix.Keys()
	}
	if len(s.Processors)+len(keys) > 0 {
		spec.NewStage = func() (delivery.Stage, error) { return transform.New(s, keys, spec.Zone) }
		if _, err := spec.NewStage(); err != nil { // what is wrong with it is said before a record is accepted
			return err
		}
	}
	if s.Partitioning != nil {
		spec.MaxActive = s.Partitioning.MaxActive
	}
	return nil
}

// checkSpecs builds what the streams of a configuration would deliver: what cannot be built is an error before a record is accepted.
func checkSpecs(streams []config.Stream) error {
	unstored := func(c config.Parquet) *learnedSchemas { return &learnedSchemas{config: c} }
	for _, s := range streams {
		if s.Destination.Kind() == "" {
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
	spec.ContentEncoding = compress.ContentEncoding(f.compression)
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
