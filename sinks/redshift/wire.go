package redshift

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// Times of a connection. A COPY may be silent for long, and what lies between forgets silent connections.
const (
	connectTimeout = 30 * time.Second
	cancelTimeout  = 2 * time.Second // for the server to give up a statement when it is asked to
	keepAliveIdle  = 30 * time.Second
	keepAliveEvery = 10 * time.Second
	keepAliveCount = 6
)

// maxRows is what is kept of an answer; those asked for are shorter.
const maxRows = 100

// wire speaks PostgreSQL's protocol, its simple part only: Redshift does not report what parameters would need. A connection serves one
// transaction. Loads are minutes apart, and the way to the warehouse and its password may change between them.
type wire struct {
	o         Postgres
	timeout   time.Duration // of a statement
	diagnoses bool          // the server has Redshift's tables about failed loads
}

func (w *wire) close() {}

func (w *wire) transact(ctx context.Context, _ string, steps []step) *failure {
	s, f := w.open(ctx)
	if f != nil {
		return f
	}
	defer s.close()
	if _, f := s.run(ctx, atSession, "BEGIN"); f != nil {
		return f
	}
	for _, st := range steps {
		if f := s.do(ctx, st); f != nil {
			if w.diagnoses && f.at == atCopy && f.name == nameLoad {
				s.diagnose(ctx, f)
			}
			return f // the server undoes what a connection leaves open
		}
	}
	_, f = s.run(ctx, atCommit, "COMMIT")
	return f
}

func (w *wire) single(ctx context.Context, at stepKind, sql string) ([][]string, *failure) {
	s, f := w.open(ctx)
	if f != nil {
		return nil, f
	}
	defer s.close()
	return s.run(ctx, at, sql)
}

// session is one connection, for one goroutine.
type session struct {
	conn  *pgconn.PgConn
	lines *lines
}

func (w *wire) open(ctx context.Context) (*session, *failure) {
	cfg, err := w.o.config()
	if err != nil {
		return nil, &failure{at: atConnect, name: nameConnection, text: err.Error(), unsent: true}
	}
	s := &session{lines: newLines()}
	cfg.DialFunc = s.lines.dial
	cfg.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: cancelTimeout}
	}
	dialing, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if s.conn, err = pgconn.ConnectConfig(dialing, cfg); err != nil {
		s.lines.cut()
		f := fail(ctx, atConnect, err)
		f.unsent, f.text = true, redact(f.text, []string{cfg.Password})
		return nil, f
	}
	ms := strconv.FormatInt(max(w.timeout.Milliseconds(), 1), 10)
	if _, f := s.run(ctx, atSession, "SET statement_timeout TO "+ms); f != nil {
		s.close()
		return nil, f
	}
	return s, nil
}

func (s *session) do(ctx context.Context, st step) *failure {
	run := func(sql string) *failure {
		_, f := s.run(ctx, st.at, sql)
		return f
	}
	if st.each != nil {
		return st.each(ctx, run)
	}
	return run(st.sql)
}

// run runs one statement. When ctx ends the server is asked to give it up, and the connection is of no more use.
func (s *session) run(ctx context.Context, at stepKind, sql string) (rows [][]string, f *failure) {
	tag, results := "", s.conn.Exec(ctx, sql)
	for results.NextResult() {
		r := results.ResultReader()
		for r.NextRow() {
			if len(rows) < maxRows {
				rows = append(rows, texts(r.Values()))
			}
		}
		t, _ := r.Close() // its error is that of results, too
		tag = t.String()
	}
	if err := results.Close(); err != nil {
		return nil, fail(ctx, at, err)
	}
	if at == atCommit && strings.HasPrefix(tag, "ROLLBACK") {
		return nil, &failure{at: at, name: nameInternal, text: "the server rolled back", unsent: true}
	}
	return rows, nil
}

func texts(values [][]byte) []string {
	row := make([]string, len(values))
	for i, v := range values {
		row[i] = string(v)
	}
	return row
}

// fail classifies what the protocol answered, or that it did not.
func fail(ctx context.Context, at stepKind, err error) *failure {
	f := &failure{at: at, name: nameConnection, cause: ctx.Err()}
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg):
		f.name = nameOfState(at, pg.Code, pg.Message)
		f.text = told(at, f.name, pg)
		// An ERROR ends the transaction and leaves the connection. Anything else at COMMIT may come after the commit.
		f.unsent = at != atCommit || pg.Severity == "ERROR"
	case f.cause != nil:
		f.name = nameCancelled
	default:
		f.text = err.Error()
	}
	return f
}

// told is what may be repeated of an error. Its detail, hint and context are left out always: they may quote records or a statement.
func told(at stepKind, name string, pg *pgconn.PgError) string {
	text := pg.Message
	if hidden(at, name) {
		text = "the data was refused"
		for _, p := range [][2]string{{"table", pg.TableName}, {"column", pg.ColumnName}, {"type", pg.DataTypeName}, {"constraint", pg.ConstraintName}} {
			if p[1] != "" {
				text += ", " + p[0] + " " + p[1]
			}
		}
	}
	return text + " (SQLSTATE " + pg.Code + ")"
}

// diagnose asks the same session, which knows its last COPY, what was wrong with the data.
func (s *session) diagnose(ctx context.Context, f *failure) {
	ctx, cancel := context.WithTimeout(ctx, diagnoseTimeout)
	defer cancel()
	if _, failed := s.run(ctx, atSession, "ROLLBACK"); failed != nil {
		return
	}
	f.text = diagnosis(f.text, "", func(sql string) ([][]string, *failure) { return s.run(ctx, atSession, sql) })
}

// close ends the connection and everything that still happens on it.
func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), cancelTimeout)
	defer cancel()
	_ = s.conn.Close(ctx) // the transaction is over, one way or the other
	select {
	case <-s.conn.CleanupDone():
	case <-ctx.Done():
	}
	s.lines.cut()
	<-s.conn.CleanupDone()
}

// lines are the network connections of a session: its own, and those that ask the server to cancel. pgconn goes on with them for a
// while after a failure; they end with the session.
type lines struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu   sync.Mutex
	open []net.Conn
}

func newLines() *lines {
	l := &lines{}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

func (l *lines) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.ctx, cancel)()
	d := net.Dialer{Timeout: connectTimeout / 3, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: keepAliveIdle, Interval: keepAliveEvery, Count: keepAliveCount}}
	c, err := d.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		c.Close()
		return nil, net.ErrClosed
	}
	l.open = append(l.open, c)
	return c, nil
}

func (l *lines) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cancel()
	for _, c := range l.open {
		c.Close()
	}
}
