package opensearch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"hydrant/internal/osfake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

func serve(h http.HandlerFunc) (url string, stop func()) {
	srv := httptest.NewServer(h)
	return srv.URL, srv.Close
}

func send(t *testing.T, s *Sink, data ...string) record.Reply {
	t.Helper()
	return s.Send(t.Context(), sinktest.NewRequest(1, data...))
}

func mustTake(t *testing.T, s *Sink, data ...string) {
	t.Helper()
	if reply := send(t, s, data...); reply.Kind != record.Delivered || len(reply.Verdicts) > 0 {
		t.Fatalf("%+v, want all delivered", reply)
	}
}

// The bytes on the wire, the names of documents, and that nothing but bulk requests is ever sent.
func TestDocuments(t *testing.T) {
	fake := osfake.New()
	s := start(t, fake, func(o *Options) { o.Pipeline = "geo ip" })
	req := sinktest.NewRequest(2, "{\"a\": 1}\n", "{\n \"b\" : [1,\n 2]\n}\r\n", `{"c":3}`)
	req.Items[1].Sub = 7
	req.Items[2].Origin = &record.Origin{ID: record.ID{Epoch: record.Epoch{0xff, 0xfe}, Pos: 5}, Sub: 1}
	if reply := s.Send(t.Context(), req); reply.Kind != record.Delivered || len(reply.Verdicts) > 0 {
		t.Fatalf("%+v", reply)
	}
	for i, want := range []osfake.Document{
		{Index: "logs-2026-11-18", ID: "AQIDAAAAAAAAAAAAAAAAAA-2001", Source: []byte(`{"a": 1}`)},
		{Index: "logs-2026-11-18", ID: "AQIDAAAAAAAAAAAAAAAAAA-2002-7", Source: []byte(`{"b":[1,2]}`)},
		{Index: "logs-2026-11-18", ID: "__4AAAAAAAAAAAAAAAAAAA-5-1", Source: []byte(`{"c":3}`)},
	} {
		got := fake.Documents()[i]
		if got.Index != want.Index || got.ID != want.ID || string(got.Source) != string(want.Source) {
			t.Errorf("%d: %s/%s %s, want %+v", i, got.Index, got.ID, got.Source, want)
		}
		fields := s.Describe(&req.Items[i])
		if fmt.Sprint(fields) != fmt.Sprintf("[{esDocumentId %s} {esIndexName %s} {esTypeName }]", want.ID, want.Index) {
			t.Errorf("%d: described as %v", i, fields)
		}
	}
	all := fake.Requests()
	if len(all) != 1 || all[0].Path != "/_bulk" || all[0].Query.Get("pipeline") != "geo ip" || all[0].Header.Get("Content-Type") != "application/x-ndjson" {
		t.Errorf("%+v", all)
	}
}

func TestWithoutID(t *testing.T) {
	fake := osfake.New()
	fake.AddDataStream("metrics")
	s := start(t, fake, func(o *Options) {
		o.Index, o.Rotation, o.DocumentID, o.Timestamp, o.Serverless = "metrics", "none", "none", "@timestamp", true
	})
	mustTake(t, s, `{"a":1}`, `{}`, `{"@timestamp":"theirs"}`)
	docs := fake.Documents()
	for i, want := range []string{`{"@timestamp":"2026-11-18T11:06:40.000Z","a":1}`, `{"@timestamp":"2026-11-18T11:06:40.000Z"}`, `{"@timestamp":"theirs"}`} {
		if string(docs[i].Source) != want || docs[i].ID[:9] != "generated" {
			t.Errorf("%+v, want %s", docs[i], want)
		}
	}
	if got := fmt.Sprint(s.Describe(&sinktest.NewRequest(1, "{}").Items[0])); got != "[{osDocumentId } {osIndexName metrics}]" {
		t.Error(got)
	}
}

func TestTypeName(t *testing.T) {
	fake := osfake.New()
	s := start(t, fake, func(o *Options) { o.TypeName = `do"c` })
	mustTake(t, s, `{"a":1}`) // the fake refuses an action that is no JSON
	if f := s.Describe(&sinktest.NewRequest(1, "{}").Items[0]); f[2].Value != `do"c` {
		t.Errorf("%v", f)
	}
}

func TestInvalidDocumentsAreNotSent(t *testing.T) {
	fake := osfake.New()
	s := start(t, fake, nil)
	reply := send(t, s, "", `{"a":1}`, " \n\t", "{\"secret\":\n1", `["no object"]`, `{"b":2}`)
	if reply.Kind != record.Delivered || len(reply.Verdicts) != 4 {
		t.Fatalf("%+v", reply)
	}
	for i, want := range []struct {
		item int
		code string
	}{{0, codeInvalidDocument}, {2, codeInvalidDocument}, {3, codeInvalidDocument}, {4, "400"}} {
		v := reply.Verdicts[i]
		if v.Item != want.item || v.Code != want.code || v.Kind != record.Rejected || v.Err == nil || strings.Contains(v.Err.Error(), "secret") {
			t.Errorf("%d: %+v, want %+v", i, v, want)
		}
	}
	if got := len(fake.Documents()); got != 2 {
		t.Errorf("%d documents", got)
	}
	if reply := send(t, s, "", "\n"); reply.Kind != record.Delivered || len(reply.Verdicts) != 2 || len(fake.Requests()) != 1 {
		t.Errorf("nothing to send: %+v, %d requests", reply, len(fake.Requests()))
	}
	fake.Fail(osfake.Fault{Kind: osfake.Cut})
	if reply := send(t, s, "", `{"c":3}`); reply.Kind != record.Retry || len(reply.Verdicts) != 1 || reply.Verdicts[0].Kind != record.Rejected {
		t.Errorf("beside a failure: %+v", reply)
	}
}

// What a cluster says of single documents.
func TestItems(t *testing.T) {
	long := strings.Repeat("ü", 600)
	for _, c := range []struct {
		refusal osfake.Refusal
		kind    record.OutcomeKind
		err     string
		loud    bool
	}{
		{osfake.Refusal{Status: 400, Type: "mapper_parsing_exception", Reason: "no number: 'x'"}, record.Rejected, "mapper_parsing_exception: no number: 'x'", false},
		{osfake.Refusal{Status: 400, Type: "strict_dynamic_mapping_exception", Reason: long}, record.Rejected, "strict_dynamic_mapping_exception: " + long[:1000], false},
		{osfake.Refusal{Status: 413}, record.Rejected, "status 413 without a reason", false},
		{osfake.Refusal{Status: 429, Type: "es_rejected_execution_exception", Reason: "full"}, record.Retry, "es_rejected_execution_exception: full", false},
		{osfake.Refusal{Status: 503, Type: "unavailable_shards_exception", Reason: "r"}, record.Retry, "unavailable_shards_exception: r", false},
		{osfake.Refusal{Status: 500, Reason: "r"}, record.Retry, "r", false},
		{osfake.Refusal{Status: 403, Type: "cluster_block_exception", Reason: "read-only"}, record.Retry, "cluster_block_exception: read-only", true},
		{osfake.Refusal{Status: 429, Type: "cluster_block_exception", Reason: "disk"}, record.Retry, "cluster_block_exception: disk", true},
		{osfake.Refusal{Status: 400, Type: "index_closed_exception", Reason: "closed"}, record.Retry, "index_closed_exception: closed", true},
		{osfake.Refusal{Status: 404, Type: "index_not_found_exception", Reason: "r"}, record.Retry, "index_not_found_exception: r", true},
		{osfake.Refusal{Status: 400, Type: "validation_exception", Reason: "too many shards"}, record.Retry, "validation_exception: too many shards", true},
		{osfake.Refusal{Status: 403, Type: "security_exception", Reason: "no permissions"}, record.Retry, "security_exception: no permissions", true},
		{osfake.Refusal{Status: 409, Type: "version_conflict_engine_exception", Reason: "there"}, record.Delivered, "", false},
		{osfake.Refusal{Status: 409, Type: "resource_already_exists_exception", Reason: "r"}, record.Retry, "resource_already_exists_exception: r", false},
	} {
		t.Run(c.refusal.Type+c.err[:min(len(c.err), 5)], func(t *testing.T) {
			fake, log := osfake.New(), &testLog{}
			fake.Judge = func(d osfake.Document) *osfake.Refusal {
				if string(d.Source) == `{"b":2}` {
					return &c.refusal
				}
				return nil
			}
			s := start(t, fake, func(o *Options) { o.Logger = log.logger() })
			reply := send(t, s, `{"a":1}`, `{"b":2}`, `{"c":3}`)
			if c.loud != strings.Contains(log.String(), "level=WARN") || c.loud && !strings.Contains(log.String(), c.refusal.Type) ||
				c.refusal.Reason != "" && strings.Contains(log.String(), "="+c.refusal.Reason) {
				t.Errorf("log: %s", log)
			}
			if len(fake.Documents()) != 2 {
				t.Errorf("the neighbours: %d", len(fake.Documents()))
			}
			if c.kind == record.Delivered {
				if reply.Kind != record.Delivered || len(reply.Verdicts) > 0 {
					t.Errorf("%+v", reply)
				}
				return
			}
			v := reply.Verdicts[0]
			if reply.Kind != record.Delivered || len(reply.Verdicts) != 1 || v.Item != 1 || v.Kind != c.kind || v.Code != fmt.Sprint(c.refusal.Status) || v.Err.Error() != c.err {
				t.Errorf("%+v, want %+v", reply, c)
			}
		})
	}
}

func TestManyFailAlike(t *testing.T) {
	fake, log := osfake.New(), &testLog{}
	fake.NoAutoCreate = true
	s := start(t, fake, func(o *Options) { o.Logger = log.logger() })
	for range 2 {
		if reply := send(t, s, `{"a":1}`, `{"a":2}`, `{"a":3}`); len(reply.Verdicts) != 3 || reply.Verdicts[2].Item != 2 || reply.Verdicts[2].Kind != record.Retry {
			t.Errorf("%+v", reply)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings: %s", n, log)
	}
}

// What a cluster, or what stands in front of it, says of a whole request.
func TestWholeRequests(t *testing.T) {
	for _, c := range []struct {
		fault osfake.Fault
		want  record.Outcome
	}{
		{osfake.Fault{Kind: osfake.Bare, Status: 413}, record.Outcome{Kind: record.Rejected, Code: codeTooLarge, TooLarge: true}},
		{osfake.Fault{Status: 401, Type: "security_exception"}, record.Outcome{Kind: record.Retry, Code: codeAuthFailure, Unsent: true}},
		{osfake.Fault{Kind: osfake.Bare, Status: 403}, record.Outcome{Kind: record.Retry, Code: codeAuthFailure, Unsent: true}},
		{osfake.Fault{Status: 403, Type: "cluster_block_exception"}, record.Outcome{Kind: record.Retry, Code: codeUnavailable}},
		{osfake.Fault{Status: 429, RetryAfter: 3}, record.Outcome{Kind: record.Retry, Code: codeThrottled, RetryAfter: 3 * time.Second}},
		{osfake.Fault{Kind: osfake.Bare, Status: 429}, record.Outcome{Kind: record.Retry, Code: codeThrottled}},
		{osfake.Fault{Status: 503, RetryAfter: 1e6}, record.Outcome{Kind: record.Retry, Code: codeUnavailable, RetryAfter: maxRetryAfter}},
		{osfake.Fault{Status: 500, Type: "x"}, record.Outcome{Kind: record.Retry, Code: codeUnavailable}},
		{osfake.Fault{Kind: osfake.Bare, Status: 502}, record.Outcome{Kind: record.Retry, Code: codeUnavailable}},
		{osfake.Fault{Status: 400, Type: "illegal_argument_exception"}, record.Outcome{Kind: record.Retry, Code: codeInvalidRequest}},
		{osfake.Fault{Kind: osfake.Bare, Status: 404}, record.Outcome{Kind: record.Retry, Code: codeInvalidRequest}},
		{osfake.Fault{Kind: osfake.Bare, Status: 302}, record.Outcome{Kind: record.Retry, Code: codeInvalidResponse}},
		{osfake.Fault{Kind: osfake.Bare, Status: 200}, record.Outcome{Kind: record.Retry, Code: codeInvalidResponse}},
		{osfake.Fault{Kind: osfake.Garbage}, record.Outcome{Kind: record.Retry, Code: codeInvalidResponse}},
		{osfake.Fault{Kind: osfake.Short}, record.Outcome{Kind: record.Retry, Code: codeInvalidResponse}},
		{osfake.Fault{Kind: osfake.Cut}, record.Outcome{Kind: record.Retry, Code: "OpenSearch.ConnectionFailed"}},
	} {
		t.Run(fmt.Sprint(c.fault), func(t *testing.T) {
			fake := osfake.New()
			s := start(t, fake, nil)
			fake.Fail(c.fault)
			reply := send(t, s, `{"a":1}`, `{"a":2}`)
			if reply.Err == nil || len(reply.Verdicts) > 0 || !strings.HasPrefix(reply.Err.Error(), "opensearch: ") {
				t.Errorf("%+v", reply)
			}
			reply.Err = nil
			if reply.Outcome != c.want {
				t.Errorf("%+v, want %+v", reply.Outcome, c.want)
			}
			mustTake(t, s, `{"a":1}`, `{"a":2}`)
			if n := len(fake.Documents()); n != 2 {
				t.Errorf("%d documents", n)
			}
		})
	}
}

func TestAnswerCutOrEndless(t *testing.T) {
	for name, want := range map[string]string{"cut": "OpenSearch.ConnectionFailed", "endless": codeInvalidResponse} {
		url, stop := serve(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			chunk := make([]byte, 1<<20)
			for i := range chunk {
				chunk[i] = ' '
			}
			for i := 0; ; i++ {
				if _, err := w.Write(chunk); err != nil {
					return
				}
				if i > 0 && name == "cut" {
					panic(http.ErrAbortHandler)
				}
			}
		})
		s := open(t, Options{URLs: []string{url}, Index: "logs"}, stop)
		if reply := send(t, s, `{"a":1}`); reply.Kind != record.Retry || reply.Code != want || reply.Unsent {
			t.Errorf("%s: %+v", name, reply)
		}
	}
}

func TestTimeoutIsOurs(t *testing.T) {
	t.Setenv("OPENSEARCH_GO_REQUEST_TIMEOUT", "1ns")
	t.Setenv("OPENSEARCH_GO_ROUTER", "true")
	t.Setenv("OPENSEARCH_GO_NODE_STATS_INTERVAL", "1ms")
	fake := osfake.New()
	s := start(t, fake, func(o *Options) { o.Timeout = 200 * time.Millisecond })
	mustTake(t, s, `{"a":1}`)
	fake.Fail(osfake.Fault{Kind: osfake.Hang})
	if reply := send(t, s, `{"a":2}`); reply.Kind != record.Retry || reply.Code != "OpenSearch.RequestTimeout" || reply.Unsent {
		t.Errorf("%+v", reply)
	}
	for _, r := range fake.Requests() {
		if r.Path != "/_bulk" {
			t.Errorf("the library asks for %s", r.Path)
		}
	}
}

func TestUnsent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := open(t, Options{URLs: []string{"http://" + l.Addr().String()}, Index: "logs"}, func() {})
	if reply := send(t, s, `{"a":1}`); reply.Kind != record.Retry || reply.Code != "OpenSearch.ConnectionFailed" || !reply.Unsent {
		t.Errorf("%+v", reply)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if reply := s.Send(ctx, sinktest.NewRequest(1, `{"a":1}`)); !errors.Is(reply.Err, context.Canceled) || !reply.Unsent || reply.Code != "OpenSearch.Cancelled" {
		t.Errorf("%+v", reply)
	}
}

func TestPasswordIsAskedAgain(t *testing.T) {
	fake := osfake.New()
	fake.Username = "writer"
	fake.SetPassword("one")
	asked, now := 0, "one"
	var broken error
	s := start(t, fake, func(o *Options) {
		o.Username = "writer"
		o.Password = func() (string, error) { asked++; return now, broken }
	})
	mustTake(t, s, `{"a":1}`)
	mustTake(t, s, `{"a":1}`)
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	fake.SetPassword("two")
	now = "two"
	if reply := send(t, s, `{"a":2}`); reply.Code != codeAuthFailure {
		t.Errorf("%+v", reply)
	}
	mustTake(t, s, `{"a":2}`)
	fake.SetPassword("three")
	broken = errors.New("no such file")
	_ = send(t, s, `{"a":3}`)
	if reply := send(t, s, `{"a":3}`); reply.Kind != record.Retry || reply.Code != codeAuthFailure || !errors.Is(reply.Err, broken) || !reply.Unsent {
		t.Errorf("%+v", reply)
	}
	if n := len(fake.Requests()); n != 5 {
		t.Errorf("%d requests", n)
	}
}

func TestSigned(t *testing.T) {
	fake := osfake.New()
	s := start(t, fake, func(o *Options) {
		o.SigV4Service, o.Region, o.Credentials = "aoss", "eu-west-1", credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "a-secret-key", "a-token")
	})
	mustTake(t, s, `{"a":1}`)
	h := fake.Requests()[0].Header
	if a := h.Get("Authorization"); !strings.HasPrefix(a, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/") || !strings.Contains(a, "/eu-west-1/aoss/aws4_request") {
		t.Errorf("%q", a)
	}
	if len(h.Get("X-Amz-Content-Sha256")) != 64 || h.Get("X-Amz-Security-Token") != "a-token" {
		t.Errorf("%v", h)
	}
}

func TestNoAWSCredentials(t *testing.T) {
	fake := osfake.New()
	none := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errors.New("no role") })
	s := start(t, fake, func(o *Options) { o.SigV4Service, o.Region, o.Credentials = "es", "eu-west-1", none })
	reply := send(t, s, `{"a":1}`)
	if reply.Kind != record.Retry || reply.Code != codeAuthFailure || !reply.Unsent || !errors.Is(reply.Err, errCredentials) || len(fake.Requests()) != 0 {
		t.Errorf("%+v, %d requests", reply, len(fake.Requests()))
	}
}

func TestOptions(t *testing.T) {
	ok := func() Options { return Options{URLs: []string{"http://localhost:9200"}, Index: "i"} }
	for name, change := range map[string]func(*Options){
		"no url":      func(o *Options) { o.URLs = nil },
		"secret url":  func(o *Options) { o.URLs = []string{"http://u:a-secret@h"} },
		"no scheme":   func(o *Options) { o.URLs = []string{"a-secret"} },
		"broken url":  func(o *Options) { o.URLs = []string{"http://a-secret\x7f"} },
		"query":       func(o *Options) { o.URLs = []string{"http://h?a-secret"} },
		"no index":    func(o *Options) { o.Index = "" },
		"rotation":    func(o *Options) { o.Rotation = "year" },
		"week":        func(o *Options) { o.WeekRule = "uk" },
		"id":          func(o *Options) { o.DocumentID = "random" },
		"service":     func(o *Options) { o.SigV4Service = "s3" },
		"encoding":    func(o *Options) { o.ContentEncoding = "zstd" },
		"both":        func(o *Options) { o.SigV4Service, o.Region, o.Username = "es", "x", "u" },
		"no password": func(o *Options) { o.Username = "u" },
		"timestamp":   func(o *Options) { o.Timestamp = "\xff" },
		"limit":       func(o *Options) { o.MaxRecords = -1 },
	} {
		o := ok()
		change(&o)
		if _, err := New(o); err == nil || strings.Contains(err.Error(), "a-secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := open(t, ok(), func() {})
	if l := s.Limits(); l != (record.RequestLimits{Records: 5000, Bytes: 5 << 20, Concurrent: 4}) || s.o.Timeout != time.Minute {
		t.Errorf("%+v", l)
	}
}

func TestBasePath(t *testing.T) {
	got := ""
	url, stop := serve(func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.Path
		_, _ = io.WriteString(w, `{"errors":false,"items":[`+taken+`]}`)
	})
	s := open(t, Options{URLs: []string{url + "/search/"}, Index: "logs"}, stop)
	mustTake(t, s, `{"a":1}`)
	if got != "/search/_bulk" {
		t.Error(got)
	}
}
