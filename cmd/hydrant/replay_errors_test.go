package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/klauspost/compress/gzip"

	"hydrant/internal/s3fake"
)

// errorLine is an error record as Hydrant writes it, of the nth record of a stream.
func errorLine(n int, code, data string) string {
	return fmt.Sprintf(`{"attemptsMade":1,"arrivalTimestamp":%d,"errorCode":%q,"errorMessage":"no","attemptEndingTimestamp":2,"rawData":%q,"recordId":"%032x.%d.0"}`,
		1700000000000+n, code, base64.StdEncoding.EncodeToString([]byte(data)), 7, n)
}

// store writes an object of a local bucket.
func store(t *testing.T, dir, key, body string) {
	t.Helper()
	file := filepath.Join(dir, "s3", filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := io.WriteString(w, text)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// someErrors are objects of a local bucket: 5 records, one of which stands in two objects, a manifest, and an object outside of the prefix.
func someErrors(t *testing.T, dir string) {
	store(t, dir, "lake/failed/processing-failed/2026/a", errorLine(1, "A.B", "one\n")+"\n"+errorLine(2, "A.B", "two\n")+"\n")
	store(t, dir, "lake/failed/processing-failed/2026/b", errorLine(3, "A.C", "three\n")+errorLine(2, "A.B", "two\n"))
	store(t, dir, "lake/failed/splunk-failed/c", zipped(t, `{"rawData":"Zm91cgo=","arrivalTimestamp":1,"errorCode":"Splunk.Timeout","EventId":"49.0"}`+"\n"))
	store(t, dir, "lake/failed/errors/manifests/2026/d", `{"entries":[{"url":"s3://b/k","mandatory":true}]}`)
	store(t, dir, "lake/failed/empty", "")
	store(t, dir, "lake/failed-not/e", "no error record")
}

func TestReplayErrorsTwice(t *testing.T) {
	t.Parallel()
	dir, from := t.TempDir(), t.TempDir()
	endpoint, stop := startDaemon(t, dir)
	someErrors(t, from)
	run := func(more ...string) result {
		return cli(t, "", append([]string{"replay-errors", "lake/failed/", "--data-dir", from, "--endpoint", endpoint}, more...)...)
	}
	run("--dry-run").want(t, 0, "        3  A.B", "        1  A.C", "        1  Splunk.Timeout", "4 objects with 5 records; nothing was sent", "1 manifest skipped", "COPY")
	run("--stream", "web", "--type", "splunk-failed").want(t, 0, "failed/splunk-failed/c: 1 accepted, 0 repeated", "1 object: 1 accepted, 0 repeated by stream web")
	run("--stream", "web").want(t, 0, "failed/processing-failed/2026/b: 1 accepted, 1 repeated", "4 objects: 3 accepted, 2 repeated by stream web")
	run("--stream", "web").want(t, 0, "4 objects: 0 accepted, 5 repeated by stream web")
	stop()
	if got := objects(t, dir); got != "four\none\ntwo\nthree\n" {
		t.Errorf("objects hold %q", got)
	}
}

func TestReplayErrorsGoesOnBehindABadObject(t *testing.T) {
	t.Parallel()
	dir, from := t.TempDir(), t.TempDir()
	endpoint, stop := startDaemon(t, dir)
	store(t, from, "lake/failed/a", "data of somebody else\n")
	store(t, from, "lake/failed/b", `{"entries":[]}`)
	store(t, from, "lake/failed/c", errorLine(1, "A.B", "one\n")+`{"rawData":"`)
	store(t, from, "lake/failed/d", zipped(t, errorLine(2, "A.B", "two\n"))[:30])
	store(t, from, "lake/failed/e", `{"rawData":"!"}`)
	store(t, from, "lake/failed/f", errorLine(3, "A.B", "three\n"))
	cli(t, "", "replay-errors", "lake/failed/", "--data-dir", from, "--endpoint", endpoint, "--stream", "web").want(t, 1,
		"failed/a: it is no error object", "failed/b: it holds something that is no error record", "failed/c: it is no error object", "failed/d: ",
		"failed/e: the daemon does not take it: Record 1 is no error record", "failed/f: 1 accepted", "5 objects could not be read as error records")
	stop()
	if got := objects(t, dir); got != "three\n" {
		t.Errorf("objects hold %q", got)
	}
}

func TestReplayErrorsUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	endpoint, _ := startDaemon(t, t.TempDir())
	store(t, dir, "lake/failed/a", errorLine(1, "A.B", "one\n"))
	local := []string{"--data-dir", dir, "--endpoint", endpoint}
	for name, c := range map[string]struct {
		args []string
		code int
		text string
	}{
		"no bucket":       {[]string{"/failed/", "--stream", "web"}, 2, "names no objects; write BUCKET/PREFIX"},
		"no prefix":       {[]string{"lake", "--stream", "web"}, 2, "names no objects; write BUCKET/PREFIX"},
		"no stream":       {[]string{"lake/failed/"}, 2, "--stream is missing"},
		"no such bucket":  {append([]string{"lakes/failed/", "--stream", "web"}, local...), 1, "bucket lakes"},
		"above":           {append([]string{"../failed/", "--stream", "web"}, local...), 2, "is no bucket"},
		"above by prefix": {append([]string{"lake/../../x/", "--stream", "web"}, local...), 2, "is no prefix"},
		"nothing there":   {append([]string{"lake/else/", "--stream", "web"}, local...), 0, "0 objects: 0 accepted, 0 repeated by stream web"},
		"no such stream":  {append([]string{"s3://lake/failed/", "--stream", "webs"}, local...), 1, `There is no stream "webs"`},
		"no such token":   {append([]string{"lake/failed/", "--stream", "web", "--token", "file:/nowhere"}, local...), 2, "--token: secret: open /nowhere"},
		"nobody listens":  {[]string{"lake/failed/", "--stream", "web", "--data-dir", dir, "--endpoint", "http://127.0.0.1:1"}, 1, "no Hydrant answers at"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cli(t, "", append([]string{"replay-errors"}, c.args...)...).want(t, c.code, c.text)
		})
	}
}

// fakeReplay answers requests by the given functions in turn, then takes everything.
func fakeReplay(t *testing.T, answers ...http.HandlerFunc) (endpoint string, bodies func() []string) {
	var mu sync.Mutex
	var got []string
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if n++; n <= len(answers) {
			answers[n-1](w, r)
			return
		}
		got = append(got, r.URL.Path+" "+r.Header.Get("Authorization")+" "+string(b))
		_, _ = fmt.Fprintf(w, `{"accepted":%d,"repeated":0}`, bytes.Count(b, []byte("\n")))
	}))
	t.Cleanup(srv.Close)
	return srv.URL, func() []string { mu.Lock(); defer mu.Unlock(); return got }
}

func busy(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"error":{"type":"x","message":"said so"}}`)
	}
}

func TestReplayErrorsTriesAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store(t, dir, "lake/failed/a", errorLine(1, "A.B", "one\n"))
	for name, c := range map[string]struct {
		answers []http.HandlerFunc
		code    int
		text    string
	}{
		"503, 500 and a broken connection": {[]http.HandlerFunc{busy(503), busy(500), hangUp}, 0, "1 object: 1 accepted"},
		"403":                              {[]http.HandlerFunc{busy(403)}, 1, "said so Give --token or $HYDRANT_TOKEN."},
		"400":                              {[]http.HandlerFunc{busy(400)}, 1, "the daemon does not take it: said so"},
	} {
		endpoint, bodies := fakeReplay(t, c.answers...)
		cli(t, "", "replay-errors", "lake/failed/", "--data-dir", dir, "--stream", "w b", "--endpoint", endpoint, "--token", "hush").want(t, c.code, c.text)
		if got := bodies(); (c.code == 0) != (len(got) == 1) || len(got) == 1 && got[0] != "/v1/streams/w b/error-records Bearer hush "+errorLine(1, "A.B", "one\n")+"\n" {
			t.Errorf("%s: sent %q", name, got)
		}
	}
	endpoint, _ := fakeReplay(t, busy(503), busy(503), busy(503), busy(503))
	cli(t, "", "replay-errors", "lake/failed/", "--data-dir", dir, "--stream", "s", "--endpoint", endpoint, "--retry-for", "100ms").want(t, 1, "stream s: said so")
}

// TestReplayErrorsInParts: an object that is larger than a request goes in parts, of whole records.
func TestReplayErrorsInParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var all strings.Builder
	for n := range 30 {
		all.WriteString(errorLine(n, "A.B", strings.Repeat("x", 700_000)))
	}
	store(t, dir, "lake/failed/a", all.String())
	endpoint, bodies := fakeReplay(t)
	cli(t, "", "replay-errors", "lake/failed/", "--data-dir", dir, "--stream", "s", "--endpoint", endpoint).want(t, 0, "1 object: 30 accepted")
	lines := 0
	for _, b := range bodies() {
		if lines += strings.Count(b, "\n"); len(b) > 16<<20 || !strings.HasSuffix(b, "}\n") {
			t.Errorf("a request of %d bytes", len(b))
		}
	}
	if len(bodies()) != 2 || lines != 30 {
		t.Errorf("%d requests with %d records", len(bodies()), lines)
	}
}

// TestReplayErrorsFromS3 lists and reads a store over S3's API.
func TestReplayErrorsFromS3(t *testing.T) {
	for k, v := range map[string]string{"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "thing", "AWS_EC2_METADATA_DISABLED": "true", "AWS_PROFILE": ""} {
		t.Setenv(k, v)
	}
	fake := s3fake.New()
	url, stop := fake.Start()
	t.Cleanup(stop)
	if err := fake.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	client := s3.New(s3.Options{BaseEndpoint: &url, UsePathStyle: true, Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("any", "thing", "")})
	for n := range 5 {
		key := fmt.Sprintf("failed/processing-failed/%d", n)
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("lake"), Key: &key, Body: strings.NewReader(errorLine(n, "A.B", "x\n"))}); err != nil {
			t.Fatal(err)
		}
	}
	endpoint, bodies := fakeReplay(t)
	args := []string{"replay-errors", "s3://lake/failed/", "--stream", "s", "--endpoint", endpoint, "--s3-endpoint", url, "--region", "us-east-1"}
	cli(t, "", args...).want(t, 0, "failed/processing-failed/4: 1 accepted", "5 objects: 5 accepted, 0 repeated by stream s")
	if n := len(bodies()); n != 5 {
		t.Errorf("%d requests", n)
	}
	args[1] = "s3://nobody/failed/"
	cli(t, "", args...).want(t, 1, "list s3://nobody/failed/", "NoSuchBucket")
}
