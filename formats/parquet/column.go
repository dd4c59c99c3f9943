package parquet

import (
	"encoding/binary"
	"math"
	"math/bits"
	"sync"

	"github.com/parquet-go/parquet-go/format"
)

// column is a leaf of the schema: the page under way, and the pages of the row group that are done.
// Values stand in the page as PLAIN encodes them, except booleans: a byte each until the page is written.
type column struct {
	rows   int64  // rows of the row group it has levels for; the missing ones are null
	record uint64 // the last record that touched it, and how it was before
	vals   []byte
	defs   levels
	before columnMark
	reps   levels

	maxRep, maxDef uint8
	order          order
	binary         bool // not text
	width          int  // bytes of a value, 0: a length of four bytes and as many bytes
	physical       format.Type
	path           []string

	pageRow int64 // first row of the page under way
	dict    dictionary
	chunk   chunk
}

type columnMark struct {
	rows             int64
	vals             int
	defRuns, repRuns int
	lastDef, lastRep uint64 // the last run of each
}

// level begins a value or a null of the row under way.
func (c *column) level(e *Encoder, rep, def uint8) {
	if c.rows <= e.row {
		c.begin(e)
	}
	c.defs.add(def)
	if c.maxRep > 0 {
		c.reps.add(rep)
	}
}

// begin is called once per row that touches the column: it remembers where the record began, and adds the nulls of the
// rows that had nothing for it.
func (c *column) begin(e *Encoder) {
	if c.record != e.record {
		c.record = e.record
		m := &c.before // field by field: building it first and copying it costs a tenth of all time
		m.rows, m.vals = c.rows, len(c.vals)
		m.defRuns, m.lastDef = c.defs.mark()
		if c.maxRep > 0 {
			m.repRuns, m.lastRep = c.reps.mark()
		}
	}
	c.pad(e.row)
	c.rows = e.row + 1
}

// pad fills up with nulls to the given number of rows.
func (c *column) pad(rows int64) {
	if missing := rows - c.rows; missing > 0 {
		c.defs.addMany(0, missing)
		if c.maxRep > 0 {
			c.reps.addMany(0, missing)
		}
		c.rows = rows
	}
}

func (c *column) restore() {
	c.vals = c.vals[:c.before.vals]
	c.defs.cut(c.before.defRuns, c.before.lastDef)
	c.reps.cut(c.before.repRuns, c.before.lastRep)
	c.rows = c.before.rows
}

func (c *column) pageBytes() int {
	return len(c.vals) + 8*(len(c.reps.runs)+len(c.defs.runs))
}

// The buffer of a column grows by doubling, between records, with buffers from pools that all files share: append alone
// would copy and clear several times as much. pools[i] has buffers of minPooled<<i bytes.
const minPooled = 64 << 10

var pools [6]sync.Pool

// makeRoom doubles the buffer when it is nearly full.
func (c *column) makeRoom() {
	if len(c.vals) < minPooled/2 || len(c.vals) < cap(c.vals)/4*3 {
		return
	}
	class := bits.Len(uint(cap(c.vals) / minPooled))
	if class >= len(pools) {
		return // append does what is left
	}
	p, ok := pools[class].Get().(*[]byte)
	if !ok {
		p = new([]byte)
		*p = make([]byte, 0, minPooled<<class)
	}
	old := c.vals
	c.vals = append((*p)[:0], old...)
	giveBack(old)
}

// giveBack pools a buffer, if it is of a size that is pooled.
func giveBack(b []byte) {
	class := bits.Len(uint(cap(b)/minPooled)) - 1
	if class >= 0 && class < len(pools) && cap(b) == minPooled<<class {
		b = b[:0]
		pools[class].Put(&b)
	}
}

// endGroup makes the column ready for the next row group.
func (c *column) endGroup(mode dictionaryMode) {
	c.chunk.reset()
	c.dict.reset(mode)
	c.rows, c.pageRow = 0, 0
	if cap(c.vals) >= minPooled {
		giveBack(c.vals)
		c.vals = nil
	}
}

func (c *column) putInt32(v int32)    { c.vals = binary.LittleEndian.AppendUint32(c.vals, uint32(v)) }
func (c *column) putInt64(v int64)    { c.vals = binary.LittleEndian.AppendUint64(c.vals, uint64(v)) }
func (c *column) putFloat(v float32)  { c.putInt32(int32(math.Float32bits(v))) }
func (c *column) putDouble(v float64) { c.putInt64(int64(math.Float64bits(v))) }

func (c *column) putBool(v bool) {
	if v {
		c.vals = append(c.vals, 1)
	} else {
		c.vals = append(c.vals, 0)
	}
}

func (c *column) putBytes(b []byte) {
	c.vals = binary.LittleEndian.AppendUint32(c.vals, uint32(len(b)))
	c.vals = append(c.vals, b...)
}

// next returns the value that begins at i, without its length, and where the one behind it begins.
func (c *column) next(i int) (v []byte, end int) {
	if c.width == 0 {
		end = i + 4 + int(binary.LittleEndian.Uint32(c.vals[i:]))
		return c.vals[i+4 : end], end
	}
	return c.vals[i : i+c.width], i + c.width
}
