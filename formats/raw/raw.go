// Package raw writes records one after the other with nothing between them, as Firehose does:
// whoever wants separators sends them.
package raw

import "io"

// bufferBytes stands in front of the compressor, which is costly per call and cheap per byte.
const bufferBytes = 128 << 10

// Encoder concatenates records. Not safe for concurrent use.
type Encoder struct {
	w   io.Writer
	buf []byte
	err error // the first error of w; everything after it fails with the same
}

// New returns an encoder in front of w. It holds 128 KiB.
func New(w io.Writer) *Encoder {
	return &Encoder{w: w, buf: make([]byte, 0, bufferBytes)}
}

// Write appends one record. data is not kept. An error is the writer's, and is final.
func (e *Encoder) Write(data []byte) error {
	if len(data) > cap(e.buf)-len(e.buf) {
		e.flush()
	}
	if len(data) <= cap(e.buf) {
		e.buf = append(e.buf, data...)
	} else if e.err == nil {
		_, e.err = e.w.Write(data)
	}
	return e.err
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
