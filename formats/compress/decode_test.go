package compress

import (
	"encoding/binary"
	"errors"
	"io"
)

// What follows reads raw snappy blocks and both containers from their format descriptions,
// without the library that wrote them.

var errCorrupt = errors.New("corrupt")

const maxBlock = 1 << 20 // larger than anything we write; bounds what a damaged length can ask for

// rawSnappy decodes one block: a varint length, then literals and copies.
func rawSnappy(src []byte) ([]byte, error) {
	want, n := binary.Uvarint(src)
	if n <= 0 || want > maxBlock {
		return nil, errCorrupt
	}
	src = src[n:]
	dst := make([]byte, 0, want)
	for len(src) > 0 {
		tag, rest := src[0], src[1:]
		var err error
		if tag&3 == 0 {
			dst, src, err = literal(dst, rest, int(tag>>2), int(want))
		} else {
			dst, src, err = backCopy(dst, rest, tag, int(want))
		}
		if err != nil {
			return nil, err
		}
	}
	if len(dst) != int(want) {
		return nil, errCorrupt
	}
	return dst, nil
}

// literal: a length below 60 stands in the tag, a longer one in the next 1 to 4 bytes.
func literal(dst, src []byte, length, want int) (out, rest []byte, err error) {
	if extra := length - 59; extra > 0 {
		if len(src) < extra {
			return nil, nil, errCorrupt
		}
		length = 0
		for i := extra - 1; i >= 0; i-- {
			length = length<<8 | int(src[i])
		}
		src = src[extra:]
	}
	length++
	if length > len(src) || len(dst)+length > want {
		return nil, nil, errCorrupt
	}
	return append(dst, src[:length]...), src[length:], nil
}

// backCopy: kind 1 has an 11-bit offset, kind 2 a 16-bit one, kind 3 a 32-bit one. It may overlap what it writes.
func backCopy(dst, src []byte, tag byte, want int) (out, rest []byte, err error) {
	bytes := [4]int{0, 1, 2, 4}[tag&3]
	if len(src) < bytes {
		return nil, nil, errCorrupt
	}
	length, offset := int(tag>>2)+1, 0
	for i := bytes - 1; i >= 0; i-- {
		offset = offset<<8 | int(src[i])
	}
	if tag&3 == 1 {
		length, offset = int(tag>>2&7)+4, int(tag>>5)<<8|offset
	}
	if offset == 0 || offset > len(dst) || len(dst)+length > want {
		return nil, nil, errCorrupt
	}
	for range length {
		dst = append(dst, dst[len(dst)-offset])
	}
	return dst, src[bytes:], nil
}

func take(src []byte) (chunk, rest []byte, err error) {
	if len(src) < 4 || uint64(binary.BigEndian.Uint32(src)) > uint64(len(src)-4) {
		return nil, nil, io.ErrUnexpectedEOF
	}
	n := 4 + int(binary.BigEndian.Uint32(src))
	return src[4:n], src[n:], nil
}

func readXerial(src []byte) ([]byte, error) {
	if len(src) < 16 || string(src[:8]) != "\x82SNAPPY\x00" ||
		binary.BigEndian.Uint32(src[8:]) != 1 || binary.BigEndian.Uint32(src[12:]) != 1 {
		return nil, errCorrupt
	}
	var out []byte
	for src = src[16:]; len(src) > 0; {
		chunk, rest, err := take(src)
		if err != nil {
			return nil, err
		}
		block, err := rawSnappy(chunk)
		if err != nil {
			return nil, err
		}
		out, src = append(out, block...), rest
	}
	return out, nil
}

func readHadoop(src []byte) ([]byte, error) {
	var out []byte
	for len(src) > 0 {
		if len(src) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		left := int(binary.BigEndian.Uint32(src))
		for src = src[4:]; left > 0; {
			chunk, rest, err := take(src)
			if err != nil {
				return nil, err
			}
			block, err := rawSnappy(chunk)
			if err != nil || len(block) > left || len(block) == 0 {
				return nil, errCorrupt
			}
			out, src, left = append(out, block...), rest, left-len(block)
		}
	}
	return out, nil
}
