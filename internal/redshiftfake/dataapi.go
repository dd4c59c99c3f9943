package redshiftfake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Limits of the Data API.
const (
	maxStatements     = 40
	maxStatementBytes = 100 << 10
	maxTokenBytes     = 64
	maxRequestBytes   = 8 << 20
)

// DataAPI serves the Redshift Data API: JSON 1.1, the operations that run statements and tell of them. A batch is one transaction. Safe for
// concurrent use. Close it when done.
type DataAPI struct {
	Engine   *Engine
	Database string // the only one there is; any when empty
	// OnRequest is called before each request that is understood; nil: nobody looks.
	OnRequest func(op string)

	mu         sync.Mutex
	statements map[string]*statement
	tokens     map[string]*statement
	submits    int
	wg         sync.WaitGroup
	ctx        context.Context
	cancel     context.CancelFunc
}

// NewDataAPI makes a server without statements.
func NewDataAPI(e *Engine) *DataAPI {
	d := &DataAPI{Engine: e, statements: map[string]*statement{}, tokens: map[string]*statement{}}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// Close cancels what runs and waits for it.
func (d *DataAPI) Close() {
	d.cancel()
	d.wg.Wait()
}

// Submits counts the requests to run statements, whether they were taken or not.
func (d *DataAPI) Submits() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.submits
}

// statement is one, or a batch of them. The fields below mu are the API's to tell.
type statement struct {
	id     string
	batch  bool
	sqls   []string
	cancel context.CancelFunc

	mu     sync.Mutex
	status string
	err    string
	subs   []subStatement
	result Result
}

// The request of all operations, as far as it is looked at.
type request struct {
	SQL               string   `json:"Sql"`
	SQLs              []string `json:"Sqls"`
	ClientToken       string
	ClusterIdentifier string
	WorkgroupName     string
	Database          string
	DbUser            string
	SecretArn         string
	StatementName     string
	ID                string `json:"Id"`
}

type subStatement struct {
	ID              string `json:"Id"`
	QueryString     string
	Status          string
	Error           string `json:",omitempty"`
	RedshiftQueryID int64  `json:"RedshiftQueryId"`
	HasResultSet    bool
}

// refusal is an error of the API, not of a statement.
type refusal struct {
	status        int
	code, message string
}

func (r *refusal) Error() string { return r.code }

func invalid(message string) *refusal {
	return &refusal{http.StatusBadRequest, "ValidationException", message}
}

// ServeHTTP answers one request.
func (d *DataAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out, err := d.serve(r)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if err != nil {
		var no *refusal
		if !errors.As(err, &no) {
			panic(http.ErrAbortHandler) // ends the connection without an answer
		}
		w.WriteHeader(no.status)
		_ = json.NewEncoder(w).Encode(map[string]string{"__type": no.code, "Message": no.message})
		return
	}
	_ = json.NewEncoder(w).Encode(out)
}

func (d *DataAPI) serve(r *http.Request) (any, error) {
	op, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), "RedshiftData.")
	var in request
	body := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxRequestBytes))
	body.DisallowUnknownFields()
	switch {
	case r.Method != http.MethodPost || !ok || r.Header.Get("Content-Type") != "application/x-amz-json-1.1":
		return nil, &refusal{http.StatusBadRequest, "UnknownOperationException", "no such operation"}
	case !strings.HasPrefix(r.Header.Get("Authorization"), "AWS4-HMAC-SHA256 "):
		return nil, &refusal{http.StatusBadRequest, "MissingAuthenticationTokenException", "the request is not signed"}
	case body.Decode(&in) != nil:
		return nil, &refusal{http.StatusBadRequest, "SerializationException", "the request is not understood"}
	case d.Engine.Faults.take(Throttled):
		return nil, &refusal{http.StatusBadRequest, "ThrottlingException", "Rate exceeded"}
	}
	if d.OnRequest != nil {
		d.OnRequest(op)
	}
	switch op {
	case "ExecuteStatement":
		return d.submit(&in, []string{in.SQL}, false)
	case "BatchExecuteStatement":
		return d.submit(&in, in.SQLs, true)
	case "DescribeStatement":
		return d.tell(&in, describe)
	case "GetStatementResult":
		return d.tell(&in, result)
	case "CancelStatement":
		return d.tell(&in, d.stop)
	}
	return nil, &refusal{http.StatusBadRequest, "UnknownOperationException", "no such operation"}
}

func (d *DataAPI) check(in *request, sqls []string) error {
	total := 0
	for _, s := range sqls {
		total += len(s)
		if s == "" {
			return invalid("a statement is empty")
		}
	}
	switch {
	case len(sqls) == 0 || len(sqls) > maxStatements || total > maxStatementBytes:
		return invalid("too many statements, or too long ones")
	case (in.ClusterIdentifier == "") == (in.WorkgroupName == ""):
		return invalid("either ClusterIdentifier or WorkgroupName is needed")
	case in.DbUser != "" && in.SecretArn != "":
		return invalid("DbUser and SecretArn exclude each other")
	case in.Database == "":
		return invalid("Database is needed")
	case len(in.ClientToken) > maxTokenBytes:
		return invalid("ClientToken is too long")
	case d.Database != "" && d.Database != in.Database:
		return invalid(fmt.Sprintf("FATAL: database %q does not exist", in.Database))
	}
	return nil
}

// submit starts statements, or finds those that were started under the token.
func (d *DataAPI) submit(in *request, sqls []string, batch bool) (any, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.submits++
	if err := d.check(in, sqls); err != nil {
		return nil, err
	}
	st := d.tokens[in.ClientToken]
	if st != nil && (st.batch != batch || !slices.Equal(st.sqls, sqls)) {
		return nil, invalid("the ClientToken was used for another request")
	}
	if st == nil {
		st = &statement{id: fmt.Sprintf("00000000-0000-4000-8000-%012x", len(d.statements)+1), batch: batch, sqls: sqls, status: "SUBMITTED"}
		d.statements[st.id] = st
		if in.ClientToken != "" {
			d.tokens[in.ClientToken] = st
		}
		var ctx context.Context
		ctx, st.cancel = context.WithCancel(d.ctx)
		d.wg.Go(func() {
			defer st.cancel()
			d.run(ctx, st)
		})
	}
	if batch && d.Engine.Faults.take(SubmitNotAnswered) {
		return nil, errOver
	}
	return map[string]any{"Id": st.id, "Database": in.Database, "CreatedAt": time.Now().Unix()}, nil
}

func (d *DataAPI) run(ctx context.Context, st *statement) {
	st.set("STARTED", nil)
	s, err := d.Engine.open(ctx)
	if err != nil {
		st.set("FAILED", &Error{Code: "08000", Message: "could not connect"})
		return
	}
	defer s.close()
	if st.batch {
		err = st.transaction(ctx, s)
	} else {
		var r Result
		r, err = s.exec(ctx, st.sqls[0])
		st.mu.Lock()
		st.result = r
		st.mu.Unlock()
	}
	switch {
	case err != nil && ctx.Err() != nil:
		st.set("ABORTED", err)
	case err != nil:
		st.set("FAILED", err)
	case st.batch && d.Engine.Faults.take(FailAfterCommit):
		st.set("FAILED", &Error{Code: "08006", Message: "connection to the cluster was lost"})
	default:
		st.set("FINISHED", nil)
	}
}

// transaction runs a batch.
func (st *statement) transaction(ctx context.Context, s *session) error {
	if _, err := s.exec(ctx, "BEGIN"); err != nil {
		return err
	}
	for i, sql := range st.sqls {
		r, err := s.exec(ctx, sql)
		sub := subStatement{ID: st.id + ":" + strconv.Itoa(i+1), QueryString: sql, Status: "FINISHED", HasResultSet: len(r.Columns) > 0, RedshiftQueryID: -1}
		if strings.EqualFold(firstWord(sql), "COPY") {
			sub.RedshiftQueryID = s.lastCopy
		}
		if err != nil {
			sub.Status, sub.Error = "FAILED", message(err)
		}
		st.mu.Lock()
		st.subs = append(st.subs, sub)
		st.mu.Unlock()
		if err != nil {
			return err
		}
	}
	_, err := s.exec(ctx, "COMMIT")
	return err
}

// message is an error as the API tells it: without its SQLSTATE.
func message(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return "ERROR: " + e.Message
	}
	return "ERROR: internal error"
}

func (st *statement) set(status string, err error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.status = status
	if err != nil {
		st.err = message(err)
	}
}

func (d *DataAPI) tell(in *request, what func(*statement) (any, error)) (any, error) {
	d.mu.Lock()
	st := d.statements[in.ID]
	d.mu.Unlock()
	if st == nil {
		return nil, &refusal{http.StatusBadRequest, "ResourceNotFoundException", "Query does not exist."}
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return what(st)
}

func describe(st *statement) (any, error) {
	out := map[string]any{"Id": st.id, "Status": st.status, "HasResultSet": len(st.result.Columns) > 0 && st.status == "FINISHED", "RedshiftQueryId": -1, "QueryString": ""}
	if st.err != "" {
		out["Error"] = st.err
	}
	if st.batch {
		out["SubStatements"] = st.subs
	}
	return out, nil
}

// result gives whole numbers as such, as Redshift's types are not known here.
func result(st *statement) (any, error) {
	if st.status != "FINISHED" || len(st.result.Columns) == 0 {
		return nil, &refusal{http.StatusBadRequest, "ResourceNotFoundException", "Query does not have result."}
	}
	records := [][]map[string]any{}
	for _, row := range st.result.Rows {
		fields := []map[string]any{}
		for _, v := range row {
			field := map[string]any{"isNull": true}
			if v != nil {
				field = map[string]any{"stringValue": *v}
				if n, err := strconv.ParseInt(*v, 10, 64); err == nil {
					field = map[string]any{"longValue": n}
				}
			}
			fields = append(fields, field)
		}
		records = append(records, fields)
	}
	return map[string]any{"Records": records, "TotalNumRows": len(records)}, nil
}

func (d *DataAPI) stop(st *statement) (any, error) {
	if !d.Engine.Faults.take(IgnoreCancel) {
		st.cancel()
	}
	return map[string]any{"Status": true}, nil
}
