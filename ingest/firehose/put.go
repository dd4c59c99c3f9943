package firehose

import (
	"net/http"
	"time"

	"hydrant/internal/bodies"
	"hydrant/record"
)

func (h *handler) putRecord(w http.ResponseWriter, r *http.Request) (stream string, err error) {
	return h.put(w, r, opPutRecord)
}

func (h *handler) putRecordBatch(w http.ResponseWriter, r *http.Request) (stream string, err error) {
	return h.put(w, r, opPutRecordBatch)
}

// put serves both operations: all records are durable when it answers, or none was taken.
func (h *handler) put(w http.ResponseWriter, r *http.Request, op string) (stream string, err error) {
	start := time.Now()
	body, err := h.opts.Bodies.Read(w, r, "gzip")
	if err != nil {
		return "", bodyError(err)
	}
	defer body.Release()
	put := record.NewPut()
	defer put.Release()
	if stream, err = readPut(body, op == opPutRecord, put); err != nil {
		return stream, err
	}
	first, err := h.opts.Appender.Append(r.Context(), stream, put)
	if err != nil {
		return stream, err
	}
	h.opts.Metrics.put(stream, op, time.Since(start))
	if op == opPutRecord {
		writePutRecord(w, first)
	} else {
		writePutRecordBatch(w, first, put.Count())
	}
	return stream, nil
}

// readPut fills put from body, which is of no use afterwards: the put holds copies.
func readPut(body *bodies.Body, single bool, put *record.Put) (stream string, err error) {
	p, err := parsePut(body.Bytes(), single, put)
	if err != nil {
		return "", serialization(err)
	}
	if e := p.check(); e != nil {
		return "", e
	}
	body.Recycle()
	return p.name, nil
}
