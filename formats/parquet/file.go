package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	magic     = "PAR1"
	createdBy = "hydrant"
)

// fileWriter lays chunks and footer out in the file.
type fileWriter struct {
	w        io.Writer
	codec    format.CompressionCodec
	v2       bool
	elements []format.SchemaElement
	metadata [][2]string

	offset int64
	groups []format.RowGroup
	index  [][]columnIndexes // per row group and column
}

type columnIndexes struct {
	column *format.ColumnIndex // nil when a page has no bounds
	offset format.OffsetIndex
}

// marshal returns v as Thrift's compact protocol writes it; the bytes are those of the buffer.
func marshal(buf *bytes.Buffer, v any) ([]byte, error) {
	buf.Reset()
	p := thrift.CompactProtocol{}
	if err := thrift.NewEncoder(p.NewWriter(buf)).Encode(v); err != nil {
		return nil, fmt.Errorf("parquet: %w", err)
	}
	return buf.Bytes(), nil
}

func (f *fileWriter) write(b []byte) error {
	if f.offset == 0 {
		if _, err := io.WriteString(f.w, magic); err != nil {
			return fmt.Errorf("parquet: %w", err)
		}
		f.offset = int64(len(magic))
	}
	n, err := f.w.Write(b)
	f.offset += int64(n)
	if err != nil {
		return fmt.Errorf("parquet: %w", err)
	}
	return nil
}

// endGroup writes the row group that is under way.
func (e *Encoder) endGroup() error {
	f := &e.file
	group := format.RowGroup{NumRows: e.row, FileOffset: max(f.offset, int64(len(magic))), Ordinal: int16(len(f.groups))}
	if len(f.groups) > maxGroups {
		return fmt.Errorf("parquet: more than %d row groups", maxGroups)
	}
	indexes := make([]columnIndexes, 0, len(e.cols))
	for _, c := range e.cols {
		c.pad(e.row)
		if err := e.flushPage(c); err != nil {
			return err
		}
		cc, err := f.writeChunk(c)
		if err != nil {
			return err
		}
		group.TotalByteSize += cc.MetaData.TotalUncompressedSize
		group.TotalCompressedSize += cc.MetaData.TotalCompressedSize
		group.Columns = append(group.Columns, cc)
		indexes = append(indexes, c.chunk.indexes(cc.MetaData.DataPageOffset))
		c.endGroup(e.opts.dictionary)
	}
	f.groups = append(f.groups, group)
	f.index = append(f.index, indexes)
	e.row, e.groupBytes, e.sinceSweep = 0, 0, 0
	return nil
}

const maxGroups = 1<<15 - 2

// writeChunk writes the dictionary, if pages use it, and the pages of a column.
func (f *fileWriter) writeChunk(c *column) (format.ColumnChunk, error) {
	ch := &c.chunk
	md := format.ColumnMetaData{
		Type: c.physical, PathInSchema: c.path, Codec: f.codec, NumValues: ch.values,
		Statistics: format.Statistics{NullCount: ch.nulls},
	}
	if ch.bounds.exact() {
		md.Statistics.MinValue, md.Statistics.MaxValue = ch.bounds.min, ch.bounds.max
	}
	start := max(f.offset, int64(len(magic)))
	if ch.dict > 0 {
		md.DictionaryPageOffset = start
		if err := f.dictionaryPage(c); err != nil {
			return format.ColumnChunk{}, err
		}
	}
	md.DataPageOffset = max(f.offset, int64(len(magic)))
	for _, page := range ch.data {
		if err := f.write(page); err != nil {
			return format.ColumnChunk{}, err
		}
	}
	md.TotalUncompressedSize = ch.uncompressed
	md.TotalCompressedSize = f.offset - start
	md.Encoding, md.EncodingStats = ch.encodings(f.v2)
	return format.ColumnChunk{FileOffset: start, MetaData: md}, nil
}

func (f *fileWriter) dictionaryPage(c *column) error {
	s := workspaces.Get().(*workspace)
	defer s.release()
	s.body = append(s.body[:0], c.dict.vals...)
	page := format.PageHeader{Type: format.DictionaryPage,
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(len(c.dict.ends)), Encoding: format.Plain})}
	var ch chunk
	if err := f.addPage(s, &ch, &page, 0); err != nil {
		return err
	}
	c.chunk.uncompressed += ch.uncompressed
	return f.write(ch.data[0])
}

func (ch *chunk) encodings(v2 bool) (thrift.Slice[format.Encoding], thrift.Slice[format.PageEncodingStats]) {
	typ := format.DataPage
	if v2 {
		typ = format.DataPageV2
	}
	all := thrift.Slice[format.Encoding]{format.Plain, format.RLE}
	var stats thrift.Slice[format.PageEncodingStats]
	if ch.dict > 0 {
		all = append(all, format.RLEDictionary)
		stats = append(stats, format.PageEncodingStats{PageType: format.DictionaryPage, Encoding: format.Plain, Count: 1},
			format.PageEncodingStats{PageType: typ, Encoding: format.RLEDictionary, Count: ch.dict})
	}
	if ch.plain > 0 {
		stats = append(stats, format.PageEncodingStats{PageType: typ, Encoding: format.Plain, Count: ch.plain})
	}
	return all, stats
}

// indexes describes the pages of a chunk whose first data page stands at the given offset.
func (ch *chunk) indexes(at int64) columnIndexes {
	col := &format.ColumnIndex{BoundaryOrder: format.Unordered}
	var out columnIndexes
	for _, p := range ch.pages {
		out.offset.PageLocations = append(out.offset.PageLocations, format.PageLocation{
			Offset: at + int64(p.offset), CompressedPageSize: int32(p.size), FirstRowIndex: p.firstRow})
		col.NullPages = append(col.NullPages, p.empty)
		col.MinValues = append(col.MinValues, p.bounds.min)
		col.MaxValues = append(col.MaxValues, p.bounds.max)
		col.NullCounts = append(col.NullCounts, p.nulls)
		if !p.empty && !p.bounds.ok {
			col = nil
			break
		}
	}
	if col == nil {
		return columnIndexes{nil, ch.locations(at)}
	}
	out.column = col
	return out
}

func (ch *chunk) locations(at int64) (o format.OffsetIndex) {
	for _, p := range ch.pages {
		o.PageLocations = append(o.PageLocations, format.PageLocation{
			Offset: at + int64(p.offset), CompressedPageSize: int32(p.size), FirstRowIndex: p.firstRow})
	}
	return o
}

// end writes the page indexes and the footer.
func (f *fileWriter) end(cols []*column, rows int64) error {
	if err := f.write(nil); err != nil { // the magic of a file without rows
		return err
	}
	if err := f.writeIndexes(); err != nil {
		return err
	}
	md := format.FileMetaData{Version: 1, Schema: f.elements, NumRows: rows, RowGroups: f.groups, CreatedBy: createdBy}
	if f.v2 {
		md.Version = 2
	}
	for _, kv := range f.metadata {
		md.KeyValueMetadata = append(md.KeyValueMetadata, format.KeyValue{Key: kv[0], Value: kv[1]})
	}
	for range cols {
		md.ColumnOrders = append(md.ColumnOrders, format.ColumnOrder{Value: new(format.TypeDefinedOrder)})
	}
	footer, err := marshal(new(bytes.Buffer), &md)
	if err != nil {
		return err
	}
	tail := binary.LittleEndian.AppendUint32(nil, uint32(len(footer)))
	if err := f.write(footer); err != nil {
		return err
	}
	return f.write(append(tail, magic...))
}

func (f *fileWriter) writeIndexes() error {
	for g, indexes := range f.index {
		for i := range indexes {
			if indexes[i].column == nil {
				continue
			}
			at, n, err := f.writeStruct(indexes[i].column)
			if err != nil {
				return err
			}
			f.groups[g].Columns[i].ColumnIndexOffset, f.groups[g].Columns[i].ColumnIndexLength = at, n
		}
	}
	for g, indexes := range f.index {
		for i := range indexes {
			at, n, err := f.writeStruct(&indexes[i].offset)
			if err != nil {
				return err
			}
			f.groups[g].Columns[i].OffsetIndexOffset, f.groups[g].Columns[i].OffsetIndexLength = at, n
		}
	}
	return nil
}

func (f *fileWriter) writeStruct(v any) (at int64, n int32, err error) {
	b, err := marshal(new(bytes.Buffer), v)
	if err != nil {
		return 0, 0, err
	}
	at = f.offset
	return at, int32(len(b)), f.write(b)
}
