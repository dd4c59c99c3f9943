package opensearch

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"hydrant/record"
)

func TestTLS(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"errors":false,"items":[`+taken+`]}`)
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that fails
	srv.StartTLS()
	defer srv.Close()
	pool := x509.NewCertPool()
	pool.AddCert(srv.Certificate())
	good := open(t, Options{URLs: []string{srv.URL}, Index: "logs", TLS: &tls.Config{RootCAs: pool}}, func() {})
	mustTake(t, good, `{"a":1}`)
	bad := open(t, Options{URLs: []string{srv.URL}, Index: "logs"}, func() {})
	if reply := send(t, bad, `{"a":1}`); reply.Kind != record.Retry || reply.Code != "OpenSearch.SSLUnverified" || !reply.Unsent {
		t.Errorf("%+v", reply)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	followed := false
	url, stop := serve(func(w http.ResponseWriter, r *http.Request) {
		followed = followed || r.URL.Path == "/elsewhere"
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	s := open(t, Options{URLs: []string{url}, Index: "logs"}, stop)
	if reply := send(t, s, `{"a":1}`); reply.Kind != record.Retry || reply.Code != codeInvalidResponse || followed {
		t.Errorf("%+v, followed %v", reply, followed)
	}
}

func TestRetryAfter(t *testing.T) {
	for v, want := range map[string]time.Duration{
		"7": 7 * time.Second, "": 0, "soon": 0, "-3": 0, "999999": maxRetryAfter, "Mon, 02 Jan 2006 15:04:05 GMT": 0, "Mon, 02 Jan 2996 15:04:05 GMT": maxRetryAfter,
	} {
		if got := retryAfter(http.Header{"Retry-After": {v}}); got != want {
			t.Errorf("%q: %v, want %v", v, got, want)
		}
	}
}
