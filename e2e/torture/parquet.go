package main

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// sheet is what a Parquet file holds.
type sheet struct {
	types map[string]string   // by column
	rows  []map[string]string // texts of the values that are not null; of a list that there is one
}

// readParquet reads a whole file. The reader's panics are errors of the file.
func readParquet(body []byte) (s sheet, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the reader gave up: %v", p)
		}
	}()
	f, err := parquet.OpenFile(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return s, err
	}
	s.types = map[string]string{}
	for _, c := range f.Root().Columns() {
		s.types[c.Name()] = "nested"
		if c.Leaf() {
			s.types[c.Name()] = c.Type().String()
		}
	}
	var names []string
	for _, path := range f.Schema().Columns() {
		names = append(names, path[0])
	}
	for _, g := range f.RowGroups() {
		if err := s.group(g, names); err != nil {
			return s, err
		}
	}
	if int64(len(s.rows)) != f.NumRows() {
		err = fmt.Errorf("%d rows, but the footer says %d", len(s.rows), f.NumRows())
	}
	return s, err
}

func (s *sheet) group(g parquet.RowGroup, names []string) error {
	rows := g.Rows()
	defer rows.Close()
	buf := make([]parquet.Row, 64)
	for {
		n, err := rows.ReadRows(buf)
		for _, r := range buf[:n] {
			row := map[string]string{}
			for _, v := range r {
				if !v.IsNull() {
					row[names[v.Column()]] = textOf(v)
				}
			}
			s.rows = append(s.rows, row)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func textOf(v parquet.Value) string {
	switch v.Kind() {
	case parquet.Boolean:
		return strconv.FormatBool(v.Boolean())
	case parquet.Int32, parquet.Int64:
		return strconv.FormatInt(v.Int64(), 10)
	case parquet.Double:
		return strconv.FormatFloat(v.Double(), 'g', -1, 64)
	case parquet.ByteArray:
		return string(v.ByteArray())
	}
	return v.String()
}

// alike: numbers may have another form, as in a column of doubles.
func alike(want, got string) bool {
	if want == got {
		return true
	}
	a, err1 := strconv.ParseFloat(want, 64)
	b, err2 := strconv.ParseFloat(got, 64)
	return err1 == nil && err2 == nil && a == b && !math.IsNaN(a)
}
