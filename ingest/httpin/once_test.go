package httpin

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"hydrant/record"
)

func TestIdempotencyKey(t *testing.T) {
	log := &fakeLog{}
	h := New(Options{Appender: log})
	for _, tc := range []struct {
		body, key string
		accepted  int
		total     int // records in the log afterwards
	}{
		{"a\nb\n", "k1", 2, 2},
		{"a\nb\n", "k1", 2, 2},
		{"a\r\nb", "k1", 2, 2},   // the same records
		{"a\nc\n", "k1", 2, 4},   // others
		{"ab\n", "k1", 1, 5},     // the same bytes, cut elsewhere
		{"a\nb\n\n", "k2", 2, 7}, // another key
		{"a\nb\n", strings.Repeat(" ~", 127) + "k", 2, 9},
		{"", "k1", 0, 9},
		{"a\nb\n", "", 2, 11}, // below: no header at all
		{"a\nb\n", "", 2, 13},
	} {
		var header []string
		if tc.key != "" {
			header = []string{"Idempotency-Key", tc.key}
		}
		w := post(h, "text/plain", strings.NewReader(tc.body), header...)
		if want := fmt.Sprintf(`{"accepted":%d}`, tc.accepted); w.Code != 200 || w.Body.String() != want || len(log.records) != tc.total {
			t.Errorf("%q under %.10q: %d %s, %d records; want %s, %d", tc.body, tc.key, w.Code, w.Body, len(log.records), want, tc.total)
		}
	}
}

func TestRefusedRequestIsTakenWhenItIsRepeated(t *testing.T) {
	log := &fakeLog{fail: &record.Unavailable{Reason: "full"}}
	h := New(Options{Appender: log})
	if w := post(h, "text/plain", strings.NewReader("a"), "Idempotency-Key", "k"); w.Code != 503 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	log.fail = nil
	for range 2 {
		if w := post(h, "text/plain", strings.NewReader("a"), "Idempotency-Key", "k"); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if !slices.Equal(log.records, []string{"a"}) {
		t.Errorf("the log has %q", log.records)
	}
}

// TestSendersHaveKeysOfTheirOwn: two with tokens may use the same key for the same records.
func TestSendersHaveKeysOfTheirOwn(t *testing.T) {
	log := &fakeLog{}
	h := New(Options{Appender: log, Authorize: func(token, _ string) (string, error) { return token, nil }})
	for _, token := range []string{"one", "two", "one"} {
		if w := post(h, "text/plain", strings.NewReader("a"), "Idempotency-Key", "k", "Authorization", "Bearer "+token); w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
	}
	if len(log.records) != 2 {
		t.Errorf("the log has %q", log.records)
	}
}

func TestRequestKeysDiffer(t *testing.T) {
	put := func(rs ...string) *record.Put {
		p := record.NewPut()
		for _, r := range rs {
			p.Add([]byte(r))
		}
		return p
	}
	seen := map[record.RequestKey]int{}
	for i, k := range []record.RequestKey{
		requestKey("v1", "a", "b", put("x")), requestKey("firehose", "a", "b", put("x")), requestKey("v1", "", "b", put("x")),
		requestKey("v1", "a b", "", put("x")), requestKey("v1", "a", "b", put("y")), requestKey("v1", "a", "b", put("x", "")),
		requestKey("v1", "a", "b", put("", "x")), requestKey("v1", "a", "b", put("xy", "z")), requestKey("v1", "a", "b", put("x", "yz")),
	} {
		if j, ok := seen[k]; ok {
			t.Errorf("keys %d and %d are the same", i, j)
		}
		seen[k] = i
	}
	if first := requestKey("v1", "a", "b", put("x")); requestKey("v1", "a", "b", put("x")) != first {
		t.Error("the same request has two keys")
	}
}

// onlyGood knows the token good for the stream s, and weak for none.
func onlyGood(token, stream string) (string, error) {
	switch {
	case token == "":
		return "", fmt.Errorf("x: %w", ErrNoToken)
	case token == "good" && stream == "s":
		return "g", nil
	case token == "good" || token == "weak":
		return "", ErrForbidden
	}
	return "", ErrWrongToken
}

func TestTokens(t *testing.T) {
	log := &fakeLog{}
	h := New(Options{Appender: log, Replayer: &fakeReplays{known: map[record.Origin]bool{}}, Authorize: onlyGood})
	for _, path := range []string{"/v1/streams/s/records", "/v1/streams/s/error-records", "/v1/firehose/s"} {
		for _, tc := range []struct {
			header, value string
			status        int
		}{
			{"Authorization", "Bearer good", 200}, {"Authorization", "bearer  good", 200}, {"X", "x", 401}, {"Authorization", "Bearer", 401},
			{"Authorization", "Basic good", 401}, {"Authorization", "good", 401}, {"Authorization", "Bearer bad", 401}, {"Authorization", "Bearer weak", 403},
			{headerAccessKey, "good", 200}, {headerAccessKey, "bad", 403}, {headerAccessKey, "weak", 403}, {headerAccessKey, "", 401},
		} {
			want := tc.status
			if tc.header == headerAccessKey && path != "/v1/firehose/s" {
				want = 401 // it is no header there
			}
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(bodyFor(path)))
			r.Header.Set("Content-Type", "text/plain")
			r.Header.Set(tc.header, tc.value)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != want || (w.Header().Get("WWW-Authenticate") == "Bearer") != (want == 401) {
				t.Errorf("%s, %s %q: %d %v %s, want %d", path, tc.header, tc.value, w.Code, w.Header(), w.Body, want)
			}
		}
	}
}

func bodyFor(path string) string {
	switch path {
	case "/v1/firehose/s":
		return `{"requestId":"i","records":[{"data":"YQ=="}]}`
	case "/v1/streams/s/error-records":
		return `{"rawData":"YQ=="}`
	}
	return "a"
}

// TestForbiddenStreamsLookLikeMissingOnes: who may not see a stream does not learn whether it exists.
func TestForbiddenStreamsLookLikeMissingOnes(t *testing.T) {
	h := New(Options{Appender: &fakeLog{}, Authorize: func(_, stream string) (string, error) {
		if stream != "mine" {
			return "", ErrForbidden
		}
		return "", nil
	}})
	answers := map[string]bool{}
	for _, name := range []string{"s", "nobody"} {
		r := httptest.NewRequest(http.MethodPost, "/v1/streams/"+name+"/records", strings.NewReader("a"))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		answers[fmt.Sprint(w.Code, w.Header(), w.Body)] = true
		if w.Code != 403 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
	if len(answers) != 1 {
		t.Errorf("the answers differ: %v", answers)
	}
}

// TestNobodyReadsABodyWithoutAToken: what it costs is decided before.
func TestNobodyReadsABodyWithoutAToken(t *testing.T) {
	h := New(Options{Appender: &fakeLog{}, Authorize: onlyGood})
	for _, path := range []string{"/v1/streams/s/records", "/v1/streams/s/error-records", "/v1/firehose/s"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, mustNotRead{t}))
		if w.Code != 401 {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

type mustNotRead struct{ t *testing.T }

func (m mustNotRead) Read([]byte) (int, error) {
	m.t.Error("the body was read")
	return 0, errors.New("no")
}
