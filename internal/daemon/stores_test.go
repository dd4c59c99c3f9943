package daemon

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"path"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"hydrant/config"
	"hydrant/internal/s3fake"
	"hydrant/internal/vfs"
)

// noEnvironment keeps the machine's own AWS settings out of the test.
func noEnvironment(t *testing.T) {
	t.Helper()
	for _, k := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_CA_BUNDLE"} {
		t.Setenv(k, "")
	}
	for k, v := range map[string]string{"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"} {
		t.Setenv(k, v)
	}
}

// s3Options is a daemon in front of an S3 service, on a disk that a test can cut.
func s3Options(t *testing.T, mem *vfs.Mem, url string) Options {
	t.Helper()
	c := config.Default()
	c.DataDir, c.MinFree, c.ObjectStore = dataDir, config.MB, config.StoreS3
	s := demoStream("web")
	s.Destination.S3.Endpoint = url
	s.Buffer.Size = 64 * config.MB
	s.Normalize()
	c.Streams = []config.Stream{s}
	return Options{Config: c, FS: mem, SpoolDir: t.TempDir(), Lock: func(string, string) (func() error, error) { return func() error { return nil }, nil }}
}

func TestUploadLeftByFormerProcessIsAborted(t *testing.T) {
	noEnvironment(t)
	fake := s3fake.New()
	if err := fake.CreateBucket("lake"); err != nil {
		t.Fatal(err)
	}
	url, stop := fake.Start()
	defer stop()
	resp, err := http.Post(url+"/lake/key?uploads", "", nil) // what a process began that did not live to end it
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if cerr := resp.Body.Close(); err != nil || cerr != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%v %v %s", err, cerr, body)
	}
	_, id, _ := strings.Cut(string(body), "<UploadId>")
	id, _, _ = strings.Cut(id, "<")
	if id == "" || fake.Uploads() != 1 {
		t.Fatalf("no upload was begun: %s", body)
	}
	mem := vfs.NewMem()
	u, _, err := loadUploads(mem, dataDir+"/uploads.json", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := vfs.MkdirAll(mem, dataDir); err != nil {
		t.Fatal(err)
	}
	if err := u.began(upload{Bucket: "lake", Key: "key", ID: id, Reach: config.S3{Endpoint: url, Region: "us-east-1"}}); err != nil {
		t.Fatal(err)
	}
	d, err := Open(s3Options(t, mem.CrashClone(vfs.CrashOptions{}), url))
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(20 * time.Second); fake.Uploads() > 0; {
		select {
		case <-deadline:
			t.Fatal("the upload is still open")
		case <-time.After(10 * time.Millisecond): // a real server: no virtual time
		}
	}
	if err := d.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// openFileStore starts a machine that stores its objects on its own disk.
func (w *world) openFileStore() error {
	o := w.options()
	o.Sink = nil
	c := *w.cfg
	o.Config = &c
	var err error
	if w.d, err = Open(o); err != nil {
		w.d = nil
	}
	return err
}

// fileText reads what people find below the folder of the buckets.
func (w *world) fileText(dir string) string {
	w.t.Helper()
	names, err := w.mem.ReadDir(dir)
	if err != nil {
		return ""
	}
	var b bytes.Buffer
	for _, n := range names {
		if sub, ok := strings.CutSuffix(n, "/"); ok {
			b.WriteString(w.fileText(path.Join(dir, sub)))
			continue
		}
		data, err := vfs.ReadFile(w.mem, path.Join(dir, n), 1<<30)
		if err != nil {
			w.t.Fatal(err)
		}
		b.Write(data)
	}
	return b.String()
}

// TestPowerCutAfterFirstObjectOfNewHour cuts the power at each write of a story in which an hour begins, with the file store on the same disk.
func TestPowerCutAfterFirstObjectOfNewHour(t *testing.T) {
	step := 1
	if testing.Short() {
		step = 3
	}
	for _, keep := range []float64{0, 0.5} {
		for n := 1; ; n += step {
			ended := false
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, int64(n))
				w.cfg.Streams = []config.Stream{small("web")}
				w.mem.CrashAt(n)
				if w.openFileStore() == nil {
					_ = w.put("web", 2)
					w.sleep(59*time.Minute + 55*time.Second)
					_ = w.put("web", 1)
					w.sleep(11 * time.Second)
					_ = w.put("web", 1)
					w.sleep(11 * time.Second)
				}
				ended = !w.mem.Crashed()
				w.cut(false, keep)
				if err := w.openFileStore(); err != nil {
					t.Fatal(err)
				}
				w.stop(time.Minute)
				text := w.fileText(dataDir + "/s3/b-web")
				for r, told := range w.told {
					if n := strings.Count(text, r); n > 1 || told && n == 0 {
						t.Errorf("a record is %d times in the store, acknowledged %v", n, told)
					}
				}
			})
			if t.Failed() {
				t.Fatalf("power cut at write %d, %v kept", n, keep)
			}
			if ended {
				break
			}
		}
	}
}
