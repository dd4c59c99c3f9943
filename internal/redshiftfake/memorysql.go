package redshiftfake

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The statements a Memory knows.
var (
	nameOf     = `((?:"[^"]+"|\w+)(?:\.(?:"[^"]+"|\w+))?)`
	createSQL  = regexp.MustCompile(`^CREATE TABLE IF NOT EXISTS ` + nameOf + ` \((.*)\)$`)
	lockSQL    = regexp.MustCompile(`^LOCK TABLE ` + nameOf + `$`)
	selectSQL  = regexp.MustCompile(`^SELECT (COUNT\(\*\)|1 / \(CASE WHEN COUNT\(\*\) = 0 THEN 1 ELSE 0 END\)) FROM ` + nameOf + ` WHERE (.*)$`)
	insertSQL  = regexp.MustCompile(`^INSERT INTO ` + nameOf + ` \(([^)]*)\) VALUES \((.*)\)$`)
	deleteSQL  = regexp.MustCompile(`^DELETE FROM ` + nameOf + ` WHERE (.*)$`)
	recordsSQL = regexp.MustCompile(`^INSERT INTO ` + nameOf + `(?: \(([^)]*)\))? SELECT (.*) FROM json_populate_recordset\(NULL::` + nameOf + `, E$`)
)

// Exec implements Session.
func (s *memorySession) Exec(ctx context.Context, sql string) (Result, error) {
	switch {
	case sql == "BEGIN":
		s.inTx = true
		return Result{Tag: sql}, nil
	case sql == "COMMIT" || sql == "ROLLBACK":
		s.end(sql == "COMMIT")
		return Result{Tag: sql}, nil
	case strings.HasPrefix(sql, "SET "):
		return Result{Tag: "SET"}, nil
	}
	// Its literal is long, and an expression over it would take its time.
	if front, literal, ok := strings.Cut(sql, "'"); ok {
		if m := recordsSQL.FindStringSubmatch(front); m != nil && m[1] == m[4] {
			return s.records(ctx, m[1], m[2], m[3], "'"+strings.TrimSuffix(literal, "::json)"))
		}
	}
	if m := createSQL.FindStringSubmatch(sql); m != nil {
		return Result{Tag: "CREATE TABLE"}, s.create(m[1], m[2])
	}
	if m := lockSQL.FindStringSubmatch(sql); m != nil {
		if !s.inTx {
			return Result{}, &Error{Code: "25P01", Message: "LOCK TABLE can only be used in transaction blocks"}
		}
		return Result{Tag: "LOCK TABLE"}, s.use(ctx, m[1], func(*table) error {
			s.m.owner[plainName(m[1])] = s
			return nil
		})
	}
	if m := selectSQL.FindStringSubmatch(sql); m != nil {
		return s.count(ctx, m[2], m[3], m[1] != "COUNT(*)")
	}
	if m := insertSQL.FindStringSubmatch(sql); m != nil {
		_, err := s.Insert(ctx, m[1], names(m[2]), [][]*string{pointers(literals(m[3]))})
		return Result{Tag: "INSERT 0 1"}, err
	}
	if m := deleteSQL.FindStringSubmatch(sql); m != nil {
		return s.delete(ctx, m[1], m[2])
	}
	return Result{}, syntaxError("the backend in memory does not know this statement")
}

func names(list string) []string {
	var out []string
	for n := range strings.SplitSeq(list, ",") {
		out = append(out, plainName(strings.TrimSpace(n)))
	}
	return out
}

// literals splits a list of literals and numbers, and of conditions: what is neither is left out.
func literals(list string) []string {
	var out []string
	for i := 0; i < len(list); {
		switch c := list[i]; {
		case c == '\'':
			v, n := unquote(list[i:])
			out, i = append(out, v), i+max(n, 1)
		case '0' <= c && c <= '9':
			from := i
			for i < len(list) && '0' <= list[i] && list[i] <= '9' {
				i++
			}
			out = append(out, list[from:i])
		default:
			i++
		}
	}
	return out
}

func (s *memorySession) create(name, columns string) error {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if s.m.tables[plainName(name)] != nil {
		return nil
	}
	t := &table{}
	for c := range strings.SplitSeq(columns, ", ") {
		t.columns, t.ints = append(t.columns, firstWord(c)), append(t.ints, strings.Contains(c, "INT"))
	}
	s.m.tables[plainName(name)] = t
	return nil
}

// matcher understands stream = '…' AND batch_id = '…', or IN a list.
func (t *table) matcher(cond string) func(row []*string) bool {
	stream, batch := slices.Index(t.columns, "stream"), slices.Index(t.columns, "batch_id")
	values := literals(cond)
	return func(row []*string) bool {
		return *row[stream] == values[0] && slices.Contains(values[1:], *row[batch])
	}
}

func (s *memorySession) count(ctx context.Context, name, cond string, guard bool) (r Result, err error) {
	err = s.use(ctx, name, func(t *table) error {
		n, match := 0, t.matcher(cond)
		for _, row := range t.rows {
			if match(row) {
				n++
			}
		}
		if guard && n > 0 {
			return &Error{Code: "22012", Message: "division by zero"}
		}
		v := strconv.Itoa(n)
		if guard {
			v = "1"
		}
		r = Result{Tag: "SELECT 1", Columns: []string{"count"}, Rows: [][]*string{{&v}}}
		return nil
	})
	return r, err
}

func (s *memorySession) delete(ctx context.Context, name, cond string) (r Result, err error) {
	err = s.use(ctx, name, func(t *table) error {
		match := t.matcher(cond)
		s.write(func() { t.rows = slices.DeleteFunc(t.rows, match) })
		return nil
	})
	return Result{Tag: "DELETE"}, err
}

// records inserts the objects of a JSON array, as PostgreSQL does: members without a column are left out.
func (s *memorySession) records(ctx context.Context, name, into, chosen, literal string) (Result, error) {
	columns, err := s.Columns(ctx, name)
	if err != nil {
		return Result{}, err
	}
	if chosen != "*" {
		columns = names(chosen)
		if into != chosen {
			return Result{}, syntaxError("the columns differ")
		}
	}
	body, _ := unquote(literal)
	var values []map[string]any
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.UseNumber()
	if err := d.Decode(&values); err != nil {
		return Result{}, &Error{Code: "22023", Message: "argument of json_populate_recordset must be an array of objects: " + body}
	}
	var rows [][]*string
	for _, v := range values {
		row := make([]*string, len(columns))
		for i, c := range columns {
			row[i] = text(v[c])
		}
		rows = append(rows, row)
	}
	_, err = s.Insert(ctx, name, columns, rows)
	return Result{Tag: fmt.Sprintf("INSERT 0 %d", len(rows))}, err
}
