package transform

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"

	"hydrant/record"
)

// maxUnpackedBytes bounds what one record may unpack to.
const maxUnpackedBytes = 64 << 20

// decompress unpacks gzip. An error record keeps the packed form.
type decompress struct {
	limit int
	src   bytes.Reader
	gz    *gzip.Reader
}

func newDecompress(format string) (*decompress, error) {
	if format != "gzip" {
		return nil, fmt.Errorf("decompress: %q is not supported; there is gzip", clip(format, 40))
	}
	return &decompress{limit: maxUnpackedBytes}, nil
}

var errTooLarge = errors.New("too large")

func (s *decompress) process(p part, out *output) {
	from := len(out.room.buf)
	data, err := s.unpack(p.data, out.room)
	s.src.Reset(nil)
	if err != nil {
		out.room.buf = out.room.buf[:from]
	}
	switch {
	case errors.Is(err, errTooLarge):
		out.fail(p, failed(record.DecompressFailed, codeTooLarge, "the record unpacks to more than %d bytes", s.limit))
	case err != nil:
		out.fail(p, failed(record.DecompressFailed, codeNotGzip, "the record is not whole gzip data: %v", err))
	default:
		p.data = data
		out.add(p)
	}
}

// foretold is the size that gzip data of one member says it unpacks to; what can be true of it at most.
func (s *decompress) foretold(packed []byte) int {
	const most = 1032 // times its size is what deflated data can unpack to
	if len(packed) < 4 {
		return 0
	}
	said := binary.LittleEndian.Uint32(packed[len(packed)-4:])
	return min(int(said), s.limit, most*len(packed))
}

// unpack reads all members.
func (s *decompress) unpack(packed []byte, r *room) (data []byte, err error) {
	s.src.Reset(packed)
	if s.gz == nil {
		s.gz, err = gzip.NewReader(&s.src)
	} else {
		err = s.gz.Reset(&s.src)
	}
	if err != nil {
		s.gz = nil
		return nil, err
	}
	from := len(r.buf)
	r.buf = slices.Grow(r.buf, s.foretold(packed)+1)
	for {
		if len(r.buf) == cap(r.buf) {
			r.buf = append(r.buf, 0)[:len(r.buf)]
		}
		room := min(cap(r.buf)-len(r.buf), s.limit+1-(len(r.buf)-from))
		n, err := s.gz.Read(r.buf[len(r.buf) : len(r.buf)+room])
		r.buf = r.buf[:len(r.buf)+n]
		switch {
		case len(r.buf)-from > s.limit:
			return nil, errTooLarge
		case err == io.EOF:
			return r.since(from), nil
		case err != nil:
			return nil, err
		}
	}
}
