// Package compress turns a stream of bytes into the object that a codec promises: container, block sizes
// and headers as the readers of the AWS world expect them. Output depends on the input, the codec, the level
// and the entry name only: never on the clock, a random source, or how the input was cut into writes.
// Every writer works in bounded memory, whatever the object's size.
package compress

import (
	"errors"
	"fmt"
	"io"
)

// The codecs.
const (
	None         = "none"
	Gzip         = "gzip"
	Snappy       = "snappy"        // the container of snappy-java's SnappyOutputStream, as Firehose writes it
	HadoopSnappy = "hadoop-snappy" // the blocks of Hadoop's SnappyCodec
	Zip          = "zip"           // one deflated entry
	Zstd         = "zstd"
)

// ErrClosed is what a write to a closed writer returns.
var ErrClosed = errors.New("compress: writer is closed")

// Options says how an object is compressed.
type Options struct {
	Codec     string
	Level     int    // gzip, zip: 1 to 9; zstd: 1 to 22; the others have none. 0: the default, 1
	EntryName string // the name inside a zip, default "data"; must be the same on every attempt
}

// codec is what is known of one codec.
//
// Level 1 is the default: for gzip and zip it costs on log data half the CPU of level 5, for a tenth more bytes. Of the
// levels of zstd the encoder tells four apart (1–2, 3–5, 6–9, 10 and up).
type codec struct {
	extension, encoding string
	levels              int // from 1 up to this one; 0: the codec has none
	open                func(o Options, w io.Writer) (io.WriteCloser, error)
}

func lookup(name string) (codec, bool) {
	switch name {
	case None:
		return codec{open: openNone}, true
	case Gzip:
		return codec{".gz", "gzip", 9, openGzip}, true
	case Snappy:
		return codec{".snappy", "snappy-java", 0, openXerial}, true
	case HadoopSnappy:
		return codec{".snappy", "hadoop-snappy", 0, openHadoop}, true
	case Zip:
		return codec{".zip", "zip", 9, openZip}, true
	case Zstd:
		return codec{".zst", "", 22, openZstd}, true
	}
	return codec{}, false
}

// NewWriter returns a writer that compresses into w. Close ends the object and leaves w open; only a
// closed writer's output is whole. A writer that failed may be dropped without Close. An unknown codec
// or a level out of range is an error. The writer is not safe for concurrent use, and Write keeps no data.
func (o Options) NewWriter(w io.Writer) (io.WriteCloser, error) {
	c, ok := lookup(o.Codec)
	if !ok {
		return nil, fmt.Errorf("compress: unknown codec %q", o.Codec)
	}
	if o.Level < 0 || o.Level > c.levels {
		return nil, fmt.Errorf("compress: %s has %d levels, and level %d is none of them", o.Codec, c.levels, o.Level)
	}
	o.Level = max(o.Level, 1)
	return c.open(o, w)
}

// Extension is what the codec adds to an object's name; "" for none and for an unknown codec.
func Extension(codec string) string {
	c, _ := lookup(codec)
	return c.extension
}

// ContentEncoding is the header that Firehose sets for the codec; "" when there is none.
func ContentEncoding(codec string) string {
	c, _ := lookup(codec)
	return c.encoding
}

type plain struct {
	io.Writer
	closed bool
}

func openNone(_ Options, w io.Writer) (io.WriteCloser, error) { return &plain{Writer: w}, nil }

func (p *plain) Write(b []byte) (int, error) {
	if p.closed {
		return 0, ErrClosed
	}
	return p.Writer.Write(b)
}

func (p *plain) Close() error {
	p.closed = true
	return nil
}
