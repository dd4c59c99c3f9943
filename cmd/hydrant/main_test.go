package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"hydrant/config"
	"hydrant/internal/daemon"
)

// asHydrant makes the test binary be the command, for tests that need a process.
const asHydrant = "HYDRANT_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asHydrant) != "" {
		main()
	}
	// What the shell knows of AWS must not decide a test.
	for _, k := range []string{"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", endpointEnv} {
		_ = os.Unsetenv(k)
	}
	_ = os.Setenv("AWS_CONFIG_FILE", os.DevNull)
	_ = os.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	goleak.VerifyTestMain(m)
}

type result struct {
	code     int
	out, err string
}

// cli runs a command line in this process.
func cli(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	return cliContext(t, t.Context(), stdin, args...)
}

func cliContext(t *testing.T, ctx context.Context, stdin string, args ...string) result {
	t.Helper()
	var out, errs buffer
	code := execute(ctx, streamsIO{strings.NewReader(stdin), &out, &errs}, args)
	return result{code, out.String(), errs.String()}
}

// buffer is a bytes.Buffer for several goroutines; seen, when set, gets all that was written so far after each write.
type buffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	seen func(string)
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.b.Write(p)
	if b.seen != nil {
		b.seen(b.b.String())
	}
	return n, err
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (r result) want(t *testing.T, code int, texts ...string) {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit code %d, want %d\n%s%s", r.code, code, r.out, r.err)
	}
	for _, text := range texts {
		if !strings.Contains(r.out+r.err, text) {
			t.Fatalf("%q is missing from\n%s%s", text, r.out, r.err)
		}
	}
}

// startDaemon runs a daemon with a stream "web" in this process until the test ends, or until stop.
func startDaemon(t *testing.T, dir string) (endpoint string, stop func()) {
	t.Helper()
	c := config.Default()
	c.Listen, c.Admin, c.DataDir, c.MinFree = "127.0.0.1:0", "127.0.0.1:0", dir, config.MB
	s := config.Stream{Name: "web", Destination: config.Destination{S3: &config.S3{Bucket: "lake", Prefix: "web/"}},
		Buffer: config.Buffer{Size: config.MB, Interval: config.Duration(time.Hour / 4)}}
	s.Normalize()
	c.Streams = []config.Stream{s}
	srv, err := daemon.Listen(daemon.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := srv.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return "http://" + srv.Addr(), stop
}

// objects is all that lies in the buckets of a data directory.
func objects(t *testing.T, dir string) string {
	t.Helper()
	var all bytes.Buffer
	files, err := filepath.Glob(filepath.Join(dir, "s3", "*", "*", "*", "*", "*", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		text string
	}{
		"no command":          {nil, 0, "Exit codes: 0 success, 1 failure, 2 wrong usage"},
		"help":                {[]string{"run", "--help"}, 0, "--config FILE"},
		"log alone":           {[]string{"log"}, 0, "verify"},
		"version":             {[]string{"version"}, 0, "hydrant "},
		"unknown command":     {[]string{"strems"}, 2, "See: hydrant --help"},
		"unknown flag":        {[]string{"run", "--liste"}, 2, "See: hydrant run --help"},
		"argument missing":    {[]string{"describe"}, 2, "See: hydrant describe --help"},
		"argument too many":   {[]string{"streams", "x"}, 2, ""},
		"endpoint":            {[]string{"streams", "--endpoint", "localhost:4573"}, 2, "write one such as http://127.0.0.1:4573"},
		"bench mode":          {[]string{"bench", "--stream", "s", "--mode", "fast"}, 2, `"fast" is not one of`},
		"bench without":       {[]string{"bench"}, 2, "name a stream"},
		"bench signed ndjson": {[]string{"bench", "--stream", "s", "--mode", "ndjson", "--sign"}, 2, "/v1 takes no signatures"},
		"dump limit":          {[]string{"log", "dump", ".", "--limit", "-1"}, 2, "negative"},
		"nobody there":        {[]string{"streams", "--endpoint", "http://127.0.0.1:1"}, 1, "start one with `hydrant run`"},
		"bench nobody there":  {[]string{"bench", "--stream", "s", "--endpoint", "http://127.0.0.1:1"}, 1, "start one with `hydrant run`"},
		"no log":              {[]string{"log", "verify", "/nonexistent"}, 1, "name a data directory"},
		"no input":            {[]string{"put", "s", "/nonexistent"}, 1, "/nonexistent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cli(t, "", c.args...).want(t, c.code, c.text)
		})
	}
}

func TestEndpointFromTheEnvironment(t *testing.T) {
	t.Setenv(endpointEnv, "http://127.0.0.1:1")
	cli(t, "", "streams").want(t, 1, "no Hydrant answers at http://127.0.0.1:1")
	t.Setenv("AWS_PROFILE", "nobody")
	cli(t, "", "streams").want(t, 2, "nobody")
}

func TestValidate(t *testing.T) {
	t.Parallel()
	good := writeFile(t, "good.yml", "streams:\n  - name: web\n    destination: {s3: {bucket: lake}}\n")
	bad := writeFile(t, "bad.yml", "streams:\n  - name: web\n    buffer: {size: 1KB, intervall: 3s}\n    destination: {s3: {bucket: lake}}\n")
	cli(t, "", "validate", good).want(t, 0, "good.yml: ok, 1 stream\n")
	r := cli(t, "", "validate", good, bad, "/nonexistent.yml")
	r.want(t, 2, "good.yml: ok", "bad.yml:3:", "intervall", "/nonexistent.yml", "2 of 3 files cannot be used")
	if n := strings.Count(r.out, "bad.yml:3:"); n != 2 {
		t.Errorf("%d problems of bad.yml are shown, want both:\n%s", n, r.out)
	}
}

func TestStreamsAndDescribe(t *testing.T) {
	t.Parallel()
	endpoint, _ := startDaemon(t, t.TempDir())
	cli(t, "", "streams", "--endpoint", endpoint+"/").want(t, 0, "NAME", "web   ACTIVE  1        s3://lake/web/")
	if r := cli(t, "", "streams", "-q", "--endpoint", endpoint); r.out != "web\n" {
		t.Errorf("names: %q", r.out)
	}
	r := cli(t, "", "describe", "web", "--endpoint", endpoint)
	r.want(t, 0, `"DeliveryStreamName": "web"`, `"IntervalInSeconds": 900`)
	if strings.Contains(r.out, "null") || strings.Contains(r.out, `""`) {
		t.Errorf("blanks in %s", r.out)
	}
	cli(t, "", "describe", "nope", "--endpoint", endpoint).want(t, 1, "nope", "`hydrant streams` lists")
}
