package s3

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sync"
)

var (
	errAttemptOver = errors.New("s3: the attempt is over")
	errBody        = errors.New("s3: the object's bytes could not be read")
)

// body is an object's bytes for one attempt. The HTTP transport may read on for a moment after an attempt
// has failed; shut stops that, so that the next attempt owns the reader again.
type body struct {
	mu   sync.Mutex
	r    io.ReadSeeker
	at   int64 // where r stands, -1 when unknown
	done bool
}

func newBody(r io.ReadSeeker) *body { return &body{r: r, at: -1} }

func (b *body) shut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
}

func (b *body) readAt(p []byte, off int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		return 0, errAttemptOver
	}
	if b.at != off {
		if _, err := b.r.Seek(off, io.SeekStart); err != nil {
			b.at = -1
			return 0, err
		}
	}
	n, err := b.r.Read(p)
	b.at = off + int64(n)
	return n, err
}

// section is a part of a body, as the SDK wants it: it can be rewound and knows its length.
type section struct {
	b              *body
	from, size, at int64
}

func (s *section) Read(p []byte) (int, error) {
	left := s.size - s.at
	if left <= 0 {
		return 0, io.EOF
	}
	n, err := s.b.readAt(p[:min(int64(len(p)), left)], s.from+s.at)
	s.at += int64(n)
	if errors.Is(err, io.EOF) && s.at < s.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (s *section) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += s.at
	case io.SeekEnd:
		off += s.size
	}
	if off < 0 {
		return 0, fmt.Errorf("s3: seek to %d", off)
	}
	s.at = off
	return off, nil
}

// checksum reads the section once and rewinds it: CRC32 as the protocol spells it.
func (s *section) checksum() (string, error) {
	h := crc32.NewIEEE()
	n, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{s}, make([]byte, min(s.size+1, 256<<10)))
	if err == nil && n != s.size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return "", fmt.Errorf("%w: %w", errBody, err)
	}
	_, err = s.Seek(0, io.SeekStart)
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, h.Sum32())), err
}
