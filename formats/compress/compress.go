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
	Level     int    // 0: the codec's default; see Levels
	EntryName string // the name inside a zip, default "data"; must be the same on every attempt
}

// codec is what is known of one codec.
type codec struct {
	extension, encoding string
	min, max, def       int
	open                func(o Options, w io.Writer) (io.WriteCloser, error)
}

func lookup(name string) (codec, bool) {
	switch name {
	case None:
		return codec{open: openNone}, true
	case Gzip:
		return codec{".gz", "gzip", 1, 9, 1, openGzip}, true
	case Snappy:
		return codec{".snappy", "snappy-java", 1, 3, 1, openXerial}, true
	case HadoopSnappy:
		return codec{".snappy", "hadoop-snappy", 1, 3, 1, openHadoop}, true
	case Zip:
		return codec{".zip", "zip", 1, 9, 1, openZip}, true
	case Zstd:
		return codec{".zst", "", 1, 22, 1, openZstd}, true
	}
	return codec{}, false
}

// NewWriter is Options.NewWriter for codecs that need no more than a level.
func NewWriter(codec string, level int, w io.Writer) (io.WriteCloser, error) {
	return Options{Codec: codec, Level: level}.NewWriter(w)
}

// NewWriter returns a writer that compresses into w. Close ends the object and leaves w open; only a
// closed writer's output is whole. A writer that failed may be dropped without Close. An unknown codec
// or a level out of range is an error. The writer is not safe for concurrent use, and Write keeps no data.
func (o Options) NewWriter(w io.Writer) (io.WriteCloser, error) {
	c, ok := lookup(o.Codec)
	if !ok {
		return nil, fmt.Errorf("compress: unknown codec %q", o.Codec)
	}
	if o.Level == 0 {
		o.Level = c.def
	}
	if o.Level < c.min || o.Level > c.max {
		return nil, fmt.Errorf("compress: %s level %d is not in %d to %d", o.Codec, o.Level, c.min, c.max)
	}
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

// Levels gives the range and the default of compression_level; all 0 for a codec without levels.
//
// gzip and zip: 1 to 9 as everywhere, default 1: on log data it costs half the CPU of level 5 for a tenth
// more bytes. snappy and hadoop-snappy: 1 fast, 2 better, 3 best. zstd: 1 to 22, of which this encoder
// tells four apart (1–2, 3–5, 6–9, 10 and up).
func Levels(codec string) (min, max, def int) {
	c, _ := lookup(codec)
	return c.min, c.max, c.def
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
