package osfake

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type client struct {
	t    *testing.T
	url  string
	http *http.Client
}

func start(t *testing.T, s *Server) *client {
	t.Helper()
	url, stop := s.Start()
	tr := &http.Transport{}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		stop()
	})
	return &client{t: t, url: url, http: &http.Client{Transport: tr}}
}

// post returns the status and the body, 0 without an answer.
func (c *client) post(query, body string, change func(*http.Request)) (int, string) {
	c.t.Helper()
	r, err := http.NewRequest(http.MethodPost, c.url+"/_bulk"+query, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	if change != nil {
		change(r)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return 0, ""
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, strings.TrimSpace(string(b))
}

const pair = `{"create":{"_index":"i","_id":"1"}}` + "\n" + `{"a":1}` + "\n"

func TestCreate(t *testing.T) {
	s := New()
	c := start(t, s)
	if code, b := c.post("?filter_path=errors,items.*.status", pair, nil); code != 200 || b != `{"errors":false,"items":[{"create":{"status":201}}]}` {
		t.Errorf("%d %s", code, b)
	}
	code, b := c.post("", pair, nil)
	var full bulkAnswer
	if err := json.Unmarshal([]byte(b), &full); err != nil || code != 200 {
		t.Fatal(code, err)
	}
	if r := full.Items[0]["create"]; !full.Errors || r.Status != 409 || r.Error.Type != "version_conflict_engine_exception" {
		t.Errorf("%s", b)
	}
	if docs := s.Documents(); len(docs) != 1 || docs[0].Index != "i" || docs[0].ID != "1" || string(docs[0].Source) != `{"a":1}` {
		t.Errorf("%+v", docs)
	}
}

func TestRefusals(t *testing.T) {
	s := New()
	s.AddDataStream("metrics")
	s.Judge = func(d Document) *Refusal {
		if string(d.Source) == `{"a":"no"}` {
			return &Refusal{400, "mapper_parsing_exception", "not a number"}
		}
		return nil
	}
	c := start(t, s)
	for doc, want := range map[string]string{
		`{"create":{"_index":"Upper"}}` + "\n{}\n":                                  "invalid_index_name_exception",
		`{"create":{"_index":"i"}}` + "\n[1]\n":                                     "mapper_parsing_exception",
		`{"create":{"_index":"i"}}` + "\nnull\n":                                    "mapper_parsing_exception",
		`{"create":{"_index":"i"}}` + "\n{\"a\":\"no\"}\n":                          "not a number",
		`{"create":{"_index":"metrics"}}` + "\n{\"a\":1}\n":                         "@timestamp",
		`{"create":{"_index":"metrics"}}` + "\n{\"@timestamp\":1}\n":                `"errors":false`,
		`{"create":{"_index":"i"}}` + "\n{}\n":                                      `"errors":false`,
		`{"index":{"_index":"i"}}` + "\n{}\n":                                       "malformed action",
		`{"create":{"_index":"i"}}` + "\n":                                          "pairs",
		`{"create":{"_index":"i"}}` + "\n{}":                                        "newline",
		`{"create":{"_index":"i"}}` + "\n\n":                                        "empty",
		"":                                                                          "newline",
		`{"create":{"_index":"i","_id":"` + strings.Repeat("x", 513) + "\"}}\n{}\n": "too long",
	} {
		if _, b := c.post("", doc, nil); !strings.Contains(b, want) {
			t.Errorf("%q: %s, want %s", doc, b, want)
		}
	}
}

func TestRequestIsChecked(t *testing.T) {
	s := New()
	s.Username, s.NoAutoCreate, s.MaxBytes = "u", true, 4096
	s.SetPassword("p")
	c := start(t, s)
	in := func(r *http.Request) { r.SetBasicAuth("u", "p") }
	if code, _ := c.post("", pair, nil); code != 401 {
		t.Errorf("no credentials: %d", code)
	}
	if _, b := c.post("", pair, in); !strings.Contains(b, "index_not_found_exception") {
		t.Errorf("no index: %s", b)
	}
	s.AddIndex("i")
	if _, b := c.post("", pair, in); !strings.Contains(b, `"errors":false`) {
		t.Errorf("index: %s", b)
	}
	if code, _ := c.post("", strings.Repeat(pair, 100), in); code != 413 {
		t.Errorf("large: %d", code)
	}
	if code, _ := c.post("", pair, func(r *http.Request) { in(r); r.Header.Set("Content-Type", "text/plain") }); code != 406 {
		t.Errorf("text: %d", code)
	}
	if code, _ := c.post("", pair, func(r *http.Request) { in(r); r.Header.Set("Content-Encoding", "gzip") }); code != 400 {
		t.Errorf("no gzip: %d", code)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = io.WriteString(w, strings.Repeat(pair, 100))
	w.Close()
	if code, b := c.post("", z.String(), func(r *http.Request) { in(r); r.Header.Set("Content-Encoding", "gzip") }); code != 200 || strings.Count(b, "409") != 100 {
		t.Errorf("gzip: %d", code)
	}
	if code, _ := c.post("/x", pair, in); code != 400 {
		t.Errorf("path: %d", code)
	}
	if got := s.Requests(); len(got) != 8 || got[6].Bytes != int64(z.Len()) || got[7].Path != "/_bulk/x" {
		t.Errorf("%d requests noted", len(got))
	}
}

func TestFaults(t *testing.T) {
	for kind, want := range map[FaultKind]struct{ status, taken int }{
		Answer: {429, 0}, Bare: {429, 0}, Cut: {0, 0}, CutAfter: {0, 1}, Garbage: {200, 0}, Short: {200, 1},
	} {
		s := New()
		c := start(t, s)
		s.Fail(Fault{Kind: kind, Status: 429, RetryAfter: 7})
		if code, b := c.post("", pair, nil); code != want.status || len(s.Documents()) != want.taken || strings.Contains(b, "create") {
			t.Errorf("%d: %d %s, %d taken", kind, code, b, len(s.Documents()))
		}
		if code, _ := c.post("", pair, nil); code != 200 {
			t.Errorf("%d: then %d", kind, code)
		}
	}
}

func TestHangEndsWithTheServer(t *testing.T) {
	s := New()
	c := start(t, s)
	s.Fail(Fault{Kind: Hang})
	s.Release()
	if code, _ := c.post("", pair, nil); code != 0 || len(s.Documents()) != 0 {
		t.Errorf("%d", code)
	}
}
