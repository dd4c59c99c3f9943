package redshiftfake

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Memory is a backend that knows tables of texts and integers, table locks, and just those statements that a loader of this
// product sends. What a transaction writes is seen once it has committed. Safe for concurrent use.
type Memory struct {
	mu     sync.Mutex
	tables map[string]*table
	owner  map[string]*memorySession // who has locked a table
	freed  chan struct{}             // closed when locks are given back
}

type table struct {
	columns []string
	ints    []bool
	rows    [][]*string
}

// NewMemory makes a backend without tables.
func NewMemory() *Memory {
	return &Memory{tables: map[string]*table{}, owner: map[string]*memorySession{}, freed: make(chan struct{})}
}

// Create makes a table; a column is a name, or a name with the type int.
func (m *Memory) Create(name string, columns ...string) {
	t := &table{}
	for _, c := range columns {
		f := strings.Fields(c)
		t.columns = append(t.columns, f[0])
		t.ints = append(t.ints, len(f) > 1 && f[1] == "int")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tables[plainName(name)] = t
}

// Drop removes a table.
func (m *Memory) Drop(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tables, plainName(name))
}

// Rows are those committed, each with its fields joined by |; NULL stands for itself.
func (m *Memory) Rows(name string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []string{}
	if t := m.tables[plainName(name)]; t != nil {
		for _, r := range t.rows {
			fields := make([]string, len(r))
			for i, v := range r {
				fields[i] = "NULL"
				if v != nil {
					fields[i] = *v
				}
			}
			out = append(out, strings.Join(fields, "|"))
		}
	}
	return out
}

// Open starts a session.
func (m *Memory) Open(context.Context) (Session, error) { return &memorySession{m: m}, nil }

func plainName(name string) string {
	return strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(name, `"`, "")), "public.")
}

func noTable(name string) error {
	return &Error{Code: "42P01", Message: fmt.Sprintf("relation %q does not exist", name), Table: name}
}

// memorySession is one connection.
type memorySession struct {
	m      *Memory
	inTx   bool
	writes []func() // of the transaction, run at its commit under the backend's lock
}

// Close gives up the transaction.
func (s *memorySession) Close() { s.end(false) }

func (s *memorySession) end(commit bool) {
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	if commit {
		for _, w := range s.writes {
			w()
		}
	}
	s.writes, s.inTx = nil, false
	for name, owner := range s.m.owner {
		if owner == s {
			delete(s.m.owner, name)
		}
	}
	close(s.m.freed)
	s.m.freed = make(chan struct{})
}

// write runs now, or at the commit.
func (s *memorySession) write(w func()) {
	if !s.inTx {
		w()
		return
	}
	s.writes = append(s.writes, w)
}

// use waits until nobody else has locked the table, and calls f under the backend's lock.
func (s *memorySession) use(ctx context.Context, name string, f func(t *table) error) error {
	name = plainName(name)
	for {
		s.m.mu.Lock()
		owner, freed := s.m.owner[name], s.m.freed
		if owner == nil || owner == s {
			defer s.m.mu.Unlock()
			t := s.m.tables[name]
			if t == nil {
				return noTable(name)
			}
			return f(t)
		}
		s.m.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return errCancelled
		}
	}
}

// Columns implements Session.
func (s *memorySession) Columns(ctx context.Context, name string) (columns []string, err error) {
	err = s.use(ctx, name, func(t *table) error {
		columns = t.columns
		return nil
	})
	return columns, err
}

// Insert implements Session.
func (s *memorySession) Insert(ctx context.Context, name string, columns []string, rows [][]*string) (bad int, err error) {
	bad = -1
	err = s.use(ctx, name, func(t *table) error {
		var full [][]*string
		for i, r := range rows {
			row, err := t.row(columns, r)
			if err != nil {
				bad = i
				return err
			}
			full = append(full, row)
		}
		s.write(func() { t.rows = append(t.rows, full...) })
		return nil
	})
	return bad, err
}

// row puts values under their columns and checks them.
func (t *table) row(columns []string, values []*string) ([]*string, error) {
	row := make([]*string, len(t.columns))
	for i, c := range columns {
		at := slices.Index(t.columns, c)
		if at < 0 {
			return nil, &Error{Code: "42703", Message: fmt.Sprintf("column %q does not exist", c), Column: c}
		}
		if v := values[i]; v != nil && t.ints[at] {
			if _, err := strconv.ParseInt(*v, 10, 64); err != nil {
				return nil, &Error{Code: "22P02", Message: fmt.Sprintf("Invalid digit, Value '%s', Pos 0, Type: Integer", *v), Column: c}
			}
		}
		row[at] = values[i]
	}
	return row, nil
}
