package parquet

import (
	"math"
	"math/bits"
	"strconv"
	"unsafe"
)

// decimal is a number taken apart exactly: digits × 10^exp. There are no zeros at either end of the digits; none at all
// is zero.
type decimal struct {
	neg    bool
	n      int
	digits [48]byte // values 0 to 9
	exp    int
}

// maxExponent bounds exponents, so that adding to them never overflows.
const maxExponent = 1 << 20

// decimalOf takes apart text that scanNumber or numeric accepted; false when it has more digits than any column holds.
func decimalOf(s []byte) (d decimal, ok bool) {
	i := 0
	if s[0] == '-' || s[0] == '+' {
		d.neg = s[0] == '-'
		i++
	}
	zeros, point := 0, 0
	for ; i < len(s) && s[i]|0x20 != 'e'; i++ {
		if s[i] == '.' {
			point = 1
			continue
		}
		d.exp -= point
		if s[i] == '0' {
			if d.n > 0 {
				zeros++
			}
			continue
		}
		if d.n+zeros >= len(d.digits) {
			return d, false
		}
		d.n += zeros // the array holds zeros already
		zeros = 0
		d.digits[d.n] = s[i] - '0'
		d.n++
	}
	d.exp += zeros
	if i < len(s) {
		d.exp += exponentOf(s[i+1:])
	}
	if d.n == 0 {
		d.exp = 0
	}
	return d, true
}

func exponentOf(s []byte) (e int) {
	neg := s[0] == '-'
	if neg || s[0] == '+' {
		s = s[1:]
	}
	for _, c := range s {
		if e = e*10 + int(c-'0'); e > maxExponent {
			e = maxExponent
		}
	}
	if neg {
		return -e
	}
	return e
}

// int64 is the number if it is whole and fits.
func (d *decimal) int64() (int64, bool) {
	if d.n == 0 {
		return 0, true
	}
	if d.exp < 0 || d.n+d.exp > 19 {
		return 0, false
	}
	v := uint64(0)
	for _, c := range d.digits[:d.n] {
		v = v*10 + uint64(c)
	}
	for range d.exp {
		v *= 10
	}
	if d.neg {
		return -int64(v), v <= 1<<63
	}
	return int64(v), v < 1<<63
}

// moment reads the number as seconds since 1970; what is finer than a nanosecond is dropped, always towards the past.
func (d *decimal) moment() (m moment, ok bool) {
	if d.n == 0 {
		return m, true
	}
	if d.n+d.exp > 18 {
		return m, false
	}
	for i := range max(d.n+d.exp, 0) {
		m.sec = m.sec*10 + int64(d.digit(i))
	}
	for i := range 9 {
		m.ns = m.ns*10 + int64(d.digit(d.n+d.exp+i))
	}
	if d.neg {
		m.sec = -m.sec
		if d.exp < -9 {
			m.ns++ // there is a digit behind the ninth, and the last one is never zero
		}
		if m.ns > 0 {
			m.sec, m.ns = m.sec-1, 1e9-m.ns
		}
	}
	return m, true
}

func (d *decimal) digit(i int) byte {
	if i < 0 || i >= d.n {
		return 0
	}
	return d.digits[i]
}

// unscaled is the number times 10^scale as two's complement in 128 bits; false when it is not whole then, or longer than
// the precision.
func (d *decimal) unscaled(precision, scale int) (hi, lo uint64, ok bool) {
	if d.n == 0 {
		return 0, 0, true
	}
	zeros := d.exp + scale
	if zeros < 0 || d.n+zeros > precision {
		return 0, 0, false
	}
	for i := range d.n + zeros {
		var carry uint64
		over, low := bits.Mul64(lo, 10)
		lo, carry = bits.Add64(low, uint64(d.digit(i)), 0)
		hi = hi*10 + over + carry
	}
	if d.neg {
		var borrow uint64
		lo, borrow = bits.Sub64(0, lo, 0)
		hi, _ = bits.Sub64(0, hi, borrow)
	}
	return hi, lo, true
}

// numeric reports whether a string reads as a decimal number: a sign, digits with at most one point, an exponent.
// NaN, infinities and anything in another base do not.
func numeric(s []byte) bool {
	i := 0
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		i++
	}
	from := i
	i = digits(s, i)
	n := i - from
	if i < len(s) && s[i] == '.' {
		from = i + 1
		i = digits(s, from)
		n += i - from
	}
	if n == 0 {
		return false
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		from = i
		if i = digits(s, i); i == from {
			return false
		}
	}
	return i == len(s)
}

// hexInt reads 0x1F.
func hexInt(s []byte) (int64, bool) {
	if len(s) < 3 || len(s) > 18 || s[0] != '0' || s[1]|0x20 != 'x' {
		return 0, false
	}
	v := uint64(0)
	for _, c := range s[2:] {
		d := hexDigit(c)
		if d < 0 {
			return 0, false
		}
		v = v<<4 | uint64(d)
	}
	return int64(v), v < 1<<63
}

// scanInt reads the number at i when it is plain and short, as nearly all are: at most 18 digits, no fraction, no
// exponent. Otherwise end is broken, and it may be a number still.
func scanInt(b []byte, i int) (v int64, end int) {
	neg := false
	if i < len(b) && b[i] == '-' {
		neg = true
		i++
	}
	from := i
	for i < len(b) && b[i]-'0' <= 9 {
		v = v*10 + int64(b[i]-'0')
		i++
	}
	n := i - from
	if n == 0 || n > 18 || b[from] == '0' && n > 1 || i < len(b) && (b[i] == '.' || b[i]|0x20 == 'e') {
		return 0, broken
	}
	if neg {
		v = -v
	}
	return v, i
}

// exact powers of ten.
var tens = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// scanFloat reads the number at i when it has at most 15 digits, no exponent: then one correctly rounded operation on
// exact operands gives the nearest double. Otherwise end is broken, and it may be a number still.
func scanFloat(b []byte, i int) (f float64, end int) {
	neg := false
	if i < len(b) && b[i] == '-' {
		neg = true
		i++
	}
	from, m := i, uint64(0)
	for i < len(b) && b[i]-'0' <= 9 {
		m = m*10 + uint64(b[i]-'0')
		i++
	}
	n := i - from
	if n == 0 || b[from] == '0' && n > 1 {
		return 0, broken
	}
	fraction := 0
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for i < len(b) && b[i]-'0' <= 9 {
			m = m*10 + uint64(b[i]-'0')
			i++
		}
		if fraction = i - point; fraction == 0 {
			return 0, broken
		}
	}
	if n+fraction > 15 || i < len(b) && b[i]|0x20 == 'e' {
		return 0, broken
	}
	f = float64(m)
	if fraction > 0 {
		f /= tens[fraction]
	}
	if neg {
		f = -f
	}
	return f, i
}

// parseFloat reads the whole of s, which scanNumber or numeric accepted; false when it is too large.
func parseFloat(s []byte, size int) (float64, bool) {
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(s), len(s)), size)
	return f, err == nil && !math.IsInf(f, 0) && !math.IsNaN(f)
}

// exactFloat reports whether a whole number in JSON is that number as a double too.
func exactFloat(lit []byte) bool {
	if len(lit) <= 15 || !whole(lit) {
		return true
	}
	d, ok := decimalOf(lit)
	if !ok {
		return false
	}
	v, ok := d.int64()
	if !ok {
		return false
	}
	f := float64(v)
	return f < 1<<63 && int64(f) == v
}
