package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"hydrant/config"
	"hydrant/config/schema"
	"hydrant/delivery"
	"hydrant/formats/infer"
	"hydrant/formats/parquet"
)

// parquetExtension is what an object of the format is called, whatever stands inside it.
const parquetExtension = ".parquet"

// parquetInto completes a spec whose objects are Parquet files.
func parquetInto(spec *delivery.Spec, s config.Stream, learned schemas) error {
	c := *s.Parquet
	if spec.Extension == "" {
		spec.Extension = parquetExtension
	}
	spec.ContentEncoding = ""
	if c.Schema.Infer || c.Schema.Glue != nil {
		l := learned(c)
		spec.Schemas = l
		spec.NewEncoder = func(w io.Writer, _ string, n delivery.Schema) (delivery.Encoder, error) { return l.encoder(w, n) }
		return nil
	}
	columns, err := columnsOf(c.Schema.Columns)
	if err != nil {
		return err
	}
	spec.NewEncoder = func(w io.Writer, _ string, _ delivery.Schema) (delivery.Encoder, error) {
		return newParquet(w, parquet.Options{Columns: columns, Config: c, Metadata: map[string]string{"hydrant.stream": s.Name}})
	}
	return nil
}

func columnsOf(from []config.SchemaColumn) ([]schema.Column, error) {
	cols := make([]schema.Column, len(from))
	for i, c := range from {
		t, err := schema.Parse(c.Type)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
		cols[i] = schema.Column{Name: c.Name, Type: t}
	}
	return cols, nil
}

// parquetFile is an encoder in delivery's words.
type parquetFile struct{ *parquet.Encoder }

func newParquet(w io.Writer, o parquet.Options) (delivery.Encoder, error) {
	enc, err := parquet.New(w, o)
	if err != nil {
		return nil, err
	}
	return parquetFile{enc}, nil
}

// Check re-reads the footer, and whether it is about all rows.
func (g parquetFile) Check(body io.ReaderAt, size int64) error {
	return parquet.Verify(body, size, g.Rows())
}

// Write answers with delivery's word for a record that the schema has no room for.
func (g parquetFile) Write(data []byte) error {
	err := g.Encoder.Write(data)
	if errors.Is(err, parquet.ErrGrow) {
		return delivery.ErrSchema
	}
	return err
}

// encoder writes a file under one of the schemas.
func (l *learnedSchemas) encoder(w io.Writer, n delivery.Schema) (delivery.Encoder, error) {
	c, v := l.config, infer.Version{}
	if n.Number > 0 {
		var err error
		if v, err = l.version(n.Number); err != nil {
			return nil, err
		}
	} else if n.Growing {
		return unlearned{}, nil
	}
	return newParquet(w, parquet.Options{
		Columns: v.Columns, Config: c, Growing: n.Growing && c.Schema.Infer, Inferred: c.Schema.Infer,
		Metadata: map[string]string{"hydrant.schema": strconv.Itoa(n.Number)},
	})
}

// unlearned is the encoder before there is a schema: any record asks for one.
type unlearned struct{}

func (unlearned) Write([]byte) error { return delivery.ErrSchema }
func (unlearned) Close() error       { return nil }

// schemas gives the schemas of a stream that are learned as a configuration says.
type schemas func(config.Parquet) *learnedSchemas

// learnedSchemas joins a stream's stored schemas with where they come from: its records, or a Glue table. Safe for concurrent use.
type learnedSchemas struct {
	open   func() (*infer.Store, error)
	config config.Parquet
	region string
	now    func() time.Time
	logger *slog.Logger
	prune  func(below int) // forgets schemas that nothing needs; nil: nobody does

	mu      sync.Mutex
	fetched time.Time
	failed  time.Time // when Glue did not answer last, and what it said
	failure error
	latest  int
}

func (l *learnedSchemas) version(n int) (infer.Version, error) {
	store, err := l.open()
	if err != nil {
		return infer.Version{}, err
	}
	v, ok := store.Get(n)
	if !ok {
		return v, fmt.Errorf("schema %d of the stream is not stored", n)
	}
	return v, nil
}

// Latest is the newest schema, 0 before the first. That of a Glue table is read anew when it is old.
func (l *learnedSchemas) Latest(ctx context.Context) (int, error) {
	if l.config.Schema.Glue != nil {
		return l.fetch(ctx)
	}
	store, err := l.open()
	if err != nil {
		return 0, err
	}
	v, _ := store.Latest()
	return v.Number, nil
}

// Learn widens the schema by records.
func (l *learnedSchemas) Learn(read func(visit func(data []byte) error) error) (int, error) {
	store, err := l.open()
	if err != nil {
		return 0, err
	}
	before, _ := store.Latest()
	var readErr error
	v, err := store.Learn(func(base []schema.Column) ([]schema.Column, bool, bool) {
		j := l.config.JSON
		learner := infer.NewLearner(base, infer.Limits{MaxColumns: l.config.Schema.Limits.MaxColumns, MaxDepth: l.config.Schema.Limits.MaxDepth,
			CaseSensitive: j.CaseSensitive, DotsToUnderscores: j.DotsToUnderscores, Keys: j.Keys, FirstOfDuplicates: l.config.Duplicates == "first"})
		readErr = read(func(data []byte) error {
			learner.Add(data)
			return nil
		})
		if readErr != nil {
			return base, false, false
		}
		return learner.Columns()
	})
	if readErr != nil {
		return 0, readErr
	}
	if err == nil && before.Generation > 0 && v.Generation > before.Generation {
		l.logger.Warn("a column changed its type; new files go to a folder beside the old one", "folder", fmt.Sprintf("schema-%d", v.Generation),
			"column", schema.Retyped(before.Columns, v.Columns))
	}
	if err == nil && v.Number > before.Number && v.Number%pruneEvery == 0 && l.prune != nil {
		l.prune(v.Number - pruneEvery)
	}
	return v.Number, err
}

// pruneEvery is how many schemas are learned before those that nothing needs are forgotten. As many of the newest are kept: one that was
// just handed out may not be journaled yet.
const pruneEvery = 64

// Generation keeps files apart whose columns have other types. The first kind needs no name.
func (l *learnedSchemas) Generation(n int) (string, error) {
	v, err := l.version(n)
	if err != nil || v.Generation <= 1 {
		return "", err
	}
	return fmt.Sprintf("schema-%d", v.Generation), nil
}
