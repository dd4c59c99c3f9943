// Package base64x decodes standard base64 as the wire formats of records carry it: several times as fast as encoding/base64, and without
// line breaks. It knows nothing of JSON.
package base64x

import "encoding/binary"

// badChar marks bytes outside the alphabet. Valid entries use only the low 24 bits.
const badChar = 0xFF000000

// decodeTables hold, for each of the four places in a quantum, the bits a character contributes.
type decodeTables [4][256]uint32

var tables = makeTables() // never written again

func makeTables() *decodeTables {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	t := new(decodeTables)
	for place := range t {
		for c := range t[place] {
			t[place][c] = badChar
		}
		for v := range alphabet {
			t[place][alphabet[v]] = uint32(v) << (18 - 6*place)
		}
	}
	return t
}

// slack is the room behind the decoded bytes that makes decoding fast: whole words are written.
const slack = 8

// Max is the room that Decode wants for n characters.
func Max(n int) int { return n/4*3 + slack }

// Decode decodes standard base64 with padding into dst, which must have Max(len(src)) bytes.
// As encoding/base64 it does not mind bits that the padding makes superfluous; unlike it, it takes no line breaks.
func Decode(dst, src []byte) (n int, ok bool) {
	if len(src) == 0 {
		return 0, true
	}
	if len(src)%4 != 0 {
		return 0, false
	}
	body := src[:len(src)-4] // the last quantum may be padded
	n, ok = decodeWhole(dst, body)
	if !ok {
		return 0, false
	}
	last, ok := decodeLast(dst[n:], src[len(src)-4:])
	return n + last, ok
}

// decodeWhole decodes quanta without padding: sixteen characters to twelve bytes at a time, then four by four.
func decodeWhole(dst, src []byte) (n int, ok bool) {
	t := tables
	size := len(src) / 4 * 3
	for len(src) >= 16 && len(dst) >= 16 {
		s, d := src[:16:16], dst[:16:16]
		lo, hi := binary.LittleEndian.Uint64(s), binary.LittleEndian.Uint64(s[8:])
		a := t[0][byte(lo)] | t[1][byte(lo>>8)] | t[2][byte(lo>>16)] | t[3][byte(lo>>24)]
		b := t[0][byte(lo>>32)] | t[1][byte(lo>>40)] | t[2][byte(lo>>48)] | t[3][byte(lo>>56)]
		e := t[0][byte(hi)] | t[1][byte(hi>>8)] | t[2][byte(hi>>16)] | t[3][byte(hi>>24)]
		f := t[0][byte(hi>>32)] | t[1][byte(hi>>40)] | t[2][byte(hi>>48)] | t[3][byte(hi>>56)]
		if a|b|e|f >= badChar {
			return 0, false
		}
		binary.BigEndian.PutUint64(d, uint64(a)<<40|uint64(b)<<16)
		binary.BigEndian.PutUint64(d[6:], uint64(e)<<40|uint64(f)<<16)
		src, dst = src[16:], dst[12:]
	}
	for len(src) >= 4 {
		a := t[0][src[0]] | t[1][src[1]] | t[2][src[2]] | t[3][src[3]]
		if a >= badChar {
			return 0, false
		}
		dst[0], dst[1], dst[2] = byte(a>>16), byte(a>>8), byte(a)
		src, dst = src[4:], dst[3:]
	}
	return size, true
}

// decodeLast decodes the last quantum, which may end in one or two '='.
func decodeLast(dst, src []byte) (n int, ok bool) {
	q := [4]byte(src)
	n = 3
	if q[3] == '=' {
		n, q[3] = 2, 'A'
		if q[2] == '=' {
			n, q[2] = 1, 'A'
		}
	}
	t := tables
	a := t[0][q[0]] | t[1][q[1]] | t[2][q[2]] | t[3][q[3]]
	if a >= badChar {
		return 0, false
	}
	dst[0], dst[1], dst[2] = byte(a>>16), byte(a>>8), byte(a)
	return n, true
}
