package httpin

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"hydrant/record"
)

// fakeReplays knows what came back.
type fakeReplays struct {
	known map[record.Origin]bool
	data  []string
	puts  []int
	fail  error
}

func (f *fakeReplays) Replay(_ context.Context, stream string, put *record.Put) (n int, err error) {
	if f.fail != nil {
		return 0, f.fail
	}
	if stream != "s" {
		return 0, record.ErrStreamNotFound
	}
	note, _ := put.Note()
	f.puts = append(f.puts, put.Count())
	for i, o := range note.Origins {
		if !f.known[o] {
			f.known[o] = true
			f.data = append(f.data, string(put.Record(i)))
			n++
		}
	}
	return n, nil
}

func replayAll(f *fakeReplays, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/v1/streams/s/error-records", strings.NewReader(body))
	w := httptest.NewRecorder()
	New(Options{Appender: &fakeLog{}, Replayer: f}).ServeHTTP(w, r)
	return w
}

// TestErrorRecords reads the layouts of every kind that Firehose documents, and ours, one behind the other.
func TestErrorRecords(t *testing.T) {
	body, err := os.ReadFile("testdata/error-records.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeReplays{known: map[record.Origin]bool{}}
	w := replayAll(f, string(body))
	want := []string{"lambda", "format", "search", "serverless", "splunk", "http", "snowflake", "ours", "ours, part"}
	if w.Code != 200 || w.Body.String() != fmt.Sprintf(`{"accepted":%d,"repeated":0}`, len(want)) || strings.Join(f.data, "|") != strings.Join(want, "|") {
		t.Fatalf("%d %s %q", w.Code, w.Body, f.data)
	}
	ours := record.Origin{ID: record.ID{Epoch: record.Epoch{0xab}, Pos: 12}, Sub: 3, FailedMillis: 1594265943615}
	if !f.known[ours] {
		t.Errorf("our own lost its name: %v", f.known)
	}
	if w := replayAll(f, strings.ReplaceAll(string(body), "\n", "")); w.Body.String() != fmt.Sprintf(`{"accepted":0,"repeated":%d}`, len(want)) {
		t.Errorf("again, without line breaks: %d %s", w.Code, w.Body)
	}
	if w := replayAll(f, ""); w.Code != 200 || w.Body.String() != `{"accepted":0,"repeated":0}` {
		t.Errorf("nothing: %d %s", w.Code, w.Body)
	}
}

func TestErrorRecordsRefused(t *testing.T) {
	good := `{"rawData":"YQ==","arrivalTimestamp":1}` + "\n"
	for name, body := range map[string]string{
		"no JSON":      good + "x",
		"an array":     good + "[1]",
		"no data":      good + `{"errorCode":"x"}`,
		"a manifest":   good + `{"entries":[{"url":"s3://b/k","mandatory":true}]}`,
		"no base64":    good + `{"rawData":"!"}`,
		"a wrong name": good + `{"rawData":"YQ==","recordId":"x.1.2"}`,
		"cut":          good + `{"rawData":"YQ=`,
	} {
		f := &fakeReplays{known: map[record.Origin]bool{}}
		w := replayAll(f, body)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "Record 2 is no error record") || len(f.data) != 0 {
			t.Errorf("%s: %d %s %q", name, w.Code, w.Body, f.data)
		}
	}
	f := &fakeReplays{fail: &record.Unavailable{Reason: "full"}}
	if w := replayAll(f, good); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// Many records are given to the log in parts.
func TestErrorRecordsInParts(t *testing.T) {
	var b strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&b, `{"rawData":%q,"recordId":"%032x.%d.0"}`+"\n", b64(fmt.Sprint(i)), 1, i+1)
	}
	f := &fakeReplays{known: map[record.Origin]bool{}}
	if w := replayAll(f, b.String()); w.Code != 200 || fmt.Sprint(f.puts) != "[1000 1000 500]" || len(f.data) != 2500 {
		t.Errorf("%d %s %v", w.Code, w.Body, f.puts)
	}
}

func FuzzErrorRecords(f *testing.F) {
	f.Add([]byte(`{"rawData":"YQ==","arrivalTimestamp":1}{"rawData":"YQ==","recordId":"00000000000000000000000000000001.1.0"}`))
	f.Add([]byte(`{"entries":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = eachErrorRecord(b, func(_ []byte, o record.Origin) error {
			if _, err := record.ParseOrigin(o.String()); err != nil {
				t.Fatal(err)
			}
			return nil
		})
	})
}

// TestAlikeErrorRecords: two records of Firehose that held the same and came in the same millisecond are two, unless they have a name.
func TestAlikeErrorRecords(t *testing.T) {
	alike := `{"rawData":"YQ==","arrivalTimestamp":1,"errorCode":"Lambda.FunctionError"}` + "\n"
	named := `{"rawData":"YQ==","arrivalTimestamp":1,"EventId":"49.0"}` + "\n"
	ours := `{"rawData":"YQ==","arrivalTimestamp":1,"recordId":"00000000000000000000000000000001.7.0"}` + "\n"
	f := &fakeReplays{known: map[record.Origin]bool{}}
	body := alike + named + ours + alike + named + ours
	if w := replayAll(f, body); w.Body.String() != `{"accepted":4,"repeated":2}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := replayAll(f, body); w.Body.String() != `{"accepted":0,"repeated":6}` {
		t.Errorf("again: %d %s", w.Code, w.Body)
	}
	// What is told of the failure does not matter.
	if w := replayAll(f, strings.ReplaceAll(body, "Lambda.FunctionError", "Lambda.Timeout")); w.Body.String() != `{"accepted":0,"repeated":6}` {
		t.Errorf("after another attempt: %d %s", w.Code, w.Body)
	}
	if w := replayAll(f, strings.ReplaceAll(body, `"arrivalTimestamp":1`, `"arrivalTimestamp":2`)); w.Body.String() != `{"accepted":4,"repeated":2}` { // ours failed a second time
		t.Errorf("at another time: %d %s", w.Code, w.Body)
	}
}

func TestErrorRecordsPackedAndHostile(t *testing.T) {
	good := `{"rawData":"YQ==","arrivalTimestamp":1}`
	for name, c := range map[string]struct {
		body, coding string
		status       int
	}{
		"gzip":           {string(packed(t, "gzip", good)), "gzip", 200},
		"cut gzip":       {string(packed(t, "gzip", good))[:20], "gzip", 400},
		"deep":           {good + `{"x":` + strings.Repeat("[", 3_000_000), "", 400},
		"deep and whole": {good + `{"x":` + strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000) + `,"rawData":""}`, "", 400},
		"null":           {good + "null", "", 400},
		"too large":      {strings.Repeat(" ", 16<<20) + good, "", 413},
		"number":         {`{"rawData":1}`, "", 400},
	} {
		f := &fakeReplays{known: map[record.Origin]bool{}}
		r := httptest.NewRequest(http.MethodPost, "/v1/streams/s/error-records", strings.NewReader(c.body))
		if c.coding != "" {
			r.Header.Set("Content-Encoding", c.coding)
		}
		w := httptest.NewRecorder()
		New(Options{Appender: &fakeLog{}, Replayer: f}).ServeHTTP(w, r)
		if w.Code != c.status || (c.status == 200) != (len(f.data) == 1) {
			t.Errorf("%s: %d %.200s, %d records", name, w.Code, w.Body, len(f.data))
		}
	}
}
