package compress

import (
	"encoding/binary"
	"io"
	"sync"

	"github.com/klauspost/compress/s2"
)

// blockBytes is snappy-java's block, for both containers; the last block of an object may be smaller.
const blockBytes = 32 << 10

// xerialHeader opens the container of snappy-java: its magic, then version 1, readable by version 1.
const xerialHeader = "\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"

// gatherBytes is how much output is handed down at once.
const gatherBytes = 256 << 10

// snappyWriter cuts the input into blocks, compresses each alone and puts lengths in front of it, all big endian:
// the compressed length, and for Hadoop the block's own length before that (a block is one chunk).
type snappyWriter struct {
	w      io.Writer
	hadoop bool
	b      *snappyBuffers // nil once closed
	err    error
}

type snappyBuffers struct{ in, out []byte }

var snappyPool = sync.Pool{New: func() any {
	return &snappyBuffers{make([]byte, 0, blockBytes), make([]byte, 0, gatherBytes)}
}}

func openXerial(_ Options, w io.Writer) (io.WriteCloser, error) {
	s := newSnappy(w)
	s.b.out = append(s.b.out, xerialHeader...)
	return s, nil
}

func openHadoop(_ Options, w io.Writer) (io.WriteCloser, error) {
	s := newSnappy(w)
	s.hadoop = true
	return s, nil
}

func newSnappy(w io.Writer) *snappyWriter {
	s := &snappyWriter{w: w, b: snappyPool.Get().(*snappyBuffers)}
	s.b.in, s.b.out = s.b.in[:0], s.b.out[:0]
	return s
}

func (s *snappyWriter) Write(p []byte) (int, error) {
	if s.b == nil {
		return 0, ErrClosed
	}
	n := len(p)
	for len(p) > 0 && s.err == nil {
		if len(s.b.in) == 0 && len(p) >= blockBytes { // a whole block needs no copy
			s.block(p[:blockBytes])
			p = p[blockBytes:]
			continue
		}
		k := min(blockBytes-len(s.b.in), len(p))
		s.b.in = append(s.b.in, p[:k]...)
		p = p[k:]
		if len(s.b.in) == blockBytes {
			s.block(s.b.in)
			s.b.in = s.b.in[:0]
		}
	}
	return n - len(p), s.err
}

// block compresses one block into the output buffer, which always has room for it.
func (s *snappyWriter) block(src []byte) {
	if cap(s.b.out)-len(s.b.out) < 8+s2.MaxEncodedLen(blockBytes) {
		s.flush()
	}
	out := s.b.out
	if s.hadoop {
		out = binary.BigEndian.AppendUint32(out, uint32(len(src)))
	}
	at := len(out)
	out = out[:at+4]
	body := s2.EncodeSnappy(out[at+4:cap(out)], src)
	binary.BigEndian.PutUint32(out[at:], uint32(len(body)))
	s.b.out = out[:at+4+len(body)]
}

func (s *snappyWriter) flush() {
	if s.err == nil && len(s.b.out) > 0 {
		_, s.err = s.w.Write(s.b.out)
	}
	s.b.out = s.b.out[:0]
}

func (s *snappyWriter) Close() error {
	if s.b == nil {
		return s.err
	}
	if len(s.b.in) > 0 && s.err == nil {
		s.block(s.b.in)
	}
	s.flush()
	snappyPool.Put(s.b)
	s.b, s.w = nil, nil
	return s.err
}
