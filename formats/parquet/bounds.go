package parquet

import (
	"bytes"
	"encoding/binary"
	"math"
	"unicode/utf8"
)

// order is how values of a column compare, for the least and the greatest of a page.
type order uint8

const (
	orderNone order = iota // INT96: readers take no bounds of it
	orderBool
	orderInt32
	orderInt64
	orderFloat
	orderDouble
	orderBytes   // unsigned bytes: strings, binary
	orderDecimal // big-endian two's complement of fixed length
)

// maxBoundBytes is the longest bound that is written. Longer values give shortened bounds to the page index, and none to
// the column chunk, because readers may take those for values that stand in the file.
const maxBoundBytes = 64

// bounds are the least and the greatest value of a page or a chunk, in their PLAIN bytes. ok is false when there are no
// values or no order.
type bounds struct {
	min, max []byte
	ok       bool
}

// pageBounds finds the bounds of the values in the page under way.
func (c *column) pageBounds() bounds {
	if len(c.vals) == 0 {
		return bounds{}
	}
	switch c.order {
	case orderInt32:
		return c.int32Bounds()
	case orderInt64:
		return c.int64Bounds()
	case orderFloat, orderDouble:
		return c.floatBounds()
	case orderBytes:
		return c.bytesBounds()
	case orderNone:
		return bounds{}
	}
	lo, i := c.next(0)
	hi := lo
	for i < len(c.vals) {
		var v []byte
		v, i = c.next(i)
		if c.order.less(v, lo) {
			lo = v
		} else if c.order.less(hi, v) {
			hi = v
		}
	}
	return bounds{bytes.Clone(lo), bytes.Clone(hi), true}
}

// bytesBounds compares the first eight bytes as a number, which nearly always decides.
func (c *column) bytesBounds() bounds {
	lo, i := c.next(0)
	hi := lo
	loHead, hiHead := head(lo), head(lo)
	for i < len(c.vals) {
		end := i + 4 + int(binary.LittleEndian.Uint32(c.vals[i:]))
		v := c.vals[i+4 : end]
		i = end
		h := head(v)
		if h <= loHead && (h < loHead || bytes.Compare(v, lo) < 0) {
			lo, loHead = v, h
		}
		if h >= hiHead && (h > hiHead || bytes.Compare(v, hi) > 0) {
			hi, hiHead = v, h
		}
	}
	return bounds{bytes.Clone(lo), bytes.Clone(hi), true}
}

// head is the first eight bytes of v as a number, missing ones as zeros.
func head(v []byte) uint64 {
	if len(v) >= 8 {
		return binary.BigEndian.Uint64(v)
	}
	h := uint64(0)
	for i, b := range v {
		h |= uint64(b) << (56 - 8*i)
	}
	return h
}

func (c *column) int32Bounds() bounds {
	lo, hi := int32(math.MaxInt32), int32(math.MinInt32)
	for v := c.vals; len(v) >= 4; v = v[4:] {
		n := int32(binary.LittleEndian.Uint32(v))
		lo, hi = min(lo, n), max(hi, n)
	}
	le := binary.LittleEndian
	return bounds{le.AppendUint32(nil, uint32(lo)), le.AppendUint32(nil, uint32(hi)), true}
}

func (c *column) int64Bounds() bounds {
	lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
	for v := c.vals; len(v) >= 8; v = v[8:] {
		n := int64(binary.LittleEndian.Uint64(v))
		lo, hi = min(lo, n), max(hi, n)
	}
	le := binary.LittleEndian
	return bounds{le.AppendUint64(nil, uint64(lo)), le.AppendUint64(nil, uint64(hi)), true}
}

// floatBounds: there is no NaN, and a zero counts as both zeros, as the format asks.
func (c *column) floatBounds() bounds {
	lo, hi := math.Inf(1), math.Inf(-1)
	for v := c.vals; len(v) >= c.width; v = v[c.width:] {
		f := c.float(v)
		if f < lo {
			lo = f
		}
		if f > hi {
			hi = f
		}
	}
	return bounds{c.floatBytes(lowZero(lo)), c.floatBytes(highZero(hi)), true}
}

// A zero as the least value is written as the negative zero, as the greatest as the positive one.
func lowZero(f float64) float64 {
	if f == 0 {
		return math.Copysign(0, -1)
	}
	return f
}

func highZero(f float64) float64 {
	if f == 0 {
		return 0
	}
	return f
}

func (c *column) float(v []byte) float64 {
	if c.width == 4 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(v)))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(v))
}

func (c *column) floatBytes(f float64) []byte {
	if c.width == 4 {
		return binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(f)))
	}
	return binary.LittleEndian.AppendUint64(nil, math.Float64bits(f))
}

// less compares two values in their PLAIN bytes, without the length of byte arrays.
func (o order) less(a, b []byte) bool {
	le := binary.LittleEndian
	switch o {
	case orderInt32:
		return int32(le.Uint32(a)) < int32(le.Uint32(b))
	case orderInt64:
		return int64(le.Uint64(a)) < int64(le.Uint64(b))
	case orderFloat:
		return math.Float32frombits(le.Uint32(a)) < math.Float32frombits(le.Uint32(b))
	case orderDouble:
		return math.Float64frombits(le.Uint64(a)) < math.Float64frombits(le.Uint64(b))
	case orderDecimal:
		if a[0] != b[0] {
			return int8(a[0]) < int8(b[0])
		}
	}
	return bytes.Compare(a, b) < 0
}

// join widens b to hold other.
func (b *bounds) join(o order, other bounds) {
	switch {
	case !other.ok:
	case !b.ok:
		*b = other
	default:
		if o.less(other.min, b.min) {
			b.min = other.min
		}
		if o.less(b.max, other.max) {
			b.max = other.max
		}
	}
}

// shortened returns bounds of at most maxBoundBytes that hold the same values; not ok when there are none.
func (b bounds) shortened(text bool) bounds {
	if !b.ok {
		return b
	}
	if len(b.min) > maxBoundBytes {
		b.min = cutText(b.min, text)
	}
	if len(b.max) > maxBoundBytes {
		b.max = above(cutText(b.max, text), text)
		b.ok = b.max != nil
	}
	return b
}

func (b bounds) exact() bool {
	return b.ok && len(b.min) <= maxBoundBytes && len(b.max) <= maxBoundBytes
}

// cutText shortens to maxBoundBytes, for text before a character that does not fit.
func cutText(v []byte, text bool) []byte {
	n := maxBoundBytes
	for text && n > 0 && !utf8.RuneStart(v[n]) {
		n--
	}
	return v[:n:n]
}

// above returns the least value that is greater than all values beginning with v, by raising its last byte or
// character; nil when none can be raised.
func above(v []byte, text bool) []byte {
	for len(v) > 0 {
		if !text {
			if last := v[len(v)-1]; last < 0xff {
				return append(bytes.Clone(v[:len(v)-1]), last+1)
			}
			v = v[:len(v)-1]
			continue
		}
		r, size := utf8.DecodeLastRune(v)
		v = v[:len(v)-size]
		if r++; r == 0xd800 {
			r = 0xe000 // what lies between is no character
		}
		if r <= utf8.MaxRune {
			return utf8.AppendRune(bytes.Clone(v), r)
		}
	}
	return nil
}
