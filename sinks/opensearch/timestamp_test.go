package opensearch

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

const inserted = `"@timestamp":"2016-02-25T13:59:59.007Z"`

func TestTimestamp(t *testing.T) {
	at := millis(t, "2016-02-25T13:59:59Z") + 7
	ts := newTimestamp("@timestamp")
	for doc, want := range map[string]string{
		`{"a":1}`: `{` + inserted + `,"a":1}`,
		` { "a" : "}\"" , "b":[{"@timestamp":1}]}`: ` {` + inserted + `, "a" : "}\"" , "b":[{"@timestamp":1}]}`,
		`{}`:                                `{` + inserted + `}`,
		`{ }`:                               `{` + inserted + ` }`,
		`{"@timestamp":null}`:               "",
		`{"a":{},"@timestamp":5,"b":6}`:     "",
		`{"\u0040timestamp":5}`:             "",
		`{"@timestamp\\":5}`:                `{` + inserted + `,"@timestamp\\":5}`,
		`{"@TIMESTAMP":5}`:                  `{` + inserted + `,"@TIMESTAMP":5}`,
		`[1]`:                               "",
		`[{"a":1}]`:                         "",
		`"{"`:                               "",
		`text`:                              "",
		`{"a":1`:                            "",
		`{"a" 1}`:                           "",
		`{"a":1} {}`:                        "",
		`{"a":1,}`:                          "",
		`{`:                                 "",
		`{"a":` + strings.Repeat("[", 2000): "",
	} {
		if want == "" {
			want = doc
		}
		if got := string(ts.appendDocument([]byte("x"), []byte(doc), at)); got != "x"+want {
			t.Errorf("%s\n%s, want\n%s", doc, got, want)
		}
	}
	none := newTimestamp("")
	if got := string(none.appendDocument(nil, []byte(`{}`), at)); got != `{}` {
		t.Error(got)
	}
	odd := newTimestamp(`t"s`)
	if got := string(odd.appendDocument(nil, []byte(`{"t\"s":1}`), at)); got != `{"t\"s":1}` {
		t.Error(got)
	}
	if got := string(odd.appendDocument(nil, []byte(`{}`), 0)); got != `{"t\"s":"1970-01-01T00:00:00.000Z"}` {
		t.Error(got)
	}
}

// The field is there afterwards exactly where encoding/json sees an object, nothing else changes, and what has it keeps its own.
func FuzzTimestamp(f *testing.F) {
	for _, doc := range []string{`{"a":1}`, ` {"a":"}\""} `, `{}`, `{"@timestamp":1}`, `{"\u0040timestamp":1}`, `[{}]`, `{"a":[{"@timestamp":1}]}`, `{"a"`, "{\"\xff\":1}"} {
		f.Add([]byte(doc))
	}
	ts := newTimestamp("@timestamp")
	f.Fuzz(func(t *testing.T, doc []byte) {
		got := ts.appendDocument(nil, doc, 1_456_408_799_007)
		var fields map[string]json.RawMessage
		err := json.Unmarshal(doc, &fields)
		_, has := fields["@timestamp"]
		switch {
		case err == nil && (fields == nil || has):
			if !bytes.Equal(got, doc) {
				t.Fatalf("%q became %q", doc, got)
			}
		case err == nil:
			var after map[string]json.RawMessage
			if err := json.Unmarshal(got, &after); err != nil || len(after) != len(fields)+1 || string(after["@timestamp"]) != inserted[len(`"@timestamp":`):] {
				t.Fatalf("%q became %q: %v", doc, got, err)
			}
			fallthrough
		default: // no object, or no JSON, which the cluster will refuse: its own bytes stay as they are
			if rest := bytes.Replace(got, []byte(inserted+","), nil, 1); !bytes.Equal(rest, doc) {
				if rest = bytes.Replace(got, []byte(inserted), nil, 1); !bytes.Equal(rest, doc) && !bytes.Equal(got, doc) {
					t.Fatalf("%q became %q", doc, got)
				}
			}
		}
	})
}
