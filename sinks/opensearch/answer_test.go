package opensearch

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// full is an answer with all its fields, as a server writes it.
const full = `{"took":30,"errors":true,"items":[
 {"create":{"_index":"i","_id":"1","_version":1,"result":"created","_shards":{"total":2,"successful":1,"failed":0},"_seq_no":0,"_primary_term":1,"status":201}},
 {"create":{"_index":"i","_id":"2","status":400,"error":{"type":"mapper_parsing_exception","reason":"failed to parse [\"}]\\","caused_by":{"type":"x","status":200}}}},
 {"create":{"error":"old text","status":429}},
 {"create":{"status":201,"error":null}}]}`

func read(b string) (got []string, ok bool) {
	n, ok := readAnswer([]byte(b), func(i int, item answerItem) {
		c := readCause(item.cause)
		got = append(got, fmt.Sprintf("%d:%d:%s:%s", i, item.status, c.Type, c.Reason))
	})
	return got, ok && n == len(got)
}

func TestAnswer(t *testing.T) {
	for b, want := range map[string]string{
		full: `0:201:: 1:400:mapper_parsing_exception:failed to parse ["}]\ 2:429::old text 3:201::`,
		`{"errors":false,"items":[` + taken + `,` + taken + `]}`:                             `0:201:: 1:201::`,
		` { "items" : [ {"create" : {"status" : 200 } } ] , "errors" : false , "x":[1,{}]} `: `0:200::`,
		`{"errors":false,"items":[]}`:                                                        ``,
	} {
		got, ok := read(b)
		if strings.Join(got, " ") != want || !ok {
			t.Errorf("%s\n%v %v, want %s", b, got, ok, want)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	good := `{"errors":false,"items":[` + taken + `,{"create":{"status":409,"error":{"type":"t"}}}]}`
	if _, ok := read(good); !ok {
		t.Fatal("the good one")
	}
	for n := range len(good) {
		if _, ok := read(good[:n]); ok {
			t.Errorf("cut: %s", good[:n])
		}
	}
	for _, b := range []string{
		`[]`, `null`, `{}`, `{"errors":false}`, `{"items":[]}`, `{"errors":1,"items":[]}`, `{"errors":false,"items":{}}`, `{"errors":false,"items":null}`,
		`{"errors":false,"items":[1]}`, `{"errors":false,"items":[{}]}`, `{"errors":false,"items":[{"create":{}}]}`,
		`{"errors":false,"items":[{"create":{"status":"201"}}]}`, `{"errors":false,"items":[{"create":{"status":2010}}]}`,
		`{"errors":false,"items":[{"create":{"status":099}}]}`, `{"errors":false,"items":[{"create":{"status":201},"create":{"status":201}}]}`,
		`{"errors":false,"items":[` + taken + taken + `]}`, `{"errors":false,"items":[` + taken + `,]}`, good + `x`, good + good,
		`{"errors":false,"errors":false,"items":[]}`, `{"errors":false,"items":[],"items":[]}`, `{"errors":false,"items":[],}`,
		`{"errors":false,"x":` + strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1) + `,"items":[]}`,
	} {
		if _, ok := read(b); ok {
			t.Errorf("passed for an answer: %s", clip(b, 100))
		}
	}
}

func TestCauses(t *testing.T) {
	for body, want := range map[string]cause{
		`{"error":{"type":"a","reason":"b","root_cause":[]},"status":403}`: {"a", "b"},
		`{"error":"text","status":400}`:                                    {"", "text"},
		`{"message":"denied"}`:                                             {},
		`<html>`:                                                           {},
		`{"error":7}`:                                                      {},
		``:                                                                 {},
	} {
		if got := readRefusal([]byte(body)); got != want {
			t.Errorf("%s: %+v", body, got)
		}
	}
}

func TestClip(t *testing.T) {
	for n := range 8 {
		if got := clip("aüö🚰", n); len(got) > n || !utf8.ValidString(got) || !strings.HasPrefix("aüö🚰", got) {
			t.Errorf("%d: %q", n, got)
		}
	}
}

// What the parser reads out of an answer is what encoding/json reads out of it; what is no JSON must only do no harm.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`{"errors":false,"items":[` + taken + `]}`))
	f.Add([]byte(`{"items":[{"create":{"status":503,"error":{"type":"\u0061\\\"","reason":"ü"}}}],"errors":true}`))
	f.Add([]byte(`{"errors":tru`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var statuses []int
		var causes []cause
		n, ok := readAnswer(b, func(_ int, item answerItem) {
			statuses = append(statuses, item.status)
			causes = append(causes, readCause(item.cause))
		})
		if !ok || !json.Valid(b) || strings.Contains(string(b), `\`) { // a name may be written with escapes, and then is another one to us
			return
		}
		var top map[string]json.RawMessage
		var items []map[string]map[string]json.RawMessage
		if err := json.Unmarshal(b, &top); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(top["items"], &items); err != nil || len(items) != n || len(statuses) != n {
			t.Fatalf("%d items, want %d: %v", n, len(items), err)
		}
		for i := range items {
			for _, fields := range items[i] {
				if string(fields["status"]) != fmt.Sprint(statuses[i]) || readCause(fields["error"]) != causes[i] {
					t.Fatalf("item %d: %d %+v, want %s %s", i, statuses[i], causes[i], fields["status"], fields["error"])
				}
			}
		}
	})
}
