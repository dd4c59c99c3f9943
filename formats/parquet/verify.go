package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// ErrBroken is wrapped by what Verify finds wrong with a file.
var ErrBroken = errors.New("not a whole Parquet file")

// Verify reads the end of a finished file again: magic numbers, a footer that parses, as many rows as were written, and
// every column chunk and page index within the file. It holds the footer in memory. An error of r is returned as it is, in a wrapper.
func Verify(r io.ReaderAt, size, rows int64) (err error) {
	defer func() {
		if p := recover(); p != nil { // the library panics on some damage
			err = fmt.Errorf("parquet: %w: %v", ErrBroken, p)
		}
	}()
	reader := &faultReader{r: r}
	f, err := openFile(reader, size)
	if reader.err != nil {
		return fmt.Errorf("parquet: verify: %w", reader.err)
	}
	if err != nil {
		return fmt.Errorf("parquet: %w: %w", ErrBroken, err)
	}
	md := f.Metadata()
	sum := int64(0)
	for g, group := range md.RowGroups {
		sum += group.NumRows
		for i := range group.Columns {
			if !within(&group.Columns[i], group.NumRows, size) {
				return fmt.Errorf("parquet: %w: row group %d, column %q: not within the %d bytes of the file", ErrBroken, g, group.Columns[i].MetaData.PathInSchema, size)
			}
		}
	}
	if md.NumRows != rows || sum != rows {
		return fmt.Errorf("parquet: %w: %d rows, %d in row groups, want %d", ErrBroken, md.NumRows, sum, rows)
	}
	return nil
}

// tailBytes are the length of the footer and the magic number behind it.
const tailBytes = 4 + int64(len(magic))

func openFile(r io.ReaderAt, size int64) (*parquet.File, error) {
	if size < int64(len(magic))+tailBytes {
		return nil, fmt.Errorf("%d bytes", size)
	}
	var tail [tailBytes]byte
	if _, err := r.ReadAt(tail[:], size-tailBytes); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	if string(tail[4:]) != magic || n > size-tailBytes-int64(len(magic)) {
		return nil, errFooter
	}
	footer := make([]byte, n)
	if _, err := r.ReadAt(footer, size-tailBytes-n); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if rest, err := walkStruct(footer, 0); err != nil || len(rest) > 0 {
		return nil, errFooter
	}
	return parquet.OpenFile(r, size, parquet.SkipBloomFilters(true), parquet.SkipPageIndex(true))
}

// within reports whether a column chunk and its indexes lie in the file and have values for all rows.
func within(c *format.ColumnChunk, rows, size int64) bool {
	md := &c.MetaData
	start := md.DataPageOffset
	if md.DictionaryPageOffset > 0 {
		start = min(start, md.DictionaryPageOffset)
	}
	part := func(from, n int64) bool {
		return from >= int64(len(magic)) && n >= 0 && from <= size-tailBytes && n <= size-tailBytes-from
	}
	return part(start, md.TotalCompressedSize) && md.NumValues >= rows && part(c.OffsetIndexOffset, int64(c.OffsetIndexLength)) &&
		(c.ColumnIndexOffset == 0 || part(c.ColumnIndexOffset, int64(c.ColumnIndexLength)))
}

// faultReader tells a failing disk from a broken file.
type faultReader struct {
	r   io.ReaderAt
	err error
}

func (f *faultReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.r.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}
