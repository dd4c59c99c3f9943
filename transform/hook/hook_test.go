package hook

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain is also the program that exec tests run: it answers as the environment says.
func TestMain(m *testing.M) {
	if way := os.Getenv("HOOK_WAY"); way != "" {
		program(way)
		return
	}
	goleak.VerifyTestMain(m)
}

func program(way string) {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	for n := 1; ; n++ {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		if way == "dies on the second" && n == 2 {
			os.Exit(3)
		}
		if way == "hangs on the third" && n == 3 {
			select {}
		}
		fmt.Fprintln(os.Stderr, "working")
		os.Stdout.Write(append(bytes.ReplaceAll(respond(way, line), []byte("\n"), nil), '\n'))
	}
}

// respond is the answer of a function to an event.
func respond(way string, payload []byte) []byte {
	var e event
	if err := json.Unmarshal(payload, &e); err != nil || !strings.HasPrefix(e.Stream, "arn:aws:firehose:eu-west-1:123456789012:deliverystream/s") || e.InvocationID == "" {
		return []byte(fmt.Sprintf(`{"bad event": %q}`, payload))
	}
	type out map[string]any
	var all []out
	for i, r := range e.Records {
		o := out{"recordId": r.ID, "result": "Ok", "data": base64.StdEncoding.EncodeToString(append([]byte("new "), r.Data...))}
		switch text := string(r.Data); {
		case strings.HasPrefix(text, "drop"):
			o = out{"recordId": r.ID, "result": "Dropped"}
		case strings.HasPrefix(text, "fail"):
			o["result"] = "ProcessingFailed"
		case strings.HasPrefix(text, "lower"):
			o["result"] = "ok"
		case strings.HasPrefix(text, "no data"):
			delete(o, "data")
		case strings.HasPrefix(text, "no base64"):
			o["data"] = "%%%"
		case strings.HasPrefix(text, "keys"):
			o["metadata"] = out{"partitionKeys": out{"k": "v", "l": "w"}}
		case strings.HasPrefix(text, "bad keys"):
			o["metadata"] = out{"partitionKeys": out{"k": ""}}
		case strings.HasPrefix(text, "twice"):
			all = append(all, o)
		case strings.HasPrefix(text, "missing"):
			o["recordId"] = "another"
		}
		_ = i
		all = append(all, o)
	}
	if way == "backwards" {
		slices.Reverse(all)
	}
	b, _ := json.Marshal(out{"records": all})
	return b
}

func options() Options {
	return Options{Stream: "s", Account: "123456789012", Region: "eu-west-1", Retries: 3, Timeout: 5 * time.Second, Concurrency: 2}
}

func open(t *testing.T, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func records(texts ...string) (out []Record) {
	for i, s := range texts {
		out = append(out, Record{[]byte(s), int64(i)})
	}
	return out
}

// say is an answer in one word.
func say(a Answer) string {
	switch {
	case a.Failure != nil:
		return "!" + a.Failure.Code
	case a.Dropped:
		return "-"
	}
	return string(a.Data)
}

func ask(t *testing.T, c *Client, texts ...string) (out []string) {
	t.Helper()
	answers, err := c.Ask(context.Background(), records(texts...))
	if err != nil || len(answers) != len(texts) {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	for _, a := range answers {
		out = append(out, say(a))
	}
	return out
}

// TestContract: the same on each of the three ways.
func TestContract(t *testing.T) {
	texts := []string{"a", "drop", "fail", "lower", "no data", "no base64", "twice", "missing", "keys", "bad keys", ""}
	want := []string{"new a", "-", "!" + codeProcessing, "!" + codeJSON, "!" + codeJSON, "!" + codeJSON, "!" + codeDuplicated, "!" + codeMissing, "new keys", "!" + codeJSON, "new "}
	for name, o := range ways(t, "plain") {
		t.Run(name, func(t *testing.T) {
			c := open(t, o)
			if got := ask(t, c, texts...); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
			answers, _ := c.Ask(context.Background(), records("keys", "fail"))
			if k := answers[0].Keys; k["k"] != "v" || k["l"] != "w" {
				t.Error(k)
			}
			if f := answers[1].Failure; f.Attempts != 1 || f.Type != "processing-failed" || len(f.Fields) != 1 || f.Fields[0].Name != "lambdaArn" || f.Fields[0].Value == "" {
				t.Errorf("%+v", f)
			}
		})
	}
	for name, o := range ways(t, "backwards") {
		if got := ask(t, open(t, o), "a", "b", "c"); !slices.Equal(got, []string{"new a", "new b", "new c"}) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// ways are the three, to a function that answers in a way.
func ways(t *testing.T, way string) map[string]Options {
	t.Helper()
	handler := func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = w.Write(respond(way, b))
	}
	s := httptest.NewServer(http.HandlerFunc(handler))
	t.Cleanup(s.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	post, invoke, exe := options(), options(), options()
	post.URL = s.URL + "/hook"
	invoke.Function, invoke.Endpoint = "redact", s.URL
	exe.Exec, exe.Env = []string{os.Args[0]}, map[string]string{"HOOK_WAY": way}
	return map[string]Options{"url": post, "function": invoke, "exec": exe}
}

// TestInvocationsAreCut: by bytes of data, and by what Lambda takes; the order of answers is that of the records.
func TestInvocationsAreCut(t *testing.T) {
	var calls, most atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		calls.Add(1)
		for n := most.Load(); int64(len(b)) > n && !most.CompareAndSwap(n, int64(len(b))); n = most.Load() {
		}
		_, _ = w.Write(respond("", b))
	}))
	defer s.Close()
	o := options()
	o.URL, o.Buffer, o.Concurrency = s.URL, 100_000, 4
	c := open(t, o)
	var texts []string
	for i := range 1000 {
		texts = append(texts, fmt.Sprintf("%d %s", i, strings.Repeat("x", 1000)))
	}
	for i, got := range ask(t, c, texts...) {
		if got != "new "+texts[i] {
			t.Fatalf("record %d: %.40q", i, got)
		}
	}
	if n := calls.Load(); n < 10 || n > 13 {
		t.Errorf("%d invocations", n)
	}
	c.o.Buffer = 64 << 20
	calls.Store(0)
	big := strings.Repeat("y", 1_000_000)
	for _, got := range ask(t, c, big, big, big, big, big, big, big, big, big) {
		if got != "new "+big {
			t.Fatalf("%.40q", got)
		}
	}
	if most.Load() > maxPayload || calls.Load() < 2 {
		t.Errorf("an invocation of %d bytes, %d in all", most.Load(), calls.Load())
	}
}

// TestFailures: retried, then set aside with the number of attempts; halves where fewer records may do.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		status   int
		body     string
		hangs    bool
		want     string
		attempts int
	}{
		"throttled":       {status: 429, want: codeThrottled, attempts: 4},
		"denied":          {status: 403, want: codeDenied, attempts: 4},
		"not found":       {status: 404, want: codeNotFound, attempts: 4},
		"server error":    {status: 502, want: codeFunction, attempts: 4},
		"html":            {status: 200, body: "<html>", want: codeJSON, attempts: 1},
		"no records":      {status: 200, body: `{"errorMessage":"x"}`, want: codeJSON, attempts: 1},
		"null":            {status: 200, body: `null`, want: codeJSON, attempts: 1},
		"wrong types":     {status: 200, body: `{"records":[{"recordId":5}]}`, want: codeJSON, attempts: 1},
		"nothing":         {status: 200, body: `{"records":[]}`, want: codeMissing, attempts: 1},
		"too large":       {status: 413, want: codeTooLarge, attempts: 1},
		"7 MB":            {status: 200, body: strings.Repeat(" ", 7<<20), want: codeTooLarge, attempts: 1},
		"does not answer": {hangs: true, want: codeTimedOut, attempts: 4},
	} {
		t.Run(name, func(t *testing.T) {
			stop := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if c.hangs {
					select {
					case <-stop:
					case <-r.Context().Done():
					}
					return
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer s.Close()
			defer close(stop)
			o := options()
			o.URL = s.URL
			if c.hangs {
				o.Timeout = 20 * time.Millisecond
			}
			answers, err := open(t, o).Ask(context.Background(), records("a", "b", "c"))
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range answers {
				if a.Failure == nil || a.Failure.Code != c.want || a.Failure.Attempts != c.attempts {
					t.Errorf("%+v", a.Failure)
				}
			}
		})
	}
}

// TestOnlyTheLargeOne: a record that makes an answer too large is set aside alone.
func TestOnlyTheLargeOne(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if bytes.Contains(b, []byte(base64.StdEncoding.EncodeToString([]byte("large!")))) {
			_, _ = w.Write(bytes.Repeat([]byte(" "), 7<<20))
			return
		}
		_, _ = w.Write(respond("", b))
	}))
	defer s.Close()
	o := options()
	o.URL = s.URL
	got := ask(t, open(t, o), "a", "b", "large!", "c", "d")
	if !slices.Equal(got, []string{"new a", "new b", "!" + codeTooLarge, "new c", "new d"}) {
		t.Errorf("%q", got)
	}
}

// TestProgramThatDies is started anew, and one that hangs is killed; its records are asked again.
func TestProgramThatDies(t *testing.T) {
	for _, way := range []string{"dies on the second", "hangs on the third"} {
		o := ways(t, way)["exec"]
		o.Concurrency, o.Timeout = 1, 500*time.Millisecond
		c := open(t, o)
		for i := range 6 {
			if got := ask(t, c, "a", "b"); !slices.Equal(got, []string{"new a", "new b"}) {
				t.Errorf("%s, call %d: %q", way, i, got)
			}
		}
	}
	o := options()
	o.Exec = []string{"/nowhere/at-all"}
	if _, err := New(o); err == nil {
		t.Error("a program that is not there is taken")
	}
	o.Exec, o.Retries = []string{"/bin/sh", "-c", "exit 1"}, 1
	if got := ask(t, open(t, o), "a"); got[0] != "!"+codeFunction {
		t.Errorf("%q", got)
	}
	o.Exec = []string{"/bin/cat"} // an event is no answer: it has no results
	if got := ask(t, open(t, o), "a"); got[0] != "!"+codeJSON {
		t.Errorf("%q", got)
	}
}

// TestMemoryOfAProgram: one that takes more than it may is ended, and its records are set aside.
func TestMemoryOfAProgram(t *testing.T) {
	o := options()
	o.Exec = []string{"/bin/sh", "-c", `read line; x=$(head -c 400000000 /dev/zero | tr '\0' x); echo "$x" | tail -c 10`}
	o.Memory, o.Retries = 64<<20, 0
	if got := ask(t, open(t, o), "a"); got[0] == "new a" || got[0][0] != '!' {
		t.Errorf("%q", got)
	}
}

// TestGivenUp: whoever ends the call knows nothing, and no program is left at work.
func TestGivenUp(t *testing.T) {
	o := ways(t, "hangs on the third")["exec"]
	o.Concurrency = 1
	c := open(t, o)
	_, _ = ask(t, c, "a"), ask(t, c, "a")
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := c.Ask(ctx, records("a")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if got := ask(t, c, "a"); got[0] != "new a" {
		t.Errorf("%q", got)
	}
}

// TestWhateverIsAnswered: each record has one answer.
func TestWhateverIsAnswered(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	c := &Client{o: options(), to: &poster{}}
	words := []string{`{`, `}`, `[`, `]`, `"records"`, `:`, `,`, `"recordId"`, `"` + recordID(0) + `"`, `"` + recordID(1) + `"`, `"result"`, `"Ok"`, `"data"`, `""`, `null`, `1`, `"metadata"`, `"partitionKeys"`}
	for range 20_000 {
		var b strings.Builder
		b.WriteString(`{"records":[`)
		for range rng.Intn(30) {
			b.WriteString(words[rng.Intn(len(words))])
		}
		b.WriteString(`]}`)
		out := make([]Answer, 2)
		c.read([]byte(b.String()), records("a", "b"), out, 1)
		for _, a := range out {
			if a.Failure == nil && !a.Dropped && a.Data == nil {
				t.Fatalf("%s: %+v", b.String(), out)
			}
		}
	}
}

// TestSecretsAndRecordsStayOutOfTheLog.
func TestSecretsAndRecordsStayOutOfTheLog(t *testing.T) {
	var log bytes.Buffer
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "the-record-body "+r.Header.Get("Authorization"), http.StatusInternalServerError)
	}))
	defer s.Close()
	o := options()
	o.URL, o.Retries, o.Logger = s.URL, 1, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o.Headers = map[string]func() (string, error){"Authorization": func() (string, error) { return "the-secret", nil }}
	ask(t, open(t, o), "the-record-body")
	if text := log.String(); strings.Contains(text, "the-secret") || strings.Contains(text, "the-record-body") || !strings.Contains(text, "a hook failed") {
		t.Error(text)
	}
}

func BenchmarkExec(b *testing.B) {
	o := options()
	o.Exec, o.Env, o.Concurrency = []string{os.Args[0]}, map[string]string{"HOOK_WAY": "plain"}, 1
	c, err := New(o)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	var texts []Record
	for range 1400 {
		texts = append(texts, Record{Data: bytes.Repeat([]byte("x"), 700)})
	}
	b.SetBytes(1400 * 700)
	for b.Loop() {
		if _, err := c.Ask(context.Background(), texts); err != nil {
			b.Fatal(err)
		}
	}
}
