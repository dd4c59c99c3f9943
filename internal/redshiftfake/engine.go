// Package redshiftfake is a warehouse for tests that behaves as Redshift does towards who loads data into it: a server that speaks
// PostgreSQL's wire protocol, its simple part only, and one that speaks the Redshift Data API. COPY they do themselves: they parse it
// strictly, fetch manifest and object from a store, and load the rows into a backend, which runs all other statements. There
// are two backends, a small one in memory and a real PostgreSQL. Faults come on demand. What it knows of Redshift is what is
// documented; it is not Redshift.
package redshiftfake

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Store gives objects. A missing object is ErrNoObject, a bucket that may not be read ErrForbidden.
type Store interface {
	Get(ctx context.Context, bucket, key string) ([]byte, error)
}

// What a Store says.
var (
	ErrNoObject  = errors.New("no such object")
	ErrForbidden = errors.New("access denied")
)

// Result is what a statement gave.
type Result struct {
	Tag     string   // such as SELECT 1
	Columns []string // empty when it gives no rows
	Rows    [][]*string
}

// Error is a statement's error as the server reports it.
type Error struct {
	Code     string // SQLSTATE
	Message  string
	Severity string // ERROR when empty
	Table    string
	Column   string
	Fatal    bool // ends the connection
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Session is one connection to a Backend, used by one goroutine.
type Session interface {
	// Exec runs one statement. What the statement did wrong is an *Error; any other error breaks the session.
	Exec(ctx context.Context, sql string) (Result, error)
	// Columns are the names of a table's columns in their order; 42P01 when there is none.
	Columns(ctx context.Context, table string) ([]string, error)
	// Insert adds rows to a table within the open transaction. bad is the index of the first one that does not fit, with its *Error; -1
	// when that is not known.
	Insert(ctx context.Context, table string, columns []string, rows [][]*string) (bad int, err error)
	Close()
}

// Backend runs SQL. Safe for concurrent use.
type Backend interface {
	Open(ctx context.Context) (Session, error)
}

// Engine is what both servers share. Set the fields before the first statement. Safe for concurrent use.
type Engine struct {
	Store       Store
	Backend     Backend
	Credentials string // the clause that COPY must bring; any well-formed one when empty
	Plain       bool   // lets PostgreSQL's JSON functions pass, for sinks that speak to it and not to Redshift
	Faults      Faults
	OnStatement func(sql string) // called before each statement; nil: nobody looks

	mu         sync.Mutex
	queries    int64 // ids of COPY
	loadErrors []loadError
	statements []string
	copies     int // that succeeded, whether committed or not
}

// loadError is a row of sys_load_error_detail. It stays when its transaction is rolled back.
type loadError struct {
	query        int64
	file, column string
	line         int
	code         string
	reason       string
}

// Statements are those run so far, in their order.
func (e *Engine) Statements() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]string(nil), e.statements...)
}

// Copies counts the COPY statements that loaded their rows, whether committed or not.
func (e *Engine) Copies() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.copies
}

// session is a connection as the engine sees it.
type session struct {
	e        *Engine
	backend  Session
	lastCopy int64 // -1 before the first
	inTx     bool
	failed   bool          // the transaction takes nothing but its end
	limit    time.Duration // statement_timeout, 0: none. Kept here for COPY, the backend keeps its own
}

func (e *Engine) open(ctx context.Context) (*session, error) {
	b, err := e.Backend.Open(ctx)
	if err != nil {
		return nil, err
	}
	return &session{e: e, backend: b, lastCopy: -1}, nil
}

// close undoes what is open.
func (s *session) close() { s.backend.Close() }

// status is the transaction's, as ReadyForQuery tells it.
func (s *session) status() byte {
	switch {
	case s.failed:
		return 'E'
	case s.inTx:
		return 'T'
	}
	return 'I'
}

// exec runs one statement.
func (s *session) exec(ctx context.Context, sql string) (Result, error) {
	sql = strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(sql), ";"))
	s.e.mu.Lock()
	s.e.statements = append(s.e.statements, sql)
	s.e.mu.Unlock()
	if s.e.OnStatement != nil {
		s.e.OnStatement(sql)
	}
	verb := strings.ToUpper(firstWord(sql))
	if s.failed && verb != "ROLLBACK" && verb != "COMMIT" {
		return Result{}, &Error{Code: "25P02", Message: "current transaction is aborted, commands ignored until end of transaction block"}
	}
	r, err := s.run(ctx, verb, sql)
	if err != nil {
		s.failed = s.inTx
		return r, err
	}
	switch verb {
	case "BEGIN":
		s.inTx = true
	case "COMMIT", "ROLLBACK":
		s.inTx, s.failed = false, false
	}
	return r, nil
}

func (s *session) run(ctx context.Context, verb, sql string) (Result, error) {
	if err := s.unknownToRedshift(verb, sql); err != nil {
		return Result{}, err
	}
	switch verb {
	case "COPY":
		return s.copy(ctx, sql)
	case "COMMIT":
		return s.commit(ctx)
	case "SET":
		s.setLimit(sql)
	case "LOCK":
		if s.e.Faults.take(LockConflict) {
			return Result{}, &Error{Code: "40001", Message: "1023 DETAIL: Serializable isolation violation on table"}
		}
	case "SELECT":
		if r, ok, err := s.loadErrorRows(sql); ok {
			return r, err
		}
	}
	return s.backend.Exec(ctx, sql)
}

// statementTimeout is how a session is told how long a statement may take.
var statementTimeout = regexp.MustCompile(`(?i)^SET statement_timeout TO (\d+)$`)

func (s *session) setLimit(sql string) {
	if m := statementTimeout.FindStringSubmatch(sql); m != nil {
		ms, _ := strconv.Atoi(m[1]) // too large a number is refused by the backend
		s.limit = time.Duration(ms) * time.Millisecond
	}
}

// commit ends a failed transaction as a rollback, as PostgreSQL does, without an error.
func (s *session) commit(ctx context.Context) (Result, error) {
	if !s.failed {
		return s.backend.Exec(ctx, "COMMIT")
	}
	_, err := s.backend.Exec(ctx, "ROLLBACK")
	return Result{Tag: "ROLLBACK"}, err
}

// unknownToRedshift refuses what PostgreSQL has and Redshift has not.
func (s *session) unknownToRedshift(verb, sql string) error {
	bare, ok := withoutLiterals(sql)
	upper := strings.ToUpper(bare)
	switch {
	case !ok:
		return syntaxError("unterminated quoted string")
	case strings.Contains(bare, ";"):
		return syntaxError("one statement at a time")
	case verb == "SHOW":
		return &Error{Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", strings.ToLower(strings.TrimSpace(sql[4:])))}
	case verb == "DO", strings.Contains(upper, "ON CONFLICT"), strings.Contains(upper, " RETURNING "):
		return syntaxError(`at or near "` + strings.ToLower(verb) + `"`)
	case !s.e.Plain && strings.Contains(upper, "JSON_POPULATE_RECORDSET"):
		return &Error{Code: "42883", Message: "function json_populate_recordset does not exist"}
	case !s.e.Plain && strings.Contains(upper, "FROM STDIN"):
		return syntaxError("COPY FROM STDIN is not supported")
	}
	return nil
}

func syntaxError(what string) *Error {
	return &Error{Code: "42601", Message: "syntax error: " + what}
}

func firstWord(sql string) string {
	if f := strings.FieldsFunc(sql, func(r rune) bool { return r == ' ' || r == '\n' || r == '\t' || r == '(' }); len(f) > 0 {
		return f[0]
	}
	return ""
}

// withoutLiterals blanks what stands between quotes; ok: all are closed.
func withoutLiterals(sql string) (bare string, ok bool) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(sql); i++ {
		c := sql[i]
		switch {
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote == 0:
			b.WriteByte(c)
		case c == '\\' && quote == '\'':
			i++
		case c == quote && i+1 < len(sql) && sql[i+1] == quote:
			i++
		case c == quote:
			quote = 0
			b.WriteByte(' ')
		}
	}
	return b.String(), quote == 0
}
