package delivery

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"

	"hydrant/record"
)

func putUint64(b []byte, v uint64) { binary.LittleEndian.PutUint64(b, v) }
func putUint32(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }

// build reads the entry's records and encodes them into a spool.
func (w *work) build(ctx context.Context) error {
	spec, err := w.r.opt.Specs.Spec(w.e.Version)
	if err != nil {
		return fmt.Errorf("spec version %d: %w", w.e.Version, err)
	}
	w.spec = spec
	if err := w.r.opt.Slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer w.r.opt.Slots.Release(1)
	w.spool = w.r.opt.NewSpool()
	enc, err := w.encoder()
	if err != nil {
		return err
	}
	var id identity
	err = w.r.opt.Source.Read(ctx, w.e.Batch.First.Pos, w.e.Batch.Last.Pos, func(rec record.Record) error {
		id.add(rec)
		return enc.write(rec)
	})
	if cerr := enc.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	w.object = &record.Object{
		Bucket: w.e.Bucket, Key: w.e.Key, Body: w.spool.Reader(), Size: w.spool.Size(),
		ContentType: "application/octet-stream", Identity: id.of(w.r, &w.e),
	}
	if w.e.SetAside == "" {
		w.object.ContentEncoding = spec.ContentEncoding
	}
	return nil
}

type recordEncoder interface {
	write(record.Record) error
	Close() error
}

func (w *work) encoder() (recordEncoder, error) {
	if w.e.SetAside != "" {
		return &errorEncoder{w: w.spool, code: w.e.Code, message: w.e.Message, ended: w.e.Batch.ArrivalMillis}, nil
	}
	enc, err := w.spec.NewEncoder(w.spool, objectUUID(&w.e))
	return plainEncoder{enc}, err
}

type plainEncoder struct{ Encoder }

func (p plainEncoder) write(rec record.Record) error { return p.Encoder.Write(rec.Data) }

// errorEncoder writes Firehose's error records: one JSON object a line, the raw bytes in base64, never compressed.
type errorEncoder struct {
	w             io.Writer
	code, message string
	ended         int64
	line          []byte
}

// ErrorRecord is one line of an error object, with Firehose's field names.
type ErrorRecord struct {
	AttemptsMade           int    `json:"attemptsMade"`
	ArrivalTimestamp       int64  `json:"arrivalTimestamp"` // Unix ms
	ErrorCode              string `json:"errorCode"`
	ErrorMessage           string `json:"errorMessage"`
	AttemptEndingTimestamp int64  `json:"attemptEndingTimestamp"` // Unix ms
	RawData                string `json:"rawData"`                // base64
}

func (x *errorEncoder) write(rec record.Record) error {
	b, err := json.Marshal(ErrorRecord{
		AttemptsMade: 1, ArrivalTimestamp: rec.ArrivalMillis, ErrorCode: x.code, ErrorMessage: x.message,
		AttemptEndingTimestamp: x.ended, RawData: base64.StdEncoding.EncodeToString(rec.Data),
	})
	if err != nil {
		return err
	}
	x.line = append(append(x.line[:0], b...), '\n')
	_, err = x.w.Write(x.line)
	return err
}

func (x *errorEncoder) Close() error { return nil }
