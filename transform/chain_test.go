package transform

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"hydrant/config"
	"hydrant/record"
)

func pack(members ...string) string {
	var b bytes.Buffer
	for _, m := range members {
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(m))
		_ = w.Close()
	}
	return b.String()
}

var (
	unzip      = config.Processor{Decompress: "gzip"}
	extract    = config.Processor{CloudWatchLogs: &config.CloudWatchLogs{Extract: "message"}}
	splitJSONs = config.Processor{Deaggregate: &config.Deaggregate{Type: "json"}}
)

func splitAt(delimiter string) config.Processor {
	return config.Processor{Deaggregate: &config.Deaggregate{Type: "delimited", Delimiter: delimiter}}
}

func payload(messages ...string) string {
	type event struct {
		ID        string `json:"id"`
		Timestamp int64  `json:"timestamp"`
		Message   string `json:"message"`
	}
	p := map[string]any{"messageType": "DATA_MESSAGE", "owner": "123456789012", "logGroup": "g", "logStream": "s", "subscriptionFilters": []string{"f"}}
	events := []event{}
	for i, m := range messages {
		events = append(events, event{fmt.Sprint(i), 1767323045678, m})
	}
	p["logEvents"] = events
	b, err := json.Marshal(p)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// The order written is the order applied: the same processors in another order give something else.
func TestOrder(t *testing.T) {
	bar := config.Processor{AppendDelimiter: "|"}
	for i, c := range []struct {
		steps []config.Processor
		in    string
		want  []string
	}{
		{nil, "x", []string{"x"}},
		{nil, "", []string{""}},
		{[]config.Processor{bar}, "x|", []string{"x||"}},
		{[]config.Processor{splitAt("|"), bar}, "a|b", []string{"a|", "b|"}},
		{[]config.Processor{bar, splitAt("|")}, "a|b", []string{"a", "b"}},
		{[]config.Processor{splitAt(";"), splitAt(",")}, "a,b;c", []string{"a", "b", "c"}},
		{[]config.Processor{splitJSONs, splitAt(",")}, `[{"a":1,"b":2},{"c":3}]`, []string{`{"a":1`, `"b":2}`, `{"c":3}`}},
		{[]config.Processor{splitAt(","), splitJSONs}, `[{"a":1,"b":2},{"c":3}]`, []string{"!processing-failed", "!processing-failed", "!processing-failed"}},
		{[]config.Processor{unzip, bar}, pack("x"), []string{"x|"}},
		{[]config.Processor{bar, unzip}, pack("x"), []string{"!decompression-failed"}},
		{[]config.Processor{unzip, extract, splitJSONs}, pack(payload(`{"a":1}{"a":2}`, "no", `{"a":3}`)), []string{`{"a":1}`, `{"a":2}`, "!processing-failed", `{"a":3}`}},
	} {
		if got := datas(derive(t, newChain(t, steps(c.steps...)), c.in)); !slices.Equal(got, c.want) {
			t.Errorf("%d: got %q, want %q", i, got, c.want)
		}
	}
}

// What an error record keeps: the record as it came, or the part of it since it was taken apart.
func TestRaw(t *testing.T) {
	packed := pack(payload(`[{"k":1},{"k":[]}]`, "x\n", ""))
	c := newChain(t, steps(unzip, extract, splitJSONs, queries("k", ".k"), config.Processor{AppendDelimiter: "\n"}), fromQuery("k")...)
	all := derive(t, c, packed)
	want := []got{
		{sub: 0, data: "{\"k\":1}\n", raw: `{"k":1}`, part: "1"},
		{sub: 1, data: `{"k":[]}`, raw: `{"k":[]}`, kind: record.MetadataFailed},
		{sub: 2, data: "x\n", raw: "x\n", kind: record.ProcessingFailed},
		{sub: 3, data: "", raw: "", kind: record.ProcessingFailed},
	}
	for i := range all {
		all[i].code, all[i].why = "", ""
	}
	if !slices.Equal(all, want) {
		t.Errorf("%+v", all)
	}
	c = newChain(t, steps(unzip, queries("k", ".k")), fromQuery("k")...)
	if g := derive(t, c, pack(`{"k":null}`)); g[0].raw != pack(`{"k":null}`) || g[0].kind == "" {
		t.Errorf("%+v", g)
	}
}

func TestDecompress(t *testing.T) {
	c := newChain(t, steps(unzip))
	whole := pack(strings.Repeat("hello ", 1000))
	for name, data := range map[string]struct{ in, want, code string }{
		"one":              {whole, strings.Repeat("hello ", 1000), ""},
		"members":          {pack("a", "", "b"), "ab", ""},
		"nothing in it":    {pack(""), "", ""},
		"plain":            {payload("x"), "", codeNotGzip},
		"empty":            {"", "", codeNotGzip},
		"broken off":       {whole[:len(whole)-1], "", codeNotGzip},
		"only a header":    {whole[:10], "", codeNotGzip},
		"wrong checksum":   {whole[:len(whole)-5] + "x" + whole[len(whole)-4:], "", codeNotGzip},
		"garbage behind":   {whole + "x", "", codeNotGzip},
		"second is broken": {whole + whole[:20], "", codeNotGzip},
	} {
		g := derive(t, c, data.in)[0]
		if data.code != "" {
			if g.kind != record.DecompressFailed || g.code != data.code || g.raw != data.in {
				t.Errorf("%s: %+v", name, g)
			}
		} else if g.data != data.want || g.raw != data.in || g.kind != "" {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

// A bomb costs its limit and no more, alone or in many members, and its neighbours nothing.
func TestDecompressLimit(t *testing.T) {
	c := newChain(t, steps(unzip))
	s := c.steps[0].(*decompress)
	s.limit = 100_000
	for _, n := range []int{99_999, 100_000} {
		if g := derive(t, c, pack(strings.Repeat("x", n)))[0]; len(g.data) != n {
			t.Errorf("%d: %s", n, g.why)
		}
	}
	half := strings.Repeat("x", 50_001)
	for _, in := range []string{pack(strings.Repeat("x", 100_001)), pack(strings.Repeat("x", 50<<20)), pack(half, half)} {
		if g := derive(t, c, in)[0]; g.code != codeTooLarge || g.kind != record.DecompressFailed || g.raw != in {
			t.Errorf("%+v", g)
		}
	}
	if g := derive(t, c, pack("x"))[0]; g.data != "x" {
		t.Errorf("%+v", g)
	}
	out := output{room: &room{}}
	if _, err := s.unpack([]byte(pack(strings.Repeat("x", 50<<20))), out.room); !errors.Is(err, errTooLarge) || cap(out.room.buf) > 4*s.limit {
		t.Errorf("%d bytes for a limit of %d, %v", cap(out.room.buf), s.limit, err)
	}
}

func TestCloudWatchLogs(t *testing.T) {
	c := newChain(t, steps(extract))
	for _, x := range []struct {
		name, in string
		want     []string
		why      string
	}{
		{"messages", payload("a", "", "b\n", "é\t\"😀"), []string{"a", "", "b\n", "é\t\"😀"}, ""},
		{"none", payload(), []string{}, ""},
		{"probe", `{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination Firehose."}]}`, []string{}, ""},
		{"probe without events", `{"messageType":"CONTROL_MESSAGE"}`, []string{}, ""},
		{"two payloads", payload("a") + "\n" + payload("b"), []string{"a", "b"}, ""},
		{"more fields, other order, white space", ` { "logEvents" : [ { "message" : "a" , "x" : {"message":"no"} } , {"message":"b"} ] , "messageType" : "DATA_MESSAGE" } `, []string{"a", "b"}, ""},
		{"bytes that are no UTF-8 stay", "{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{\"message\":\"\xff\\u0041\"}]}", []string{"\xffA"}, ""},
		{"no JSON", "hello", nil, "there is no JSON object at byte 0"},
		{"empty", " ", nil, "empty"},
		{"array", `[]`, nil, "no JSON object"},
		{"other JSON", `{"a":1}`, nil, "no messageType"},
		{"other type", `{"messageType":"X"}`, nil, `messageType "X"`},
		{"type is no string", `{"messageType":1}`, nil, "no messageType"},
		{"no events", `{"messageType":"DATA_MESSAGE"}`, nil, "logEvents is not an array"},
		{"events are an object", `{"messageType":"DATA_MESSAGE","logEvents":{}}`, nil, "logEvents is not an array"},
		{"event is no object", `{"messageType":"DATA_MESSAGE","logEvents":[{"message":"a"},5]}`, nil, "event 1 has no message"},
		{"event without message", `{"messageType":"DATA_MESSAGE","logEvents":[{"message":"a"},{}]}`, nil, "event 1 has no message"},
		{"message is null", `{"messageType":"DATA_MESSAGE","logEvents":[{"message":null}]}`, nil, "event 0 has no message"},
		{"broken off", payload("a")[:50], nil, "invalid JSON at byte 50: unexpected end"},
		{"second broken", payload("a") + `{"messageType"`, nil, "invalid JSON"},
		{"second is no payload", payload("a") + `{}`, nil, "no messageType"},
		{"too deep", `{"messageType":"DATA_MESSAGE","logEvents":[` + strings.Repeat("[", 1000), nil, "nested"},
	} {
		all := derive(t, c, x.in)
		if x.want != nil {
			if !slices.Equal(datas(all), x.want) {
				t.Errorf("%s: %+v", x.name, all)
			}
			for _, g := range all {
				if g.raw != g.data {
					t.Errorf("%s: raw %q", x.name, g.raw)
				}
			}
		} else if len(all) != 1 || all[0].kind != record.ProcessingFailed || all[0].code != codeLogs || all[0].raw != x.in || !strings.Contains(all[0].why, x.why) {
			t.Errorf("%s: %+v", x.name, all)
		}
	}
}

func TestDeaggregateJSON(t *testing.T) {
	c := newChain(t, steps(splitJSONs))
	for _, x := range []struct {
		in   string
		want []string
		why  string
	}{
		{`{"a":1}`, []string{`{"a":1}`}, ""},
		{`{"a":1}{"b":"}{"}`, []string{`{"a":1}`, `{"b":"}{"}`}, ""},
		{"{\"a\":1}\n{\"b\":2}\r\n\t {}\n", []string{`{"a":1}`, `{"b":2}`, `{}`}, ""},
		{`[{"a":1},{"b":[{"c":2}]}]`, []string{`{"a":1}`, `{"b":[{"c":2}]}`}, ""},
		{" [ {} , { \"a\" : 1 } ] ", []string{`{}`, `{ "a" : 1 }`}, ""},
		{`[]`, []string{}, ""},
		{`[{}][{"a":1}]{}`, []string{`{}`, `{"a":1}`, `{}`}, ""},
		{"", nil, "empty"},
		{"\n", nil, "empty"},
		{`{"a":1}{"b":`, nil, "invalid JSON at byte 12: unexpected end"},
		{`{"a":1}x`, nil, "no JSON object at byte 7"},
		{`{"a":1},{"b":2}`, nil, "no JSON object at byte 7"},
		{`{"a":1}5`, nil, "no JSON object at byte 7"},
		{`[{"a":1},5]`, nil, "no JSON object at byte 9"},
		{`[{"a":1},]`, nil, "no JSON object at byte 9"},
		{`[{"a":1}`, nil, "invalid JSON at byte 8: unexpected end"},
		{`[{"a":1} {"b":2}]`, nil, "invalid JSON at byte 9: unexpected character"},
		{`[[{"a":1}]]`, nil, "no JSON object at byte 1"},
		{`[`, nil, "no JSON object at byte 1"},
		{`"a"`, nil, "no JSON object at byte 0"},
		{"\ufeff{}", nil, "no JSON object at byte 0"},
		{strings.Repeat(`{"a":`, 1_000_000), nil, "nested too deeply"},
	} {
		all := derive(t, c, x.in)
		if x.want != nil {
			if !slices.Equal(datas(all), x.want) {
				t.Errorf("%q: %+v", x.in, all)
			}
		} else if len(all) != 1 || all[0].kind != record.ProcessingFailed || all[0].code != codeDeaggregate || all[0].raw != x.in || !strings.Contains(all[0].why, x.why) {
			t.Errorf("%q: %+v", clip(x.in, 60), all)
		}
	}
}

func TestDeaggregateDelimited(t *testing.T) {
	for _, x := range []struct {
		delimiter, in string
		want          []string
	}{
		{"####", "a####b####", []string{"a", "b"}},
		{"####", "####a########b", []string{"a", "b"}},
		{"####", "a#####b", []string{"a", "#b"}},
		{"####", "\na\nb\r\n####\r\n####c\r", []string{"a\nb", "c\r"}},
		{"\n", "a\r\nb\n\nc", []string{"a\r", "b", "c"}},
		{"####", "", []string{}},
		{"####", "####\n####", []string{}},
		{"aa", "aaa", []string{"a"}},
	} {
		if got := datas(derive(t, newChain(t, steps(splitAt(x.delimiter))), x.in)); !slices.Equal(got, x.want) {
			t.Errorf("%q at %q: got %q, want %q", x.in, x.delimiter, got, x.want)
		}
	}
}

func TestTooManyRecords(t *testing.T) {
	most := strings.Repeat("{}", record.MaxSubs)
	c := newChain(t, steps(splitJSONs))
	if all := derive(t, c, most); len(all) != record.MaxSubs || all[record.MaxSubs-1].sub != record.MaxSubs-1 {
		t.Errorf("%d records", len(all))
	}
	for name, c := range map[string]*Chain{
		"objects":         newChain(t, steps(splitJSONs)),
		"two processors":  newChain(t, steps(splitAt("|"), splitJSONs, queries("k", ".k"))),
		"parts":           newChain(t, steps(splitAt("}"), splitAt("}"))),
		"then partitions": newChain(t, steps(splitJSONs, queries("k", ".k")), fromQuery("k")...),
	} {
		in := most + "{}"
		if name == "two processors" {
			in = strings.Repeat("{}{}|", record.MaxSubs*2/3)
		}
		all := derive(t, c, in)
		if len(all) != 1 || all[0].kind != record.ProcessingFailed || all[0].code != codeTooMany || all[0].raw != in {
			t.Errorf("%s: %d records, %s", name, len(all), all[0].why)
		}
		if all := derive(t, c, `{"k":1}`); len(all) != 1 || all[0].kind != "" {
			t.Errorf("%s, the next: %+v", name, all)
		}
	}
}

// What one large record needed is let go of behind it.
func TestRoomIsLetGo(t *testing.T) {
	c := newChain(t, steps(unzip, splitJSONs, queries("k", ".k")), fromQuery("k")...)
	derive(t, c, pack(strings.Repeat(`{"k":"`+strings.Repeat("x", 100)+`"}`, 20_000)))
	if cap(c.room.buf) > maxKeptRoomBytes || cap(c.room.free) > maxKeptList || cap(c.in.list) > maxKeptList || cap(c.out.list) > maxKeptList {
		t.Errorf("%d bytes, %d values, %d and %d parts are kept", cap(c.room.buf), cap(c.room.free), cap(c.in.list), cap(c.out.list))
	}
	if all := derive(t, c, pack(`{"k":1}`)); len(all) != 1 || all[0].part != "1" {
		t.Errorf("%+v", all)
	}
	for _, p := range append(c.in.list[:cap(c.in.list)], c.out.list[:cap(c.out.list)]...) {
		if p.data != nil || p.raw != nil || p.values != nil {
			t.Errorf("a waiting chain holds %+v", p)
		}
	}
}

func TestEmitsErrorEndsTheWork(t *testing.T) {
	c := newChain(t, steps(splitJSONs))
	calls := 0
	err := c.Derive(record.Record{Data: []byte("{}{}{}")}, func(*record.Derived) error {
		if calls++; calls == 2 {
			return iotest.ErrTimeout
		}
		return nil
	})
	if !errors.Is(err, iotest.ErrTimeout) || calls != 2 {
		t.Errorf("%v after %d calls", err, calls)
	}
}
