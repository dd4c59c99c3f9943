package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Read calls visit with the lane's bytes, in pieces that end where an Append call had ended or not: the caller sees one stream.
// Nothing may be appended to the lane meanwhile.
func (n *Lane) Read(visit func([]byte) error) error {
	tail, last, err := n.snapshot()
	if err != nil {
		return err
	}
	var offsets []int64
	var head [extentHead]byte
	for at := last; at >= 0; {
		offsets = append(offsets, at)
		if err := n.l.readAt(head[:], at); err != nil {
			return err
		}
		at = int64(binary.LittleEndian.Uint64(head[:])) - 1
	}
	var buf []byte
	for i := len(offsets) - 1; i >= 0; i-- {
		if buf, err = n.l.readExtent(buf, offsets[i]); err != nil {
			return err
		}
		if err := visit(buf); err != nil {
			return err
		}
	}
	if len(tail) == 0 {
		return nil
	}
	return visit(tail)
}

// snapshot copies what is in memory.
func (n *Lane) snapshot() (tail []byte, last int64, err error) {
	n.l.mu.Lock()
	defer n.l.mu.Unlock()
	if n.gone || n.l.closed {
		return nil, 0, fs.ErrClosed
	}
	tail = make([]byte, 0, n.tail)
	for i, b := range n.blocks {
		tail = append(tail, b[:min(blockBytes, n.tail-i*blockBytes)]...)
	}
	return tail, n.last, nil
}

func (l *Lanes) readExtent(buf []byte, at int64) ([]byte, error) {
	const ahead = 4 << 10
	if cap(buf) < ahead {
		buf = make([]byte, ahead)
	}
	buf = buf[:ahead]
	got, err := l.readSome(buf, at)
	if err != nil || got < extentHead {
		return nil, fmt.Errorf("read spool file: %w", errors.Join(err, fs.ErrInvalid))
	}
	size := extentHead + int(binary.LittleEndian.Uint32(buf[8:]))
	if size <= got {
		return buf[extentHead:size], nil
	}
	if cap(buf) < size {
		grown := make([]byte, size+size/4)
		copy(grown, buf[:got])
		buf = grown
	}
	buf = buf[:size]
	if err := l.readAt(buf[got:], at+int64(got)); err != nil {
		return nil, err
	}
	return buf[extentHead:], nil
}

func (l *Lanes) fileOf(at int64) (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.segs[at>>segmentShift]
	if s == nil {
		return nil, fs.ErrClosed
	}
	return s.file, nil
}

// readSome reads as much of p as there is.
func (l *Lanes) readSome(p []byte, at int64) (int, error) {
	f, err := l.fileOf(at)
	if err != nil {
		return 0, err
	}
	n, err := f.ReadAt(p, at&(segmentBytes-1))
	if n > 0 {
		err = nil
	}
	return n, err
}

func (l *Lanes) readAt(p []byte, at int64) error {
	n, err := l.readSome(p, at)
	if err == nil && n < len(p) {
		err = fs.ErrInvalid
	}
	if err != nil {
		return fmt.Errorf("read spool file: %w", err)
	}
	return nil
}
