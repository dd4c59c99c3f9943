package transform

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/record"
)

func TestPartitionValues(t *testing.T) {
	deep := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	for _, c := range []struct{ name, query, in, want string }{
		{"string", `.a`, `{"a":"x"}`, "x"},
		{"string with white space around", `.a`, " \t\r\n{ \"b\" : [ 1 , 2 ] , \"a\" :\n\"x\" } \n", "x"},
		{"escapes", `.a`, `{"a":"\u00e9\n\ud83d\ude00\/"}`, "é%0A😀%2F"},
		{"half a surrogate", `.a`, `{"a":"\ud83d!"}`, "\ufffd!"},
		{"bytes that are no UTF-8", `.a`, "{\"a\":\"x\xff\xfey\"}", "x\ufffd\ufffdy"},
		{"slash and dots", `.a`, `{"a":"../../x"}`, "..%2F..%2Fx"},
		{"only dots", `.a`, `{"a":".."}`, "%2E%2E"},
		{"integer", `.a`, `{"a":17}`, "17"},
		{"negative", `.a`, `{"a":-17}`, "-17"},
		{"fraction as written", `.a`, `{"a":1.0}`, "1.0"},
		{"exponent as written", `.a`, `{"a":1e3}`, "1e3"},
		{"big integer", `.a`, `{"a":123456789012345678901234567890}`, "123456789012345678901234567890"},
		{"calculated", `.a+1`, `{"a":9007199254740993}`, "9007199254740994"},
		{"true", `.a`, `{"a":true}`, "true"},
		{"false", `.a`, `{"a":false}`, "false"},
		{"path", `.a.b.c`, `{"a":{"b":{"c":"x"}}}`, "x"},
		{"odd names", `.["a b"]."c-d"`, `{"a b":{"c-d":"x"}}`, "x"},
		{"key with escapes", `.["a/é"]`, `{"a\/\u00e9":"x"}`, "x"},
		{"the last of equal keys", `.a`, `{"a":1,"b":2,"a":3}`, "3"},
		{"equal keys above", `.a.b`, `{"a":{"b":1},"a":{"b":2,"c":3}}`, "2"},
		{"an equal key takes the value away", `.a.b`, `{"a":{"b":1},"a":{"c":3}}`, "!.a.b is missing"},
		{"null after all", `.a.b`, `{"a":{"b":1},"a":null}`, "!.a.b is missing"},
		{"string after all", `.a.b`, `{"a":{"b":1},"a":"x"}`, "!expected an object but got: string"},
		{"object after all", `.a.b`, `{"a":"x","a":{"b":1}}`, "1"},
		{"missing", `.a`, `{"b":1}`, "!partition key k: .a is missing, null or empty"},
		{"null", `.a`, `{"a":null}`, "!.a is missing"},
		{"empty", `.a`, `{"a":""}`, "!.a is missing"},
		{"no output", `.a|select(.>5)`, `{"a":1}`, "!is missing"},
		{"not a number", `nan`, `{}`, "!nan is missing"},
		{"object", `.a`, `{"a":{}}`, "!it is an object"},
		{"array", `.a`, `{"a":[]}`, "!it is an array"},
		{"below a string", `.a.b`, `{"a":"x"}`, "!expected an object but got: string"},
		{"below an array", `.a.b`, `{"a":[1]}`, "!expected an object but got: array"},
		{"below null", `.a.b`, `{"a":null}`, "!.a.b is missing"},
		{"optional", `.a.b?`, `{"a":"x"}`, "!is missing"},
		{"element", `.a[1]`, `{"a":["x","y"]}`, "y"},
		{"alternative", `.a // "none"`, `{}`, "none"},
		{"function", `.t|strftime("%Y-%m")`, `{"t":1768000000}`, "2026-01"},
		{"piece", `.a[0:4]`, `{"a":"2026-01-02"}`, "2026"},
		{"piece of a number", `.a[0:4]`, `{"a":2026}`, "!expected an array but got: number"},
		{"all of an array", `.a[]`, `{"a":["x"]}`, "x"},
		{"more than one of an array", `.a[]`, `{"a":["x","y"]}`, "!more than one value"},
		{"done with a field", `.a.b|ascii_downcase`, `{"a":{"b":"\u0058Y"}}`, "xy"},
		{"done with nothing", `.a.b|tostring`, `{"a":{}}`, "null"},
		{"done below a string", `.a.b|tostring`, `{"a":"x"}`, "!expected an object but got: string"},
		{"done with an object", `.a|keys|join("-")`, `{"a":{"y":1,"x":[{}]}}`, "x-y"},
		{"done with a number", `.a|.+1`, `{"a":1.5}`, "2.5"},
		{"index that is a field", `.a[.b]`, `{"a":["x","y"],"b":1}`, "y"},
		{"two outputs", `.a,.b`, `{"a":1,"b":2}`, "!more than one value"},
		{"error behind an output", `.a,error("no")`, `{"a":1}`, "!no"},
		{"error", `error("bad \(.a)")`, `{"a":1}`, "!bad 1"},
		{"endless", `[repeat(1)]`, `{}`, "!steps"},
		{"endless recursion", `def f: f; f`, `{}`, "!steps"},
		{"endless without output", `def f: empty, f; f`, `{}`, "!steps"},
		{"not an object", `.`, `5`, "!not an object"},
		{"an array", `.[0].a`, `[{"a":1}]`, "!not an object"},
		{"a string", `.a`, `"a"`, "!not an object"},
		{"two objects", `.a`, `{"a":1}{"a":2}`, "!a JSON value ends at byte 7, and more follows"},
		{"nothing", `.a`, ``, "!the record is empty"},
		{"white space", `.a`, " \n", "!the record is empty"},
		{"not JSON", `.a`, `hello`, "!invalid JSON at byte 0: unexpected character"},
		{"not JSON behind the value", `.a`, `{"a":1,}`, "!invalid JSON at byte 7: unexpected character"},
		{"broken off", `.a`, `{"a":1`, "!invalid JSON at byte 6: unexpected end"},
		{"control character", `.a`, "{\"a\":\"x\ny\"}", "!invalid JSON at byte 7: control character"},
		{"bad escape", `.a`, `{"a":"\x"}`, "!invalid JSON at byte 6: bad escape"},
		{"leading zero", `.a`, `{"a":01}`, "!invalid JSON at byte 6"},
		{"as deep as may be", `.b`, `{"b":"x","d":` + deep(99) + `}`, "x"},
		{"too deep", `.b`, `{"b":"x","d":` + deep(100) + `}`, "!nested too deeply"},
		{"far too deep", `.b`, `{"b":` + strings.Repeat("[", 1<<20), "!nested too deeply"},
		{"long", `.a`, `{"a":"` + strings.Repeat("x", prefix.MaxValueBytes) + `"}`, strings.Repeat("x", prefix.MaxValueBytes)},
		{"too long", `.a`, `{"a":"` + strings.Repeat("x", prefix.MaxValueBytes+1) + `"}`, "!takes 513 bytes"},
		{"too long by its escapes", `.a`, `{"a":"` + strings.Repeat("/", 400) + `"}`, "!takes 1200 bytes"},
		{"a very long number", `.a`, `{"a":` + strings.Repeat("1", 1000) + `}`, "!takes 1000 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain := newChain(t, steps(queries("k", c.query)), fromQuery("k")...)
			chain.steps[0].(*partition).finders[0].query.budget.limit = 10_000
			g := derive(t, chain, c.in)
			if len(g) != 1 || g[0].raw != c.in {
				t.Fatalf("%+v", g)
			}
			if why, bad := strings.CutPrefix(c.want, "!"); bad {
				if g[0].kind != record.MetadataFailed || g[0].code != "DynamicPartitioning.MetadataExtractionFailed" || !strings.Contains(g[0].why, why) {
					t.Fatalf("%+v", g[0])
				}
			} else if g[0].part != c.want || g[0].data != c.in {
				t.Fatalf("%+v", g[0])
			}
			chain.steps[0].(*partition).onlyJQ = true
			if again := derive(t, chain, c.in); again[0] != g[0] {
				t.Errorf("the long way gives %+v", again[0])
			}
		})
	}
}

func TestPartitionDefaults(t *testing.T) {
	s := steps(queries("a", ".a", "b", ".b.c"))
	s.Partitioning = &config.Partitioning{Defaults: map[string]string{"a": "no/ne"}}
	c := newChain(t, s, fromQuery("b", "a")...)
	for in, want := range map[string]string{
		`{"a":"x","b":{"c":1}}`:  "1/x",
		`{"a":"","b":{"c":1}}`:   "1/no%2Fne",
		`{"a":null,"b":{"c":1}}`: "1/no%2Fne",
		`{"b":{"c":1}}`:          "1/no%2Fne",
		`{"a":[],"b":{"c":1}}`:   "!", // a default stands in for nothing, not for something else
		`{"a":"x"}`:              "!",
	} {
		if g := derive(t, c, in)[0]; g.part != strings.TrimPrefix(want, "!") || (g.kind != "") != (want == "!") {
			t.Errorf("%s: %+v", in, g)
		}
	}
}

// Keys may be found by several processors, in whatever order, and stand in the prefix in another.
func TestPartitionOrderIsThePrefixs(t *testing.T) {
	s := steps(queries("x", ".x", "unused", ".u|tostring"), config.Processor{Deaggregate: &config.Deaggregate{Type: "delimited", Delimiter: ",\"b\":"}}, queries("y", `.y`))
	if g := derive(t, newChain(t, s, fromQuery("y", "x")...), `{"x":1,"y":2}`); g[0].part != "2/1" {
		t.Errorf("%+v", g)
	}
	s = steps(queries("a", ".a", "b", ".b", "c", ".a"))
	if g := derive(t, newChain(t, s, fromQuery("c", "b", "a")...), `{"a":"A","b":"B"}`); g[0].part != "A/B/A" {
		t.Errorf("%+v", g)
	}
}

// A value that a processor attached stays that of its record when another is attached to its neighbour.
func TestAttachedValuesAreNotShared(t *testing.T) {
	r := &room{}
	out := output{room: r}
	p := part{}
	out.attach(&p, 2)[0] = []byte("a")
	q := p
	out.attach(&q, 2)[1] = []byte("b")
	if p.values[1] != nil || string(q.values[0]) != "a" {
		t.Errorf("%q %q", p.values, q.values)
	}
}

func TestNew(t *testing.T) {
	lambda := prefix.Key{Namespace: prefix.FromLambda, Name: "k"}
	when := prefix.Key{Namespace: prefix.EventTime, Name: "yyyy"}
	timed := func(field string, formats ...string) config.Stream {
		return config.Stream{Partitioning: &config.Partitioning{EventTime: &config.EventTime{Field: field, Formats: formats}}}
	}
	for _, c := range []struct {
		stream config.Stream
		keys   []prefix.Key
		want   string
	}{
		{steps(), nil, ""},
		{steps(queries("k", ".k")), fromQuery("k"), ""},
		{steps(queries("k", ".k")), nil, ""},
		{steps(config.Processor{}), nil, "processor 1: a processor names nothing"},
		{steps(config.Processor{Decompress: "zip"}), nil, `decompress: "zip" is not supported`},
		{steps(config.Processor{CloudWatchLogs: &config.CloudWatchLogs{Extract: "all"}}), nil, `extract "all" is not supported`},
		{steps(config.Processor{Deaggregate: &config.Deaggregate{Type: "xml"}}), nil, `"xml" is not supported`},
		{steps(config.Processor{Deaggregate: &config.Deaggregate{Type: "delimited"}}), nil, "needs a delimiter"},
		{steps(), fromQuery("k"), "!{partitionKeyFromQuery:k}, and no partition processor names it"},
		{steps(queries("k", ".k")), []prefix.Key{lambda}, "!{partitionKeyFromLambda:k}, and no processor"},
		{steps(), []prefix.Key{{Namespace: "x", Name: "k"}}, "unknown namespace"},
		{steps(), []prefix.Key{when}, "does not say where"},
		{timed(".t"), []prefix.Key{when}, ""},
		{timed(".t", "millis", "seconds", "dd.MM.yyyy"), []prefix.Key{when}, ""},
		{timed(".t", "bbb"), []prefix.Key{when}, `format "bbb"`},
		{timed(".t["), []prefix.Key{when}, `jq expression ".t["`},
		{timed(".t"), []prefix.Key{{Namespace: prefix.EventTime, Name: "ddd"}}, "!{eventTime:ddd}"},
		{steps(queries("k", ".k |")), fromQuery("k"), `partition key k: jq expression ".k |"`},
		{steps(queries("k", ".k | nothing")), fromQuery("k"), "function not defined: nothing/0"},
		{steps(queries("k", ".k | $x")), fromQuery("k"), "variable not defined: $x"},
		{steps(queries("k", `import "x" as x; .`)), fromQuery("k"), "import"},
	} {
		_, err := New(c.stream, c.keys, nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v %v: got %v, want %q", c.stream.Processors, c.keys, err, c.want)
		}
	}
}

// What does not depend on the record alone would put a replayed record elsewhere.
func TestImpureQueriesAreRefused(t *testing.T) {
	for _, q := range []string{
		`now`, `.a|now|tostring`, `[.a,{b:now}]`, `if .a then now else 1 end`, `.a as [$x] | reduce .b[] as $i (0; .+now)`, `"\(now)"`, `.[now]`, `-now`,
		`try now catch 1`, `def f: now; f`, `label $x | now, break $x`, `@base64 "x\(now)"`, `{(now|tostring):1}`, `.a[now:]`, `foreach .[] as $i (now; .; .)`,
		`env.HOME`, `$ENV.HOME`, `input`, `first(inputs)`, `localtime`, `.t|strflocaltime("%H")`, `halt`, `halt_error`, `builtins|length`,
		`.t|strptime("%H %Z")`, `debug`,
	} {
		if _, err := compile(q); err == nil {
			t.Errorf("%s was taken", q)
		}
	}
	for _, q := range []string{`.now`, `"now"`, `.env`, `.t|strptime("%Y-%m-%dT%H:%M:%SZ")|mktime`, `.t|gmtime|todate`} {
		if _, err := compile(q); err != nil {
			t.Error(err)
		}
	}
}

// The bound is in steps: a query that needs many gets them, one that never ends does end.
func TestStepsOfAQuery(t *testing.T) {
	c := newChain(t, steps(queries("k", `if .n then [range(.n)]|add else last(repeat(1)) end`)), fromQuery("k")...)
	if g := derive(t, c, `{"n":100000}`)[0]; g.part != "4999950000" {
		t.Errorf("%+v", g)
	}
	if g := derive(t, c, `{}`)[0]; !strings.Contains(g.why, "partition key k: it took too many steps") {
		t.Errorf("%+v", g)
	}
	if g := derive(t, c, `{"n":2}`)[0]; g.part != "1" {
		t.Errorf("after it: %+v", g)
	}
}

func TestPanicOfJQCostsOneRecord(t *testing.T) {
	q, err := compile(".a|tostring")
	if err != nil {
		t.Fatal(err)
	}
	if v, err := q.run(map[string]any{"a": struct{}{}}); v != nil || !errors.Is(err, errPanicked) { // a type that jq does not know
		t.Errorf("%v %v", v, err)
	}
	if v, err := q.run(map[string]any{"a": json.Number("1.50")}); v != "1.50" || err != nil {
		t.Errorf("%v %v", v, err)
	}
}

// gojq keeps regular expressions for ever; those of records must not gather.
func TestRegularExpressionsOfRecords(t *testing.T) {
	for q, fresh := range map[string]bool{
		`.a|test("x+")`: false, `.a|sub("x";"y")`: false, `.a|split(",")[0]`: false, `.a|split(.b)[0]`: false, `.a|ascii_downcase`: false,
		`. as $r|.a|test($r.b)`: true, `.a|test("x\(.b)")`: true, `.a|split(.b;"g")[0]`: true, `.b as $r|.a|gsub($r;"")`: true, `.a|test(["x","i"])`: true,
	} {
		got, err := compile(q)
		if err != nil || (got.whole.fresh) != fresh {
			t.Errorf("%s: %+v %v", q, got, err)
		}
	}
	q, err := compile(`. as $r|.a|test($r.b)`)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if v, err := q.run(map[string]any{"a": "xxx", "b": "x+"}); v != true || err != nil {
			t.Error(v, err)
		}
	}
}

func TestFieldPaths(t *testing.T) {
	for q, want := range map[string]string{
		`.a`: "a", `.a.b`: "a b", `.["a"]`: "a", `."a"."b-c"`: "a b-c", `.a["b"]`: "a b", ` .a .b `: "a b", `.a.["b"]`: "a b", `.["a"].b`: "a b", `."a\u0062"`: "ab",
		`.a[0]`: "a, .[0]", `.a[]`: "a, .[]", `.a.b[1:][0].c`: "a b, .[1:][0].c", `.a|.b`: "a, .b", `.a|tostring|length`: "a, tostring | length", `.a[0]|.b|.c`: "a, .[0] | .b | .c",
		`.a|.b?`: "a, .b?", `.a|def f: 1; f`: "a, def f: 1; f", `.a|. as $x|$x`: "a, . as $x | $x", `.a|.[.b]`: "a, .[.b]",
		`.`: "", `.a?`: "", `.a.b?`: "", `.a[0]?`: "", `(.a)`: "", `.["a\(1)"]`: "", `.["a"|.]`: "", `..`: "", `.a,.b`: "", `.a[.b]`: "", `.a["\(.b)"]`: "", `.a[.b:]`: "", `.a[0][.b]`: "",
		`.[.a]`: "", `-.a`: "", `.a as $x|.b`: "", `def f: 1; .a`: "", `def f: 1; .a|f`: "", `.["a"+"b"]`: "", `.["a","b"]`: "", `.["a" as $x|"b"]`: "", `.a//.b`: "", `.a+1`: "", `.a|=1`: "",
	} {
		got, err := compile(q)
		if err != nil {
			t.Errorf("%s: %v", q, err)
			continue
		}
		have := strings.Join(got.path, " ")
		if got.rest != nil {
			have += ", " + got.rest.ast.String()
		}
		if have != want {
			t.Errorf("%s: %q, want %q", q, have, want)
		}
	}
}

// A record whose values do not fit the prefix must not take its partition's object with it.
func TestPrefixThatWouldBeTooLong(t *testing.T) {
	s := steps(queries("a", ".a", "b", ".b"))
	s.Destination.S3 = &config.S3{Prefix: "x/!{partitionKeyFromQuery:a}/!{partitionKeyFromQuery:b}/!{partitionKeyFromQuery:a}/"}
	c := newChain(t, s, fromQuery("a", "b")...)
	in := func(a, b int) string {
		return fmt.Sprintf(`{"a":%q,"b":%q}`, strings.Repeat("x", a), strings.Repeat("y", b))
	}
	for _, sizes := range [][2]int{{1, 1}, {168, 168}, {1, 400}, {100, 200}, {250, 7}} {
		if g := derive(t, c, in(sizes[0], sizes[1]))[0]; g.kind != "" {
			t.Errorf("%v: %+v", sizes, g)
		}
	}
	for _, sizes := range [][2]int{{170, 170}, {300, 1}, {1, 511}} {
		if g := derive(t, c, in(sizes[0], sizes[1]))[0]; g.kind != record.MetadataFailed || !strings.Contains(g.why, "prefix is too long") {
			t.Errorf("%v: %+v", sizes, g)
		}
	}
}

func TestThePlainPathAllocatesNothing(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	s := steps(queries("c", ".customer_id", "t", ".labels.team", "s", ".status"), config.Processor{AppendDelimiter: "\n"})
	s.Partitioning = &config.Partitioning{EventTime: &config.EventTime{Field: ".timestamp"}}
	s.Destination.S3 = &config.S3{Prefix: "!{partitionKeyFromQuery:c}/!{partitionKeyFromQuery:t}/!{partitionKeyFromQuery:s}/!{eventTime:yyyy/MM/dd/HH}/"}
	c := newChain(t, s, append(fromQuery("c", "t", "s"), prefix.Key{Namespace: prefix.EventTime, Name: "yyyy/MM/dd/HH"})...)
	rec := record.Record{Data: []byte(event(rnd, 7))}
	emit := func(d *record.Derived) error {
		if d.Failure != nil {
			t.Fatal(d.Failure)
		}
		return nil
	}
	if n := testing.AllocsPerRun(200, func() { _ = c.Derive(rec, emit) }); n != 0 {
		t.Errorf("%v allocations for a record", n)
	}
}
