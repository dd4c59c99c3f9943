package hecfake

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const guid = "00000000-0000-4000-8000-000000000001"

// ask sends a body and returns the status and what was answered.
func ask(s *Server, path, body string, change ...func(*http.Request)) (int, map[string]any) {
	r := httptest.NewRequest(http.MethodPost, "/services/collector"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Splunk t0ken")
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	var out map[string]any
	_ = json.Unmarshal(w.Body.Bytes(), &out)
	return w.Code, out
}

func header(k, v string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(k, v) }
}

func mustAsk(t *testing.T, s *Server, path, body string) map[string]any {
	t.Helper()
	status, out := ask(s, path, body)
	if status != 200 {
		t.Fatalf("%s %s: %d %v", path, body, status, out)
	}
	return out
}

func TestRefusals(t *testing.T) {
	in := "?channel=" + guid
	for _, c := range []struct {
		path, body   string
		status, code int
		event        any
		change       func(*http.Request)
	}{
		{"/event", "{}", 401, 2, nil, func(r *http.Request) { r.Header.Del("Authorization") }},
		{"/event", "{}", 401, 3, nil, header("Authorization", "Bearer t0ken")},
		{"/event", "{}", 401, 3, nil, header("Authorization", "Splunk")},
		{"/event", "{}", 403, 4, nil, header("Authorization", "Splunk other")},
		{"/event", " \n", 400, 5, nil, nil},
		{"/raw" + in, " \n", 400, 5, nil, nil},
		{"/event", `{"event":1} nonsense`, 400, 6, 1.0, nil},
		{"/event", `{"event":1,"host":2}`, 400, 6, 0.0, nil},
		{"/event", `[{"event":1}]`, 400, 6, 0.0, nil},
		{"/event", `{"event":1}`, 400, 6, nil, header("Content-Encoding", "gzip")},
		{"", `{"event":1}{"event":2,"index":"other"}`, 400, 7, 2.0, nil},
		{"/raw" + in + "&index=other", "x", 400, 7, nil, nil},
		{"/raw", "x", 400, 10, nil, nil},
		{"/raw?channel=1", "x", 400, 11, nil, nil},
		{"/event", `{"event":1}`, 400, 11, nil, header("X-Splunk-Request-Channel", strings.Repeat("x", 36))},
		{"/event", `{"event":1}{"time":1}`, 400, 12, 1.0, nil},
		{"/event", `{"event":""}`, 400, 13, 0.0, nil},
		{"/event", `{"event":null}{"event":`, 400, 13, 0.0, nil},
		{"/event/1.0", `{"event":{ }}`, 400, 13, 0.0, nil},
		{"/event/1.0", `{"event":[]}`, 400, 13, 0.0, nil},
		{"/event", `{"event":1,"time":"now"}`, 400, 15, 0.0, nil},
		{"/ack" + in, `{"acks":[0]}`, 400, 14, nil, nil},
		{"/raw/1.0" + in, strings.Repeat("x", 101), 413, 27, nil, nil},
	} {
		s := New("t0ken")
		s.MaxBytes, s.Indexes = 100, []string{"main"}
		if c.change == nil {
			c.change = func(*http.Request) {}
		}
		status, out := ask(s, c.path, c.body, c.change)
		if status != c.status || out["code"] != float64(c.code) || out["invalid-event-number"] != c.event {
			t.Errorf("%s %.40s: %d %v, want %+v", c.path, c.body, status, out, c)
		}
		if len(s.Events()) != 0 {
			t.Errorf("%s %.40s: something was taken", c.path, c.body)
		}
	}
}

func TestPaths(t *testing.T) {
	s := New("t0ken")
	if status, out := ask(s, "/health", "", func(r *http.Request) { r.Method = http.MethodGet }); status != 200 || out["code"] != 17.0 {
		t.Errorf("health: %d %v", status, out)
	}
	for path, want := range map[string]int{"/other": 404, "/../../x": 404} {
		if status, _ := ask(s, path, "x"); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if status, _ := ask(s, "/event", "", func(r *http.Request) { r.Method = http.MethodGet }); status != 405 {
		t.Errorf("GET: %d", status)
	}
}

func TestEventsAreKeptInOrder(t *testing.T) {
	s := New("t0ken")
	mustAsk(t, s, "/raw?channel="+guid+"&host=h&index=i", "one\n\n two\r\n")
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write([]byte(`{"event":{"a":1},"time":"1.5","source":"s"} {"fields":{"m":1}}`))
	_ = w.Close()
	if status, out := ask(s, "/event", z.String(), header("Content-Encoding", "gzip")); status != 200 || out["code"] != 0.0 || out["ackId"] != nil {
		t.Fatalf("%d %v", status, out)
	}
	var got []string
	for _, e := range s.Events() {
		got = append(got, strings.Join([]string{string(e.Raw), string(e.Event), string(e.Time), e.Channel, e.Host, e.Source, e.Index}, "|"))
	}
	want := []string{"one|||" + guid + "|h||i", " two\r|||" + guid + "|h||i",
		`{"event":{"a":1},"time":"1.5","source":"s"}|{"a":1}|"1.5"|||s|`, `{"fields":{"m":1}}||||||`}
	if !slices.Equal(got, want) || s.Requests() != 2 {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New("t0ken")
		s.Acks, s.AckDelay = true, time.Second
		const other = "00000000-0000-4000-8000-000000000002"
		send := func(guid string) any { return mustAsk(t, s, "/raw?channel="+guid, "x")["ackId"] }
		status := func(ids string) string {
			out, _ := json.Marshal(mustAsk(t, s, "/ack?channel="+guid, `{"acks":[`+ids+`]}`)["acks"])
			return string(out)
		}
		check := func(ids, want string) {
			t.Helper()
			if got := status(ids); got != want {
				t.Errorf("acks of %s: %s, want %s", ids, got, want)
			}
		}
		if a, b, c := send(guid), send(guid), send(other); a != 0.0 || b != 1.0 || c != 0.0 {
			t.Errorf("ids %v %v, and %v of another channel", a, b, c)
		}
		check("0,1,7", `{"0":false,"1":false,"7":false}`)
		time.Sleep(time.Second)
		check("0", `{"0":true}`)
		check("0,1", `{"0":false,"1":true}`) // the first was read
		s.SetAcks(AckHeld)
		send(guid)
		s.SetAcks(AckLost)
		send(guid)
		time.Sleep(time.Hour)
		check("2,3", `{"2":false,"3":false}`)
		s.Acknowledge()
		check("2,3", `{"2":true,"3":false}`)
		s.Restart()
		if code, out := ask(s, "/ack?channel="+guid, `{"acks":[3]}`); code != 400 || out["code"] != 11.0 {
			t.Errorf("after a restart: %d %v", code, out)
		}
		if id := send(guid); id != 0.0 {
			t.Errorf("the first id after a restart is %v", id)
		}
		s.SetAcks(AckDenied)
		if code, out := ask(s, "/ack?channel="+guid, `{"acks":[0]}`); code != 400 || out["code"] != 14.0 {
			t.Errorf("denied: %d %v", code, out)
		}
		if n := len(s.Polls()); n != 6 || !slices.Equal(s.Polls()[0].IDs, []int64{0, 1, 7}) {
			t.Errorf("%d questions", n)
		}
	})
}

func TestFaults(t *testing.T) {
	s := New("t0ken")
	s.Acks = true
	url, stop := s.Start()
	defer stop()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	post := func(path string) (int, error) {
		r, err := http.NewRequest(http.MethodPost, url+"/services/collector"+path+"?channel="+guid, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Splunk t0ken")
		resp, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		defer resp.Body.Close()
		return resp.StatusCode, nil
	}
	s.Next(Fault{Ack: true, Code: 9}, Fault{Code: 8}, Fault{Kind: Bare, Status: 418}, Fault{Kind: Cut})
	for _, want := range []int{500, 418, 0} {
		if status, err := post("/raw"); status != want || (err != nil) != (want == 0) {
			t.Errorf("%d %v, want %d", status, err, want)
		}
	}
	if n := len(s.Events()); n != 0 {
		t.Errorf("%d events taken", n)
	}
	if status, _ := post("/ack"); status != 503 {
		t.Errorf("ack: %d", status)
	}
	s.Next(Fault{Kind: CutAfter}, Fault{Kind: NoAckID})
	if _, err := post("/raw"); err == nil {
		t.Error("answered")
	}
	if status, err := post("/raw"); status != 200 || err != nil || len(s.Events()) != 2 {
		t.Errorf("%d %v, %d events", status, err, len(s.Events()))
	}
	s.SetToken("another")
	if status, _ := post("/raw"); status != 403 {
		t.Errorf("old token: %d", status)
	}
	s.Next(Fault{Kind: Hang})
	stopped := make(chan error)
	go func() {
		_, err := post("/raw")
		stopped <- err
	}()
	s.Release()
	if err := <-stopped; err == nil {
		t.Error("a hanging request was answered")
	}
}

func TestRetryAfterIsTold(t *testing.T) {
	s := New("t0ken")
	n := 3
	s.Next(Fault{Code: 9, RetryAfter: 7 * time.Second, Event: &n})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/services/collector", nil))
	if w.Code != 503 || w.Header().Get("Retry-After") != "7" || !strings.Contains(w.Body.String(), `"invalid-event-number":3`) {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
