package redshift

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"hydrant/internal/redshiftfake"
	"hydrant/record"
)

// The answer to a submission is lost: the next attempt asks under the same token and finds the first one's statement.
func TestSubmitNotAnswered(t *testing.T) {
	w := overDataAPI(t, nil)
	ld := w.batch(1, `{"id":1}`)
	w.engine.Faults.Arm(redshiftfake.SubmitNotAnswered, 1)
	w.mustRetry(t, ld, "Redshift.ConnectionFailed", false)
	before := len(w.engine.Statements())
	w.mustLoad(t, ld)
	w.mustHold(t, "1|NULL")
	for _, sql := range w.engine.Statements()[min(before, len(w.engine.Statements())):] {
		if strings.HasPrefix(sql, "SELECT COUNT") {
			t.Errorf("%s: the first statement was not found by its token", sql)
		}
	}
	if n := len(w.Loader.t.(*dataAPI).submits.next); n != 0 {
		t.Errorf("%d submissions are remembered", n)
	}
}

// Another process does not know the token; the ledger knows the batch.
func TestSubmitNotAnsweredThenRestarted(t *testing.T) {
	w := overDataAPI(t, nil)
	ld := w.batch(1, `{"id":1}`)
	w.engine.Faults.Arm(redshiftfake.SubmitNotAnswered, 1)
	w.mustRetry(t, ld, "Redshift.ConnectionFailed", false)
	next, err := New(context.Background(), w.o)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if out := next.Load(context.Background(), ld); out.Kind != record.Delivered {
		t.Errorf("%+v", out)
	}
	w.mustHold(t, "1|NULL")
}

// A batch that committed and was reported as failed is found in the ledger.
func TestFailedAfterCommit(t *testing.T) {
	w := overDataAPI(t, nil)
	ld := w.batch(1, `{"id":1}`)
	w.engine.Faults.Arm(redshiftfake.FailAfterCommit, 1)
	w.mustRetry(t, ld, "Redshift.InternalError", false)
	w.mustLoad(t, ld)
	w.mustHold(t, "1|NULL")
}

// A refused submission is not known to the service; refused questions are asked again.
func TestThrottled(t *testing.T) {
	w := overDataAPI(t, nil)
	w.mustLoad(t, w.batch(1, `{"id":1}`))
	w.engine.Faults.Arm(redshiftfake.Throttled, 1)
	w.mustRetry(t, w.batch(2, `{"id":2}`), "Redshift.Throttled", true)
	w.engine.Faults.Arm(redshiftfake.HangInCopy, 1)
	go w.whenHanging(func() {
		w.engine.Faults.Arm(redshiftfake.Throttled, 3)
		w.engine.Faults.Release()
	})
	w.mustLoad(t, w.batch(2, `{"id":2}`))
	w.mustHold(t, "1|NULL", "2|NULL")
}

// A token is given to one submission, and is none of another process's.
func TestTokens(t *testing.T) {
	s := newSubmissions()
	a, again := s.take("batch", []string{"one"})
	if again || !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(a.token) {
		t.Errorf("%+v %v", a, again)
	}
	if b, _ := s.take("batch", []string{"one"}); b.token == a.token {
		t.Error("one token for two submissions")
	}
	s.keep("batch", a)
	s.keep("", a)
	if b, again := s.take("batch", []string{"two"}); !again || b.token != a.token || b.sqls[0] != "one" {
		t.Errorf("%+v %v, want the first again", b, again)
	}
	if b, again := s.take("", nil); again || b.token == a.token {
		t.Errorf("%+v %v", b, again)
	}
	if other, _ := newSubmissions().take("batch", []string{"one"}); other.token == a.token {
		t.Error("two processes give one token")
	}
	for i := range 2 * maxKept {
		s.keep(strings.Repeat("x", i+1), a)
	}
	if len(s.next) != maxKept {
		t.Errorf("%d are remembered", len(s.next))
	}
}

// Answers of the service that are about the request.
func TestAPIErrors(t *testing.T) {
	for _, c := range []struct {
		status     int
		code, want string
		unsent     bool
	}{
		{400, "AccessDeniedException", "AccessDenied", true},
		{400, "ExpiredTokenException", "AuthenticationFailed", true},
		{400, "ValidationException", "InternalError", true},
		{400, "ActiveStatementsExceededException", "Throttled", true},
		{500, "InternalServerException", "InternalError", false},
		{500, "DatabaseConnectionException", "ConnectionFailed", false},
		{200, "", "ConnectionFailed", false}, // and no answer of its kind
	} {
		w := overDataAPI(t, nil)
		broken := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".BatchExecuteStatement") {
				w.api.ServeHTTP(rw, r)
				return
			}
			rw.WriteHeader(c.status)
			body := "<html>"
			if c.code != "" {
				body = `{"__type":"` + c.code + `","Message":"Value '[COPY … wJalrXUtnFEMI]' at 'sqls' failed"}`
			}
			_, _ = rw.Write([]byte(body))
		}))
		o := w.o
		api := *o.DataAPI
		api.Endpoint = broken.URL
		o.DataAPI = &api
		l, err := New(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		out := l.Load(context.Background(), w.batch(1, `{"id":1}`))
		if out.Kind != record.Retry || out.Code != "Redshift."+c.want || out.Unsent != c.unsent || strings.Contains(out.Err.Error(), "wJalrXUtnFEMI") {
			t.Errorf("%s: %+v", c.code, out)
		}
		l.Close()
		broken.Close()
		w.mustHold(t)
	}
}

type noKeys struct{}

func (noKeys) Retrieve(context.Context) (aws.Credentials, error) { return aws.Credentials{}, errBroken }

func TestNoCredentials(t *testing.T) {
	w := overDataAPI(t, func(o *Options) { o.DataAPI.Credentials = noKeys{} })
	out := w.mustRetry(t, w.batch(1, `{}`), "Redshift.AuthenticationFailed", true)
	if !strings.Contains(out.Err.Error(), "AWS_SECRET_ACCESS_KEY") || errors.Is(out.Err, errBroken) {
		t.Errorf("%v does not help", out.Err)
	}
}
