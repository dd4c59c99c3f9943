package redshift

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"hydrant/internal/redshiftfake"
	"hydrant/record"
)

const (
	password = "hunter2-of-the-loader"
	clause   = "CREDENTIALS 'aws_access_key_id=AKIAEXAMPLE;aws_secret_access_key=wJalrXUtnFEMI'"
)

// lake is the bucket.
type lake struct {
	mu      sync.Mutex
	objects map[string][]byte
}

func (l *lake) put(_ context.Context, bucket, key string, body []byte) record.Outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.objects[bucket+"/"+key]; ok {
		return record.Outcome{Kind: record.Exists}
	}
	l.objects[bucket+"/"+key] = body
	return record.Outcome{Kind: record.Delivered}
}

// Get implements redshiftfake.Store.
func (l *lake) Get(_ context.Context, bucket, key string) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.objects[bucket+"/"+key]; ok {
		return b, nil
	}
	return nil, redshiftfake.ErrNoObject
}

func (l *lake) read(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
	b, err := l.Get(ctx, bucket, key)
	return io.NopCloser(bytes.NewReader(b)), err
}

// world is a warehouse with a table, and a loader for it.
type world struct {
	*Loader
	lake   *lake
	memory *redshiftfake.Memory
	engine *redshiftfake.Engine
	api    *redshiftfake.DataAPI
	url    string
	asked  chan string // requests to the Data API, as far as somebody reads them
	stop   func()      // the server; once more is nothing
}

// transports runs a test over both.
func transports(t *testing.T, f func(t *testing.T, mk func(change func(*Options)) *world)) {
	for name, mk := range map[string]func(*testing.T, func(*Options)) *world{"wire": overWire, "data api": overDataAPI} {
		t.Run(name, func(t *testing.T) { f(t, func(change func(*Options)) *world { return mk(t, change) }) })
	}
}

func newWorld() (*world, Options) {
	w := &world{lake: &lake{objects: map[string][]byte{}}, memory: redshiftfake.NewMemory()}
	w.memory.Create("events", "id int", "name")
	w.engine = &redshiftfake.Engine{Store: w.lake, Backend: w.memory, Credentials: clause}
	return w, Options{
		Table: "public.events", CopyOptions: "JSON 'auto'", PutManifest: w.lake.put, ReadObject: w.lake.read,
		Credentials: func() (string, error) { return clause, nil }, PollEvery: time.Millisecond,
	}
}

func (w *world) open(t *testing.T, o Options, change func(*Options)) *world {
	t.Helper()
	if change != nil {
		change(&o)
	}
	l, err := New(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	w.Loader = l
	t.Cleanup(func() {
		l.Close()
		w.stop()
	})
	return w
}

func overWire(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w, o := newWorld()
	server := &redshiftfake.Wire{Engine: w.engine, User: "loader", Password: password, Database: "dev"}
	addr, stop, err := server.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.stop = sync.OnceFunc(stop)
	w.url = "postgres://loader:" + password + "@" + addr + "/dev?sslmode=disable"
	o.Postgres = &Postgres{URL: func() (string, error) { return w.url, nil }}
	return w.open(t, o, change)
}

func overDataAPI(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w, o := newWorld()
	w.api = redshiftfake.NewDataAPI(w.engine)
	w.asked = make(chan string, 1)
	w.api.OnRequest = func(op string) {
		select {
		case w.asked <- op:
		default:
		}
	}
	server := httptest.NewServer(w.api)
	w.stop = sync.OnceFunc(func() {
		w.api.Close()
		server.Close()
	})
	o.DataAPI = &DataAPI{Workgroup: "wg", Database: "dev", Region: "eu-west-1", Endpoint: server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("AK", "sk", "")}
	return w.open(t, o, change)
}

// batch stores an object and gives the load of it, the n-th.
func (w *world) batch(n int, body string) *record.Load {
	key := fmt.Sprintf("logs/it's\\%d.json", n)
	w.lake.mu.Lock()
	defer w.lake.mu.Unlock()
	w.lake.objects["lake/"+key] = []byte(body)
	return &record.Load{ID: fmt.Sprintf("00000000-0000-8000-8000-%012x", n), Stream: "weblogs", Bucket: "lake", Key: key, Size: int64(len(body)),
		Records: strings.Count(body, "\n")}
}

func (w *world) load(t *testing.T, ld *record.Load) record.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out := w.Load(ctx, ld)
	if out.Kind == record.Retry && (out.Err == nil || !strings.HasPrefix(out.Code, "Redshift.")) {
		t.Errorf("%+v says neither code nor reason", out)
	}
	for _, secret := range []string{password, "wJalrXUtnFEMI"} {
		if strings.Contains(fmt.Sprint(out.Err), secret) {
			t.Errorf("%v tells a secret", out.Err)
		}
	}
	return out
}

func (w *world) mustLoad(t *testing.T, ld *record.Load) {
	t.Helper()
	if out := w.load(t, ld); out.Kind != record.Delivered {
		t.Fatalf("%+v, want delivered", out)
	}
}

func (w *world) mustRetry(t *testing.T, ld *record.Load, code string, unsent bool) record.Outcome {
	t.Helper()
	out := w.load(t, ld)
	if out.Kind != record.Retry || out.Code != code || out.Unsent != unsent {
		t.Fatalf("%+v, want a retry for %s, unsent %v", out, code, unsent)
	}
	return out
}

func (w *world) mustHold(t *testing.T, want ...string) {
	t.Helper()
	got := w.memory.Rows("events")
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("rows %q, want %q", got, want)
	}
}

// whenHanging calls f once a COPY hangs and, at the Data API, is known to have been submitted.
func (w *world) whenHanging(f func()) {
	<-w.engine.Faults.Hanging()
	if w.api != nil {
		<-w.asked // may be of before
		for <-w.asked != "DescribeStatement" {
		}
	}
	f()
}

// watch gives the statements that begin so.
func (w *world) watch(prefix string) <-chan string {
	seen := make(chan string, 64)
	w.engine.OnStatement = func(sql string) {
		if strings.HasPrefix(sql, prefix) {
			seen <- sql
		}
	}
	return seen
}

var errBroken = errors.New("broken")
