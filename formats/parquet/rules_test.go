package parquet

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"hydrant/config"
	"hydrant/config/schema"
	"hydrant/record"
)

// refused and grows stand for a value that is not written.
type refused struct{}
type grows struct{}

// rule says what one value becomes in one column.
type rule struct {
	typ  *schema.Type
	in   string
	want any
}

var person = structOf(col("a", tInt), col("b", tString))

// openXRules are the rules for columns that were declared.
var openXRules = []rule{
	{tBigInt, `12`, int64(12)}, {tBigInt, `-9223372036854775808`, int64(-1 << 63)}, {tBigInt, `9223372036854775807`, int64(1<<63 - 1)},
	{tBigInt, `9223372036854775808`, refused{}}, {tBigInt, `1.0`, int64(1)}, {tBigInt, `1e3`, int64(1000)}, {tBigInt, `1.5`, refused{}},
	{tBigInt, `1E-1`, refused{}}, {tBigInt, `10e-1`, int64(1)}, {tBigInt, `1e400`, refused{}}, {tBigInt, `0e999999999999`, int64(0)}, {tBigInt, `-0`, int64(0)},
	{tBigInt, `"12"`, int64(12)}, {tBigInt, `"+12"`, int64(12)}, {tBigInt, `"007"`, int64(7)}, {tBigInt, `"0x1F"`, int64(31)}, {tBigInt, `"0XfF"`, int64(255)},
	{tBigInt, `"0x7fffffffffffffff"`, int64(1<<63 - 1)}, {tBigInt, `"0x8000000000000000"`, refused{}}, {tBigInt, `"0x"`, refused{}}, {tBigInt, `"0xg"`, refused{}},
	{tBigInt, `"\u0031\u0032"`, int64(12)}, {tBigInt, `""`, refused{}}, {tBigInt, `" 12"`, refused{}}, {tBigInt, `"1_2"`, refused{}}, {tBigInt, `"abc"`, refused{}},
	{tBigInt, `true`, refused{}}, {tBigInt, `{}`, refused{}}, {tBigInt, `[]`, refused{}}, {tBigInt, `[1]`, refused{}}, {tBigInt, `null`, nil},
	{tInt, `2147483647`, int64(1<<31 - 1)}, {tInt, `2147483648`, refused{}}, {tInt, `"-2147483649"`, refused{}}, {tInt, `"0xffffffff"`, refused{}},
	{tSmallInt, `-32768`, int64(-32768)}, {tSmallInt, `32768`, refused{}}, {tTinyInt, `-128`, int64(-128)}, {tTinyInt, `128`, refused{}},
	{tDouble, `1`, 1.0}, {tDouble, `-1.25e2`, -125.0}, {tDouble, `0.1`, 0.1}, {tDouble, `123456789012345678901234567890`, 123456789012345678901234567890.0},
	{tDouble, `"1.5"`, 1.5}, {tDouble, `".5"`, 0.5}, {tDouble, `"1."`, 1.0}, {tDouble, `"NaN"`, refused{}}, {tDouble, `"Infinity"`, refused{}}, {tDouble, `"-inf"`, refused{}},
	{tDouble, `"0x1p4"`, refused{}}, {tDouble, `1e309`, refused{}}, {tDouble, `1e-400`, 0.0}, {tDouble, `true`, refused{}}, {tDouble, `"1d"`, refused{}},
	{tFloat, `1.5`, 1.5}, {tFloat, `0.1`, float64(float32(0.1))}, {tFloat, `1e39`, refused{}}, {tFloat, `"3"`, 3.0},
	{tBool, `true`, true}, {tBool, `false`, false}, {tBool, `"TRUE"`, true}, {tBool, `"False"`, false}, {tBool, `"yes"`, refused{}}, {tBool, `""`, refused{}}, {tBool, `1`, refused{}},
	{tString, `"a\tb\u00e9\ud83d\ude00\"\\\/"`, "a\tbé😀\"\\/"}, {tString, `""`, ""}, {tString, `12.50`, "12.50"}, {tString, `true`, "true"}, {tString, `null`, nil},
	{tString, `{"a": [1, {"b":null}]}`, `{"a": [1, {"b":null}]}`}, {tString, `[ ]`, `[ ]`}, {tString, `"\ud800"`, "\uFFFD"}, {tString, `"\ud800x\udc00"`, "\uFFFDx\uFFFD"},
	{tBinary, `"xyz\n"`, "xyz\n"}, {tBinary, `"eHl6"`, "eHl6"}, {tBinary, `12`, refused{}}, {tBinary, `{}`, refused{}},
	{tDate, `"2024-02-29"`, int64(19782)}, {tDate, `"1969-12-31"`, int64(-1)}, {tDate, `"0001-01-01"`, int64(-719162)}, {tDate, `"2023-02-29"`, refused{}},
	{tDate, `"2024-2-9"`, refused{}}, {tDate, `"2024-02-29T00:00:00Z"`, refused{}}, {tDate, `19782`, refused{}}, {tDate, `"0000-01-01"`, refused{}}, {tDate, `""`, refused{}},
	{decimalType(5, 2), `1.5`, "150"}, {decimalType(5, 2), `-999.99`, "-99999"}, {decimalType(5, 2), `1000`, refused{}}, {decimalType(5, 2), `1.234`, refused{}},
	{decimalType(5, 2), `1.2300`, "123"}, {decimalType(5, 2), `"0012.3"`, "1230"}, {decimalType(5, 2), `1e2`, "10000"}, {decimalType(5, 2), `1e-2`, "1"}, {decimalType(5, 2), `0e50`, "0"},
	{decimalType(5, 2), `true`, refused{}}, {decimalType(5, 2), `"x"`, refused{}}, {decimalType(1, 0), `9`, "9"}, {decimalType(1, 0), `-9`, "-9"}, {decimalType(1, 0), `10`, refused{}},
	{decimalType(38, 0), `99999999999999999999999999999999999999`, strings.Repeat("9", 38)}, {decimalType(38, 38), `-0.99999999999999999999999999999999999999`, "-" + strings.Repeat("9", 38)},
	{decimalType(38, 0), `100000000000000000000000000000000000000`, refused{}}, {decimalType(38, 0), strings.Repeat("1", 60), refused{}},
	{arrayOf(tInt), `[1,null,3]`, []any{int64(1), nil, int64(3)}}, {arrayOf(tInt), `[]`, []any{}}, {arrayOf(tInt), `7`, []any{int64(7)}}, {arrayOf(tInt), `"7"`, []any{int64(7)}},
	{arrayOf(tInt), `""`, nil}, {arrayOf(tInt), `null`, nil}, {arrayOf(tInt), `{}`, refused{}}, {arrayOf(tInt), `["x"]`, refused{}}, {arrayOf(arrayOf(tInt)), `[[1],2,[]]`, []any{[]any{int64(1)}, []any{int64(2)}, []any{}}},
	{arrayOf(tString), `["a",{"b":1}]`, []any{"a", `{"b":1}`}},
	{person, `{"b":"x"}`, []any{nil, "x"}}, {person, `{}`, []any{nil, nil}}, {person, `""`, nil}, {person, `[]`, nil}, {person, `[1]`, []any{int64(1), nil}}, {person, `[1,"x"]`, []any{int64(1), "x"}},
	{person, `[1,"x",2]`, refused{}}, {person, `"x"`, refused{}}, {person, `1`, refused{}}, {person, `{"a":1,"A":2}`, refused{}}, {person, `{"c":1}`, []any{nil, nil}},
	{mapOf(tString, tInt), `{"B":1,"a":null}`, []entry{{"B", int64(1)}, {"a", nil}}}, {mapOf(tString, tInt), `{}`, []entry{}}, {mapOf(tString, tInt), `""`, nil}, {mapOf(tString, tInt), `[]`, refused{}},
	{mapOf(tString, tInt), `{"a":1,"\u0061":2}`, refused{}}, {mapOf(tString, tInt), `{"a":1,"A":2}`, []entry{{"a", int64(1)}, {"A", int64(2)}}}, {mapOf(tString, tInt), `3`, refused{}},
	{mapOf(tInt, person), `{"1":{"a":2},"02":null}`, []entry{{int64(1), []any{int64(2), nil}}, {int64(2), nil}}}, {mapOf(tInt, tInt), `{"x":1}`, refused{}}, {mapOf(tInt, tInt), `{"1":1,"01":2}`, refused{}},
}

// inferredRules are the rules where the schema was learned: what went in reads back, or the schema grows.
var inferredRules = []rule{
	{tBigInt, `12`, int64(12)}, {tBigInt, `-0`, int64(0)}, {tBigInt, `1.0`, grows{}}, {tBigInt, `1e3`, grows{}}, {tBigInt, `9223372036854775808`, grows{}}, {tBigInt, `"12"`, grows{}}, {tBigInt, `""`, grows{}},
	{tBigInt, `true`, grows{}}, {tBigInt, `[1]`, refused{}}, {tBigInt, `{"a":1}`, refused{}}, {tBigInt, `[ ]`, nil}, {tBigInt, `{}`, nil}, {tBigInt, `null`, nil},
	{tDouble, `1`, 1.0}, {tDouble, `9007199254740992`, 9007199254740992.0}, {tDouble, `9007199254740993`, grows{}}, {tDouble, `-9007199254740993`, grows{}}, {tDouble, `9007199254740994`, 9007199254740994.0},
	{tDouble, `9223372036854775807`, grows{}}, {tDouble, `-9223372036854775808`, -9223372036854775808.0}, {tDouble, `9223372036854775808`, grows{}}, {tDouble, `1e400`, grows{}}, {tDouble, `"1"`, grows{}},
	{tDouble, `0.1`, 0.1}, {tDouble, `false`, grows{}}, {tDouble, `[]`, nil},
	{tBool, `true`, true}, {tBool, `"true"`, grows{}}, {tBool, `1`, grows{}}, {tBool, `{"a":2}`, refused{}},
	{tString, `1.50`, "1.50"}, {tString, `true`, "true"}, {tString, `{"a": 1}`, `{"a": 1}`}, {tString, `[]`, `[]`}, {tString, `"x"`, "x"},
	{arrayOf(tBigInt), `1`, refused{}}, {arrayOf(tBigInt), `""`, refused{}}, {arrayOf(tBigInt), `{"a":1}`, refused{}}, {arrayOf(tBigInt), `{}`, nil}, {arrayOf(tBigInt), `[1.5]`, grows{}}, {arrayOf(tBigInt), `[[1]]`, refused{}},
	{person, `[]`, nil}, {person, `[[null,{}]]`, nil}, {tBool, `{"a":null}`, nil}, {person, `[1]`, refused{}}, {person, `""`, refused{}}, {person, `"x"`, refused{}}, {person, `{"c":1}`, grows{}}, {person, `{"c":null,"d":{},"e":[{"f":null}]}`, []any{nil, nil}},
}

func TestOpenXRules(t *testing.T) {
	for _, r := range openXRules {
		checkRule(t, r, Options{})
	}
}

func TestInferredRules(t *testing.T) {
	for _, r := range inferredRules {
		checkRule(t, r, Options{Growing: true})
		if r.want == (any)(grows{}) {
			r.want = refused{} // the second time, with the wider schema
		}
		checkRule(t, r, Options{Inferred: true})
	}
}

// checkRule writes the value between two others, which must not change.
func checkRule(t *testing.T, r rule, o Options) {
	t.Helper()
	o.Columns = []schema.Column{col("n", tBigInt), col("v", r.typ)}
	for _, indent := range []string{"", " \n\t"} {
		in := strings.ReplaceAll(`{"n":2,"v":@VALUE@}`, "@", indent)
		w := write(t, o, `{"n":1}`, strings.Replace(in, "VALUE", r.in, 1), `{"n":3}`)
		name := fmt.Sprintf("%s in %s", r.in, kindName(r.typ))
		rows := read(t, w.data, o.Columns)
		var failure *record.Failure
		switch err := w.errs[1]; r.want {
		case refused{}:
			if !errors.As(err, &failure) || failure.Code != codeMalformed || failure.Type != record.ConversionFailed || !strings.Contains(failure.Message, `column "v`) && !strings.Contains(failure.Message, "key") {
				t.Errorf("%s: %v", name, err)
			}
		case grows{}:
			if !errors.Is(err, ErrGrow) {
				t.Errorf("%s: %v", name, err)
			}
		default:
			if err != nil || len(rows) != 3 || !same(rows[1], []any{int64(2), r.want}) {
				t.Errorf("%s: %v, rows %v, want %v", name, err, rows, r.want)
				continue
			}
			rows = append(rows[:1], rows[2:]...)
		}
		if !same(rows, [][]any{{int64(1), nil}, {int64(3), nil}}) {
			t.Errorf("%s: its neighbours are %v", name, rows)
		}
	}
}

func TestTimestamps(t *testing.T) {
	const day = 86400
	for _, c := range []struct {
		in   string
		sec  int64 // of 1970; 0 means refused
		nano int64
	}{
		{`"2020-02-29T12:34:56Z"`, 1582979696, 0}, {`"2020-02-29T12:34:56.7Z"`, 1582979696, 700000000}, {`"2020-02-29T12:34:56.123456789Z"`, 1582979696, 123456789},
		{`"2020-02-29T12:34:56.1234567890Z"`, 0, 0}, {`"2020-02-29T14:34:56+02:00"`, 1582979696, 0}, {`"2020-02-29T14:34:56+0200"`, 1582979696, 0}, {`"2020-02-29T11:04:56.5-01:30"`, 1582979696, 5e8},
		{`"2020-02-29 12:34:56"`, 1582979696, 0}, {`"2020-2-29 12:34:56.25"`, 1582979696, 25e7}, {`"2020-02-29T12:34:56"`, 1582979696, 0}, {`"2020-02-29T12:34:56.Z"`, 0, 0},
		{`"2020-02-30T12:34:56Z"`, 0, 0}, {`"2020-02-29T24:00:00Z"`, 0, 0}, {`"2020-02-29T12:60:00Z"`, 0, 0}, {`"2020-02-29T12:34:60Z"`, 0, 0}, {`"2020-13-01T12:34:56Z"`, 0, 0},
		{`"2020-02-29"`, 0, 0}, {`"2020-02-29T12:34Z"`, 0, 0}, {`"2020-02-29T12:34:56z"`, 0, 0}, {`"2020-02-29T12:34:56+25:00"`, 0, 0}, {`"now"`, 0, 0}, {`""`, 0, 0}, {`true`, 0, 0}, {`{}`, 0, 0},
		{`1582979696`, 1582979696, 0}, {`"1582979696"`, 1582979696, 0}, {`1582979696789`, 1582979696, 789e6}, {`"1582979696789"`, 1582979696, 789e6}, {`-1582979696789`, -1582979697, 211e6},
		{`1582979696.25`, 1582979696, 25e7}, {`"1582979696.25"`, 1582979696, 25e7}, {`1.58297969625e9`, 1582979696, 25e7}, {`-1.5`, -2, 5e8}, {`1582979696.1234567891`, 1582979696, 123456789},
		{`253402300800`, 0, 0}, {`1e300`, 0, 0}, {`99999999999999999`, 0, 0}, {`"NaN"`, 0, 0}, {`-0.000000001`, -1, 999999999},
	} {
		for unit, want := range map[string]any{
			"millis": c.sec*1000 + c.nano/1e6, "micros": c.sec*1e6 + c.nano/1e3, "nanos": c.sec*1e9 + c.nano,
			"int96": fmt.Sprint("day ", 2440588+floorDiv(c.sec, day), " ns ", (c.sec-day*floorDiv(c.sec, day))*1e9+c.nano),
		} {
			o := Options{Columns: []schema.Column{col("t", arrayOf(tTime))}, Config: config.Parquet{Timestamps: unit}}
			w := write(t, o, `{"t":[`+c.in+`]}`)
			rows := read(t, w.data, o.Columns)
			if refuse := c.sec == 0; refuse != (w.errs[0] != nil) || !refuse && !same(rows, [][]any{{[]any{want}}}) {
				t.Errorf("%s as %s: %v, %v, want %v", c.in, unit, w.errs[0], rows, want)
			}
		}
	}
}

func TestNanosecondsHaveARange(t *testing.T) {
	o := Options{Columns: []schema.Column{col("t", tTime)}, Config: config.Parquet{Timestamps: "nanos"}}
	w := write(t, o, `{"t":"2262-04-11T23:47:16Z"}`, `{"t":"2263-01-01T00:00:00Z"}`, `{"t":"1600-01-01T00:00:00Z"}`)
	if w.errs[0] != nil || w.errs[1] == nil || w.errs[2] == nil {
		t.Error(w.errs)
	}
}

func TestTimestampFormats(t *testing.T) {
	o := Options{Columns: []schema.Column{col("t", tTime)}, Config: config.Parquet{JSON: config.JSONReading{TimestampFormats: []string{"yyyy/MM/dd HH:mm", "millis"}}}}
	w := write(t, o, `{"t":"2020/02/29 12:34"}`, `{"t":1582979640000}`, `{"t":"1582979640000"}`, `{"t":12}`, `{"t":"2020-02-29T12:34:00Z"}`, `{"t":1.5}`)
	want := [][]any{{int64(1582979640000)}, {int64(1582979640000)}, {int64(1582979640000)}, {int64(12)}}
	if rows := read(t, w.data, o.Columns); !same(rows, want) || w.errs[4] == nil || w.errs[5] == nil {
		t.Errorf("%v %v", rows, w.errs)
	}
	o.Config.JSON.TimestampFormats = []string{"no such letters {"}
	if _, err := New(&strings.Builder{}, o); err == nil {
		t.Error("a pattern that cannot be read was taken")
	}
}

func TestRecordsAndRows(t *testing.T) {
	o := Options{Columns: []schema.Column{col("a", tInt)}}
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	for _, c := range []struct {
		in   string
		rows int
		code string
	}{
		{`{"a":1}`, 1, ""}, {` {"a":1}{"a":2}` + "\n\t" + `{"a":3} `, 3, ""}, {`[{"a":1}, {"a":2}]`, 2, ""}, {`[{"a":1}]{"a":2}`, 2, ""}, {`{}`, 1, ""}, {`[] {"a":1}`, 1, ""},
		{``, 0, codeMalformed}, {" \n", 0, codeMalformed}, {`[]`, 0, codeMalformed}, {`null`, 0, codeMalformed}, {`1`, 0, codeMalformed}, {`"x"`, 0, codeMalformed},
		{`{"a":1} 2`, 0, codeMalformed}, {`[{"a":1},2]`, 0, codeMalformed}, {`[[{"a":1}]]`, 0, codeMalformed}, {`{"a":1},{"a":2}`, 0, codeParse}, {`{"a":1}]`, 0, codeParse},
		{`{"a":1`, 0, codeParse}, {`{"a":1}{`, 0, codeParse}, {`{"a":01}`, 0, codeParse}, {`{"a":1.}`, 0, codeParse}, {`{"a":.5}`, 0, codeParse}, {`{"a":+1}`, 0, codeParse}, {`{"a":nul}`, 0, codeParse},
		{`{"a":"x","b":tru}`, 0, codeParse}, {`{"a" 1}`, 0, codeParse}, {`{a:1}`, 0, codeParse}, {`{"a":1,}`, 0, codeParse}, {`{,}`, 0, codeParse}, {"{\"b\":\"\n\"}", 0, codeParse},
		{`{"b":"\x"}`, 0, codeParse}, {`{"b":"\u12g4"}`, 0, codeParse}, {"{\"b\":\"\xff\"}", 0, codeParse}, {"{\"b\":\"\xed\xa0\x80\"}", 0, codeParse}, {"\ufeff{}", 0, codeParse}, {`{"a":NaN}`, 0, codeParse},
		{`{"b":` + deep + `}`, 0, codeParse}, {`{"b":` + deep[1:len(deep)-1] + `}`, 1, ""}, {`[` + `{"b":` + deep[1:len(deep)-1] + `}]`, 0, codeParse},
		{`{"a":1e5000000000000}`, 0, codeMalformed}, {`{"b":` + strings.Repeat("[", 1_000_000) + `}`, 0, codeParse},
	} {
		w := write(t, o, c.in)
		var failure *record.Failure
		if c.code == "" && w.errs[0] != nil || c.code != "" && (!errors.As(w.errs[0], &failure) || failure.Code != c.code) || int(w.rows) != c.rows {
			t.Errorf("%.40s: %d rows, %v; want %d, %s", c.in, w.rows, w.errs[0], c.rows, c.code)
		}
	}
}

func TestKeys(t *testing.T) {
	cols := []schema.Column{col("Plain", tInt), col("mapped", tInt), col("a_b", tInt), col("s", structOf(col("mapped", tInt), col("x", tInt)))}
	keys := map[string]string{"mapped": "Some.Key"}
	for _, c := range []struct {
		reading config.JSONReading
		in      string
		want    []any // nil: refused
	}{
		{config.JSONReading{}, `{"PLAIN":1,"A_B":2,"\u0073":{"X":3}}`, []any{int64(1), nil, int64(2), []any{nil, int64(3)}}},
		{config.JSONReading{}, `{"plain":1,"Plain":2}`, nil}, {config.JSONReading{}, `{"plain":1,"pl\u0061in":2}`, nil},
		{config.JSONReading{CaseSensitive: true}, `{"Plain":1,"plain":2,"PLAIN":3}`, []any{int64(1), nil, nil, nil}},
		{config.JSONReading{}, `{"a.b":1}`, []any{nil, nil, nil, nil}}, {config.JSONReading{DotsToUnderscores: true}, `{"A.b":1}`, []any{nil, nil, int64(1), nil}},
		{config.JSONReading{DotsToUnderscores: true}, `{"a.b":1,"a_b":2}`, nil},
		{config.JSONReading{Keys: keys}, `{"some.key":1,"s":{"SOME.KEY":2}}`, []any{nil, int64(1), nil, []any{int64(2), nil}}},
		{config.JSONReading{Keys: keys}, `{"mapped":1}`, []any{nil, nil, nil, nil}}, {config.JSONReading{Keys: keys, DotsToUnderscores: true}, `{"some.key":1,"some_key":2}`, []any{nil, int64(1), nil, nil}},
		{config.JSONReading{Keys: keys, CaseSensitive: true}, `{"some.key":1,"Some.Key":2}`, []any{nil, int64(2), nil, nil}},
	} {
		o := Options{Columns: cols, Config: config.Parquet{JSON: c.reading}}
		w := write(t, o, c.in, c.in)
		rows := read(t, w.data, cols)
		if c.want == nil && (w.errs[0] == nil || len(rows) != 0) || c.want != nil && !same(rows, [][]any{c.want, c.want}) {
			t.Errorf("%+v %s: %v %v, want %v", c.reading, c.in, rows, w.errs[0], c.want)
		}
	}
}

func TestUnknownKeys(t *testing.T) {
	cols := []schema.Column{col("a", tInt)}
	long := strings.Repeat("k", schema.MaxNameBytes+1)
	for _, c := range []struct {
		in                string
		drop, error, grow any
	}{
		{`{"a":1,"x":{"y":[1]}}`, nil, refused{}, grows{}}, {`{"x":"","a":1}`, nil, refused{}, grows{}}, {`{"x":null}`, nil, refused{}, nil}, {`{"x":{}}`, nil, refused{}, nil}, {`{"x":[[],{"y":null}]}`, nil, refused{}, nil},
		{`{"":1}`, nil, refused{}, nil}, {`{"` + long + `":1}`, nil, refused{}, nil}, {`{"x":1,"a":"no"}`, refused{}, refused{}, grows{}}, {`{"x":1,"a":`, refused{}, refused{}, refused{}},
	} {
		for mode, want := range map[string]any{"drop": c.drop, "error": c.error, "grow": c.grow} {
			o := Options{Columns: cols, Growing: mode == "grow"}
			if mode != "grow" {
				o.Config.Unknown = mode
			}
			err := write(t, o, c.in).errs[0]
			var failure *record.Failure
			if ok := want == nil && err == nil || want == (any)(grows{}) && errors.Is(err, ErrGrow) || want == (any)(refused{}) && errors.As(err, &failure); !ok {
				t.Errorf("%.30s, %s: %v, want %T", c.in, mode, err, want)
			}
		}
	}
}

func TestFirstOfDuplicates(t *testing.T) {
	o := Options{Columns: []schema.Column{col("a", tInt), col("m", mapOf(tString, tInt))}, Config: config.Parquet{Duplicates: "first"}}
	many := `{"m":{`
	want := []entry{}
	for i := range 3 * manyKeys {
		many += fmt.Sprintf(`"k%d":%d,`, i, i)
		want = append(want, entry{fmt.Sprint("k", i), int64(i)})
	}
	many += `"k3":0,"k40":[{"not":"looked at"}]}}`
	w := write(t, o, `{"a":1,"A":"x","m":{"k":1,"k":2,"l":3}}`, many)
	if rows := read(t, w.data, o.Columns); !same(rows, [][]any{{int64(1), []entry{{"k", int64(1)}, {"l", int64(3)}}}, {nil, want}}) {
		t.Errorf("%v %v", rows, w.errs)
	}
	o.Config.Duplicates = ""
	if w := write(t, o, many); w.errs[0] == nil {
		t.Error("a key that stands in a large map twice was taken")
	}
}

func TestMessages(t *testing.T) {
	o := Options{Columns: []schema.Column{col("user", structOf(col("tags", arrayOf(tInt)))), col("m", mapOf(tInt, tInt)), col("d", decimalType(5, 2))}}
	for in, want := range map[string]string{
		`{"user":{"tags":[1,"x"]}}`:               `column "user.tags[]": the string "x" does not fit int`,
		`{"user":{"tags":{}}}`:                    `column "user.tags": an object does not fit array`,
		`{"m":{"x":1}}`:                           `column "m{key}": the string "x" does not fit int`,
		`{"m":{"1":true}}`:                        `column "m{}": the boolean true does not fit int`,
		`{"d":1.234}`:                             `column "d": the number 1.234 does not fit decimal(5,2)`,
		`{"d":1,"D":2}`:                           `column "d": its key stands in an object twice`,
		`{"d":"` + strings.Repeat("é", 50) + `"}`: `column "d": the string "` + strings.Repeat("é", 18) + `… does not fit decimal(5,2)`,
		`{"d":1,`:                                 `the record is not JSON at byte 7`,
		`7`:                                       `the record holds the number 7 where a JSON object is wanted`,
		` `:                                       `the record holds no JSON object`,
	} {
		var failure *record.Failure
		if err := write(t, o, in).errs[0]; !errors.As(err, &failure) || failure.Message != want {
			t.Errorf("%s\n got %v\nwant %s", in, err, want)
		}
	}
}
