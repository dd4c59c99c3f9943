package parquet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"testing"

	pq "github.com/parquet-go/parquet-go"

	"hydrant/config/schema"
)

// The files of the tests are read by an independent reader, and rows are put together again from its levels:
// nil, bool, int64, float64, string (text, bytes, decimals as digits), []any, entries of maps, fields of structs.
type entry struct{ key, value any }

// written is a file that an encoder wrote, and what it refused.
type written struct {
	data []byte
	rows int64
	errs []error // per record
}

func write(t testing.TB, o Options, records ...string) written {
	t.Helper()
	var buf bytes.Buffer
	e, err := New(&buf, o)
	if err != nil {
		t.Fatal(err)
	}
	w := written{errs: make([]error, len(records))}
	for i, r := range records {
		w.errs[i] = e.Write([]byte(r))
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	w.data, w.rows = buf.Bytes(), e.Rows()
	if err := Verify(bytes.NewReader(w.data), int64(len(w.data)), w.rows); err != nil {
		t.Fatal(err)
	}
	return w
}

// read returns the rows of a file as lists of column values.
func read(t testing.TB, data []byte, columns []schema.Column) [][]any {
	t.Helper()
	f, err := pq.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if got := len(f.Root().Columns()); got != len(columns) {
		t.Fatalf("%d columns, want %d", got, len(columns))
	}
	for i, c := range f.Root().Columns() {
		if c.Name() != columns[i].Name {
			t.Fatalf("column %d is %q, want %q", i, c.Name(), columns[i].Name)
		}
	}
	var out [][]any
	for _, g := range f.RowGroups() {
		out = append(out, readGroup(t, g, columns)...)
	}
	return out
}

func readGroup(t testing.TB, g pq.RowGroup, columns []schema.Column) (out [][]any) {
	t.Helper()
	rows := g.Rows()
	defer rows.Close()
	buf := make([]pq.Row, 64)
	leaves := len(g.ColumnChunks())
	for {
		n, err := rows.ReadRows(buf)
		for _, r := range buf[:n] {
			parts := make([][]pq.Value, leaves)
			for _, v := range r {
				parts[v.Column()] = append(parts[v.Column()], v.Clone())
			}
			var row []any
			for _, c := range columns {
				k := countLeaves(c.Type)
				row = append(row, assemble(c.Type, parts[:k], 0, 0, true))
				parts = parts[k:]
			}
			out = append(out, row)
		}
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func countLeaves(t *schema.Type) int { return schema.Leaves([]schema.Column{{Name: "x", Type: t}}) }

// assemble puts a value together from the levels of its leaves. def and rep are those of what it stands in.
func assemble(t *schema.Type, leaves [][]pq.Value, def, rep int, optional bool) any {
	if optional {
		def++
	}
	if leaves[0][0].DefinitionLevel() < def {
		return nil
	}
	switch t.Kind {
	case schema.Struct:
		var out []any
		for _, f := range t.Fields {
			k := countLeaves(f.Type)
			out = append(out, assemble(f.Type, leaves[:k], def, rep, true))
			leaves = leaves[k:]
		}
		return out
	case schema.Array:
		out := []any{}
		for _, part := range split(leaves, def, rep) {
			out = append(out, assemble(t.Elem, part, def+1, rep+1, true))
		}
		return out
	case schema.Map:
		out := []entry{}
		for _, part := range split(leaves, def, rep) {
			out = append(out, entry{assemble(t.Key, part[:1], def+1, rep+1, false), assemble(t.Elem, part[1:], def+1, rep+1, true)})
		}
		return out
	}
	return plain(t, leaves[0][0])
}

// split cuts the levels of the leaves of an array or map at its elements.
func split(leaves [][]pq.Value, def, rep int) (parts [][][]pq.Value) {
	if leaves[0][0].DefinitionLevel() == def {
		return nil
	}
	for l, vs := range leaves {
		n := -1
		for i, v := range vs {
			if i == 0 || v.RepetitionLevel() == rep+1 {
				if n++; l == 0 {
					parts = append(parts, make([][]pq.Value, len(leaves)))
				}
			}
			parts[n][l] = append(parts[n][l], v)
		}
	}
	return parts
}

func plain(t *schema.Type, v pq.Value) any {
	switch t.Kind {
	case schema.Boolean:
		return v.Boolean()
	case schema.TinyInt, schema.SmallInt, schema.Int, schema.Date:
		return int64(v.Int32())
	case schema.BigInt:
		return v.Int64()
	case schema.Timestamp:
		if v.Kind() == pq.Int96 {
			x := v.Int96()
			return fmt.Sprint("day ", x[2], " ns ", uint64(x[1])<<32|uint64(x[0]))
		}
		return v.Int64()
	case schema.Float:
		return float64(v.Float())
	case schema.Double:
		return v.Double()
	case schema.Decimal:
		return twosComplement(v.ByteArray()).String()
	}
	return string(v.ByteArray())
}

func twosComplement(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// same compares values; NaN cannot occur.
func same(a, b any) bool { return reflect.DeepEqual(a, b) }

// footer returns the metadata of a file.
func footer(t testing.TB, data []byte) *pq.File {
	t.Helper()
	f, err := pq.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func le64(v int64) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(v)) }
