package record

import "sync"

// PutHeadroom is the room at the front of a put's buffer that belongs to the log:
// it writes its frame header there, so that a put reaches the disk without being copied.
const PutHeadroom = 64

// Limits of one put. A put always fits one segment of the log.
const (
	MaxPutBytes   = 16 << 20 // record bytes of one put
	MaxPutRecords = 1 << 20
)

// Put is what one call of a producer hands over: records that are accepted all or none.
// Its records lie back to back in one buffer. Not safe for concurrent use.
type Put struct {
	buf     []byte // PutHeadroom bytes, then the records
	ends    []uint32
	note    Note
	encoded []byte // of the note; nil when there is none
}

var putPool = sync.Pool{New: func() any { return &Put{buf: make([]byte, PutHeadroom, 4096)} }}

// keepPutBytes bounds the buffer that goes back to the pool.
const keepPutBytes = 6 << 20

// NewPut returns an empty put from the pool.
func NewPut() *Put {
	p := putPool.Get().(*Put)
	p.Reset()
	return p
}

// Release gives the put back to the pool. Nobody may hold its bytes any more.
func (p *Put) Release() {
	if cap(p.buf) > keepPutBytes {
		return
	}
	putPool.Put(p)
}

// Reset forgets all records.
func (p *Put) Reset() {
	p.buf = p.buf[:PutHeadroom]
	p.ends = p.ends[:0]
	p.note, p.encoded = Note{}, nil
}

// SetNote says what is stored beside the records. The note must not be changed afterwards.
func (p *Put) SetNote(n Note) (err error) {
	p.note, p.encoded = n, nil
	if !n.Empty() {
		p.encoded, err = n.Encode()
	}
	return err
}

// Note is what SetNote was told; encoded are its bytes in the log, nil when there is none.
func (p *Put) Note() (n *Note, encoded []byte) { return &p.note, p.encoded }

// Grow makes room for n more record bytes.
func (p *Put) Grow(n int) {
	if need := len(p.buf) + n; need > cap(p.buf) {
		b := make([]byte, len(p.buf), max(need+need/16+1024, 2*cap(p.buf)))
		copy(b, p.buf)
		p.buf = b
	}
}

// Add appends one record; data is copied.
func (p *Put) Add(data []byte) {
	p.Grow(len(data))
	p.buf = append(p.buf, data...)
	p.ends = append(p.ends, uint32(len(p.buf)-PutHeadroom))
}

// Reserve returns n bytes at the end to be filled by the caller; Commit then makes a record of them.
// A Reserve that no Commit follows leaves the put unchanged.
func (p *Put) Reserve(n int) []byte {
	p.Grow(n)
	return p.buf[len(p.buf) : len(p.buf)+n]
}

// Commit makes a record of the first n bytes that the last Reserve returned.
func (p *Put) Commit(n int) {
	p.buf = p.buf[:len(p.buf)+n]
	p.ends = append(p.ends, uint32(len(p.buf)-PutHeadroom))
}

// Count is the number of records.
func (p *Put) Count() int { return len(p.ends) }

// Bytes is the number of record bytes.
func (p *Put) Bytes() int { return len(p.buf) - PutHeadroom }

// Record returns the i-th record. It is valid until the next change of the put.
func (p *Put) Record(i int) []byte {
	from := uint32(0)
	if i > 0 {
		from = p.ends[i-1]
	}
	return p.buf[PutHeadroom+from : PutHeadroom+p.ends[i]]
}

// Raw hands the log the whole buffer (headroom, then records) and the end of each record
// counted from the first record byte. The log may write into the headroom and append to the buffer's spare room.
func (p *Put) Raw() (buf []byte, ends []uint32) { return p.buf, p.ends }

// Keep stores a buffer that the log grew, so that the pool keeps the larger one.
func (p *Put) Keep(buf []byte) { p.buf = buf[:len(p.buf)] }
