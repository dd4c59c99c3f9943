package redshiftfake

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
)

// insertAtOnce rows go into one statement.
const insertAtOnce = 200

// Postgres is a backend that passes all to a real PostgreSQL. Its literals are read as Redshift's are, with backslashes that escape.
type Postgres struct{ URL string }

// Open connects.
func (p Postgres) Open(ctx context.Context) (Session, error) {
	cfg, err := pgconn.ParseConfig(p.URL)
	if err != nil {
		return nil, err
	}
	cfg.DialFunc = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	cfg.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: 5 * time.Second}
	}
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &postgresSession{conn: conn}
	for _, sql := range []string{"SET standard_conforming_strings TO off", "SET escape_string_warning TO off", "SET backslash_quote TO on"} {
		if _, err := s.Exec(ctx, sql); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

type postgresSession struct{ conn *pgconn.PgConn }

// Close implements Session.
func (s *postgresSession) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = s.conn.Close(ctx)
	<-s.conn.CleanupDone()
}

// Exec implements Session.
func (s *postgresSession) Exec(ctx context.Context, sql string) (r Result, err error) {
	results := s.conn.Exec(ctx, sql)
	for results.NextResult() {
		one := results.ResultReader()
		r = Result{}
		for _, f := range one.FieldDescriptions() {
			r.Columns = append(r.Columns, f.Name)
		}
		for one.NextRow() {
			row := make([]*string, len(r.Columns))
			for i, v := range one.Values() {
				if v != nil {
					t := string(v)
					row[i] = &t
				}
			}
			r.Rows = append(r.Rows, row)
		}
		tag, _ := one.Close() // its error is that of results, too
		r.Tag = tag.String()
	}
	return r, asError(ctx, results.Close())
}

func asError(ctx context.Context, err error) error {
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg):
		return &Error{Code: pg.Code, Message: pg.Message, Severity: pg.Severity, Table: pg.TableName, Column: pg.ColumnName, Fatal: pg.Severity == "FATAL"}
	case err != nil && ctx.Err() != nil:
		return errCancelled
	}
	return err
}

// Columns implements Session.
func (s *postgresSession) Columns(ctx context.Context, table string) ([]string, error) {
	r, err := s.Exec(ctx, "SELECT attname FROM pg_attribute WHERE attrelid = "+textLiteral(quoted(table))+"::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum")
	if err != nil {
		return nil, err
	}
	var columns []string
	for _, row := range r.Rows {
		columns = append(columns, *row[0])
	}
	return columns, nil
}

// Insert implements Session: many at once, and one by one when one of them does not fit.
func (s *postgresSession) Insert(ctx context.Context, table string, columns []string, rows [][]*string) (bad int, err error) {
	if s.conn.TxStatus() == 'I' {
		return -1, &Error{Code: "25P01", Message: "COPY is supported in transaction blocks only"}
	}
	for from := 0; from < len(rows); from += insertAtOnce {
		chunk := rows[from:min(from+insertAtOnce, len(rows))]
		bad, err := s.try(ctx, table, columns, chunk)
		if err != nil {
			return from + bad, err
		}
	}
	return -1, nil
}

func (s *postgresSession) try(ctx context.Context, table string, columns []string, rows [][]*string) (bad int, err error) {
	if _, err := s.Exec(ctx, "SAVEPOINT rows_of_copy"); err != nil {
		return 0, err
	}
	_, err = s.Exec(ctx, insertStatement(table, columns, rows))
	var sql *Error
	if err == nil || !errors.As(err, &sql) || len(rows) == 1 || ctx.Err() != nil {
		return 0, err
	}
	if _, err := s.Exec(ctx, "ROLLBACK TO SAVEPOINT rows_of_copy"); err != nil {
		return 0, err
	}
	for i := range rows {
		if _, one := s.Exec(ctx, insertStatement(table, columns, rows[i:i+1])); one != nil {
			return i, s.located(ctx, one, table, columns, rows[i])
		}
	}
	return 0, err
}

// located adds the column to an error that does not name it, as Redshift does: the first that fails so by itself. The transaction
// takes nothing but its end any more.
func (s *postgresSession) located(ctx context.Context, err error, table string, columns []string, row []*string) error {
	var sql *Error
	if !errors.As(err, &sql) || sql.Column != "" || !aboutData(sql.Code) {
		return err
	}
	for i := range columns {
		if _, err := s.Exec(ctx, "ROLLBACK TO SAVEPOINT rows_of_copy"); err != nil {
			return err
		}
		var alone *Error
		if _, err := s.Exec(ctx, insertStatement(table, columns[i:i+1], [][]*string{row[i : i+1]})); errors.As(err, &alone) && alone.Code == sql.Code {
			sql.Column = columns[i]
			return sql
		}
	}
	return sql
}

func insertStatement(table string, columns []string, rows [][]*string) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + quoted(table) + ` ("` + strings.Join(columns, `", "`) + `") VALUES `)
	for i, row := range rows {
		b.WriteString([]string{"(", ", ("}[min(i, 1)])
		for k, v := range row {
			if k > 0 {
				b.WriteString(", ")
			}
			if v == nil {
				b.WriteString("NULL")
			} else {
				b.WriteString(textLiteral(*v))
			}
		}
		b.WriteByte(')')
	}
	return b.String()
}

func quoted(table string) string { return `"` + strings.ReplaceAll(table, ".", `"."`) + `"` }

func textLiteral(s string) string {
	return "E'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(s) + "'"
}
