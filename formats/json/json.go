// Package json frames records as newline-delimited JSON or as one JSON array. Lines are not parsed: what stands in
// a record is the producer's business, and what is not JSON goes aside where a later step needs JSON. An array needs
// it at once. The package owns the framing only; compression is the writer beneath.
package json

import "io"

// bufferBytes stands in front of the compressor, which is costly per call and cheap per byte.
const bufferBytes = 128 << 10

// Encoder writes records, each ended by a newline. Not safe for concurrent use.
type Encoder struct {
	w   io.Writer
	buf []byte
	err error // the first error of w; everything after it fails with the same
}

// New returns an encoder in front of w. It holds 128 KiB.
func New(w io.Writer) *Encoder {
	return &Encoder{w: w, buf: make([]byte, 0, bufferBytes)}
}

// Write frames one record: a newline is added unless the record's last byte is one. An empty record is
// an empty line. data is not kept. An error is the writer's, and is final: the output ends somewhere
// within a record and must be thrown away.
func (e *Encoder) Write(data []byte) error {
	e.put(data)
	if len(data) == 0 || data[len(data)-1] != '\n' {
		e.buf = append(e.buf, '\n')
	}
	return e.err
}

// put buffers data and leaves room for one byte more.
func (e *Encoder) put(data []byte) {
	if len(data)+1 > cap(e.buf)-len(e.buf) {
		e.flush()
	}
	if len(data)+1 > cap(e.buf) {
		e.direct(data)
	} else {
		e.buf = append(e.buf, data...)
	}
}

// append buffers a few bytes of framing.
func (e *Encoder) append(s string) {
	if len(s) > cap(e.buf)-len(e.buf) {
		e.flush()
	}
	e.buf = append(e.buf, s...)
}

// Close hands what is buffered to the writer, which stays open. It returns the first error of any call.
func (e *Encoder) Close() error {
	e.flush()
	return e.err
}

// Extension is what the format adds to an object's name: nothing.
func (e *Encoder) Extension() string { return "" }

func (e *Encoder) flush() {
	if e.err == nil && len(e.buf) > 0 {
		_, e.err = e.w.Write(e.buf)
	}
	e.buf = e.buf[:0]
}

// direct passes a record that is larger than the whole buffer, which is empty here.
func (e *Encoder) direct(data []byte) {
	if e.err == nil {
		_, e.err = e.w.Write(data)
	}
}
