package infer

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"hydrant/config/schema"
)

// columns parses the body of a struct.
func columns(t testing.TB, s string) []schema.Column {
	t.Helper()
	if s == "" {
		return nil
	}
	typ, err := schema.Parse("struct<" + s + ">")
	if err != nil {
		t.Fatal(err)
	}
	return typ.Fields
}

// body prints columns as the body of a struct.
func body(cols []schema.Column) string {
	s := (&schema.Type{Kind: schema.Struct, Fields: cols}).String()
	return s[len("struct<") : len(s)-1]
}

func learned(l *Learner) string {
	cols, _, _ := l.Columns()
	return body(cols)
}

// learn adds records, one a line. A line that begins with "!" must be refused, all others taken.
func learn(t testing.TB, l *Learner, lines string) {
	t.Helper()
	for line := range strings.SplitSeq(lines, "\n") {
		rec, refused := strings.CutPrefix(line, "!")
		if got := l.Add([]byte(rec)); got == refused {
			t.Errorf("%q: taken %v, with the columns %s", rec, got, learned(l))
		}
	}
}

func TestOneValue(t *testing.T) {
	long := strings.Repeat("9", 400)
	for value, want := range map[string]string{
		"null": "", "{}": "", "[ ]": "", "[null]": "", "[[],{},null]": "", `{"x":null}`: "", `{"x":{"y":[null]}}`: "", `[{"x":[]}]`: "",
		"true": "boolean", "false": "boolean", `"x"`: "string", `"12"`: "string", `"2026-01-01T00:00:00Z"`: "string", `""`: "string",
		"0": "bigint", "-0": "bigint", "12": "bigint", "9223372036854775807": "bigint", "-9223372036854775808": "bigint",
		"9223372036854775808": "string", "-9223372036854775809": "string", "99999999999999999999999999999999999999": "string", long: "string",
		"0.0": "double", "1.5": "double", "1e3": "double", "-1E-3": "double", "1e308": "double", "1e309": "string", "-1e400": "string", "1e-999": "double",
		long + ".5": "string", "0." + long: "double", "12345678901234567890.5": "double",
		"[1]": "array<bigint>", "[1,2.5]": "array<double>", `[null,1,"x"]`: "array<string>", "[[],[true]]": "array<array<boolean>>",
		`[{"x":1},{"y":"z"},{},null]`: "array<struct<x:bigint,y:string>>", `{"x":1,"y":{"z":[0.5]}}`: "struct<x:bigint,y:struct<z:array<double>>>",
		"[9007199254740993]": "array<bigint>", "[9007199254740993,0.5]": "array<string>", "[9007199254740992,0.5]": "array<double>",
	} {
		if want != "" {
			want = "a:" + want
		}
		l := NewLearner(nil, Limits{})
		for _, rec := range []string{`{"a":` + value + `}`, " {\n\"a\" :\t" + value + "} ", `[{"a":` + value + `}]`} {
			if !l.Add([]byte(rec)) || learned(l) != want {
				t.Errorf("%.80s gives %s, want %s", rec, learned(l), want)
			}
		}
	}
}

// TestTable is the table of the package comment: a column of each type, then a value of each.
func TestTable(t *testing.T) {
	values := []string{"1", "1.5", "true", `"x"`, `{"x":1}`, `[1]`}
	rows := map[string][]string{
		"bigint":           {"bigint", "double", "string", "string", "", ""},
		"double":           {"double", "double", "string", "string", "", ""},
		"boolean":          {"string", "string", "boolean", "string", "", ""},
		"string":           {"string", "string", "string", "string", "string", "string"},
		"struct<x:bigint>": {"", "", "", "", "struct<x:bigint>", ""},
		"array<bigint>":    {"", "", "", "", "", "array<bigint>"},
	}
	for was, row := range rows {
		for i, want := range row {
			base := columns(t, "a:"+was)
			l := NewLearner(base, Limits{})
			taken := l.Add([]byte(`{"b":1,"a":` + values[i] + `}`))
			cols, added, retyped := l.Columns()
			if want == "" {
				if taken || added || retyped || !schema.Equal(cols, base) {
					t.Errorf("%s and %s: taken %v, %s", was, values[i], taken, body(cols))
				}
				continue
			}
			if got := "a:" + want + ",b:bigint"; !taken || !added || retyped != (want != was) || body(cols) != got {
				t.Errorf("%s and %s: taken %v, %s, added %v, retyped %v; want %s", was, values[i], taken, body(cols), added, retyped, got)
			}
		}
	}
}

func TestSequences(t *testing.T) {
	for name, tc := range map[string]struct {
		base    string
		limits  Limits
		records string
		want    string
	}{
		"new columns at the end": {"b:bigint", Limits{}, `{"c":1,"a":2,"b":3}` + "\n" + `{"z":1,"b":0.5}`, "b:double,c:bigint,a:bigint,z:bigint"},
		"new fields at the end": {"s:struct<y:bigint>,t:string", Limits{}, `{"s":{"x":1,"y":2},"l":[{"q":1}]}` + "\n" + `{"l":[{"p":1,"q":true}]}`,
			"s:struct<y:bigint,x:bigint>,t:string,l:array<struct<q:string,p:bigint>>"},
		"several objects in a record":   {"", Limits{}, `{"a":1}{"b":2} {"c":3}`, "a:bigint,b:bigint,c:bigint"},
		"an array of objects":           {"", Limits{}, ` [ {"a":1} , {"b":2}] `, "a:bigint,b:bigint"},
		"arrays and objects":            {"", Limits{}, `[{"a":1}] {"b":2}[]`, "a:bigint,b:bigint"},
		"a string takes everything":     {"", Limits{}, `{"a":"x"}` + "\n" + `{"a":{"b":[1]},"c":1}` + "\n" + `{"a":[{}]}`, "a:string,c:bigint"},
		"records that say nothing":      {"", Limits{}, "{}\n{}[]\n{}{}\n[{},{}]", ""},
		"what is no JSON or no object":  {"", Limits{}, "!\n! \n!1\n!\"x\"\n!null\n!{\"a\":1\n!{\"a\":1}x\n![{\"a\":1},2]\n!{\"a\":1}{\"b\"\n!{\"a\":\"\xff\"}\n![]\n![][]\n!{\"a\":1}[3]\n!{'a':1}\n![{\"a\":1}", ""},
		"a refused record is no lesson": {"a:bigint", Limits{}, `!{"b":1,"c":{"d":[1]},"a":0.5}{"a":[1]}` + "\n" + `{"a":1,"c":true}`, "a:bigint,c:boolean"},
		"the first kind stays":          {"", Limits{}, `{"a":[1]}` + "\n" + `!{"a":1}` + "\n" + `!{"a":{"b":1}}` + "\n" + `{"a":["x"]}`, "a:array<string>"},
		"kinds inside one array":        {"", Limits{}, `!{"a":[1,[2]]}` + "\n" + `!{"a":[{"x":1},2]}`, ""},
		"empty ones fit everywhere": {"a:bigint,b:array<bigint>,c:struct<x:bigint>", Limits{}, `{"a":[],"b":{},"c":[]}` + "\n" + `{"a":{"x":[null]},"b":{"y":{}},"c":[null,[]]}` + "\n" + `!{"a":{"x":[0]}}`,
			"a:bigint,b:array<bigint>,c:struct<x:bigint>"},
		"wide, then a fraction":      {"", Limits{}, `{"a":9007199254740993}` + "\n" + `{"a":1}` + "\n" + `{"a":0.5}`, "a:string"},
		"a fraction, then wide":      {"", Limits{}, `{"a":0.5}` + "\n" + `{"a":9007199254740992}` + "\n" + `{"a":-9007199254740993}`, "a:string"},
		"wide in a record not taken": {"", Limits{}, `{"a":1}` + "\n" + `!{"a":9007199254740993,"a":1}` + "\n" + `{"a":0.5}`, "a:double"},
		"keys that differ in case":   {"", Limits{}, `{"Ab":1}` + "\n" + `{"aB":0.5}` + "\n" + `{"S":{"X":1}}` + "\n" + `{"s":{"x":1}}`, "ab:double,s:struct<x:bigint>"},
		"case kept":                  {"", Limits{CaseSensitive: true}, `{"Ab":1,"aB":0.5}` + "\n" + `{"Ab":1}`, "Ab:bigint,aB:double"},
		"the base's case kept":       {"Ab:bigint", Limits{}, `{"ab":0.5}`, "Ab:double"},
		"a key twice":                {"", Limits{}, `!{"a":1,"a":2}` + "\n" + `!{"a":1,"A":2}` + "\n" + `!{"s":{"a":1,"b":1,"a":1}}` + "\n" + `{"l":[{"a":1},{"a":2}]}`, "l:array<struct<a:bigint>>"},
		"the first of two":           {"", Limits{FirstOfDuplicates: true}, `{"a":1,"a":"x","A":{},"b":1}`, "a:bigint,b:bigint"},
		"dots":                       {"", Limits{DotsToUnderscores: true}, `{"a.b":1,"c":{"d.e.f":1}}` + "\n" + `!{"a.b":1,"a_b":1}`, "a_b:bigint,c:struct<d_e_f:bigint>"},
		"dots kept":                  {"", Limits{}, `{"a.b":1,"a_b":1}`, "a.b:bigint,a_b:bigint"},
		"named keys": {"", Limits{Keys: map[string]string{"ts": "Timestamp", "K": "x.y"}, DotsToUnderscores: true}, `{"TIMESTAMP":1,"ts":"never","k":true,"X.Y":2,"s":{"timestamp":0.5}}`,
			"ts:bigint,K:bigint,s:struct<ts:double>"},
		"escaped keys":                  {"", Limits{}, `{"\u0061\/":1,"\ud83d\ude00":true}` + "\n" + `{"a/":0.5}`, "a/:double,😀:boolean"},
		"keys that cannot be names":     {"", Limits{}, `{"":1,"` + strings.Repeat("n", 256) + `":1,"` + strings.Repeat("é", 600) + `":1,"a":1}`, "a:bigint"},
		"deep objects are text":         {"", Limits{MaxDepth: 1}, `{"a":{"b":{"c":1},"d":[1]},"e":[[1]]}` + "\n" + `{"a":{"b":5,"d":{}}}`, "a:struct<b:string,d:string>,e:array<string>"},
		"deep scalars keep their type":  {"", Limits{MaxDepth: 1}, `{"a":{"b":5}}` + "\n" + `!{"a":{"b":{"c":1}}}`, "a:struct<b:bigint>"},
		"deep, without a scalar":        {"", Limits{MaxDepth: 1}, `{"a":{"b":{"c\":1":[null,{ }]}}}` + "\n" + `[{"a":[[null]]}]`, ""},
		"deep, with one":                {"", Limits{MaxDepth: 1}, `{"a":[[{"x":[] , "y":[null,"t"]}]],"b":[[-1]],"c":[[false]],"d":[[7]]}`, "a:array<string>,b:array<string>,c:array<string>,d:array<string>"},
		"deep, but known":               {"a:struct<b:struct<c:bigint>>", Limits{MaxDepth: 1}, `{"a":{"b":{"c":0.5,"d":{"x":1}}}}`, "a:struct<b:struct<c:double,d:string>>"},
		"too many columns":              {"", Limits{MaxColumns: 2}, `{"a":1,"n":null}` + "\n" + `!{"b":1,"c":[{"d":1}]}` + "\n" + `{"b":[{"d":1}]}` + "\n" + `!{"b":[{"e":1}]}` + "\n" + `{"a":0.5}`, "a:double,b:array<struct<d:bigint>>"},
		"types from elsewhere stay":     {"i:int,d:decimal(5,2),m:map<string,int>,t:timestamp,l:array<date>", Limits{}, `{"i":"x","d":{"a":1},"m":[1],"t":1.5,"l":["x"],"n":1}`, "i:int,d:decimal(5,2),m:map<string,int>,t:timestamp,l:array<date>,n:bigint"},
		"an array becomes known late":   {"", Limits{}, `{"a":[]}` + "\n" + `{"a":[null,{}]}` + "\n" + `{"a":[[],[{"x":null}]]}` + "\n" + `{"a":[{"x":1}]}`, "a:array<struct<x:bigint>>"},
		"struct elements that are null": {"", Limits{}, `{"a":[{"x":null},{"x":1},{"x":"y"}]}`, "a:array<struct<x:string>>"},
	} {
		t.Run(name, func(t *testing.T) {
			base := columns(t, tc.base)
			l := NewLearner(base, tc.limits)
			learn(t, l, tc.records)
			if got := learned(l); got != tc.want {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
			if body(base) != body(columns(t, tc.base)) {
				t.Errorf("the base was changed: %s", body(base))
			}
			cols, added, retyped := l.Columns()
			if changed := !schema.Equal(cols, base); changed != (added || retyped) {
				t.Errorf("changed %v, added %v, retyped %v", changed, added, retyped)
			}
			if l.leaves != schema.Leaves(cols) {
				t.Errorf("counts %d leaves of %d", l.leaves, schema.Leaves(cols))
			}
		})
	}
}

func TestDepthStaysWithinWhatATypeCanBe(t *testing.T) {
	for _, n := range []int{1, 15, 16, 17, 31, 32, 33, 63} {
		for name, rec := range map[string]string{
			"arrays":  `{"a":` + strings.Repeat("[", n) + "1" + strings.Repeat("]", n) + "}",
			"objects": strings.Repeat(`{"a":`, n+1) + "1" + strings.Repeat("}", n+1),
		} {
			for _, depth := range []int{0, 1, 32, 1000} {
				l := NewLearner(nil, Limits{MaxDepth: depth})
				learn(t, l, rec)
				cols, _, _ := l.Columns()
				text := cols[0].Type.String()
				got := strings.Count(text, "<")
				if want := min(n, l.limits.MaxDepth); got != want {
					t.Errorf("%d %s with MaxDepth %d: depth %d, want %d", n, name, depth, got, want)
				}
				if _, err := schema.Parse(text); err != nil {
					t.Error(err)
				}
				if isText := strings.Contains(text, "string"); isText != (n > l.limits.MaxDepth) {
					t.Errorf("%d %s with MaxDepth %d: %s", n, name, depth, text)
				}
			}
		}
	}
	for n, want := range map[int]bool{maxJSONDepth: true, maxJSONDepth + 1: false, 10_000: false} {
		if got := NewLearner(nil, Limits{}).Add([]byte(strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n))); got != want {
			t.Errorf("a record nested %d deep: taken %v", n, got)
		}
	}
}

func TestHostileKeysAreBounded(t *testing.T) {
	l := NewLearner(nil, Limits{MaxColumns: 50})
	for i := range 10_000 {
		l.Add(fmt.Appendf(nil, `{"key%d":1,"same":%d}`, i, i))
		l.Add(fmt.Appendf(nil, `{"n%d":null,"e%d":{"x":[]}}`, i, i))
	}
	cols, _, _ := l.Columns()
	if len(cols) != 50 || len(l.root.byID) != 50 || len(l.root.byKey) > 2*50+spareKeys {
		t.Errorf("%d columns, %d ids, %d keys", len(cols), len(l.root.byID), len(l.root.byKey))
	}
	for i := range 1 << 10 { // one key in all its cases
		key := []byte("samesamesa")
		for bit := range key {
			if i>>bit&1 == 1 {
				key[bit] -= 'a' - 'A'
			}
		}
		l.Add(fmt.Appendf(nil, `{%q:1}`, key))
	}
	if len(l.root.byKey) > 2*50+spareKeys {
		t.Errorf("%d keys are remembered", len(l.root.byKey))
	}

	long := NewLearner(nil, Limits{MaxColumns: 1 << 20})
	for i := range 10_000 {
		long.Add(fmt.Appendf(nil, `{"%0200d":1}`, i))
	}
	cols, _, _ = long.Columns()
	if n := len(cols); n != maxNames/200 || long.names > maxNames {
		t.Errorf("%d columns with %d bytes of names", n, long.names)
	}
}

func TestExact(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 1 << 53, -(1 << 53), 1<<53 + 2, 1 << 62, math.MinInt64} {
		if !Exact(v) {
			t.Errorf("%d is not exact", v)
		}
	}
	for _, v := range []int64{1<<53 + 1, -(1<<53 + 1), 1<<60 + 1, math.MaxInt64, math.MinInt64 + 1} {
		if Exact(v) {
			t.Errorf("%d is exact", v)
		}
	}
}
