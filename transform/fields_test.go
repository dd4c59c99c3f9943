package transform

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hydrant/config"
)

func dropping(fields ...string) config.Processor {
	return config.Processor{Drop: &config.Drop{Fields: fields}}
}

func TestFields(t *testing.T) {
	rename := func(from, to string) config.Processor {
		return config.Processor{Rename: &config.Rename{Fields: []config.FieldName{{From: from, To: to}}}}
	}
	set := func(path, value string) config.Processor {
		return config.Processor{Set: &config.Set{Fields: []config.FieldValue{{Path: path, JSON: value}}}}
	}
	for _, c := range []struct {
		p        config.Processor
		in, want string
	}{
		{dropping(".a"), `{"a":1,"b":2}`, `{"b":2}`},
		{dropping("b"), `{"a":1,"b":2}`, `{"a":1}`},
		{dropping(".a"), `{"a":1}`, `{}`},
		{dropping(".a"), ` { "a" : 1 , "b" : 1.0 , "c":12345678901234567890 } ` + "\n", ` { "b" : 1.0 , "c":12345678901234567890 } ` + "\n"},
		{dropping(".a", ".b", ".c"), "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}", "{}"},
		{dropping(".u.e"), `{"u":{"e":"x","f":[1,{"e":2}]},"e":3}`, `{"u":{"f":[1,{"e":2}]},"e":3}`},
		{dropping(".l[].p"), `{"l":[{"p":1,"q":2},3,{"p":[]},[]],"p":1}`, `{"l":[{"q":2},3,{},[]],"p":1}`},
		{dropping(`."a.b"`), `{"a.b":1,"a":{"b":2}}`, `{"a":{"b":2}}`},
		{dropping(".é"), `{"\u00e9":1,"e":2}`, `{"e":2}`},
		{dropping(".a"), `{"a":1,"a":2,"b":3}`, `{"b":3}`},
		{dropping(".a.b"), `{"a":5}`, `{"a":5}`},
		{dropping(".a"), `[{"a":1}]`, `[{"a":1}]`},
		{dropping(".a"), `7`, `7`},
		{dropping(".a"), `{"a":1`, `!processing-failed`},
		{dropping(".a"), `{"a":1}{"a":2}`, `!processing-failed`},
		{dropping(".a"), ` `, `!processing-failed`},
		{dropping(".a"), strings.Repeat(`[`, 100_000), `!processing-failed`},
		{rename(".a", "z"), `{"b":1,"a" : 2}`, `{"b":1,"z" : 2}`},
		{rename(".u.a", `q"`), `{"u":{"a":[]},"a":1}`, `{"u":{"q\"":[]},"a":1}`},
		{set(".a", `"x"`), `{"a":{"b":1},"c":2}`, `{"a":"x","c":2}`},
		{set(".a.b", `5`), `{"c":2}`, `{"c":2,"a":{"b":5}}`},
		{set(".a.b", `5`), `{"a":{"c":2}}`, `{"a":{"c":2,"b":5}}`},
		{set(".a", `null`), `{}`, `{"a":null}`},
		{set(".a.b", `1`), `{"a":7}`, `{"a":7}`},
		{set(".l[].x", `true`), `{"l":[{"x":0},{}]}`, `{"l":[{"x":true},{"x":true}]}`},
		{config.Processor{JQ: `del(.a, .b["c"])`}, `{"z":1.0,"a":1,"b":{"c":2,"d":12345678901234567890}}`, `{"z":1.0,"b":{"d":12345678901234567890}}`},
	} {
		chain := newChain(t, steps(c.p))
		if got := datas(derive(t, chain, c.in)); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s becomes %.200q, want %.200q", clip(c.in, 60), got, c.want)
		}
	}
}

// TestDropLikeJQ: what drop leaves is what jq's del leaves, for any record.
func TestDropLikeJQ(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var value func(depth int) any
	value = func(depth int) any {
		switch n := rnd.IntN(8); {
		case depth > 3 || n < 3:
			return []any{1.5, "x\u00e9\"", nil, true}[rnd.IntN(4)]
		case n < 6:
			m := map[string]any{}
			for range rnd.IntN(4) {
				m[string(rune('a'+rnd.IntN(4)))] = value(depth + 1)
			}
			return m
		}
		list := []any{}
		for range rnd.IntN(4) {
			list = append(list, value(depth+1))
		}
		return list
	}
	fast, slow := newChain(t, steps(dropping(".a", ".b.c", ".d.a.b"))), newChain(t, steps(config.Processor{JQ: `del(.a, .b.c?, .d.a?.b?) // .`}))
	for range 3000 {
		b, _ := json.Marshal(map[string]any{"a": value(0), "b": map[string]any{"c": value(0), "d": value(1)}, "d": map[string]any{"a": map[string]any{"b": value(2)}}, "c": value(0)})
		x, y := derive(t, fast, string(b)), derive(t, slow, string(b))
		var p, q any
		if len(x) != 1 || len(y) != 1 || json.Unmarshal([]byte(x[0].data), &p) != nil || json.Unmarshal([]byte(y[0].data), &q) != nil || !reflect.DeepEqual(p, q) {
			t.Fatalf("%s becomes %v, and by jq %v", b, x, y)
		}
	}
}

func TestJQ(t *testing.T) {
	for _, c := range []struct {
		expr, in string
		want     []string
	}{
		{`.a`, `{"a":{"b":1}}`, []string{`{"b":1}`}},
		{`.[]`, `[1,2.50,"x"]`, []string{`1`, `2.50`, `"x"`}},
		{`select(.n > 1)`, `{"n":1}`, []string{}},
		{`select(.n > 1)`, `{"n":2}` + "\n", []string{`{"n":2}` + "\n"}},
		{`empty`, `{}`, []string{}},
		{`.a.b`, `{"a":1}`, []string{`!processing-failed`}},
		{`.[] | if . == 2 then error("two") else . end`, `[1,2,3]`, []string{`!processing-failed`}},
		{`.`, `nope`, []string{`!processing-failed`}},
		{`def f: f; f`, `1`, []string{`!processing-failed`}},
		{`range(70000)`, `1`, []string{`!processing-failed`}},
		{`[range(100000)] | tojson | [range(100) as $i | .]`, `1`, []string{`!processing-failed`}},
		{`.id`, `{"id":12345678901234567890}`, []string{`12345678901234567890`}},
	} {
		if got := datas(derive(t, newChain(t, steps(config.Processor{JQ: c.expr})), c.in)); !slices.Equal(got, c.want) {
			t.Errorf("%s of %s: %.300q, want %q", c.expr, c.in, got, c.want)
		}
	}
	for _, expr := range []string{"now", "input", "$ENV", "][", "env.HOME"} {
		if _, err := New(steps(config.Processor{JQ: expr}), nil, nil); err == nil {
			t.Errorf("%s is taken", expr)
		}
	}
}

func TestFilter(t *testing.T) {
	f := func(keep, drop, onError string) config.Processor {
		return config.Processor{Filter: &config.Filter{Keep: keep, Drop: drop, OnError: onError}}
	}
	for _, c := range []struct {
		p    config.Processor
		in   string
		want []string
	}{
		{f(".n", "", "fail"), `{"n":0}`, []string{`{"n":0}`}},
		{f(".n", "", "fail"), `{"n":null}`, []string{}},
		{f(".n", "", "fail"), `{"n":false}`, []string{}},
		{f("", `.level == "debug"`, "fail"), `{"level":"debug"}`, []string{}},
		{f("", `.level == "debug"`, "fail"), ` {"level":"info", "x":1.0}`, []string{` {"level":"info", "x":1.0}`}},
		{f(".n.m", "", "fail"), `{"n":1}`, []string{`!processing-failed`}},
		{f(".n.m", "", "keep"), `{"n":1}`, []string{`{"n":1}`}},
		{f(".n.m", "", "drop"), `{"n":1}`, []string{}},
		{f(".n", "", "keep"), `text`, []string{`text`}},
		{f("empty", "", "fail"), `{}`, []string{}},
	} {
		if got := datas(derive(t, newChain(t, steps(c.p)), c.in)); !slices.Equal(got, c.want) {
			t.Errorf("%+v of %s: %q, want %q", *c.p.Filter, c.in, got, c.want)
		}
	}
}

func TestSample(t *testing.T) {
	for _, key := range []string{"", ".user"} {
		c := newChain(t, steps(config.Processor{Sample: &config.Sample{Rate: 0.2, Key: key}}))
		users, kept := map[int]int{}, 0
		for i := range 20_000 {
			n := len(derive(t, c, fmt.Sprintf(`{"user":%d,"n":%d}`, i%500, i)))
			users[i%500] += n
			kept += n
		}
		if kept < 3000 || kept > 5000 {
			t.Errorf("key %q: %d of 20000 are kept", key, kept)
		}
		for u, n := range users {
			if key != "" && n != 0 && n != 40 {
				t.Errorf("%d of 40 records of user %d are kept", n, u)
			}
		}
	}
	if got := datas(derive(t, newChain(t, steps(config.Processor{Sample: &config.Sample{Rate: 1}})), "x")); len(got) != 1 {
		t.Error("a rate of 1 drops records")
	}
}

// TestSeveralSteps: each sees what the one before made, and a failure keeps the record as it was accepted.
func TestSeveralSteps(t *testing.T) {
	c := newChain(t, steps(dropping(".secret"), config.Processor{JQ: `.items[]`}, config.Processor{Filter: &config.Filter{Keep: ".ok", OnError: "fail"}}))
	got := derive(t, c, `{"secret":1,"items":[{"ok":true,"n":1},{"ok":false},{"ok":1}]}`)
	if d := datas(got); len(d) != 2 || d[0] != `{"n":1,"ok":true}` || d[1] != `{"ok":1}` {
		t.Errorf("%q", d)
	}
	if got := derive(t, c, `{"secret":1}`); len(got) != 1 || got[0].raw != `{"secret":1}` || got[0].kind != "processing-failed" {
		t.Errorf("%+v", got)
	}
}

func FuzzSplice(f *testing.F) {
	for _, s := range []string{`{"a":{"b":[{"c":1}]}}`, `{"a":1,"a":{"b":2}}`, `[]`, "{\"\\u0061\":1 , \"x\":[ ] }\n", `{"a":{}}`} {
		f.Add([]byte(s))
	}
	var w splice
	for _, p := range []string{".a.b[].c", ".x", ".s.t"} {
		path, err := config.FieldPath(p)
		if err != nil {
			f.Fatal(err)
		}
		switch e := w.root.at(path); p {
		case ".x":
			e.rename = "y"
		case ".s.t":
			e.value = []byte(`"v"`)
		default:
			e.drop = true
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		out, why := w.rewrite(nil, b)
		if why == "" && json.Valid(b) && !json.Valid(out) {
			t.Errorf("%q becomes %q", b, out)
		}
	})
}

func benchmarkStep(b *testing.B, p config.Processor) {
	c := newChain(b, steps(p))
	rnd := rand.New(rand.NewPCG(1, 2))
	var events []string
	size := 0
	for i := range 1000 {
		events = append(events, event(rnd, i))
		size += len(events[i])
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, e := range events {
			deriveQuick(b, c, e)
		}
	}
}

func BenchmarkJQDelete(b *testing.B)  { benchmarkStep(b, config.Processor{JQ: "del(.client_ip)"}) }
func BenchmarkJQGeneral(b *testing.B) { benchmarkStep(b, config.Processor{JQ: ".duration_ms *= 1000"}) }
func BenchmarkDrop(b *testing.B)      { benchmarkStep(b, dropping(".client_ip", ".labels.team")) }
func BenchmarkFilter(b *testing.B) {
	benchmarkStep(b, config.Processor{Filter: &config.Filter{Keep: `.level != "debug"`, OnError: "fail"}})
}
