// Package staged is the form of a stream's second log: it holds what processors that cannot be run twice made of the records of
// the first, so that delivery finds the same whenever it reads. It knows the bytes of its records, and the file that says how far the first
// log has come and what the processors remember. It knows no processor.
package staged

import (
	"encoding/binary"
	"errors"
	"fmt"

	"hydrant/record"
)

// What a record of the log carries in front of its data.
const (
	hasRaw = 1 << iota
	hasFailure
	hasValues
	isNothing
	isOwn // it was made of no record, but of many: it has no other name than its place here
)

// Append writes a record. its Origin is what it was when it was first accepted, nil for what was made of many; its arrival stands relative to base, the put's.
func Append(dst []byte, d *record.Derived, base int64) []byte {
	flags := byte(0)
	if !same(d.Data, d.Raw) {
		flags |= hasRaw
	}
	if d.Failure != nil {
		flags |= hasFailure
	}
	if len(d.Values) > 0 {
		flags |= hasValues
	}
	if d.Origin == nil {
		flags |= isOwn
	}
	dst = append(dst, flags)
	dst = binary.AppendVarint(dst, d.ArrivalMillis-base)
	if d.Origin != nil {
		dst = binary.AppendUvarint(dst, uint64(d.Origin.Pos))
		dst = binary.AppendUvarint(dst, uint64(d.Origin.Sub))
		dst = append(dst, d.Origin.Epoch[:]...)
	}
	if flags&hasFailure != 0 {
		dst = appendFailure(dst, d.Failure)
	}
	if flags&hasValues != 0 {
		dst = appendValues(dst, d.Values)
	}
	if flags&hasRaw != 0 {
		dst = appendBytes(dst, d.Raw)
	}
	return append(dst, d.Data...)
}

// AppendNothing writes what stands in a put all of whose records were dropped: a put holds one at least.
func AppendNothing(dst []byte) []byte { return append(dst, isNothing) }

// AppendDelta writes what changed in the processors' state, where that is too long for the put's note. It is delivered as nothing.
func AppendDelta(dst, delta []byte) []byte { return append(AppendNothing(dst), delta...) }

// Size is how many bytes Append takes at most.
func Size(d *record.Derived) int {
	n := maxHead + len(d.Data)
	if !same(d.Data, d.Raw) {
		n += len(d.Raw)
	}
	for _, v := range d.Values {
		n += binary.MaxVarintLen32 + len(v)
	}
	if f := d.Failure; f != nil {
		n += maxHead + len(f.Type) + len(f.Code) + len(f.Message)
		for _, x := range f.Fields {
			n += 2*binary.MaxVarintLen32 + len(x.Name) + len(x.Value)
		}
	}
	return n
}

// maxHead is more than all numbers of an envelope take.
const maxHead = 64

// TooLarge is why a record failed whose put would be larger than one may be.
func TooLarge() *record.Failure {
	return &record.Failure{Type: record.ProcessingFailed, Code: "Processing.TooLarge",
		Message: fmt.Sprintf("what processors make of the record does not fit into one put of %d bytes", record.MaxPutBytes)}
}

func same(a, b []byte) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

func appendFailure(dst []byte, f *record.Failure) []byte {
	for _, s := range []string{f.Type, f.Code, f.Message} {
		dst = appendBytes(dst, s)
	}
	dst = binary.AppendUvarint(dst, uint64(f.Attempts))
	dst = binary.AppendUvarint(dst, uint64(len(f.Fields)))
	for _, x := range f.Fields {
		dst = appendBytes(appendBytes(dst, x.Name), x.Value)
	}
	return dst
}

func appendValues(dst []byte, values [][]byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(values)))
	for _, v := range values {
		if v == nil {
			dst = append(dst, 0)
			continue
		}
		dst = append(binary.AppendUvarint(dst, uint64(len(v))+1), v...)
	}
	return dst
}

func appendBytes[T string | []byte](dst []byte, s T) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

var errEnvelope = errors.New("a staged record cannot be read")

// Read gives rec the form that it had before it was staged: its data, its arrival, what it was when it was first accepted, and what processors
// made of it. Its slices are those of rec. One whose put says what it was has no envelope: it left no room for one.
func Read(rec *record.Record) error {
	if rec.Origin != nil {
		rec.Made = &record.Made{Failure: TooLarge()}
		return nil
	}
	r := reader{b: rec.Data}
	flags := r.byte()
	rec.Made = &record.Made{}
	if flags&isNothing != 0 {
		rec.Made.Nothing, rec.Data = true, nil
		return r.err()
	}
	rec.ArrivalMillis += r.varint()
	if flags&isOwn == 0 {
		o := &record.Origin{ID: record.ID{Pos: record.Position(r.uvarint())}, Sub: uint16(r.uvarint())}
		copy(o.Epoch[:], r.take(len(o.Epoch)))
		rec.Origin = o
	}
	if flags&hasFailure != 0 {
		rec.Made.Failure = r.failure()
	}
	if flags&hasValues != 0 {
		rec.Made.Values = r.values()
	}
	if flags&hasRaw != 0 {
		rec.Made.Raw = r.bytes()
	}
	rec.Data = r.b[:len(r.b):len(r.b)]
	return r.err()
}

// reader takes an envelope apart. After the first thing that is not there everything is empty.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) err() error {
	if r.bad {
		return errEnvelope
	}
	return nil
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	p := r.b[:n:n]
	r.b = r.b[n:]
	return p
}

func (r *reader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		n = -1
	}
	r.take(n)
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		n = -1
	}
	r.take(n)
	return v
}

func (r *reader) bytes() []byte { return r.take(r.length()) }

// length is a number of bytes to come; -1 when there are not so many.
func (r *reader) length() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		return -1
	}
	return int(n)
}

func (r *reader) failure() *record.Failure {
	f := &record.Failure{Type: string(r.bytes()), Code: string(r.bytes()), Message: string(r.bytes()), Attempts: int(r.uvarint())}
	for range r.length() {
		f.Fields = append(f.Fields, record.Field{Name: string(r.bytes()), Value: string(r.bytes())})
	}
	return f
}

func (r *reader) values() [][]byte {
	n := r.length()
	if n < 0 {
		r.bad = true
		return nil
	}
	all := make([][]byte, n)
	for i := range all {
		switch k := r.uvarint(); {
		case k > uint64(len(r.b))+1:
			r.bad = true
		case k > 0:
			all[i] = r.take(int(k - 1))
		}
	}
	return all
}
