package parquet

import "encoding/binary"

// levels is a sequence of repetition or definition levels, kept as runs: a column that is always there, or never, costs
// nothing per row. A run is its length shifted by eight, and its level.
type levels struct{ runs []uint64 }

func (l *levels) add(level uint8) {
	if n := len(l.runs); n > 0 && uint8(l.runs[n-1]) == level {
		l.runs[n-1] += 1 << 8
		return
	}
	l.runs = append(l.runs, 1<<8|uint64(level))
}

func (l *levels) addMany(level uint8, count int64) {
	if n := len(l.runs); n > 0 && uint8(l.runs[n-1]) == level {
		l.runs[n-1] += uint64(count) << 8
		return
	}
	l.runs = append(l.runs, uint64(count)<<8|uint64(level))
}

// count is how many levels there are, and how many of them are the given one.
func (l *levels) count(level uint8) (all, equal int64) {
	for _, r := range l.runs {
		all += int64(r >> 8)
		if uint8(r) == level {
			equal += int64(r >> 8)
		}
	}
	return all, equal
}

// mark describes the state of levels: cut goes back to it, as long as nothing before it was removed since.
func (l *levels) mark() (runs int, last uint64) {
	if runs = len(l.runs); runs > 0 {
		last = l.runs[runs-1]
	}
	return runs, last
}

func (l *levels) cut(runs int, last uint64) {
	l.runs = l.runs[:runs]
	if runs > 0 {
		l.runs[runs-1] = last
	}
}

// hybrid writes numbers in Parquet's mixture of runs and bit-packed groups of eight.
type hybrid struct {
	dst   []byte
	width int // bits of a number, 1 to 32

	groups []uint32 // numbers that wait for a bit-packed stretch
}

// run adds count times v.
func (h *hybrid) run(v uint32, count int64) {
	for count > 0 && len(h.groups)%8 != 0 {
		h.groups = append(h.groups, v)
		count--
	}
	if count >= 8 {
		h.pack()
		h.dst = binary.AppendUvarint(h.dst, uint64(count)<<1)
		for bits := 0; bits < h.width; bits += 8 {
			h.dst = append(h.dst, byte(v>>bits))
		}
		return
	}
	for ; count > 0; count-- {
		h.groups = append(h.groups, v)
	}
}

// pack writes what waits as one bit-packed stretch, filled up with zeros to a multiple of eight.
func (h *hybrid) pack() {
	if len(h.groups) == 0 {
		return
	}
	for len(h.groups)%8 != 0 {
		h.groups = append(h.groups, 0)
	}
	h.dst = binary.AppendUvarint(h.dst, uint64(len(h.groups)/8)<<1|1)
	acc, have := uint64(0), 0
	for _, v := range h.groups {
		acc |= uint64(v) << have
		for have += h.width; have >= 8; have -= 8 {
			h.dst = append(h.dst, byte(acc))
			acc >>= 8
		}
	}
	h.groups = h.groups[:0]
}

// encode appends the levels to the stream under way and ends it.
func (h *hybrid) encode(l *levels) {
	for _, r := range l.runs {
		h.run(uint32(uint8(r)), int64(r>>8))
	}
	h.pack()
}
