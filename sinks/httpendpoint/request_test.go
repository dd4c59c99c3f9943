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
	const at, next = "1795000000000001001", "1795000000000001002" // the first two records stand at 1001 and 1002
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
