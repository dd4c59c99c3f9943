package delivery

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"hydrant/delivery/journal"
	"hydrant/internal/spool"
	"hydrant/record"
)

// build reads the entry's records and encodes them into a spool. What it finds out on the way is settled afterwards.
func (w *work) build(ctx context.Context) error {
	spec, err := w.r.opt.Specs.Spec(w.e.Version)
	if err != nil {
		return fmt.Errorf("spec version %d: %w", w.e.Version, err)
	}
	w.spec = spec
	schema, err := w.schema(ctx) // before the slot, which others may need
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if err := w.r.opt.Slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer w.r.opt.Slots.Release(1)
	err = w.encode(ctx, schema)
	if errors.Is(err, ErrSchema) {
		if schema, err = w.learn(ctx); err == nil {
			err = w.encode(ctx, schema)
		}
	}
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	if w.learned = 0; spec.Schemas != nil && w.e.SetAside == "" && w.e.Schema == 0 {
		w.learned = schema.Number
	}
	return nil
}

// schema is what the first attempt to encode is made with.
func (w *work) schema(ctx context.Context) (Schema, error) {
	switch {
	case w.spec.Schemas == nil:
		return Schema{}, nil
	case w.e.Schema > 0 || w.e.SetAside != "":
		return Schema{Number: w.e.Schema}, nil
	}
	n, err := w.spec.Schemas.Latest(ctx)
	return Schema{Number: n, Growing: true}, err
}

// learn widens the schema by the entry's records.
func (w *work) learn(ctx context.Context) (Schema, error) {
	d, err := w.r.deriver(&w.e, w.lane)
	if err != nil {
		return Schema{}, err
	}
	n, err := w.spec.Schemas.Learn(func(visit func([]byte) error) error {
		return d.each(ctx, w.e.Batch.Last.Pos, func(_ source, x *record.Derived) error {
			if x.Failure != nil {
				return nil
			}
			return visit(x.Data)
		})
	})
	return Schema{Number: n}, err
}

// encode writes the object and its identity. Records that cannot be part of it are noted in w.failed.
func (w *work) encode(ctx context.Context, schema Schema) error {
	w.release()
	w.failed = nil
	w.spool = w.r.opt.NewSpool()
	if done, err := w.encodeKept(ctx); done || err != nil {
		return err
	}
	enc, err := w.encoder(schema)
	if err != nil {
		return err
	}
	d, err := w.r.deriver(&w.e, w.lane)
	if err != nil {
		return errors.Join(err, enc.Close())
	}
	id := w.newIdentity()
	err = d.each(ctx, w.e.Batch.Last.Pos, func(src source, x *record.Derived) error {
		switch failure, err := enc.write(x); {
		case err != nil:
			return err
		case failure != nil:
			w.fail(x, failure)
		default:
			id.add(src, x)
		}
		return nil
	})
	if cerr := enc.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = enc.check(w.spool)
	}
	if err != nil {
		return err
	}
	w.made(id)
	return nil
}

// made says that the object is whole.
func (w *work) made(id identity) {
	w.object = &record.Object{
		Bucket: w.e.Bucket, Key: w.e.Key, Body: w.spool.Reader(), Size: w.spool.Size(),
		ContentType: "application/octet-stream", Identity: id.of(w.r, &w.e),
	}
	if w.e.SetAside == "" {
		w.object.ContentEncoding = w.spec.ContentEncoding
	}
}

// fail notes a record that goes to the error prefix.
func (w *work) fail(x *record.Derived, f *record.Failure) {
	if w.failed == nil {
		w.failed = map[string]*failed{}
	}
	of := w.failed[f.Type]
	if of == nil {
		of = &failed{set: journal.NewSet(), code: f.Code, message: f.Message}
		w.failed[f.Type] = of
	}
	of.set.Add(x.Pos, x.Sub)
}

// failed are the records of one error type, and what the first of them suffers from.
type failed struct {
	set           *journal.Set
	code, message string
}

// failedTypes are the error types that were met, in a fixed order.
func (w *work) failedTypes() []string { return slices.Sorted(maps.Keys(w.failed)) }

// judgedLives is how many processes may end while they say what is wrong with records; then they are set aside with one reason for all.
const judgedLives = 4 * maxLives

type recordEncoder interface {
	// write returns a failure for a record that is left out, or a final error.
	write(x *record.Derived) (*record.Failure, error)
	Close() error
	// check reads the closed object once more.
	check(s *spool.Buffer) error
}

func (w *work) encoder(schema Schema) (recordEncoder, error) {
	if w.e.SetAside == "" {
		enc, err := w.spec.NewEncoder(w.spool, objectUUID(&w.e), schema)
		return plainEncoder{enc}, err
	}
	x := &errorEncoder{w: w.spool, code: w.e.Code, message: w.e.Message, ended: w.e.Batch.ArrivalMillis}
	if w.e.SetAside == record.ConversionFailed && w.e.Attempts < judgedLives {
		judge, err := w.spec.NewEncoder(io.Discard, "", schema)
		if err != nil {
			return nil, err
		}
		x.judge = judge
	}
	return x, nil
}

type plainEncoder struct{ Encoder }

func (p plainEncoder) write(x *record.Derived) (*record.Failure, error) {
	if x.Failure != nil {
		return x.Failure, nil
	}
	return failureOf(p.Encoder.Write(x.Data))
}

func (p plainEncoder) check(s *spool.Buffer) error {
	if c, ok := p.Encoder.(Checker); ok {
		return c.Check(s.Reader(), s.Size())
	}
	return nil
}

// failureOf tells what concerns one record from what ends the object.
func failureOf(err error) (*record.Failure, error) {
	if err == nil {
		return nil, nil // nearly always; what follows allocates
	}
	var f *record.Failure
	if errors.As(err, &f) {
		return f, nil
	}
	return nil, err
}

// errorEncoder writes Firehose's error records: one JSON object a line, the raw bytes in base64, never compressed.
type errorEncoder struct {
	w             io.Writer
	code, message string
	ended         int64
	judge         Encoder // says once more what is wrong with a record that was not converted; nil: nobody does
	line          []byte
}

// ErrorRecord is one line of an error object, with Firehose's field names.
type ErrorRecord struct {
	AttemptsMade           int    `json:"attemptsMade"`
	ArrivalTimestamp       int64  `json:"arrivalTimestamp"` // Unix ms
	ErrorCode              string `json:"errorCode"`
	ErrorMessage           string `json:"errorMessage"`
	LastErrorCode          string `json:"lastErrorCode,omitempty"` // of format conversion, whose fields Firehose names in both ways
	LastErrorMessage       string `json:"lastErrorMessage,omitempty"`
	AttemptEndingTimestamp int64  `json:"attemptEndingTimestamp"` // Unix ms
	RawData                string `json:"rawData"`                // base64
	SequenceNumber         string `json:"sequenceNumber,omitempty"`
	SubSequenceNumber      *int   `json:"subSequenceNumber,omitempty"` // of a record that processors took apart
	RecordID               string `json:"recordId,omitempty"`          // Hydrant's own: names the record as it was first accepted
}

func (x *errorEncoder) write(d *record.Derived) (*record.Failure, error) {
	line := ErrorRecord{
		AttemptsMade: 1, ArrivalTimestamp: d.ArrivalMillis, ErrorCode: x.code, ErrorMessage: x.message,
		AttemptEndingTimestamp: x.ended, RawData: base64.StdEncoding.EncodeToString(d.Raw), RecordID: recordID(d),
	}
	var fields []record.Field
	if d.Failure != nil {
		line.ErrorCode, line.ErrorMessage, fields = d.Failure.Code, d.Failure.Message, d.Failure.Fields
		line.AttemptsMade = max(1, d.Failure.Attempts)
	} else if x.judge != nil {
		f, err := failureOf(x.judge.Write(d.Data))
		if err != nil && !errors.Is(err, ErrSchema) {
			return nil, err
		}
		if f != nil {
			line.ErrorCode, line.ErrorMessage = f.Code, f.Message
		}
		line.LastErrorCode, line.LastErrorMessage = line.ErrorCode, line.ErrorMessage
		sub := int(d.Sub)
		line.SequenceNumber, line.SubSequenceNumber = fmt.Sprint(d.Pos), &sub
	}
	b, err := errorLine(line, fields)
	if err != nil {
		return nil, err
	}
	x.line = append(x.line[:0], b...)
	_, err = x.w.Write(x.line)
	return nil, err
}

func (x *errorEncoder) check(*spool.Buffer) error { return nil }

func (x *errorEncoder) Close() error {
	if x.judge != nil {
		_ = x.judge.Close() // it writes to nowhere
	}
	return nil
}
