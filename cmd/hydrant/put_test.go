package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestPutDelivers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	endpoint, stop := startDaemon(t, dir)
	file := writeFile(t, "in.ndjson", "{\"a\":1}\n\n{\"a\":2}\r\n{\"a\":3}")
	cli(t, "", "put", "web", file, "--endpoint", endpoint).want(t, 0, "3 records accepted by stream web")
	cli(t, "{\"a\":4}\n", "put", "web", "-", "--endpoint", endpoint).want(t, 0, "1 record accepted")
	cli(t, "", "put", "web", "--endpoint", endpoint).want(t, 0, "0 records accepted")
	cli(t, "x\n", "put", "nope", "--endpoint", endpoint).want(t, 1, "`hydrant streams` lists", "\nnothing was stored\n")
	stop()
	if got := objects(t, dir); got != "{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n{\"a\":4}\n" {
		t.Errorf("objects hold %q", got)
	}
}

func TestPutLineTooLong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	endpoint, stop := startDaemon(t, dir)
	longest := strings.Repeat("x", maxRecordBytes-1)
	cli(t, "a\n\n"+longest+"\r\n"+longest+"x\nb\n", "put", "web", "--endpoint", endpoint).want(t, 1,
		"2 records accepted", "standard input, line 4: the line has more than 1024000 bytes", "lines 1 to 3 are stored; go on from line 4")
	stop()
	if got := objects(t, dir); got != "a\n"+longest+"\n" {
		t.Errorf("objects hold %d bytes", len(got))
	}
}

// fakeAPI answers each PutRecordBatch by one of the given functions in turn, then by success.
func fakeAPI(t *testing.T, answers ...http.HandlerFunc) (endpoint string, batches func() [][]string) {
	var mu sync.Mutex
	var got [][]string
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		n++
		if n <= len(answers) && answers[n-1] != nil {
			_, _ = io.Copy(io.Discard, r.Body)
			answers[n-1](w, r)
			return
		}
		var in struct {
			Records []struct{ Data []byte }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		var batch []string
		for _, one := range in.Records {
			batch = append(batch, string(one.Data))
		}
		got = append(got, batch)
		_, _ = io.WriteString(w, `{"FailedPutCount":0,"RequestResponses":[]}`)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, func() [][]string { mu.Lock(); defer mu.Unlock(); return got }
}

func refuse(status int, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Amzn-Errortype", kind)
		w.Header().Set("X-Amz-Retry-After", "1")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"message":"said so"}`)
	}
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestPutBatches(t *testing.T) {
	t.Parallel()
	endpoint, batches := fakeAPI(t)
	big := strings.Repeat("y", 1_000_000) + "\n"
	cli(t, strings.Repeat("x\n", 1001)+strings.Repeat(big, 5), "put", "s", "--endpoint", endpoint).want(t, 0, "1006 records accepted")
	var sizes []int
	for _, b := range batches() {
		bytes := 0
		for _, r := range b {
			bytes += len(r)
		}
		if bytes > maxBatchBytes {
			t.Errorf("a batch of %d bytes", bytes)
		}
		sizes = append(sizes, len(b))
	}
	if want := []int{500, 500, 5, 1}; len(sizes) != 4 || sizes[0] != want[0] || sizes[1] != want[1] || sizes[2] != want[2] || sizes[3] != want[3] {
		t.Errorf("batches of %v records, want %v", sizes, want)
	}
}

func TestPutRetriesOnlyWhatWasRefused(t *testing.T) {
	t.Parallel()
	lines := strings.Repeat("x\n", 600)
	for name, c := range map[string]struct {
		answers []http.HandlerFunc
		code    int
		texts   []string
		batches int
	}{
		"503 is tried again": {[]http.HandlerFunc{refuse(503, "ServiceUnavailableException"), nil, refuse(503, "ServiceUnavailableException")}, 0,
			[]string{"600 records accepted"}, 2},
		"500 may have been stored": {[]http.HandlerFunc{nil, refuse(500, "InternalFailure")}, 1,
			[]string{"500 records accepted", "said so", "lines 501 to 600 may or may not be stored", "lines 1 to 500 are stored; go on from line 501"}, 1},
		"a connection that breaks may have been enough": {[]http.HandlerFunc{nil, hangUp}, 1,
			[]string{"lines 501 to 600 may or may not be stored", "lines 1 to 500 are stored"}, 1},
		"400 is final": {[]http.HandlerFunc{refuse(400, "InvalidArgumentException")}, 1,
			[]string{"InvalidArgumentException: said so", "\nnothing was stored\n"}, 0},
		"a first batch that may have been stored": {[]http.HandlerFunc{hangUp}, 1,
			[]string{"lines 1 to 500 may or may not be stored", "\nno line is known to be stored\n"}, 0},
		"a success that cannot be read": {[]http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"FailedPutCount":`)
		}}, 1, []string{"lines 1 to 500 may or may not be stored", "no line is known to be stored"}, 0},
		"refused in part": {[]http.HandlerFunc{func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"FailedPutCount":3,"RequestResponses":[]}`)
		}}, 1, []string{"497 records accepted", "3 of the records in lines 1 to 500 were not accepted", "no line is known to be stored"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			endpoint, batches := fakeAPI(t, c.answers...)
			cli(t, lines, "put", "s", "--endpoint", endpoint).want(t, c.code, c.texts...)
			if got := len(batches()); got != c.batches {
				t.Errorf("%d batches were taken, want %d", got, c.batches)
			}
		})
	}
}

func TestPutGivesUp(t *testing.T) {
	t.Parallel()
	full := refuse(503, "ServiceUnavailableException")
	endpoint, batches := fakeAPI(t, full, full, full)
	cli(t, "x\n", "put", "s", "--endpoint", endpoint, "--retry-for", "0s").want(t, 1, "lines 1 to 1 were refused for 0s", "said so", "\nnothing was stored\n")
	if len(batches()) != 0 {
		t.Error("something was taken")
	}
}

// TestPutToAnotherPort: the admin port, or any other web server.
func TestPutToAnotherPort(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
	}))
	t.Cleanup(srv.Close)
	for _, args := range [][]string{{"put", "s"}, {"streams"}, {"describe", "s"}} {
		r := cli(t, "x\n", append(args, "--endpoint", srv.URL)...)
		r.want(t, 1, srv.URL+" answers, but not as a record port (HTTP status 405)", "usually http://127.0.0.1:4573")
		if strings.Contains(r.err, "deserialization") {
			t.Errorf("%q", r.err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header, value string
		attempt       int
		want          time.Duration
	}{
		{"X-Amz-Retry-After", "1500", 0, 1500 * time.Millisecond},
		{"X-Amz-Retry-After", "0", 0, 50 * time.Millisecond},
		{"X-Amz-Retry-After", "-5", 0, 50 * time.Millisecond},
		{"X-Amz-Retry-After", "99999999999", 0, 30 * time.Second},
		{"Retry-After", "2", 0, 2 * time.Second},
		{"Retry-After", "soon", 2, 800 * time.Millisecond},
		{"X-Other", "", 0, 200 * time.Millisecond},
		{"X-Other", "", 1_000_000, 5 * time.Second},
	} {
		if got := retryAfter(http.Header{c.header: {c.value}}, c.attempt); got != c.want {
			t.Errorf("%s: %s, attempt %d: %v, want %v", c.header, c.value, c.attempt, got, c.want)
		}
	}
	if got := retryAfter(nil, 0); got != 200*time.Millisecond {
		t.Errorf("without an answer: %v", got)
	}
}

type brokenReader struct{ io.Reader }

var errBroken = errors.New("the disk is gone")

func (b brokenReader) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errBroken
	}
	return n, err
}

func FuzzLines(f *testing.F) {
	for _, seed := range []string{"", "\n", "a", "a\n", "a\r\nb", "\r\n\r\n", "a\rb\n\n"} {
		f.Add([]byte(seed), uint16(16))
	}
	f.Fuzz(func(t *testing.T, in []byte, size uint16) {
		l := &lineReader{r: bufio.NewReaderSize(strings.NewReader(string(in)), int(size))}
		var got []string
		for {
			line, err := l.next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(line) > 0 {
				got = append(got, string(line))
			}
		}
		var want []string
		for _, line := range strings.Split(string(in), "\n") {
			if line = strings.TrimSuffix(line, "\r"); line != "" {
				want = append(want, line+"\n")
			}
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Fatalf("%q is read as %q, want %q", in, got, want)
		}
	})
}

func TestLinesOfABrokenFile(t *testing.T) {
	t.Parallel()
	l := &lineReader{r: bufio.NewReader(brokenReader{strings.NewReader("a\nb")})}
	if line, err := l.next(); string(line) != "a\n" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if line, err := l.next(); !errors.Is(err, errBroken) { // half a line is no record
		t.Fatalf("%q, %v", line, err)
	}
}
