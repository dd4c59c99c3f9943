package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"math/bits"
)

type dictionaryMode uint8

const (
	dictionaryAuto dictionaryMode = iota // per column, from what its first page holds
	dictionaryOn                         // every column but booleans, as long as the dictionary stays small
	dictionaryOff
)

func dictionaryModeOf(word string) (dictionaryMode, error) {
	switch word {
	case "", "auto":
		return dictionaryAuto, nil
	case "on":
		return dictionaryOn, nil
	case "off":
		return dictionaryOff, nil
	}
	return 0, fmt.Errorf("dictionary %q: want auto, on or off", word)
}

// When a dictionary is worth its lookups, and when one that was begun is given up.
const (
	sampleValues       = 4096
	sampleMaxDistinct  = 2000
	sampleMinRepeat    = 4 // values per distinct value
	minSample          = 64
	firstLook          = 64  // values that all differ: identifiers, times
	secondLook         = 512 // values of which 448 differ: more than a thousand distinct ones are to be expected
	secondMaxDistinct  = 448
	maxDictionaryBytes = 1 << 20
	maxDictionaryItems = 1 << 16
)

// dictionary numbers the distinct values of a column in a row group, in the order they were first seen. The random seed of the
// hash has no influence on the numbers.
type dictionary struct {
	decided bool // whether the file's first page was looked at
	use     bool
	full    bool   // given up for this row group
	vals    []byte // the values as PLAIN encodes them
	ends    []uint32
	table   []uint32 // open addressing; number + 1
	hashes  []uint32 // per number: to grow the table without hashing again
	seed    maphash.Seed
	secret  [2]uint64 // from the seed: nobody outside can make values collide
	used    []bool    // per number: whether the page under way has it
}

func (d *dictionary) reset(mode dictionaryMode) {
	if d.full && mode == dictionaryAuto {
		d.use = false
	}
	d.full = false
	d.vals, d.ends, d.hashes = d.vals[:0], d.ends[:0], d.hashes[:0]
	clear(d.table)
}

// index numbers the values of the column's page into idx. It reports false when the page is to be written without.
func (d *dictionary) index(c *column, mode dictionaryMode, idx []uint32) ([]uint32, bool) {
	if !d.wanted(c, mode) || d.full {
		return idx, false
	}
	if d.table == nil {
		d.table = make([]uint32, 256)
		d.seed = maphash.MakeSeed()
		d.secret = [2]uint64{maphash.String(d.seed, "a") | 1, maphash.String(d.seed, "b") | 1}
	}
	sampling := mode == dictionaryAuto && !d.decided
	d.decided = true
	for i, n := 0, 1; i < len(c.vals); n++ {
		start := i
		var v []byte
		v, i = c.next(i)
		idx = append(idx, d.number(c, v, start, i))
		if sampling && (n == firstLook || n == secondLook || n == sampleValues || i == len(c.vals)) {
			sampling = n < sampleValues && i < len(c.vals)
			if d.use = d.worth(n, sampling); !d.use {
				d.vals, d.ends, d.hashes, d.table = nil, nil, nil, nil
				return idx, false
			}
		}
		if len(d.vals) > maxDictionaryBytes || len(d.ends) >= maxDictionaryItems {
			d.full = true // pages that used it keep it
			return idx, false
		}
	}
	return idx, true
}

// bounds are those of the values that idx refers to.
func (d *dictionary) bounds(c *column, idx []uint32) (b bounds) {
	if c.order == orderNone || len(idx) == 0 {
		return b
	}
	if cap(d.used) < len(d.ends) {
		d.used = make([]bool, 2*len(d.ends))
	}
	used := d.used[:len(d.ends)]
	clear(used)
	for _, n := range idx {
		used[n] = true
	}
	skip := 0
	if c.width == 0 {
		skip = 4 // the length
	}
	for n, in := range used {
		if in {
			v := d.value(uint32(n))[skip:]
			b.join(c.order, bounds{v, v, true})
		}
	}
	b.min, b.max = bytes.Clone(b.min), bytes.Clone(b.max)
	if c.order == orderFloat || c.order == orderDouble {
		b.min, b.max = c.floatBytes(lowZero(c.float(b.min))), c.floatBytes(highZero(c.float(b.max)))
	}
	return b
}

// worth reports whether n values repeat often enough; early is a first look.
func (d *dictionary) worth(n int, early bool) bool {
	distinct := len(d.ends)
	if early {
		return distinct < firstLook || n > firstLook && distinct <= secondMaxDistinct
	}
	return distinct <= sampleMaxDistinct && distinct*sampleMinRepeat <= n
}

func (d *dictionary) wanted(c *column, mode dictionaryMode) bool {
	if mode == dictionaryOff || c.order == orderBool || len(c.vals) == 0 {
		return false
	}
	if mode == dictionaryOn {
		return true
	}
	if !d.decided {
		return c.width == 0 && len(c.vals) >= minSample*8 || c.width > 0 && len(c.vals) >= minSample*c.width
	}
	return d.use
}

// number finds or adds v, which stands at c.vals[start:end] with its length.
func (d *dictionary) number(c *column, v []byte, start, end int) uint32 {
	h := d.hash(v)
	mask := uint32(len(d.table) - 1)
	for at := h & mask; ; at = (at + 1) & mask {
		n := d.table[at]
		if n == 0 {
			return d.add(c.vals[start:end], h, at)
		}
		if d.hashes[n-1] == h && string(d.value(n-1)) == string(c.vals[start:end]) {
			return n - 1
		}
	}
}

func (d *dictionary) value(n uint32) []byte {
	from := uint32(0)
	if n > 0 {
		from = d.ends[n-1]
	}
	return d.vals[from:d.ends[n]]
}

func (d *dictionary) hash(v []byte) uint32 {
	n := len(v)
	switch {
	case n > 16:
		return uint32(maphash.Bytes(d.seed, v))
	case n >= 8:
		return d.mix(binary.LittleEndian.Uint64(v), binary.LittleEndian.Uint64(v[n-8:]), n)
	case n >= 4:
		return d.mix(uint64(binary.LittleEndian.Uint32(v)), uint64(binary.LittleEndian.Uint32(v[n-4:])), n)
	case n > 0:
		return d.mix(uint64(v[0])<<16|uint64(v[n/2])<<8|uint64(v[n-1]), 0, n)
	}
	return 0
}

// mix multiplies both words with secrets in them, to the full width, and folds the product.
func (d *dictionary) mix(a, b uint64, n int) uint32 {
	hi, lo := bits.Mul64(a^d.secret[0], b^d.secret[1]^uint64(n)<<56)
	h := hi ^ lo
	return uint32(h>>32) ^ uint32(h)
}

func (d *dictionary) add(plain []byte, h, at uint32) uint32 {
	d.vals = append(d.vals, plain...)
	d.ends = append(d.ends, uint32(len(d.vals)))
	d.hashes = append(d.hashes, h)
	n := uint32(len(d.ends))
	d.table[at] = n
	if int(n)*2 > len(d.table) {
		d.rehash()
	}
	return n - 1
}

func (d *dictionary) rehash() {
	d.table = make([]uint32, 4*len(d.table))
	mask := uint32(len(d.table) - 1)
	for i, h := range d.hashes {
		at := h & mask
		for d.table[at] != 0 {
			at = (at + 1) & mask
		}
		d.table[at] = uint32(i + 1)
	}
}
