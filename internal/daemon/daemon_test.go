package daemon

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"hydrant/config"
)

// startServer runs a daemon over a folder, on free ports.
func startServer(t *testing.T, dir string, streams ...config.Stream) *Server {
	t.Helper()
	c := config.Default()
	c.Listen, c.Admin, c.DataDir = "127.0.0.1:0", "127.0.0.1:0", dir
	c.MinFree = config.MB
	for i := range streams {
		streams[i].Normalize()
	}
	c.Streams = streams
	s, err := Listen(Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stopServer(t *testing.T, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

func demoStream(name string) config.Stream {
	return config.Stream{Name: name, Destination: config.Destination{S3: &config.S3{Bucket: "lake"}},
		Buffer: config.Buffer{Size: config.MB, Interval: config.Duration(time.Second)}, Format: config.FormatJSON}
}

func post(t *testing.T, s *Server, path, contentType, body string) (int, string) {
	t.Helper()
	resp, err := http.Post("http://"+s.Addr()+path, contentType, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// objects reads everything under a bucket of the file store, in listing order.
func objects(t *testing.T, dir, bucket string) string {
	t.Helper()
	var all bytes.Buffer
	err := filepath.WalkDir(filepath.Join(dir, "s3", bucket), func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		all.Write(b)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return all.String()
}

func TestRecordsReachTheFileStore(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, dir, demoStream("web"))
	code, body := post(t, s, "/v1/streams/web/records", "application/x-ndjson", "{\"a\":1}\n{\"a\":2}\n")
	if code != 200 || body != "{\"accepted\":2}" {
		t.Fatalf("%d %s", code, body)
	}
	stopServer(t, s)
	if got := objects(t, dir, "lake"); got != "{\"a\":1}\n{\"a\":2}\n" {
		t.Fatalf("objects hold %q", got)
	}
	again := startServer(t, dir, demoStream("web"))
	if code, body := post(t, again, "/v1/streams/web/records", "application/x-ndjson", "{\"a\":3}\n"); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	stopServer(t, again)
	if got := objects(t, dir, "lake"); got != "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n" {
		t.Fatalf("objects hold %q", got)
	}
}
