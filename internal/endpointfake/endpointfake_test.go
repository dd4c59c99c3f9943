package endpointfake

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	id  = "00000000-0000-8000-8000-000000000001"
	arn = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/weblogs"
	key = "a key"
)

// call is a good request, which tests spoil.
type call struct {
	method string
	header http.Header
	body   string
}

func good() *call {
	c := &call{http.MethodPost, http.Header{}, fmt.Sprintf(`{"requestId":%q,"timestamp":1795000000000,"records":[{"data":"YQ=="},{"data":""}]}`, id)}
	c.header.Set("X-Amz-Firehose-Protocol-Version", "1.0")
	c.header.Set("X-Amz-Firehose-Request-Id", id)
	c.header.Set("X-Amz-Firehose-Source-Arn", arn)
	c.header.Set("X-Amz-Firehose-Access-Key", key)
	c.header.Set("X-Amz-Firehose-Common-Attributes", `{"commonAttributes":{"a":"b"}}`)
	c.header.Set("Content-Type", "application/json")
	return c
}

func (c *call) in(from, to string) { c.body = strings.Replace(c.body, from, to, 1) }

func (c *call) gzip() {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(c.body))
	_ = z.Close()
	c.body = b.String()
	c.header.Set("Content-Encoding", "gzip")
}

// plain makes it a request of another shape.
func (c *call) plain(contentType, body string) {
	c.header = http.Header{"Idempotency-Key": {id}, "Content-Type": {contentType}}
	c.body = body
}

type answered struct {
	status int
	header http.Header
	body   []byte
	err    error // of the call, or of reading the answer
}

func start(t *testing.T, s *Server) func(context.Context, *call) answered {
	t.Helper()
	address, stop := s.Start()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	t.Cleanup(func() { client.CloseIdleConnections(); stop() })
	return func(ctx context.Context, c *call) answered {
		var from io.Reader = strings.NewReader(c.body)
		if c.header.Get("Transfer-Encoding") != "" {
			from = io.NopCloser(from) // its length is not known then
		}
		r, err := http.NewRequestWithContext(ctx, c.method, address, from)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = c.header
		resp, err := client.Do(r)
		if err != nil {
			return answered{err: err}
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return answered{resp.StatusCode, resp.Header, b, err}
	}
}

func strict() *Server {
	s := New()
	s.AccessKey, s.SourceARN = key, arn
	return s
}

func TestTakes(t *testing.T) {
	for name, change := range map[string]func(*call){
		"good":              func(*call) {},
		"gzip":              (*call).gzip,
		"no attributes":     func(c *call) { c.header.Del("X-Amz-Firehose-Common-Attributes") },
		"no attribute":      func(c *call) { c.header.Set("X-Amz-Firehose-Common-Attributes", `{"commonAttributes":{}}`) },
		"order of the keys": func(c *call) { c.in(`{"requestId":"`+id+`",`, "{"); c.in(`}]}`, `}],"requestId":"`+id+`"}`) },
	} {
		s := strict()
		c := good()
		change(c)
		a := start(t, s)(context.Background(), c)
		var echo struct {
			RequestID string
			Timestamp int64
		}
		if err := json.Unmarshal(a.body, &echo); err != nil || a.status != 200 || echo.RequestID != id || echo.Timestamp == 0 {
			t.Errorf("%s: %d %s %v", name, a.status, a.body, s.Violations())
		}
		if got := s.Received(); len(got) != 2 || string(got[0]) != "a" || len(got[1]) != 0 || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: received %q, answer %v", name, got, a.header)
		}
	}
}

func TestRefuses(t *testing.T) {
	set := func(name string, v ...string) func(*call) {
		return func(c *call) { c.header[http.CanonicalHeaderKey(name)] = v }
	}
	in := func(from, to string) func(*call) { return func(c *call) { c.in(from, to) } }
	many := `{"data":""},` + strings.Repeat(`{"data":""},`, 9_999)
	attributes := map[string]string{}
	for i := range 51 {
		attributes[fmt.Sprint(i)] = ""
	}
	tooMany, _ := json.Marshal(map[string]any{"commonAttributes": attributes})
	for name, change := range map[string]func(*call){
		"method":                 func(c *call) { c.method = http.MethodPut },
		"no version":             set("X-Amz-Firehose-Protocol-Version"),
		"version":                set("X-Amz-Firehose-Protocol-Version", "1"),
		"no id":                  set("X-Amz-Firehose-Request-Id"),
		"id":                     set("X-Amz-Firehose-Request-Id", "x"),
		"two ids":                set("X-Amz-Firehose-Request-Id", id, id),
		"no ARN":                 set("X-Amz-Firehose-Source-Arn"),
		"ARN":                    set("X-Amz-Firehose-Source-Arn", strings.Replace(arn, "weblogs", "other", 1)),
		"ARN of something":       set("X-Amz-Firehose-Source-Arn", "arn:aws:s3:::bucket"),
		"unknown header":         set("X-Amz-Firehose-Else", "x"),
		"type":                   set("Content-Type", "application/json; charset=utf-8"),
		"encoding":               set("Content-Encoding", "identity"),
		"no gzip":                set("Content-Encoding", "gzip"),
		"no length":              set("Transfer-Encoding", "chunked"),
		"attributes no JSON":     set("X-Amz-Firehose-Common-Attributes", "a=b"),
		"attributes bare":        set("X-Amz-Firehose-Common-Attributes", `{"a":"b"}`),
		"attributes null":        set("X-Amz-Firehose-Common-Attributes", `{"commonAttributes":null}`),
		"attribute a number":     set("X-Amz-Firehose-Common-Attributes", `{"commonAttributes":{"a":1}}`),
		"attribute without name": set("X-Amz-Firehose-Common-Attributes", `{"commonAttributes":{"":"x"}}`),
		"too many attributes":    set("X-Amz-Firehose-Common-Attributes", string(tooMany)),
		"no JSON":                in("{", ""),
		"more behind":            in("]}", "]} {}"),
		"another id":             in(id, strings.Replace(id, "1", "2", 1)),
		"seconds":                in("1795000000000", "1795000000"),
		"time as text":           in("1795000000000", `"1795000000000"`),
		"no time":                in(`"timestamp":1795000000000,`, ""),
		"more keys":              in("{", `{"x":1,`),
		"key in another case":    in("records", "Records"),
		"no records":             in(`{"data":"YQ=="},{"data":""}`, ""),
		"too many records":       in(`{"data":"YQ=="},`, many),
		"record without data":    in(`"data":"YQ=="`, ""),
		"record with more":       in(`"data":"YQ=="`, `"data":"","x":""`),
		"no padding":             in("YQ==", "YQ"),
		"loose bits":             in("YQ==", "YR=="),
		"newline in base64":      in("YQ==", `YQ=\n=`),
		"too large a record":     in("YQ==", base64.StdEncoding.EncodeToString(make([]byte, maxRecordBytes+1))),
	} {
		s := strict()
		c := good()
		change(c)
		a := start(t, s)(context.Background(), c)
		if a.status != http.StatusBadRequest || len(s.Violations()) != 1 || len(s.Received()) > 0 || !strings.Contains(string(a.body), "errorMessage") {
			t.Errorf("%s: %d %s, violations %v", name, a.status, a.body, s.Violations())
		}
	}
}

// What a sender cannot know is refused, but it is no violation.
func TestRefusesWithoutBlame(t *testing.T) {
	for status, change := range map[int]func(*Server, *call){
		401: func(_ *Server, c *call) { c.header.Set("X-Amz-Firehose-Access-Key", "another") },
		403: func(s *Server, _ *call) { s.Headers = map[string]string{"Authorization": "x"} },
		413: func(s *Server, c *call) { s.MaxBodyBytes = int64(len(c.body)) - 1; c.gzip() },
		400: func(s *Server, _ *call) { s.Refuse = func(d []byte) bool { return string(d) == "a" } },
		200: func(s *Server, c *call) { s.MaxBodyBytes = int64(len(c.body)); c.gzip() },
	} {
		s, c := strict(), good()
		change(s, c)
		a := start(t, s)(context.Background(), c)
		if a.status != status || len(s.Violations()) > 0 || len(s.Received()) > 0 != (status == 200) {
			t.Errorf("%d %s, want %d; violations %v", a.status, a.body, status, s.Violations())
		}
	}
	s := New()
	if a := start(t, s)(context.Background(), good()); a.status != 400 || len(s.Violations()) != 1 {
		t.Errorf("a key that nobody asked for: %d", a.status)
	}
}

func TestPlainShapes(t *testing.T) {
	push := func(values string) string { return `{"streams":[{"stream":{"job":"x"},"values":[` + values + `]}]}` }
	const at, next = `"1795000000000000000"`, `"1795000000000000001"`
	for _, c := range []struct {
		shape, contentType, body string
		want                     string // records, "" for a violation
	}{
		{NDJSON, "application/x-ndjson", "a\n\nb\n", "a||b"},
		{NDJSON, "application/x-ndjson", "a\nb", ""},
		{NDJSON, "application/json", "a\n", ""},
		{JSONArray, "application/json", `[{"a":1}, 2]`, `{"a":1}|2`},
		{JSONArray, "application/json", `[]`, ""},
		{JSONArray, "application/json", `[1,]`, ""},
		{Loki, "application/json", push(`[` + at + `,"a"],[` + next + `,"\n"]`), "a|\n"},
		{Loki, "application/json", push(`[` + at + `,"a"],[` + at + `,"a"]`), ""},
		{Loki, "application/json", push(`[` + at + `]`), ""},
		{Loki, "application/json", push(`[` + at + `,"a","b"]`), ""},
		{Loki, "application/json", push(""), ""},
		{Loki, "application/json", push(`["1795000000","a"]`), ""},
		{Loki, "application/json", push(`[` + next + `,"a"],[` + at + `,"b"]`), ""},
		{Loki, "application/json", strings.Replace(push(`[`+at+`,"a"]`), "job", "other", 1), ""},
		{Loki, "application/json", push(`[`+at+`,"a"]`) + "{}", ""},
	} {
		s, req := New(), good()
		s.Shape, s.Labels = c.shape, map[string]string{"job": "x"}
		req.plain(c.contentType, c.body)
		a := start(t, s)(context.Background(), req)
		got := string(bytes.Join(s.Received(), []byte("|")))
		if got != c.want || (a.status == http.StatusNoContent) != (c.want != "") || (len(s.Violations()) == 0) != (c.want != "") {
			t.Errorf("%s %q: %d %q, violations %v", c.shape, c.body, a.status, got, s.Violations())
		}
	}
	s, req := New(), good()
	s.Shape = JSONArray
	req.plain("application/json", "[1]")
	req.header.Set("X-Amz-Firehose-Source-Arn", arn)
	if a := start(t, s)(context.Background(), req); a.status != 400 {
		t.Errorf("a header of Firehose's: %d", a.status)
	}
}

func TestRepeats(t *testing.T) {
	s := strict()
	post := start(t, s)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if a := post(context.Background(), good()); a.status != 200 {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	wg.Wait()
	packed := good()
	packed.gzip()
	if a := post(context.Background(), packed); a.status != 200 || s.Repeats() != 8 || s.Requests() != 9 || len(s.Received()) != 2 {
		t.Errorf("%d after %d requests, %d repeats, %d records", a.status, s.Requests(), s.Repeats(), len(s.Received()))
	}
	other := good()
	other.in("YQ==", "Yg==")
	if a := post(context.Background(), other); a.status != 400 || len(s.Violations()) != 1 || len(s.Received()) != 2 {
		t.Errorf("another body: %d, violations %v", a.status, s.Violations())
	}
}

func TestFaults(t *testing.T) {
	for kind, c := range map[Kind]struct {
		taken  int
		status int // 0: no whole answer
		body   string
	}{
		Status:      {0, 503, "later"},
		StatusAfter: {2, 503, "later"},
		CutBody:     {0, 0, ""},
		Cut:         {0, 0, ""},
		CutAfter:    {2, 0, ""},
		CutAnswer:   {2, 0, ""},
		Hang:        {0, 0, ""},
		HangAfter:   {2, 0, ""},
		Drip:        {2, 200, id},
		WrongEcho:   {0, 200, "00000000-0000-0000-0000-000000000000"},
		WrongType:   {0, 200, id},
		Encoded:     {0, 200, id},
		Garbage:     {0, 200, "<html>"},
		Huge:        {0, 200, "\x00"},
		Redirect:    {0, 307, id},
	} {
		s := strict()
		ctx, cancel := context.WithCancel(context.Background())
		s.DripEvery = 1
		s.Fault = func(r *Request) Fault {
			if r.N != 1 || r.ID != id {
				t.Errorf("asked about %+v", r)
			}
			if kind == Hang {
				cancel()
			}
			if kind == HangAfter {
				s.Release()
			}
			return Fault{Kind: kind, Status: 503, RetryAfter: "7", Message: "later"}
		}
		a := start(t, s)(ctx, good())
		cancel()
		if (a.err == nil) != (c.status != 0) || a.err == nil && (a.status != c.status || !strings.Contains(string(a.body), c.body)) {
			t.Errorf("fault %d: %d %.100s %v, want %d", kind, a.status, a.body, a.err, c.status)
		}
		if kind == Hang && !errors.Is(a.err, context.Canceled) || a.status == 503 && a.header.Get("Retry-After") != "7" {
			t.Errorf("fault %d: %v %v", kind, a.err, a.header)
		}
		if got := len(s.Received()); got != c.taken {
			t.Errorf("fault %d: %d records taken, want %d", kind, got, c.taken)
		}
	}
}

// An early answer comes although the body never ends.
func TestEarlyAnswer(t *testing.T) {
	s := strict()
	s.Fault = func(*Request) Fault { return Fault{Kind: EarlyAnswer} }
	address, stop := s.Start()
	t.Cleanup(stop)
	r, w := io.Pipe()
	req, _ := http.NewRequest(http.MethodPost, address, r)
	req.Header.Set("X-Amz-Firehose-Request-Id", id)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	_ = w.Close()
	if resp.StatusCode != 200 || len(s.Received()) != 0 {
		t.Errorf("%d, %d records", resp.StatusCode, len(s.Received()))
	}
}
