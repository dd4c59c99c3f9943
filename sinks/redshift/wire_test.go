package redshift

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"hydrant/internal/redshiftfake"
)

func TestLogin(t *testing.T) {
	w := overWire(t, nil)
	good := w.url
	for _, c := range []struct{ url, code string }{
		{strings.Replace(good, password, "wrong-password", 1), "AuthenticationFailed"},
		{strings.Replace(good, "loader", "somebody", 1), "AuthenticationFailed"},
		{strings.Replace(good, "/dev", "/other", 1), "DatabaseNotFound"},
		{strings.Replace(good, "?sslmode=disable", "", 1), "ConnectionFailed"}, // the server has no TLS
		{"://" + password, "ConnectionFailed"},
		{strings.Replace(good, "loader:"+password+"@", "", 1), "ConnectionFailed"},
	} {
		w.url = c.url
		out := w.mustRetry(t, w.batch(1, `{"id":1}`), "Redshift."+c.code, true)
		if strings.Contains(out.Err.Error(), "wrong-password") {
			t.Errorf("%v tells the password", out.Err)
		}
	}
	w.url = good
	w.engine.Faults.Arm(redshiftfake.WrongPassword, 1)
	w.mustRetry(t, w.batch(1, `{"id":1}`), "Redshift.AuthenticationFailed", true)
	w.mustLoad(t, w.batch(1, `{"id":1}`))
}

// What is given beside the URL counts more, and is asked for each time.
func TestUsernameAndPassword(t *testing.T) {
	given := "old-password"
	w := overWire(t, func(o *Options) {
		o.Postgres.Username = "loader"
		o.Postgres.Password = func() (string, error) { return given, nil }
	})
	host := strings.SplitAfter(w.url, "@")[1]
	w.url = "jdbc:redshift://" + strings.Replace(host, "?sslmode=disable", "?ssl=false&tcpKeepAlive=true", 1)
	w.mustRetry(t, w.batch(1, `{"id":1}`), "Redshift.AuthenticationFailed", true)
	given = password
	w.mustLoad(t, w.batch(1, `{"id":1}`))
}

// The certificate is checked unless the URL says otherwise.
func TestTLS(t *testing.T) {
	h := httptest.NewUnstartedServer(nil)
	h.StartTLS()
	cert := h.TLS.Certificates[0]
	h.Close()
	w := overWire(t, nil)
	server := &redshiftfake.Wire{Engine: w.engine, User: "loader", Password: password, Database: "dev",
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}
	addr, stop, err := server.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	root := filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PGSSLMODE", "disable")
	t.Setenv("PGAPPNAME", "the server refuses this")
	t.Setenv("PGOPTIONS", "-c a=b")
	base := "postgres://loader:" + password + "@" + addr + "/dev"
	w.url = base
	w.mustRetry(t, w.batch(1, `{"id":1}`), "Redshift.ConnectionFailed", true)
	w.url = base + "?sslrootcert=" + filepath.Join(t.TempDir(), "none.pem")
	w.mustRetry(t, w.batch(1, `{"id":1}`), "Redshift.ConnectionFailed", true)
	for i, q := range []string{"?sslrootcert=" + root, "?sslmode=require"} {
		w.url = base + q
		w.mustLoad(t, w.batch(i+1, `{"id":1}`))
	}
}

func TestParseAddress(t *testing.T) {
	for raw, want := range map[string]string{
		"postgres://u:p@h:5/d":                            "h:5/d u p verify-full",
		"postgresql://u@h/d?sslmode=require":              "h:5432/d u  require",
		"redshift://u:p%2F%27@h/d":                        "h:5439/d u p/' verify-full",
		"jdbc:redshift://h:5439/d":                        "h:5439/d   verify-full",
		"jdbc:redshift://h/d?user=u&password=p&ssl=false": "h:5439/d u p disable",
		"jdbc:postgresql://h/d?sslmode=verify-ca&x=y":     "h:5432/d   verify-ca",
		"postgres://u:p@h:5/d?host=evil":                  "",
		"postgres://u:p@h:5/d?options=x":                  "",
		"postgres://u:p@h:5/":                             "",
		"postgres:///d":                                   "",
		"mysql://u:p@h:5/d":                               "",
		"jdbc:redshift:iam://h/d":                         "",
		"postgres://u:p@h:x/d":                            "",
		"host=h user=u":                                   "",
		"":                                                "",
	} {
		a, err := parseAddress(raw)
		got := ""
		if err == nil {
			got = strings.Join([]string{a.url.Host + a.url.Path, a.user, a.password, a.url.Query().Get("sslmode")}, " ")
		}
		if got != want {
			t.Errorf("%s: %q %v, want %q", raw, got, err, want)
		}
		if err != nil && raw != "" && strings.Contains(err.Error(), raw) {
			t.Errorf("%v quotes the URL", err)
		}
	}
}

// Calls wait for nobody once the loader's user is gone, and leave nothing behind: main_test.go looks.
func TestServerGoesAway(t *testing.T) {
	w := overWire(t, nil)
	w.engine.Faults.Arm(redshiftfake.HangInCopy, 1)
	go func() {
		<-w.engine.Faults.Hanging()
		w.stop()
	}()
	out := w.Load(context.Background(), w.batch(1, `{"id":1}`))
	if out.Unsent && out.Code == "Redshift.ConnectionFailed" || out.Err == nil {
		t.Errorf("%+v", out)
	}
	w.mustHold(t)
}
