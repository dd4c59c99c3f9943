package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	pq "github.com/parquet-go/parquet-go"
	"go.uber.org/goleak"

	"hydrant/config"
	"hydrant/config/schema"
	"hydrant/record"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFileWithoutRows(t *testing.T) {
	o := Options{Columns: fuzzColumns(), Metadata: map[string]string{"b": "2", "a": "1"}}
	w := write(t, o, `{"l":"no"}`)
	f := footer(t, w.data)
	md := f.Metadata()
	if f.NumRows() != 0 || len(md.RowGroups) != 0 || md.CreatedBy != "hydrant" || len(md.KeyValueMetadata) != 2 || md.KeyValueMetadata[0].Key != "a" {
		t.Errorf("%+v", md)
	}
}

// Nothing was learned, because no record said anything: all are set aside.
func TestInferredWithoutColumns(t *testing.T) {
	w := write(t, Options{Inferred: true}, `{}`, `{"a":null}`, `{`)
	for _, err := range w.errs {
		var failure *record.Failure
		if !errors.As(err, &failure) {
			t.Error(err)
		}
	}
	if err := write(t, Options{Growing: true}, `{}`).errs[0]; !errors.Is(err, ErrGrow) || w.rows != 0 {
		t.Error(err, w.rows)
	}
}

func TestWhatNewRefuses(t *testing.T) {
	one := []schema.Column{col("a", tInt)}
	for name, o := range map[string]Options{
		"no columns": {}, "no type": {Columns: []schema.Column{{Name: "a"}}}, "no name": {Columns: []schema.Column{col("", tInt)}}, "the same name": {Columns: []schema.Column{col("a", tInt), col("A", tInt)}},
		"an empty struct": {Columns: []schema.Column{col("a", structOf())}}, "a decimal": {Columns: []schema.Column{col("a", decimalType(39, 0))}}, "a key": {Columns: []schema.Column{col("a", mapOf(arrayOf(tInt), tInt))}},
		"a kind": {Columns: []schema.Column{col("a", scalarType(99))}}, "the compression": {Columns: one, Config: config.Parquet{Compression: "lzo"}}, "the writer": {Columns: one, Config: config.Parquet{Writer: "v3"}},
		"the dictionary": {Columns: one, Config: config.Parquet{Dictionary: "yes"}}, "the unit": {Columns: one, Config: config.Parquet{Timestamps: "days"}}, "unknown": {Columns: one, Config: config.Parquet{Unknown: "x"}},
		"duplicates": {Columns: one, Config: config.Parquet{Duplicates: "last"}},
	} {
		if _, err := New(io.Discard, o); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	o := Options{Columns: []schema.Column{col("a", tInt), col("A", tInt)}, Config: config.Parquet{JSON: config.JSONReading{CaseSensitive: true}}}
	if w := write(t, o, `{"a":1,"A":2}`); !same(read(t, w.data, o.Columns), [][]any{{int64(1), int64(2)}}) {
		t.Error("columns that differ in case")
	}
}

func TestDeepSchema(t *testing.T) {
	typ, in := tInt, "1"
	var want any = int64(1)
	for i := range schema.MaxDepth - 1 {
		switch i % 3 {
		case 0:
			typ, in, want = arrayOf(typ), "["+in+"]", []any{want}
		case 1:
			typ, in, want = structOf(col("s", typ)), `{"s":`+in+"}", []any{want}
		case 2:
			typ, in, want = mapOf(tString, typ), `{"k":`+in+"}", []entry{{"k", want}}
		}
	}
	o := Options{Columns: []schema.Column{col("a", typ)}}
	w := write(t, o, `{"a":`+in+`}`)
	if rows := read(t, w.data, o.Columns); w.errs[0] != nil || !same(rows, [][]any{{want}}) {
		t.Error(w.errs, rows)
	}
}

// The same records give the same bytes, whatever failed between them.
func TestSameRecordsSameBytes(t *testing.T) {
	var good, mixed []string
	for i, r := range flatRecords(3000) {
		good, mixed = append(good, string(r)), append(mixed, string(r))
		if i%7 == 0 {
			mixed = append(mixed, string(r[:len(r)/2]), `{"level":"only","user_id":"x"}`, string(r)+`{"status":"y"}`)
		}
	}
	for _, dictionary := range []string{"auto", "on", "off"} {
		o := Options{Columns: flatColumns(), Config: config.Parquet{Dictionary: dictionary, PageSize: 8 << 10}}
		a, b := write(t, o, good...), write(t, o, mixed...)
		if !bytes.Equal(a.data, b.data) {
			t.Errorf("dictionary %s: records that failed left something behind", dictionary)
		}
		if c := write(t, o, good...); !bytes.Equal(a.data, c.data) {
			t.Errorf("dictionary %s: the same records gave other bytes", dictionary)
		}
	}
}

// Every kind of page and many row groups, against the values that went in.
func TestPagesAndRowGroups(t *testing.T) {
	cols := []schema.Column{col("few", tString), col("many", tString), col("n", tBigInt), col("l", arrayOf(tInt)), col("never", tDouble), col("b", tBool), col("flip", tString)}
	records := make([]string, 12_000)
	want := make([][]any, len(records))
	pad := strings.Repeat("x", 200)
	for i := range records {
		row := []any{fmt.Sprint("v", i%5), fmt.Sprint(pad, i), int64(i / 100), []any{}, nil, i%3 == 0, nil}
		list := ""
		for j := range i % 4 {
			row[3] = append(row[3].([]any), int64(j))
			list += fmt.Sprint(",", j)
		}
		if i > 6000 { // a dictionary that is given up
			row[6] = fmt.Sprint(pad, pad, i)
		} else {
			row[6] = "same"
		}
		records[i] = fmt.Sprintf(`{"few":"%v","many":"%v","n":%v,"l":[%s],"b":%v,"flip":"%v"}`, row[0], row[1], row[2], strings.TrimPrefix(list, ","), row[5], row[6])
		want[i] = row
	}
	for _, writer := range []string{"v1", "v2"} {
		for _, dictionary := range []string{"auto", "on"} {
			o := Options{Columns: cols, Config: config.Parquet{Writer: writer, Dictionary: dictionary, PageSize: 4 << 10, RowGroupSize: 2 << 20}}
			w := write(t, o, records...)
			if got := read(t, w.data, cols); !same(got, want) {
				t.Fatalf("%s, dictionary %s: values differ", writer, dictionary)
			}
			checkLayout(t, footer(t, w.data), dictionary)
		}
	}
}

func checkLayout(t *testing.T, f *pq.File, dictionary string) {
	t.Helper()
	md := f.Metadata()
	if len(md.RowGroups) < 2 || len(f.ColumnIndexes()) == 0 || len(f.OffsetIndexes()) != len(md.RowGroups)*7 {
		t.Errorf("%d row groups, %d offset indexes", len(md.RowGroups), len(f.OffsetIndexes()))
	}
	c := md.RowGroups[0].Columns
	if c[0].MetaData.DictionaryPageOffset == 0 || dictionary == "auto" && c[1].MetaData.DictionaryPageOffset != 0 {
		t.Errorf("dictionary %s: pages at %d and %d", dictionary, c[0].MetaData.DictionaryPageOffset, c[1].MetaData.DictionaryPageOffset)
	}
	if s := c[2].MetaData.Statistics; !bytes.Equal(s.MinValue, le64(0)) || s.NullCount != 0 {
		t.Errorf("statistics %+v", s)
	}
	if s := c[4].MetaData.Statistics; s.MinValue != nil || s.NullCount != md.RowGroups[0].NumRows {
		t.Errorf("statistics of nulls %+v", s)
	}
	if s := c[1].MetaData.Statistics; s.MinValue != nil || s.MaxValue != nil {
		t.Errorf("bounds that are shortened stand in the column chunk: %+v", s)
	}
	if pages := len(f.OffsetIndexes()[1].PageLocations); pages < 10 {
		t.Errorf("%d pages", pages)
	}
}

func TestBounds(t *testing.T) {
	for _, c := range []struct {
		typ      *schema.Type
		in       string
		min, max string // as bytes
	}{
		{tBigInt, `[5,-3,null,7]`, string(le64(-3)), string(le64(7))}, {tInt, `[-1]`, "\xff\xff\xff\xff", "\xff\xff\xff\xff"}, {tBool, `[true,false]`, "\x00", "\x01"},
		{tString, `["b","ab","","ä"]`, "", "ä"}, {decimalType(3, 0), `[5,-3,120]`, "\xff\xfd", "\x00\x78"},
		{tDouble, `[0.0]`, string(le64(-1 << 63)), string(le64(0))}, {tDouble, `[-0.0]`, string(le64(-1 << 63)), string(le64(0))},
	} {
		o := Options{Columns: []schema.Column{col("a", arrayOf(c.typ))}}
		w := write(t, o, `{"a":`+c.in+`}`)
		s := footer(t, w.data).Metadata().RowGroups[0].Columns[0].MetaData.Statistics
		if string(s.MinValue) != c.min || string(s.MaxValue) != c.max || s.MinValue == nil && c.min != "" {
			t.Errorf("%s: %x %x", c.in, s.MinValue, s.MaxValue)
		}
	}
}

// Shortened bounds enclose what they stand for, and stay text.
func FuzzShortenedBounds(f *testing.F) {
	f.Add("aaa"+strings.Repeat("x", 100), strings.Repeat("\U0010ffff", 30), true)
	f.Add(strings.Repeat("é", 60), strings.Repeat("\ud7ff", 60), true)
	f.Add(strings.Repeat("\xff", 100), strings.Repeat("\xff", 100), false)
	f.Fuzz(func(t *testing.T, a, b string, text bool) {
		if text && (!utf8.ValidString(a) || !utf8.ValidString(b)) {
			return
		}
		lo, hi := min(a, b), max(a, b)
		s := bounds{[]byte(lo), []byte(hi), true}.shortened(text)
		if !s.ok {
			return
		}
		if string(s.min) > lo || string(s.max) < hi || len(s.min) > maxBoundBytes || len(s.max) > maxBoundBytes+4 {
			t.Fatalf("%q to %q became %q to %q", lo, hi, s.min, s.max)
		}
		if text && (!utf8.Valid(s.min) || !utf8.Valid(s.max)) {
			t.Fatalf("%q %q", s.min, s.max)
		}
	})
}

func TestHybridAgainstTheReader(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var h hybrid
		h.width = 1 + r.IntN(20)
		var want []uint32
		for len(want) < 1+r.IntN(200) {
			v, n := r.Uint32N(1<<h.width), 1+r.IntN(1+r.IntN(30))
			h.run(v, int64(n))
			for range n {
				want = append(want, v)
			}
		}
		h.pack()
		if got := decodeHybrid(h.dst, h.width, len(want)); !same(got, want) {
			t.Fatalf("width %d: %v became %v", h.width, want, got)
		}
	}
}

// decodeHybrid is written bit by bit from the format's description.
func decodeHybrid(b []byte, width, n int) (out []uint32) {
	for len(out) < n {
		header, size := uint64(0), 0
		for shift := 0; ; shift += 7 {
			c := b[size]
			size++
			header |= uint64(c&0x7f) << shift
			if c < 0x80 {
				break
			}
		}
		b = b[size:]
		if header&1 == 0 {
			v, bytes := uint32(0), (width+7)/8
			for i := range bytes {
				v |= uint32(b[i]) << (8 * i)
			}
			b = b[bytes:]
			for range header >> 1 {
				out = append(out, v)
			}
			continue
		}
		count := int(header>>1) * 8
		for i := range count {
			v := uint32(0)
			for bit := range width {
				at := i*width + bit
				v |= uint32(b[at/8]>>(at%8)&1) << bit
			}
			out = append(out, v)
		}
		b = b[count*width/8:]
	}
	return out[:n]
}

// failingWriter fails at the n-th byte.
type failingWriter struct{ left int }

var errDisk = errors.New("disk full")

func (w *failingWriter) Write(b []byte) (int, error) {
	if len(b) > w.left {
		n := w.left
		w.left = 0
		return n, errDisk
	}
	w.left -= len(b)
	return len(b), nil
}

func TestWriterErrorsAreFinal(t *testing.T) {
	records := flatRecords(3000)
	for _, left := range []int{0, 3, 4, 100, 10_000, 200_000} {
		e, err := New(&failingWriter{left}, Options{Columns: flatColumns(), Config: config.Parquet{RowGroupSize: 1 << 20}})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			if err = e.Write(r); err != nil {
				break
			}
		}
		if end := e.Close(); !errors.Is(end, errDisk) || err != nil && !errors.Is(err, errDisk) || !errors.Is(e.Write(records[0]), errDisk) {
			t.Errorf("%d bytes: %v, %v", left, err, end)
		}
	}
}

func TestClosedEncoderRefuses(t *testing.T) {
	e, _ := New(io.Discard, Options{Columns: flatColumns()})
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e.Write([]byte(`{}`)) == nil || e.Close() == nil {
		t.Error("a closed encoder went on")
	}
}

// Memory stays bounded however large the file: pages and row groups go out as they fill.
func TestMemoryIsBounded(t *testing.T) {
	records := flatRecords(2000)
	e, err := New(io.Discard, Options{Columns: flatColumns(), Config: config.Parquet{RowGroupSize: 4 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	fill := func(n int) {
		for range n {
			for _, r := range records {
				if err := e.Write(r); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	fill(8)
	before := heap()
	fill(40)
	if after := heap(); after > before+4<<20 {
		t.Errorf("%d bytes became %d", before, after)
	}
}

// Rows that say nothing in a file of many columns cost neither memory nor time per column.
func TestManyColumnsOfNulls(t *testing.T) {
	cols := make([]schema.Column, 1000)
	for i := range cols {
		cols[i] = col(fmt.Sprint("c", i), tString)
	}
	record := strings.Repeat("{}", 50_000)
	w := write(t, Options{Columns: cols}, record, record, record, `{"c7":"x"}`+record)
	f := footer(t, w.data)
	if w.rows != 200_001 || len(w.data) > 500_000 {
		t.Errorf("%d rows in %d bytes", w.rows, len(w.data))
	}
	if s := f.Metadata().RowGroups[0].Columns[7].MetaData.Statistics; s.NullCount != 200_000 {
		t.Errorf("statistics %+v", s)
	}
}

func TestHugeRecords(t *testing.T) {
	o := Options{Columns: []schema.Column{col("s", tString), col("a", arrayOf(tInt))}}
	text := strings.Repeat("ä", 500_000)
	w := write(t, o, `{"s":"`+text+`"}`, `{"a":[1`+strings.Repeat(",1", 2_000_000)+`]}`, `{"s":"b"}`)
	rows := read(t, w.data, o.Columns)
	if len(rows) != 3 || rows[0][0] != text || len(rows[1][1].([]any)) != 2_000_001 || rows[2][0] != "b" {
		t.Error(w.errs)
	}
}

// Writing allocates nothing per record once the buffers have grown.
func TestNoAllocationsPerRecord(t *testing.T) {
	records := nestedRecords(500)
	e, err := New(io.Discard, Options{Columns: nestedColumns()})
	if err != nil {
		t.Fatal(err)
	}
	write := func() {
		for _, r := range records {
			if err := e.Write(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	write()
	if n := testing.AllocsPerRun(10, write); n > 200 {
		t.Errorf("%v allocations for %d records", n, len(records))
	}
}

func TestLogicalTypes(t *testing.T) {
	o := Options{Columns: append(fuzzColumns(), col("tiny", tTinyInt), col("i96", tTime)), Config: config.Parquet{Timestamps: "micros"}}
	w := write(t, o, fuzzSeeds[0])
	got := ""
	for _, el := range footer(t, w.data).Metadata().Schema {
		got += fmt.Sprintf("%s %v %v %v\n", el.Name, el.Type, el.ConvertedType, el.LogicalType.Value)
	}
	for _, want := range []string{"s {BYTE_ARRAY true} {", "l {INT64 true} {0 false}", "t {INT64 true} {10 true} TIMESTAMP(isAdjustedToUTC=false,unit=MICROS)", "p {FIXED_LEN_BYTE_ARRAY true} {5 true} DECIMAL(9,2)", "tiny {INT32 true} {15 true} INT(8,true)", "key_value"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// A mistake of ours sets a record aside, or ends the file; never the process.
func TestPanicsStayInside(t *testing.T) {
	var buf bytes.Buffer
	e, err := New(&buf, Options{Columns: []schema.Column{col("n", tInt), col("t", tTime)}})
	if err != nil {
		t.Fatal(err)
	}
	e.opts.times = timeParsers{func(s []byte) (moment, bool) { panic("no such time") }}
	for _, r := range []string{`{"n":1}`, `{"n":2,"t":"x"}`, `{"n":3}`} {
		err := e.Write([]byte(r))
		var failure *record.Failure
		if strings.Contains(r, "t\"") != errors.As(err, &failure) {
			t.Errorf("%s: %v", r, err)
		}
	}
	e.cols[0].order = orderInt64 // more bytes than there are
	e.cols[0].width = 9
	e.opts.dictionary = dictionaryOn
	if err := e.Close(); err == nil || e.Write([]byte(`{}`)) == nil {
		t.Error("a file that could not be written was ended well")
	}
}
