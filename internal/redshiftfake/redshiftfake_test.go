package redshiftfake

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

type objects map[string]string

func (o objects) Get(_ context.Context, bucket, key string) ([]byte, error) {
	switch body, ok := o[bucket+"/"+key]; {
	case bucket == "forbidden":
		return nil, ErrForbidden
	case !ok:
		return nil, ErrNoObject
	default:
		return []byte(body), nil
	}
}

func newEngine(o objects) (*Engine, *Memory) {
	m := NewMemory()
	m.Create("events", "id int", "name")
	return &Engine{Store: o, Backend: m}, m
}

func zipped(s string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(s))
	z.Close()
	return b.String()
}

func start(t *testing.T, e *Engine) string {
	t.Helper()
	w := &Wire{Engine: e, User: "loader", Password: "hunter2", Database: "dev"}
	addr, stop, err := w.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return addr
}

func connect(t *testing.T, addr, rest string) (*pgconn.PgConn, error) {
	c, err := pgconn.Connect(context.Background(), "postgres://loader:hunter2@"+addr+"/"+rest)
	if err == nil {
		t.Cleanup(func() {
			_ = c.Close(context.Background())
			<-c.CleanupDone()
		})
	}
	return c, err
}

func state(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return fmt.Sprint(err)
}

// What every way of writing a file gives.
func TestCopyFormats(t *testing.T) {
	for name, c := range map[string]struct {
		body, options string
		want          []string // nil: the load fails
	}{
		"json":           {"{\"id\":1,\"name\":\"a\"}\n{\"id\":2}\n", "JSON 'auto'", []string{"1|a", "2|NULL"}},
		"nested":         {`{"name":{"x":[1,true]}}{"name":false}`, "FORMAT AS JSON 'auto'", []string{`NULL|{"x":[1,true]}`, "NULL|false"}},
		"case":           {`{"Name":"a"}`, "JSON 'auto'", []string{"NULL|NULL"}},
		"ignorecase":     {`{"Name":"a"}`, "JSON AS 'auto ignorecase'", []string{"NULL|a"}},
		"jsonpaths":      {`{"a":{"n":7},"b":["x","y"]}`, "JSON 's3://b/paths'", []string{"7|y"}},
		"missing paths":  {`{}`, "JSON 's3://b/none'", nil},
		"gzip":           {zipped(`{"id":1}`), "GZIP JSON 'auto' REGION 'eu-west-1'", []string{"1|NULL"}},
		"no gzip":        {`{"id":1}`, "GZIP JSON 'auto'", nil},
		"csv":            {"1,\"a,b\"\n2,c\n", "CSV", []string{"1|a,b", "2|c"}},
		"csv short":      {"1\n", "CSV", nil},
		"delimiter":      {"1;a\\;ü\n", "DELIMITER ';' ESCAPE", []string{"1|a;ü"}},
		"default":        {"1|a\n", "", []string{"1|a"}},
		"no number":      {`{"id":1}{"id":"x"}`, "JSON 'auto'", nil},
		"no JSON":        {`{"id":1`, "JSON 'auto'", nil},
		"unknown option": {`{}`, "JSON 'auto' FAST", nil},
		"twice":          {`{}`, "JSON 'auto' JSON 'auto'", nil},
		"on conflict":    {`{}`, "ON CONFLICT", nil},
	} {
		t.Run(name, func(t *testing.T) {
			e, m := newEngine(objects{"b/o": c.body, "b/paths": `{"jsonpaths":["$.a.n","$['b'][1]"]}`})
			s, _ := e.open(context.Background())
			defer s.close()
			r, err := s.exec(context.Background(), "COPY events (id, name) FROM 's3://b/o' IAM_ROLE default "+c.options)
			if (err != nil) != (c.want == nil) {
				t.Fatalf("%+v %v", r, err)
			}
			if got := m.Rows("events"); c.want != nil && !reflect.DeepEqual(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestManifest(t *testing.T) {
	for name, c := range map[string]struct {
		manifest, code string
	}{
		"good":         {`{"entries":[{"url":"s3://b/o","mandatory":true,"meta":{"content_length":8}}]}`, ""},
		"skipped":      {`{"entries":[{"url":"s3://b/none","mandatory":false}]}`, ""},
		"missing":      {`{"entries":[{"url":"s3://b/none","mandatory":true}]}`, "XX000"},
		"other length": {`{"entries":[{"url":"s3://b/o","mandatory":true,"meta":{"content_length":9}}]}`, "XX000"},
		"unknown key":  {`{"entries":[{"uri":"s3://b/o"}]}`, "XX000"},
		"forbidden":    {`{"entries":[{"url":"s3://forbidden/o","mandatory":true}]}`, "XX000"},
	} {
		e, _ := newEngine(objects{"b/m": c.manifest, "b/o": `{"id":1}`})
		s, _ := e.open(context.Background())
		_, err := s.exec(context.Background(), "COPY events FROM 's3://b/m' IAM_ROLE 'arn' MANIFEST JSON 'auto'")
		var sql *Error
		if errors.As(err, &sql) != (c.code != "") || sql != nil && sql.Code != c.code {
			t.Errorf("%s: %v", name, err)
		}
		s.close()
	}
}

// What PostgreSQL would take and Redshift does not.
func TestStrictness(t *testing.T) {
	e, _ := newEngine(objects{})
	addr := start(t, e)
	c, err := connect(t, addr, "dev?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]string{
		"SHOW standard_conforming_strings":                            "42704",
		"INSERT INTO t (a) VALUES ('1') ON CONFLICT DO NOTHING":       "42601",
		"DO $$ BEGIN END $$":                                          "42601",
		"SELECT 1; SELECT 2":                                          "42601",
		"SELECT 'a":                                                   "42601",
		"COPY events FROM STDIN":                                      "42601",
		"COPY events FROM 's3://b/o' JSON 'auto'":                     "42601",
		"COPY nothing FROM 's3://b/o' IAM_ROLE default":               "42P01",
		"COPY events (nothing) FROM 's3://b/o' IAM_ROLE default":      "42703",
		"SELECT * FROM json_populate_recordset(NULL::t, E'[]')":       "42883",
		"LOCK TABLE events":                                           "25P01",
		"":                                                            "<nil>",
		"SELECT file_name FROM sys_load_error_detail WHERE query = 1": "<nil>",
	} {
		if _, err := c.Exec(context.Background(), sql).ReadAll(); state(err) != want {
			t.Errorf("%q: %v, want %s", sql, err, want)
		}
	}
	if r := c.ExecParams(context.Background(), "SELECT $1", [][]byte{[]byte("1")}, nil, nil, nil).Read(); state(r.Err) != "08P01" {
		t.Errorf("extended query: %v", r.Err)
	}
	for rest, want := range map[string]string{
		"dev?sslmode=disable&application_name=x": "42704",
		"other?sslmode=disable":                  "3D000",
		"dev?sslmode=disable&user=somebody":      "28P01",
		"dev?sslmode=disable&password=wrong":     "28P01",
	} {
		if _, err := connect(t, addr, rest); state(err) != want {
			t.Errorf("%s: %v, want %s", rest, err, want)
		}
	}
	if _, err := connect(t, addr, "dev?sslmode=require"); err == nil {
		t.Error("TLS with a server that has none")
	}
}

// A transaction that failed takes nothing but its end, and its COMMIT is a rollback.
func TestFailedTransaction(t *testing.T) {
	e, m := newEngine(objects{"b/o": `{"id":1}`, "b/bad": `{"id":"x"}`})
	c, err := connect(t, start(t, e), "dev?sslmode=disable")
	if err != nil {
		t.Fatal(err)
	}
	for i, step := range [][2]string{
		{"BEGIN", ""}, {"COPY events FROM 's3://b/o' IAM_ROLE default JSON 'auto'", ""}, {"COPY events FROM 's3://b/bad' IAM_ROLE default JSON 'auto'", "XX000"},
		{"SELECT 1", "25P02"}, {"COMMIT", ""},
	} {
		_, err := c.Exec(context.Background(), step[0]).ReadAll()
		if step[1] != "" && state(err) != step[1] || step[1] == "" && err != nil {
			t.Errorf("step %d: %v", i, err)
		}
	}
	if got := m.Rows("events"); len(got) != 0 {
		t.Errorf("%q", got)
	}
	r, err := c.Exec(context.Background(), "SELECT line_number, column_name FROM sys_load_error_detail WHERE query_id = pg_last_copy_id()").ReadAll()
	if err != nil || len(r) != 1 || len(r[0].Rows) != 1 || strings.TrimSpace(string(r[0].Rows[0][1])) != "id" {
		t.Errorf("%+v %v", r, err)
	}
}

func call(t *testing.T, url, op, body string, signed bool) (int, string) {
	t.Helper()
	r, _ := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	r.Header.Set("X-Amz-Target", "RedshiftData."+op)
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	if signed {
		r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=x")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

func TestDataAPIStrictness(t *testing.T) {
	e, _ := newEngine(objects{})
	d := NewDataAPI(e)
	srv := httptest.NewServer(d)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		srv.Close()
		d.Close()
	})
	const where = `"Database":"dev","WorkgroupName":"w"`
	for _, c := range []struct {
		op, body, want string
		signed         bool
	}{
		{"ExecuteStatement", `{"Sql":"BEGIN",` + where + `}`, "MissingAuthenticationTokenException", false},
		{"DropEverything", `{}`, "UnknownOperationException", true},
		{"ExecuteStatement", `{"Sql":"BEGIN","Database":"dev"}`, "ValidationException", true},
		{"ExecuteStatement", `{"Sql":"",` + where + `}`, "ValidationException", true},
		{"ExecuteStatement", `{"Sql":"BEGIN","Colour":"red",` + where + `}`, "SerializationException", true},
		{"ExecuteStatement", `{"Sql":"BEGIN","DbUser":"u","SecretArn":"s",` + where + `}`, "ValidationException", true},
		{"BatchExecuteStatement", `{"Sqls":[],` + where + `}`, "ValidationException", true},
		{"BatchExecuteStatement", `{"Sqls":["` + strings.Repeat("x", 110<<10) + `"],` + where + `}`, "ValidationException", true},
		{"BatchExecuteStatement", `{"Sqls":["SET a TO b"],"ClientToken":"t",` + where + `}`, `"Id":"00000000-0000-4000-8000-000000000001"`, true},
		{"BatchExecuteStatement", `{"Sqls":["SET a TO b"],"ClientToken":"t",` + where + `}`, `"Id":"00000000-0000-4000-8000-000000000001"`, true},
		{"BatchExecuteStatement", `{"Sqls":["SET a TO c"],"ClientToken":"t",` + where + `}`, "ValidationException", true},
		{"DescribeStatement", `{"Id":"none"}`, "ResourceNotFoundException", true},
		{"GetStatementResult", `{"Id":"00000000-0000-4000-8000-000000000001"}`, "ResourceNotFoundException", true},
		{"CancelStatement", `{"Id":"00000000-0000-4000-8000-000000000001"}`, `"Status":true`, true},
	} {
		if status, body := call(t, srv.URL, c.op, c.body, c.signed); !strings.Contains(body, c.want) {
			t.Errorf("%s %.80s: %d %s, want %s", c.op, c.body, status, body, c.want)
		}
	}
}

// A COPY ends at the session's statement_timeout, and takes its transaction with it.
func TestStatementTimeout(t *testing.T) {
	e, _ := newEngine(objects{"b/o": `{"id":1}`})
	c, err := connect(t, start(t, e), "dev")
	if err != nil {
		t.Fatal(err)
	}
	e.Faults.Arm(HangInCopy, 1)
	if got := e.Faults.Left(); !reflect.DeepEqual(got, map[Fault]int{HangInCopy: 1}) {
		t.Errorf("%v are left", got)
	}
	for _, s := range []struct{ sql, want string }{
		{"SET statement_timeout TO 50", ""}, {"BEGIN", ""}, {"COPY events FROM 's3://b/o' IAM_ROLE default JSON 'auto'", "57014"},
		{"COPY events FROM 's3://b/o' IAM_ROLE default JSON 'auto'", "25P02"}, {"ROLLBACK", ""}, {"BEGIN", ""},
		{"COPY events FROM 's3://b/o' IAM_ROLE default JSON 'auto'", ""}, {"COMMIT", ""},
	} {
		_, err := c.Exec(context.Background(), s.sql).ReadAll()
		code := ""
		if pg := (*pgconn.PgError)(nil); errors.As(err, &pg) {
			code = pg.Code
		}
		if code != s.want || err != nil && code == "" {
			t.Errorf("%s: %v, want %q", s.sql, err, s.want)
		}
	}
	if got := e.Faults.Left(); len(got) > 0 {
		t.Errorf("%v are left", got)
	}
}

// Who locks a table keeps all others from it until the transaction ends, or the other is cancelled.
func TestMemoryLocks(t *testing.T) {
	m := NewMemory()
	m.Create("t", "stream", "batch_id")
	one, _ := m.Open(context.Background())
	two, _ := m.Open(context.Background())
	for _, sql := range []string{"BEGIN", "LOCK TABLE t", "INSERT INTO t (stream, batch_id) VALUES ('s', 'b')"} {
		if _, err := one.Exec(context.Background(), sql); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := two.Exec(ctx, "SELECT COUNT(*) FROM t WHERE stream = 's' AND batch_id = 'b'"); !errors.Is(err, errCancelled) {
		t.Errorf("%v, want to be cancelled", err)
	}
	done := make(chan string)
	go func() {
		r, err := two.Exec(context.Background(), "SELECT COUNT(*) FROM t WHERE stream = 's' AND batch_id = 'b'")
		if err != nil {
			done <- err.Error()
			return
		}
		done <- *r.Rows[0][0]
	}()
	if _, err := one.Exec(context.Background(), "COMMIT"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got != "1" {
		t.Errorf("%s, want what was committed", got)
	}
	two.Close()
	one.Close()
}
