package httpendpoint

import (
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"hydrant/internal/sinktest"
	"hydrant/record"
)

var update = flag.Bool("update", false, "write testdata/*.http anew")

// Everything that goes over the wire, twice: attempts do not differ.
func TestGoldenRequests(t *testing.T) {
	for _, shape := range []string{"", bodyNDJSON, bodyArray, bodyLoki} {
		o, name := plainOptions(shape), shape
		if shape == "" {
			o, name = firehoseOptions(), "firehose"
		}
		t.Run(name, func(t *testing.T) {
			var got []string
			h := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				b, err := httputil.DumpRequest(r, true)
				if err != nil {
					t.Error(err)
				}
				got = append(got, strings.ReplaceAll(string(b), "\r\n", "\n")+"\n")
			}))
			t.Cleanup(h.Close)
			o.URL = h.URL + "/a%20path/?q=1"
			s := mustNew(t, o)
			for range 2 {
				s.Send(context.Background(), golden())
			}
			h.Close()
			if len(got) != 2 || got[0] != got[1] {
				t.Fatalf("requests that differ:\n%s", got)
			}
			compare(t, filepath.Join("testdata", name+".http"), strings.ReplaceAll(got[0], strings.TrimPrefix(h.URL, "http://"), "endpoint"))
		})
	}
}

func golden() *record.Request {
	r := sinktest.NewRequest(7, `{"a":1}`, "{\n  \"text\": \"ü \\n <&>\"\n}\n", `{"b":"\"\\"}`+"\r\n", "\"\tplain\x01\"", "")
	for i := range r.Items {
		r.Items[i].ArrivalMillis += int64((i + 1) / 2)
	}
	return r
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || got != string(want) {
		t.Errorf("%s (%v): got\n%s\nwant\n%s", file, err, got, want)
	}
}

func encode(shape string, data ...string) (string, int, []record.Verdict) {
	o := plainOptions(shape)
	b, n, refused := o.encoder()([]byte("kept "), sinktest.NewRequest(1, data...))
	return strings.TrimPrefix(string(b), "kept "), n, refused
}

func TestEncode(t *testing.T) {
	const at, next = "1795000000000020020", "1795000000000020040" // the first two records stand at 1001 and 1002
	stream := `{"streams":[{"stream":{"env":"a\"b","job":"hydrant"},"values":[`
	for name, c := range map[string]struct {
		shape   string
		data    []string
		want    string
		refused []int
	}{
		"a newline behind each":        {bodyNDJSON, []string{"1", "2\n", "3\r\n", ""}, "1\n2\n3\n\n", nil},
		"JSON on one line":             {bodyNDJSON, []string{"{\n\"a\" : [1,\n2]}\n"}, "{\"a\":[1,2]}\n", nil},
		"one line stays as it is":      {bodyNDJSON, []string{`{ "a": 1 }`}, "{ \"a\": 1 }\n", nil},
		"no JSON stays as it is":       {bodyNDJSON, []string{"{\na", "\x00\xff\nb"}, "{\na\n\x00\xff\nb\n", nil},
		"two values stay as they are":  {bodyNDJSON, []string{"{}\n{}"}, "{}\n{}\n", nil},
		"carriage return alone":        {bodyNDJSON, []string{"a\r", "\n"}, "a\r\n\n", nil},
		"an array":                     {bodyArray, []string{`{"a":1}`, "2\n", `"x"`}, "[{\"a\":1},2\n,\"x\"]", nil},
		"an array refuses":             {bodyArray, []string{"{", `1`, "1 2", "", `2`}, `[1,2]`, []int{0, 2, 3}},
		"an array refuses the first":   {bodyArray, []string{"x", `1`}, `[1]`, []int{0}},
		"an array refuses all":         {bodyArray, []string{"x"}, `[]`, []int{0}},
		"a push":                       {bodyLoki, []string{"a\n", "b\r\nc"}, stream + `["` + at + `","a"],["` + next + `","b\r\nc"]]}]}`, nil},
		"a push refuses what is not 8": {bodyLoki, []string{"\xff", "ü\u2028\x7f"}, stream + `["` + next + "\",\"ü\u2028\x7f\"]]}]}", []int{0}},
	} {
		t.Run(name, func(t *testing.T) {
			got, n, refused := encode(c.shape, c.data...)
			if got != c.want || n != len(c.data)-len(c.refused) || len(refused) != len(c.refused) {
				t.Fatalf("%d items, %d refused\n got %q\nwant %q", n, len(refused), got, c.want)
			}
			for i, v := range refused {
				if v.Item != c.refused[i] || v.Kind != record.Rejected || v.Code != codeInvalidRecord || v.Err == nil || v.TooLarge {
					t.Errorf("verdict %+v, want item %d rejected", v, c.refused[i])
				}
			}
		})
	}
}

// Two equal lines of one time are one for Loki, and earlier ones may be too old for it.
func TestLokiTimes(t *testing.T) {
	item := func(millis int64, pos record.Position, sub uint16) record.Item {
		return record.Item{ID: record.ID{Pos: pos}, Sub: sub, ArrivalMillis: millis, Data: []byte("x")}
	}
	back := item(1, 9, 0) // from an error prefix, where records stand in any order
	back.Origin = &record.Origin{ID: record.ID{Pos: 3}}
	for name, c := range map[string]struct {
		items []record.Item
		want  []int64
	}{
		"each its own":           {[]record.Item{item(1, 1, 0), item(1, 2, 0), item(2, 3, 0)}, []int64{1_000_020, 1_000_040, 2_000_060}},
		"whatever goes before":   {[]record.Item{item(1, 2, 0)}, []int64{1_000_040}},
		"parts":                  {[]record.Item{item(1, 1, 1), item(1, 1, 2), item(1, 2, 0)}, []int64{1_000_021, 1_000_022, 1_000_040}},
		"more parts than room":   {[]record.Item{item(1, 1, 20), item(1, 2, 0), item(1, 2, 1)}, []int64{1_000_040, 1_000_041, 1_000_042}},
		"positions begin anew":   {[]record.Item{item(1, 49_999, 0), item(1, 50_000, 0)}, []int64{1_999_980, 1_999_981}},
		"more than fit":          {[]record.Item{item(1, 49_999, 19), item(1, 50_000, 0), item(2, 50_001, 0)}, []int64{1_999_999, 2_000_000, 2_000_020}},
		"came back":              {[]record.Item{item(1, 8, 0), back}, []int64{1_000_160, 1_000_161}},
		"the clock was put back": {[]record.Item{item(7, 1, 0), item(3, 2, 0)}, []int64{7_000_020, 7_000_021}},
	} {
		t.Run(name, func(t *testing.T) {
			o := plainOptions(bodyLoki)
			b, _, _ := o.encoder()(nil, &record.Request{Items: c.items})
			var push struct {
				Streams []struct{ Values [][2]string }
			}
			if err := json.Unmarshal(b, &push); err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, v := range push.Streams[0].Values {
				n, err := strconv.ParseInt(v[0], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, n)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

// Whatever is refused here is refused without asking the endpoint, and whatever becomes of the others.
func TestLocalVerdicts(t *testing.T) {
	status := http.StatusOK
	requests := 0
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		requests++
		w.WriteHeader(status)
	}))
	t.Cleanup(h.Close)
	o := plainOptions(bodyArray)
	o.URL = h.URL
	s := mustNew(t, o)
	if reply := s.Send(context.Background(), sinktest.NewRequest(1, "x", "y")); requests != 0 || reply.Kind != record.Delivered || len(reply.Verdicts) != 2 {
		t.Errorf("%+v after %d requests", reply, requests)
	}
	if reply := s.Send(context.Background(), &record.Request{}); requests != 0 || reply.Kind != record.Delivered {
		t.Errorf("no record: %+v after %d requests", reply, requests)
	}
	for status = range map[int]bool{503: true, 400: true} {
		reply := s.Send(context.Background(), sinktest.NewRequest(2, "x", "1"))
		want := map[int]record.OutcomeKind{503: record.Retry, 400: record.Rejected}[status]
		if reply.Kind != want || reply.TooLarge || len(reply.Verdicts) != 1 || reply.Verdicts[0].Kind != record.Rejected {
			t.Errorf("%d: %+v, want %v of the one that was sent, alone", status, reply, want)
		}
	}
}

func FuzzAppendString(f *testing.F) {
	f.Add("a\"\\\n\r\t\x00\x1f\x7fü\u2028🚰")
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			t.Skip()
		}
		var back string
		if err := json.Unmarshal(appendString(nil, []byte(s)), &back); err != nil || back != s {
			t.Fatalf("%q came back as %q: %v", s, back, err)
		}
	})
}

func FuzzEncodeLines(f *testing.F) {
	f.Add([]byte("{\n\"a\":1}\n"))
	f.Add([]byte("\r\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, n, _ := encodeLines(nil, sinktest.NewRequest(1, string(data)))
		if n != 1 || got[len(got)-1] != '\n' {
			t.Fatalf("%q became %q", data, got)
		}
		if json.Valid(data) && strings.Count(strings.TrimSpace(string(got)), "\n") > 0 {
			t.Fatalf("JSON %q became several lines: %q", data, got)
		}
	})
}

func TestDescribe(t *testing.T) {
	s := mustNew(t, withURL(firehoseOptions()))
	item := record.Item{ID: record.ID{Epoch: record.Epoch{0xab}, Pos: 12}, Sub: 3}
	if got := s.Describe(&item); len(got) != 1 || got[0] != (record.Field{Name: "dataId", Value: "ab000000000000000000000000000000.12.3"}) {
		t.Errorf("%v", got)
	}
	item.Sub, item.Origin = 0, &record.Origin{ID: record.ID{Pos: 5}, Sub: 2}
	if got := s.Describe(&item); got[0].Value != "00000000000000000000000000000000.5.2" {
		t.Errorf("of a record that came back: %v", got)
	}
}
