package parquet

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// chunk is what is done of a column in the row group: its pages, each with its header.
type chunk struct {
	data         [][]byte
	size         int // of data
	pages        []pageInfo
	values       int64 // levels: values and nulls
	nulls        int64
	uncompressed int64
	bounds       bounds
	plain, dict  int32 // pages of each encoding
}

// pageInfo is what the page index says of a page.
type pageInfo struct {
	offset, size int // within the chunk's pages, header included
	firstRow     int64
	nulls        int64
	empty        bool // nulls only
	bounds       bounds
}

// flushPage ends the column's page under way, if it has rows.
func (e *Encoder) flushPage(c *column) error {
	if c.rows == c.pageRow {
		return nil
	}
	s := workspaces.Get().(*workspace)
	defer s.release()
	all, values := c.defs.count(c.maxDef)
	if all > math.MaxInt32 || c.pageBytes() > math.MaxInt32/2 {
		return fmt.Errorf("parquet: column %q: a page of %d values, %d bytes", c.path, all, c.pageBytes())
	}
	page := format.PageHeader{}
	levelBytes := c.encodeLevels(s, e.file.v2, &page)
	encoding := c.encodeValues(s, e.opts.dictionary, values)
	info := pageInfo{offset: c.chunk.size, firstRow: c.pageRow, nulls: all - values, empty: values == 0, bounds: c.boundsOf(s.idx, encoding)}
	if e.file.v2 {
		h := &page.DataPageHeaderV2.V
		h.NumValues, h.NumNulls, h.NumRows, h.Encoding = int32(all), int32(all-values), int32(c.rows-c.pageRow), encoding
		h.IsCompressed = thrift.New(e.file.codec != format.Uncompressed && values > 0)
	} else {
		page.DataPageHeader = thrift.New(format.DataPageHeader{NumValues: int32(all), Encoding: encoding,
			DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE})
	}
	if err := e.file.addPage(s, &c.chunk, &page, levelBytes); err != nil {
		return err
	}
	info.size = c.chunk.size - info.offset
	c.chunk.add(info, c, all, encoding)
	c.vals, c.defs.runs, c.reps.runs, c.pageRow = c.vals[:0], c.defs.runs[:0], c.reps.runs[:0], c.rows
	return nil
}

// boundsOf finds the bounds of the page under way, from its dictionary where it has one: that is much shorter.
func (c *column) boundsOf(idx []uint32, e format.Encoding) bounds {
	if e == format.RLEDictionary {
		return c.dict.bounds(c, idx)
	}
	return c.pageBounds()
}

func (ch *chunk) add(p pageInfo, c *column, values int64, e format.Encoding) {
	ch.values += values
	ch.nulls += p.nulls
	ch.bounds.join(c.order, p.bounds)
	p.bounds = p.bounds.shortened(!c.binary)
	ch.pages = append(ch.pages, p)
	if e == format.RLEDictionary {
		ch.dict++
	} else {
		ch.plain++
	}
}

func (ch *chunk) reset() {
	clear(ch.data) // the pages are on their way
	*ch = chunk{data: ch.data[:0], pages: ch.pages[:0]}
}

// encodeLevels begins the page's body with its levels, and returns how many bytes of them stay uncompressed.
func (c *column) encodeLevels(s *workspace, v2 bool, page *format.PageHeader) int {
	s.hybrid.dst = s.body[:0]
	reps := c.encodeLevel(s, &c.reps, c.maxRep, v2)
	defs := c.encodeLevel(s, &c.defs, c.maxDef, v2)
	s.body = s.hybrid.dst
	if !v2 {
		page.Type = format.DataPage
		return 0
	}
	page.Type = format.DataPageV2
	page.DataPageHeaderV2 = thrift.New(format.DataPageHeaderV2{
		RepetitionLevelsByteLength: int32(reps), DefinitionLevelsByteLength: int32(defs)})
	return reps + defs
}

func (c *column) encodeLevel(s *workspace, l *levels, highest uint8, v2 bool) int {
	if highest == 0 {
		return 0
	}
	h, at := &s.hybrid, len(s.hybrid.dst)
	if !v2 {
		h.dst = append(h.dst, 0, 0, 0, 0)
		at += 4
	}
	h.width = bits.Len8(highest)
	h.encode(l)
	n := len(h.dst) - at
	if !v2 {
		binary.LittleEndian.PutUint32(h.dst[at-4:], uint32(n))
	}
	return n
}

// encodeValues ends the page's body with its values.
func (c *column) encodeValues(s *workspace, mode dictionaryMode, values int64) format.Encoding {
	if c.order == orderBool {
		s.body = packBools(s.body, c.vals)
		return format.Plain
	}
	idx, ok := c.dict.index(c, mode, s.idx[:0])
	s.idx = idx
	if !ok {
		s.body = append(s.body, c.vals...)
		return format.Plain
	}
	h := &s.hybrid
	h.width = max(bits.Len32(uint32(len(c.dict.ends)-1)), 1)
	h.dst = append(s.body, byte(h.width))
	h.numbers(idx)
	s.body = h.dst
	return format.RLEDictionary
}

func packBools(dst, vals []byte) []byte {
	for len(vals) > 0 {
		n, b := min(len(vals), 8), byte(0)
		for i, v := range vals[:n] {
			b |= v << i
		}
		dst, vals = append(dst, b), vals[n:]
	}
	return dst
}

// numbers encodes dictionary indexes, runs of equal ones as runs.
func (h *hybrid) numbers(idx []uint32) {
	for i := 0; i < len(idx); {
		j := i + 1
		for j < len(idx) && idx[j] == idx[i] {
			j++
		}
		h.run(idx[i], int64(j-i))
		i = j
	}
	h.pack()
}

// addPage compresses the body in the workspace and appends header and body. The first plain bytes of it stay as they are.
func (f *fileWriter) addPage(s *workspace, ch *chunk, page *format.PageHeader, plain int) (err error) {
	out := append(s.packed[:0], s.body[:plain]...)
	if len(s.body) > plain || plain == 0 {
		if out, err = s.compress(out, s.body[plain:], f.codec); err != nil {
			return fmt.Errorf("parquet: %w", err)
		}
	}
	s.packed = out
	page.UncompressedPageSize = int32(len(s.body))
	page.CompressedPageSize = int32(len(out))
	page.CRC = int32(crc32.ChecksumIEEE(out))
	header, err := marshal(&s.header, page)
	if err != nil {
		return err
	}
	whole := append(append(make([]byte, 0, len(header)+len(out)), header...), out...)
	ch.uncompressed += int64(len(header)) + int64(len(s.body))
	ch.data = append(ch.data, whole)
	ch.size += len(whole)
	return nil
}
