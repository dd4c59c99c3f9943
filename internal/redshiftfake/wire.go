package redshiftfake

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Wire serves PostgreSQL's protocol as Redshift does: no extended queries, no word about standard_conforming_strings, no start-up
// parameters but user and database. Set the fields before Start. Safe for concurrent use.
type Wire struct {
	Engine                   *Engine
	User, Password, Database string
	TLS                      *tls.Config // nil: the server has none

	mu      sync.Mutex
	lastPID uint32
	clients map[uint32]*client
	open    map[net.Conn]bool
	wg      sync.WaitGroup
}

// client is one connection.
type client struct {
	w       *Wire
	conn    net.Conn
	backend *pgproto3.Backend
	secret  []byte

	mu     sync.Mutex
	cancel context.CancelFunc // of the statement under way
}

// Start serves on addr, such as 127.0.0.1:0. stop ends all connections, hanging ones too, and waits for them.
func (w *Wire) Start(addr string) (listening string, stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w.clients, w.open = map[uint32]*client{}, map[net.Conn]bool{}
	w.wg.Go(func() { w.accept(ctx, l) })
	return l.Addr().String(), func() {
		cancel()
		l.Close()
		w.mu.Lock()
		for c := range w.open {
			c.Close()
		}
		w.open = nil
		w.mu.Unlock()
		w.wg.Wait()
	}, nil
}

func (w *Wire) accept(ctx context.Context, l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		w.mu.Lock()
		if w.open == nil {
			w.mu.Unlock()
			conn.Close()
			return
		}
		w.open[conn] = true
		w.mu.Unlock()
		w.wg.Go(func() {
			defer func() {
				conn.Close()
				w.mu.Lock()
				delete(w.open, conn)
				w.mu.Unlock()
			}()
			c := &client{w: w, conn: conn, backend: pgproto3.NewBackend(conn, conn)}
			c.serve(ctx)
		})
	}
}

// errOver ends a connection.
var errOver = errors.New("the connection is over")

func (c *client) serve(ctx context.Context) {
	if err := c.startup(); err != nil {
		return
	}
	pid := c.register()
	defer c.w.forget(pid)
	s, err := c.w.Engine.open(ctx)
	if err != nil {
		_ = c.refuse(&Error{Code: "57P03", Message: "the database is not available", Fatal: true})
		return
	}
	defer s.close()
	c.backend.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "8.0.2"})
	c.backend.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UNICODE"})
	c.backend.Send(&pgproto3.BackendKeyData{ProcessID: pid, SecretKey: c.secret})
	c.backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	for err = c.backend.Flush(); err == nil; {
		err = c.next(ctx, s)
	}
}

// next answers one message.
func (c *client) next(ctx context.Context, s *session) error {
	msg, err := c.backend.Receive()
	if err != nil {
		return err
	}
	q, ok := msg.(*pgproto3.Query)
	if !ok {
		if _, bye := msg.(*pgproto3.Terminate); bye {
			return errOver
		}
		return c.refuse(&Error{Code: "08P01", Message: fmt.Sprintf("%T is no part of the simple query protocol", msg), Fatal: true})
	}
	if bare := strings.TrimSpace(q.String); bare == "" || bare == ";" || strings.HasPrefix(bare, "--") {
		c.backend.Send(&pgproto3.EmptyQueryResponse{})
		return c.ready(s)
	}
	return c.query(ctx, s, q.String)
}

func (c *client) query(ctx context.Context, s *session, sql string) error {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	c.cancel = cancel
	c.mu.Unlock()
	r, err := s.exec(ctx, sql)
	cancel()
	if err != nil {
		if err := c.refuse(err); err != nil {
			return err
		}
		return c.ready(s)
	}
	if c.cut(strings.ToUpper(firstWord(sql))) {
		return errOver
	}
	if len(r.Columns) > 0 {
		c.rows(r)
	}
	if n, ok := strings.CutPrefix(r.Tag, "COPY "); ok {
		c.backend.Send(&pgproto3.NoticeResponse{Severity: "INFO", Code: "00000", Message: "Load completed, " + n + " record(s) loaded successfully."})
	}
	c.backend.Send(&pgproto3.CommandComplete{CommandTag: []byte(r.Tag)})
	return c.ready(s)
}

// cut says whether the answer to what was just done is lost.
func (c *client) cut(verb string) bool {
	return verb == "COPY" && c.w.Engine.Faults.take(CutAfterCopy) || verb == "COMMIT" && c.w.Engine.Faults.take(CutAfterCommit)
}

func (c *client) rows(r Result) {
	d := &pgproto3.RowDescription{}
	for _, name := range r.Columns {
		d.Fields = append(d.Fields, pgproto3.FieldDescription{Name: []byte(name), DataTypeOID: 25, DataTypeSize: -1, TypeModifier: -1})
	}
	c.backend.Send(d)
	for _, row := range r.Rows {
		values := make([][]byte, len(row))
		for i, v := range row {
			if v != nil {
				values[i] = []byte(*v)
			}
		}
		c.backend.Send(&pgproto3.DataRow{Values: values})
	}
}

func (c *client) ready(s *session) error {
	c.backend.Send(&pgproto3.ReadyForQuery{TxStatus: s.status()})
	return c.backend.Flush()
}

// refuse reports an error; the returned one is not nil when the connection ends with it.
func (c *client) refuse(err error) error {
	e := &Error{Code: "XX000", Message: "internal error", Fatal: true}
	errors.As(err, &e)
	severity := e.Severity
	switch {
	case e.Fatal:
		severity = "FATAL"
	case severity == "":
		severity = "ERROR"
	}
	c.backend.Send(&pgproto3.ErrorResponse{Severity: severity, Code: e.Code, Message: e.Message, TableName: e.Table, ColumnName: e.Column})
	if err := c.backend.Flush(); err != nil {
		return err
	}
	if e.Fatal {
		return errOver
	}
	return nil
}

// startup does all that comes before the first query.
func (c *client) startup() error {
	for {
		msg, err := c.backend.ReceiveStartupMessage()
		if err != nil {
			return err
		}
		switch m := msg.(type) {
		case *pgproto3.SSLRequest:
			err = c.encrypt()
		case *pgproto3.GSSEncRequest:
			_, err = c.conn.Write([]byte("N"))
		case *pgproto3.CancelRequest:
			c.w.cancel(m.ProcessID, m.SecretKey)
			return errOver
		case *pgproto3.StartupMessage:
			return c.login(m)
		}
		if err != nil {
			return err
		}
	}
}

func (c *client) encrypt() error {
	if c.w.TLS == nil {
		_, err := c.conn.Write([]byte("N"))
		return err
	}
	if _, err := c.conn.Write([]byte("S")); err != nil {
		return err
	}
	secure := tls.Server(c.conn, c.w.TLS)
	c.backend = pgproto3.NewBackend(secure, secure)
	return nil
}

// login checks user and password by MD5, and the database.
func (c *client) login(m *pgproto3.StartupMessage) error {
	for name := range m.Parameters {
		if name != "user" && name != "database" {
			return c.refuse(&Error{Code: "42704", Message: fmt.Sprintf("unrecognized configuration parameter %q", name), Fatal: true})
		}
	}
	salt := make([]byte, 4)
	if _, err := io.ReadFull(rand.Reader, salt); err != nil {
		return err
	}
	c.backend.Send(&pgproto3.AuthenticationMD5Password{Salt: [4]byte(salt)})
	if err := c.backend.SetAuthType(pgproto3.AuthTypeMD5Password); err != nil {
		return err
	}
	if err := c.backend.Flush(); err != nil {
		return err
	}
	msg, err := c.backend.Receive()
	if err != nil {
		return err
	}
	user, given := m.Parameters["user"], ""
	if p, ok := msg.(*pgproto3.PasswordMessage); ok {
		given = p.Password
	}
	want := "md5" + hexMD5(hexMD5(c.w.Password+user)+string(salt))
	switch {
	case user != c.w.User || given != want || c.w.Engine.Faults.take(WrongPassword):
		return c.refuse(&Error{Code: "28P01", Message: fmt.Sprintf("password authentication failed for user %q", user), Fatal: true})
	case m.Parameters["database"] != c.w.Database:
		return c.refuse(&Error{Code: "3D000", Message: fmt.Sprintf("database %q does not exist", m.Parameters["database"]), Fatal: true})
	}
	c.backend.Send(&pgproto3.AuthenticationOk{})
	return nil
}

func hexMD5(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func (c *client) register() (pid uint32) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.lastPID++
	c.secret = make([]byte, 4)
	_, _ = rand.Read(c.secret) // never fails
	c.w.clients[c.w.lastPID] = c
	return c.w.lastPID
}

func (w *Wire) forget(pid uint32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.clients, pid)
}

func (w *Wire) cancel(pid uint32, secret []byte) {
	w.mu.Lock()
	c := w.clients[pid]
	w.mu.Unlock()
	if c == nil || len(secret) != 4 || binary.BigEndian.Uint32(secret) != binary.BigEndian.Uint32(c.secret) || w.Engine.Faults.take(IgnoreCancel) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
}
