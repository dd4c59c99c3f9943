package parquet

import (
	"encoding/binary"
	"errors"
)

// The reader of footers believes the lengths that stand in them: a damaged one makes it ask for gigabytes. So a footer is
// walked first, by the rules of Thrift's compact protocol, and no list or text in it may be longer than the bytes that are left.

var errFooter = errors.New("the footer is damaged")

// maxThriftDepth is more than a footer has structs and lists inside each other.
const maxThriftDepth = 16

// The types of the compact protocol.
const (
	thriftStop   = 0
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftStruct = 12
)

// walkStruct returns what is left behind the struct that b begins with.
func walkStruct(b []byte, depth int) ([]byte, error) {
	for {
		if len(b) == 0 {
			return nil, errFooter
		}
		field := b[0]
		b = b[1:]
		if field == thriftStop {
			return b, nil
		}
		var err error
		if field>>4 == 0 { // the number of the field follows
			if _, b, err = walkVarint(b); err != nil {
				return nil, err
			}
		}
		if t := field & 15; t != thriftTrue && t != thriftFalse { // a boolean field is its type
			if b, err = walkValue(b, t, depth); err != nil {
				return nil, err
			}
		}
	}
}

func walkValue(b []byte, t byte, depth int) ([]byte, error) {
	if depth > maxThriftDepth {
		return nil, errFooter
	}
	switch t {
	case thriftTrue, thriftFalse, thriftByte:
		return walkBytes(b, 1)
	case thriftI16, thriftI32, thriftI64:
		_, rest, err := walkVarint(b)
		return rest, err
	case thriftDouble:
		return walkBytes(b, 8)
	case thriftBinary:
		n, rest, err := walkVarint(b)
		if err != nil {
			return nil, err
		}
		return walkBytes(rest, n)
	case thriftList, thriftSet:
		return walkList(b, depth)
	case thriftStruct:
		return walkStruct(b, depth+1)
	}
	return nil, errFooter // a footer has no maps
}

func walkList(b []byte, depth int) (_ []byte, err error) {
	if len(b) == 0 {
		return nil, errFooter
	}
	n, t := uint64(b[0]>>4), b[0]&15
	b = b[1:]
	if n == 15 {
		if n, b, err = walkVarint(b); err != nil {
			return nil, err
		}
	}
	if n > uint64(len(b)) { // each element has a byte at least
		return nil, errFooter
	}
	for range n {
		if b, err = walkValue(b, t, depth+1); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func walkVarint(b []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errFooter
	}
	return v, b[n:], nil
}

func walkBytes(b []byte, n uint64) ([]byte, error) {
	if n > uint64(len(b)) {
		return nil, errFooter
	}
	return b[n:], nil
}
