package transform

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/internal/bodies/strictjson"
)

func seeds(f *testing.F) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, s := range []string{
		event(rnd, 1), `{"a":{"b":[1,2.5e-3,null,true,"x\u00e9\n"]},"a":{"b":"y"},"c d":-0}`, `{"a":"x"}{"a":1}`, `[{"a":1},{"c d":"é"}]`, "{\"a\":\"\xff\"}",
		`{"\u0061":1E400,"a":01}`, `{"a":"\ud83d\ude00\ud83d"}`, `{}`, ` [ ] `, `nul`, `{"a":{"b":{}}}`, strings.Repeat(`{"a":`, 101) + "1" + strings.Repeat("}", 101), payload("a", "b\n"), `"`, `{"a`, `{"a":-`,
		`{"a": "12345678\"9"}`, "{\"a\":\"1234567\n\"}", `{"a":123456789012345678901234567890,"c d":[]}`, `{"a":1e5,"c d":1.0}`,
	} {
		f.Add([]byte(s))
	}
}

// The scanner accepts what encoding/json does, except for depth, and finds the same end of the first value.
func FuzzScanner(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		c := scanner{b: b}
		i := c.space(0)
		end := c.value(i, 0, nil)
		whole := end >= 0 && c.space(end) == len(b)
		_, err := strictjson.Skip(b, 0, 0)
		if deep := errors.Is(err, strictjson.ErrDepth); (err == nil) != (end >= 0) || deep != (end < 0 && c.why == whyDepth) {
			t.Fatalf("%q: %v, and %s", b, err, c.problem())
		} else if !deep && json.Valid(b) != whole {
			t.Fatalf("%q: json says %v", b, json.Valid(b))
		}
		if !whole {
			return
		}
		got, at := c.decode(i)
		if at != end {
			t.Fatalf("%q ends at %d, not %d", b, at, end)
		}
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var want any
		if err := d.Decode(&want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: %#v, json has %#v (%v)", b, got, want, err)
		}
	})
}

// Values of plain paths are those that jq gives, message for message.
func FuzzFieldsEqualJQ(f *testing.F) {
	seeds(f)
	keys := fromQuery("a", "b", "c", "deep")
	s := steps(queries("a", ".a", "b", ".a.b", "c", `.["c d"]`, "deep", `.a.b.a`))
	s.Partitioning = &config.Partitioning{Defaults: map[string]string{"a": "1", "b": "2", "c": "3", "deep": "4"}}
	fast, slow := newChain(f, s, keys...), newChain(f, s, keys...)
	slow.steps[0].(*partition).onlyJQ = true
	f.Fuzz(func(t *testing.T, b []byte) {
		got, want := derive(t, fast, string(b)), derive(t, slow, string(b))
		if !slices.Equal(got, want) {
			t.Fatalf("%q: %+v, jq has %+v", b, got, want)
		}
		if got[0].kind == "" {
			if n := strings.Count(got[0].part, "/"); n != 3 || len(got[0].part) > 4*prefix.MaxValueBytes+3 {
				t.Fatalf("%q: partition %q", b, got[0].part)
			}
		} else if !json.Valid(b) && !strings.Contains(got[0].why, "JSON") && !strings.Contains(got[0].why, "empty") {
			t.Fatalf("%q: %s", b, got[0].why)
		}
	})
}

// Taking apart loses nothing but white space, commas and brackets; what fails is kept whole.
func FuzzDeaggregateJSON(f *testing.F) {
	seeds(f)
	c := newChain(f, steps(splitJSONs))
	f.Fuzz(func(t *testing.T, b []byte) {
		all := derive(t, c, string(b))
		if len(all) == 1 && all[0].kind != "" {
			if all[0].raw != string(b) {
				t.Fatalf("%q: %q is kept", b, all[0].raw)
			}
			if d := json.NewDecoder(bytes.NewReader(b)); onlyObjects(d) && !deeper(b) {
				t.Fatalf("%q: %s", b, all[0].why)
			}
			return
		}
		rest := string(b)
		for _, g := range all {
			if !json.Valid([]byte(g.data)) || g.data[0] != '{' || g.raw != g.data {
				t.Fatalf("%q: part %q", b, g.data)
			}
			before, after, found := strings.Cut(rest, g.data)
			if !found || strings.Trim(before, " \t\r\n,[]") != "" {
				t.Fatalf("%q: %q stands between the parts", b, before)
			}
			rest = after
		}
		if strings.Trim(rest, " \t\r\n]") != "" && strings.Trim(rest, " \t\r\n[]") != "" {
			t.Fatalf("%q: %q is lost", b, rest)
		}
	})
}

func onlyObjects(d *json.Decoder) bool {
	for n := 0; ; n++ {
		var v any
		if err := d.Decode(&v); err != nil {
			return err == io.EOF && n > 0
		}
		if _, ok := v.(map[string]any); !ok {
			return false
		}
	}
}

func deeper(b []byte) bool {
	return bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) > strictjson.MaxDepth
}

// Of delimited records only delimiters and newlines beside them get lost.
func FuzzDeaggregateDelimited(f *testing.F) {
	f.Add("a##b##\n##c", "##")
	f.Add("\r\n\n", "\n")
	f.Fuzz(func(t *testing.T, in, delimiter string) {
		if delimiter == "" {
			return
		}
		var want []string
		for _, s := range strings.Split(in, delimiter) {
			if s = strings.TrimSpace(s); s != "" {
				want = append(want, s)
			}
		}
		var have []string
		for _, g := range derive(t, newChain(t, steps(splitAt(delimiter))), in) {
			if g.data == "" || g.raw != g.data || strings.HasPrefix(g.data, "\n") || strings.HasSuffix(g.data, "\n") {
				t.Fatalf("%q at %q: part %q", in, delimiter, g.data)
			}
			if s := strings.TrimSpace(g.data); s != "" {
				have = append(have, s)
			}
		}
		if !slices.Equal(have, want) {
			t.Fatalf("%q at %q: %q, want %q", in, delimiter, have, want)
		}
	})
}

// Whatever a chain is fed, it neither panics nor fails, and gives the same a second time.
func FuzzChain(f *testing.F) {
	seeds(f)
	f.Add([]byte(pack(payload(`{"a":1,"t":1767323045}{"a":"x"}`, "[]"), payload(`{"a":{}}`))))
	f.Add([]byte(pack(`{"messageType":"CONTROL_MESSAGE"}`)))
	s := steps(unzip, extract, splitJSONs, queries("q", `.a|tostring|split("")|sort|first`), config.Processor{AppendDelimiter: "\n"})
	s.Partitioning = &config.Partitioning{EventTime: &config.EventTime{Field: `.t`}, Defaults: map[string]string{"q": "none"}}
	keys := append(fromQuery("q"), prefix.Key{Namespace: prefix.EventTime, Name: "yyyy/MM"})
	all := newChain(f, s, keys...)
	s.Processors = s.Processors[1:]
	unpacked := newChain(f, s, keys...)
	s.Processors = s.Processors[1:]
	split := newChain(f, s, keys...)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, c := range []*Chain{all, unpacked, split} {
			if first := derive(t, c, string(b)); !slices.Equal(first, derive(t, c, string(b))) {
				t.Fatalf("%q derives other records the second time", b)
			}
		}
	})
}

// Any query over any record: a value, or one failure.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{`.a`, `.a.b`, `.["x"]`, `.a|tostring`, `.a.b[0:2]`, `.x|.[1:]|length`, `.a[]`, `.a[.x]`, `..|numbers`, `reduce range(5) as $i (0;.+$i)`, `.a as [$x]|$x`, `@base64d`, `try error(.) catch .`, `limit(3;repeat(.a))`, `.a|=.+1`, `getpath(["a","b"])`} {
		f.Add(q, []byte(`{"a":{"b":1},"x":"y"}`))
	}
	f.Fuzz(func(t *testing.T, text string, b []byte) {
		q, err := compile(text)
		if err != nil || len(text) > 100 || strings.ContainsAny(text, "*^") || slowWords(text) {
			return // repeated strings take memory that a test has not
		}
		p := &partition{keys: 1, finders: []finder{{name: "k", query: q, slots: []int{0}}}}
		p.plant()
		c := &Chain{steps: []processor{p}, keys: fromQuery("k")}
		c.in.room, c.out.room = &c.room, &c.room
		all := derive(t, c, string(b))
		if len(all) != 1 || all[0].kind == "" && all[0].part == "" {
			t.Fatalf("%s over %q: %+v", text, b, all)
		}
		p.onlyJQ = true
		if again := derive(t, c, string(b)); again[0] != all[0] {
			t.Fatalf("%s over %q: %+v, and the whole of it by jq %+v", text, b, all, again)
		}
	})
}

// slowWords are functions that a fuzzer would spend its time and memory in.
func slowWords(q string) bool {
	return slices.ContainsFunc([]string{"repeat", "range", "recurse", "until", "while", "combinations", "def", "setpath", "exp", "pow", "scalb", "limit", "[", "+"}, func(w string) bool { return strings.Contains(q, w) })
}

// What a corpus file of the scanner's says stays true without a fuzzer: this test is the table for odd forms.
func TestScannerAgreesWithJSON(t *testing.T) {
	pieces := []string{`{`, `}`, `[`, `]`, `:`, `,`, `"a"`, `""`, `"\n"`, `"\u12"`, `1`, `-`, `0`, `01`, `1.`, `.5`, `1e`, `1e+1`, `true`, `tru`, `null`, ` `, "\x00", "\u00e9", `\`}
	rnd := rand.New(rand.NewPCG(5, 6))
	valid := 0
	for range 300_000 {
		var b []byte
		for range 1 + rnd.IntN(7) {
			b = append(b, pieces[rnd.IntN(len(pieces))]...)
		}
		c := scanner{b: b}
		end := c.value(c.space(0), 0, nil)
		if ok := end >= 0 && c.space(end) == len(b); ok != json.Valid(b) {
			t.Fatalf("%q: %v", b, ok)
		} else if ok {
			valid++
		}
	}
	if valid < 1000 {
		t.Errorf("only %d were valid", valid)
	}
}
