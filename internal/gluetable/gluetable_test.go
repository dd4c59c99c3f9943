package gluetable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// catalog is a server that speaks as much of the protocol as a Client needs.
type catalog struct {
	t        *testing.T
	requests atomic.Int64
	answer   func(target string, body map[string]any) (status int, kind, answer string)
}

func (c *catalog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.requests.Add(1)
	raw, err := io.ReadAll(r.Body)
	var body map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	if err != nil || r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("Content-Type") != "application/x-amz-json-1.1" {
		c.t.Errorf("%s %s, %s: %s, %v", r.Method, r.URL.Path, r.Header.Get("Content-Type"), raw, err)
	}
	if auth := r.Header.Get("Authorization"); !strings.Contains(auth, "Credential=AKID/") || !strings.Contains(auth, "/eu-west-1/glue/aws4_request") {
		c.t.Errorf("signed as %s", auth)
	}
	status, kind, answer := c.answer(r.Header.Get("X-Amz-Target"), body)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	w.Header().Set("X-Amzn-Requestid", "0")
	if kind != "" {
		w.Header().Set("X-Amzn-Errortype", kind)
	}
	w.WriteHeader(status)
	fmt.Fprint(w, answer)
}

func serve(t *testing.T, answer func(target string, body map[string]any) (int, string, string)) (*catalog, Options) {
	c := &catalog{t: t, answer: answer}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return c, Options{Region: "eu-west-1", Endpoint: s.URL, Database: "lake", Table: "events",
		Credentials: credentials.NewStaticCredentialsProvider("AKID", "secret", "")}
}

func fetch(t *testing.T, o Options) (Table, error) {
	t.Helper()
	c, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.Fetch(context.Background())
}

const tableJSON = `{"Name":"events","DatabaseName":"lake","VersionId":"7","StorageDescriptor":{"Columns":[{"Name":"id","Type":"bigint"},` +
	`{"Name":"tags","Type":"array<string>","Comment":"x"}],"Location":"s3://lake/events/"},"PartitionKeys":[{"Name":"day","Type":"date"}],"Unheard":{"of":1}}`

func TestFetch(t *testing.T) {
	want := Table{Version: "7", Columns: []Column{{"id", "bigint"}, {"tags", "array<string>"}}}
	for name, tc := range map[string]struct {
		catalog, version string
		target           string
		request          map[string]any
		answer           string
	}{
		"latest":       {"", "", "AWSGlue.GetTable", map[string]any{"DatabaseName": "lake", "Name": "events"}, `{"Table":` + tableJSON + `}`},
		"named latest": {"", "LATEST", "AWSGlue.GetTable", map[string]any{"DatabaseName": "lake", "Name": "events"}, `{"Table":` + tableJSON + `}`},
		"a catalog": {"123456789012", "", "AWSGlue.GetTable", map[string]any{"CatalogId": "123456789012", "DatabaseName": "lake", "Name": "events"},
			`{"Table":` + tableJSON + `}`},
		"a version": {"", "7", "AWSGlue.GetTableVersion", map[string]any{"DatabaseName": "lake", "TableName": "events", "VersionId": "7"},
			`{"TableVersion":{"Table":` + strings.Replace(tableJSON, `"VersionId":"7",`, "", 1) + `,"VersionId":"7"}}`},
	} {
		_, o := serve(t, func(target string, body map[string]any) (int, string, string) {
			if target != tc.target || !reflect.DeepEqual(body, tc.request) {
				t.Errorf("%s: asked %s %v, want %s %v", name, target, body, tc.target, tc.request)
			}
			return 200, "", tc.answer
		})
		o.Catalog, o.Version = tc.catalog, tc.version
		got, err := fetch(t, o)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for name, tc := range map[string]struct {
		status       int
		kind, answer string
		reason       Reason
		want         string
	}{
		"no table":       {400, "", `{"__type":"EntityNotFoundException","Message":"Table events not found."}`, NotFound, "create it, or correct"},
		"no table (hdr)": {400, "EntityNotFoundException:http://internal/", `{"Message":"Database lake not found."}`, NotFound, "Database lake not found."},
		"denied":         {400, "", `{"__type":"AccessDeniedException","Message":"User is not authorized to perform: glue:GetTable"}`, Denied, "allow glue:GetTable"},
		"encrypted":      {400, "", `{"__type":"GlueEncryptionException","Message":"KMS"}`, Denied, "KMS"},
		"unknown key":    {400, "", `{"__type":"UnrecognizedClientException","message":"The security token included in the request is invalid."}`, Credentials, "AWS_ACCESS_KEY_ID"},
		"expired":        {400, "", `{"__type":"ExpiredTokenException","message":"x"}`, Credentials, "AWS_PROFILE"},
		"bad version":    {400, "", `{"__type":"InvalidInputException","Message":"Version must be a number"}`, Invalid, "check the names"},
		"throttled":      {400, "", `{"__type":"ThrottlingException","message":"Rate exceeded"}`, Busy, "asked again later"},
		"broken":         {500, "", `{"__type":"InternalServiceException","Message":"x"}`, Busy, "asked again later"},
		"a proxy's 403":  {403, "", `<html>no</html>`, Denied, "access denied"},
		"a proxy's 503":  {503, "", `<html>no</html>`, Busy, "asked again later"},
		"a proxy's 404":  {404, "", ``, Invalid, "refused the request"},
		"another code":   {400, "", `{"__type":"OfTomorrowException","Message":"x"}`, Invalid, "OfTomorrow"},
		"no table in it": {200, "", `{}`, NoColumns, "lists no columns"},
		"no descriptor":  {200, "", `{"Table":{"Name":"events"}}`, NoColumns, "list the columns in the configuration"},
		"no columns":     {200, "", `{"Table":{"Name":"events","StorageDescriptor":{"Columns":[]}}}`, NoColumns, "lists no columns"},
		"a link": {200, "", `{"Table":{"Name":"events","TargetTable":{"CatalogId":"42","DatabaseName":"far","Name":"away"}}}`, NoColumns,
			"a link to the table far.away of catalog 42"},
		"no JSON":  {200, "", `hello`, Other, "glue table lake.events: "},
		"endless":  {200, "", `{"Table":{"Name":"` + strings.Repeat("x", maxAnswerBytes) + `"}}`, Other, "glue table lake.events: "},
		"cut JSON": {200, "", `{"Table":{"Name":"ev`, Other, "glue table lake.events: "},
	} {
		t.Run(name, func(t *testing.T) {
			c, o := serve(t, func(string, map[string]any) (int, string, string) { return tc.status, tc.kind, tc.answer })
			_, err := fetch(t, o)
			var ge *Error
			if !errors.As(err, &ge) || ge.Reason != tc.reason || ge.Table != "lake.events" || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v (%+v), want reason %d and %q", err, ge, tc.reason, tc.want)
			}
			if n := c.requests.Load(); n != 1 {
				t.Errorf("asked %d times", n)
			}
			if ge != nil && ge.Temporary() != (tc.reason == Busy) {
				t.Errorf("temporary: %v", ge.Temporary())
			}
		})
	}
}

func TestWithoutCredentialsNothingIsSent(t *testing.T) {
	c, o := serve(t, nil)
	o.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no EC2 IMDS role found")
	})
	_, err := fetch(t, o)
	var ge *Error
	if !errors.As(err, &ge) || ge.Reason != Credentials || !strings.Contains(err.Error(), "AWS_ACCESS_KEY_ID") {
		t.Errorf("got %v", err)
	}
	if n := c.requests.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestACallEndsByItself(t *testing.T) {
	release := make(chan struct{})
	_, o := serve(t, func(string, map[string]any) (int, string, string) {
		<-release
		return 200, "", "{}"
	})
	c, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.timeout = time.Millisecond
	_, err = c.Fetch(context.Background())
	var ge *Error
	if !errors.As(err, &ge) || ge.Reason != Unreachable || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	close(release)
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	l.Close()
	_, o := serve(t, nil)
	o.Endpoint = url
	_, err = fetch(t, o)
	var ge *Error
	if !errors.As(err, &ge) || ge.Reason != Unreachable || !ge.Temporary() {
		t.Errorf("got %v", err)
	}
}

func TestACancelledCallEnds(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	_, o := serve(t, func(string, map[string]any) (int, string, string) {
		close(started)
		<-release
		return 200, "", "{}"
	})
	c, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-started
		cancel()
	}()
	if _, err = c.Fetch(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
}

func TestNewWantsATable(t *testing.T) {
	for _, o := range []Options{{}, {Database: "lake"}, {Table: "events"}} {
		if _, err := New(context.Background(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
