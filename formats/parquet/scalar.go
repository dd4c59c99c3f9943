package parquet

import (
	"encoding/binary"
	"math"

	"hydrant/config/schema"
)

// scalar fits the value at i, which is not null, into the column of n.
func (e *Encoder) scalar(n *node, b []byte, i int, rep uint8, depth int) int {
	c := n.col
	if n.kind != schema.String && (b[i] == '{' || b[i] == '[') {
		return e.nothing(n, b, i, rep, depth)
	}
	c.level(e, rep, n.def)
	switch b[i] {
	case '"':
		end, escaped := scanString(b, i)
		if end == broken {
			return e.fail.set(failSyntax, n, i)
		}
		if n.kind == schema.String && !escaped {
			c.putBytes(b[i+1 : end])
			return end + 1
		}
		if e.opts.strict && !n.takesText() {
			return e.fail.misfit(n, i, e.opts.growing)
		}
		if !e.putText(n, b[i+1:end], escaped) {
			return e.fail.misfit(n, i, e.opts.growing)
		}
		return end + 1
	case '{', '[':
		end := e.skip(b, i, depth)
		if end != broken {
			c.putBytes(b[i:end])
		}
		return end
	case 't', 'f':
		return e.boolean(n, b, i)
	}
	return e.number(n, b, i)
}

// takesText reports whether a string fits a column of an inferred schema without being converted.
func (n *node) takesText() bool {
	switch n.kind {
	case schema.String, schema.Binary, schema.Date, schema.Timestamp:
		return true
	}
	return false
}

func (e *Encoder) boolean(n *node, b []byte, i int) int {
	end := scanWord(b, i, "true")
	if b[i] == 'f' {
		end = scanWord(b, i, "false")
	}
	switch {
	case end == broken:
		return e.fail.set(failSyntax, n, i)
	case n.kind == schema.Boolean:
		n.col.putBool(b[i] == 't')
	case n.kind == schema.String:
		n.col.putBytes(b[i:end])
	default:
		return e.fail.misfit(n, i, e.opts.growing)
	}
	return end
}

// number fits the number at i.
func (e *Encoder) number(n *node, b []byte, i int) int {
	switch n.kind {
	case schema.BigInt:
		if v, end := scanInt(b, i); end != broken {
			n.col.putInt64(v)
			return end
		}
	case schema.Int:
		if v, end := scanInt(b, i); end != broken && v == int64(int32(v)) {
			n.col.putInt32(int32(v))
			return end
		}
	case schema.Double:
		if f, end := scanFloat(b, i); end != broken {
			n.col.putDouble(f)
			return end
		}
	}
	end, _ := scanNumber(b, i)
	if end == broken {
		return e.fail.set(failSyntax, n, i)
	}
	if !e.putNumber(n, b[i:end]) {
		return e.fail.misfit(n, i, e.opts.growing)
	}
	return end
}

// putNumber adds a number of JSON; false when the column cannot hold it exactly, or at all.
func (e *Encoder) putNumber(n *node, lit []byte) bool {
	c := n.col
	switch n.kind {
	case schema.TinyInt, schema.SmallInt, schema.Int, schema.BigInt:
		if e.opts.strict && !whole(lit) {
			return false // 1.0 reads back as 1, which is not what went in
		}
		return putInteger(n, lit)
	case schema.Float, schema.Double:
		if e.opts.strict && !exactFloat(lit) {
			return false
		}
		return putFloat(n, lit)
	case schema.Decimal:
		return putDecimal(n, lit)
	case schema.String:
		c.putBytes(lit)
		return true
	case schema.Timestamp:
		m, ok := e.opts.times.number(lit)
		return ok && e.opts.unit.put(c, m)
	}
	return false
}

// putText adds a string, given as what stands between its quotes; false when it does not fit.
func (e *Encoder) putText(n *node, s []byte, escaped bool) bool {
	c := n.col
	if escaped {
		if n.kind == schema.String || n.kind == schema.Binary {
			at := len(c.vals)
			c.vals = unescape(append(c.vals, 0, 0, 0, 0), s)
			binary.LittleEndian.PutUint32(c.vals[at:], uint32(len(c.vals)-at-4))
			return true
		}
		e.text = unescape(e.text[:0], s)
		s = e.text
	}
	switch n.kind {
	case schema.String, schema.Binary:
		c.putBytes(s)
		return true
	case schema.Boolean:
		return putTruth(c, s)
	case schema.Date:
		days, end := dateAt(s, 2)
		c.putInt32(int32(days))
		return end == len(s)
	case schema.Timestamp:
		m, ok := e.opts.times.text(s)
		return ok && e.opts.unit.put(c, m)
	case schema.TinyInt, schema.SmallInt, schema.Int, schema.BigInt:
		if v, ok := hexInt(s); ok {
			return putInt(n, v)
		}
		return numeric(s) && putInteger(n, s)
	case schema.Float, schema.Double:
		return numeric(s) && putFloat(n, s)
	case schema.Decimal:
		return numeric(s) && putDecimal(n, s)
	}
	return false
}

func putTruth(c *column, s []byte) bool {
	var lower [5]byte
	if len(s) > len(lower) {
		return false
	}
	for i, b := range s {
		if b >= 'A' && b <= 'Z' {
			b += 'a' - 'A'
		}
		lower[i] = b
	}
	word := string(lower[:len(s)])
	c.putBool(word == "true")
	return word == "true" || word == "false"
}

// putInteger adds a number that must be whole and in the range of the column.
func putInteger(n *node, s []byte) bool {
	d, ok := decimalOf(s)
	if !ok {
		return false
	}
	v, ok := d.int64()
	return ok && putInt(n, v)
}

func putInt(n *node, v int64) bool {
	switch n.kind {
	case schema.TinyInt:
		if v != int64(int8(v)) {
			return false
		}
	case schema.SmallInt:
		if v != int64(int16(v)) {
			return false
		}
	case schema.Int:
		if v != int64(int32(v)) {
			return false
		}
	default:
		n.col.putInt64(v)
		return true
	}
	n.col.putInt32(int32(v))
	return true
}

func putFloat(n *node, s []byte) bool {
	if n.kind == schema.Float {
		f, ok := parseFloat(s, 32)
		n.col.putFloat(float32(f))
		return ok && math.Abs(f) <= math.MaxFloat32
	}
	f, ok := parseFloat(s, 64)
	n.col.putDouble(f)
	return ok
}

func putDecimal(n *node, s []byte) bool {
	d, ok := decimalOf(s)
	if !ok {
		return false
	}
	hi, lo, ok := d.unscaled(n.typ.Precision, n.typ.Scale)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], hi)
	binary.BigEndian.PutUint64(b[8:], lo)
	n.col.vals = append(n.col.vals, b[16-n.col.width:]...)
	return ok
}
