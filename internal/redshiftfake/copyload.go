package redshiftfake

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// maxObjectBytes bounds what an object may be unzipped.
const maxObjectBytes = 1 << 30

// copy runs a COPY from S3, for as long as a statement may take.
func (s *session) copy(ctx context.Context, sql string) (Result, error) {
	if s.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.limit)
		defer cancel()
	}
	c, err := parseCopy(sql)
	if err != nil {
		return Result{}, err
	}
	if want := s.e.Credentials; want != "" && c.credentials != want {
		return Result{}, s3Error("Access Denied", 403, "AccessDenied")
	}
	columns, err := s.backend.Columns(ctx, c.table)
	if err != nil {
		return Result{}, err
	}
	if c.columns != nil {
		if err := known(c, columns); err != nil {
			return Result{}, err
		}
		columns = c.columns
	}
	if s.e.Faults.take(DiskFull) {
		return Result{}, &Error{Code: "53100", Message: "Disk Full"}
	}
	s.e.mu.Lock()
	s.e.queries++
	s.lastCopy = s.e.queries
	s.e.mu.Unlock()
	n, err := s.loadAll(ctx, c, columns)
	if err != nil {
		return Result{}, err
	}
	s.e.mu.Lock()
	s.e.copies++
	s.e.mu.Unlock()
	if s.e.Faults.take(HangInCopy) {
		if err := s.e.Faults.hang(ctx); err != nil {
			return Result{}, err
		}
	}
	return Result{Tag: fmt.Sprintf("COPY %d", n)}, nil
}

func known(c *copyStatement, columns []string) error {
	for _, want := range c.columns {
		found := false
		for _, have := range columns {
			found = found || have == want
		}
		if !found {
			return &Error{Code: "42703", Message: fmt.Sprintf("column %q of relation %q does not exist", want, c.table)}
		}
	}
	return nil
}

// loadAll loads every file, and gives up at the first bad row: MAXERROR is 0 here whatever was said.
func (s *session) loadAll(ctx context.Context, c *copyStatement, columns []string) (n int, err error) {
	files, err := s.files(ctx, c)
	if err != nil {
		return 0, err
	}
	for _, f := range files {
		if _, zipped := c.options["GZIP"]; zipped {
			if f.body, err = gunzip(f.body); err != nil {
				return 0, s.badLoad(c, loadError{file: f.url, code: "1220", reason: "Invalid gzip data"})
			}
		}
		rows, lines, err := s.rows(ctx, c, f, columns)
		if err != nil {
			return 0, err
		}
		bad, err := s.backend.Insert(ctx, c.table, columns, rows)
		var sql *Error
		if errors.As(err, &sql) && bad >= 0 && aboutData(sql.Code) {
			return 0, s.badLoad(c, loadError{file: f.url, line: lines[bad], column: sql.Column, code: "1207", reason: sql.Message})
		}
		if err != nil {
			return 0, err
		}
		n += len(rows)
	}
	return n, nil
}

// aboutData: data exceptions and violated constraints. All else has nothing to do with a row.
func aboutData(code string) bool {
	return strings.HasPrefix(code, "22") || strings.HasPrefix(code, "23")
}

func gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(z, maxObjectBytes))
}

// badLoad notes why a load failed and gives the error, which does not say it.
func (s *session) badLoad(c *copyStatement, e loadError) error {
	e.query = s.lastCopy
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	s.e.loadErrors = append(s.e.loadErrors, e)
	return &Error{Code: "XX000", Message: fmt.Sprintf("Load into table '%s' failed.  Check 'sys_load_error_detail' system table for details.", c.table)}
}

func s3Error(what string, status int, code string) *Error {
	return &Error{Code: "XX000", Message: fmt.Sprintf("S3ServiceException:%s,Status %d,Error %s,Rid 0000,ExtRid 0000,CanRetry 1", what, status, code)}
}

// file is an object to load.
type file struct {
	url  string
	body []byte
}

// files are those of the manifest, or the one object when there is none.
func (s *session) files(ctx context.Context, c *copyStatement) ([]file, error) {
	body, err := s.get(ctx, c.from)
	if err != nil {
		return nil, err
	}
	if _, ok := c.options["MANIFEST"]; !ok {
		return []file{{c.from, body}}, nil
	}
	var m struct {
		Entries []struct {
			URL       string `json:"url"`
			Mandatory bool   `json:"mandatory"`
			Meta      struct {
				ContentLength *int64 `json:"content_length"`
			} `json:"meta"`
		} `json:"entries"`
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil || len(m.Entries) == 0 {
		return nil, &Error{Code: "XX000", Message: "Invalid JSON format for manifest file"}
	}
	var files []file
	for _, e := range m.Entries {
		body, err := s.get(ctx, e.URL)
		switch {
		case err != nil && e.Mandatory:
			return nil, &Error{Code: "XX000", Message: "Mandatory url is not present in manifest file. " + err.Error()}
		case err != nil:
			continue
		case e.Meta.ContentLength != nil && *e.Meta.ContentLength != int64(len(body)):
			return nil, &Error{Code: "XX000", Message: "File size does not match content_length of the manifest"}
		}
		files = append(files, file{e.URL, body})
	}
	return files, nil
}

func (s *session) get(ctx context.Context, url string) ([]byte, error) {
	path, ok := strings.CutPrefix(url, "s3://")
	bucket, key, ok2 := strings.Cut(path, "/")
	if !ok || !ok2 {
		return nil, &Error{Code: "XX000", Message: "Invalid S3 URL"}
	}
	body, err := s.e.Store.Get(ctx, bucket, key)
	switch {
	case errors.Is(err, ErrNoObject):
		return nil, s3Error("The specified key does not exist.", 404, "NoSuchKey")
	case errors.Is(err, ErrForbidden):
		return nil, s3Error("Access Denied", 403, "AccessDenied")
	case err != nil:
		return nil, s3Error("Service unavailable", 503, "ServiceUnavailable")
	}
	return body, nil
}

// aboutLoads is the one kind of question that is answered about failed loads.
var aboutLoads = regexp.MustCompile(`(?i)^SELECT ([a-z_, ]+) FROM (sys_load_error_detail|stl_load_errors) WHERE (query_id|query) = (pg_last_copy_id\(\)|\d+)( ORDER BY start_?time DESC)?( LIMIT 1)?$`)

func (s *session) loadErrorRows(sql string) (r Result, ok bool, err error) {
	m := aboutLoads.FindStringSubmatch(sql)
	if m == nil {
		return r, false, nil
	}
	if s.inTx {
		return r, true, &Error{Code: "25001", Message: "ask outside a transaction"}
	}
	id := s.lastCopy
	if n, err := strconv.ParseInt(m[4], 10, 64); err == nil {
		id = n
	}
	for name := range strings.SplitSeq(m[1], ",") {
		r.Columns = append(r.Columns, strings.TrimSpace(name))
	}
	s.e.mu.Lock()
	defer s.e.mu.Unlock()
	for _, e := range s.e.loadErrors {
		if e.query != id {
			continue
		}
		row, err := e.row(r.Columns)
		if err != nil {
			return Result{}, true, err
		}
		r.Rows = append(r.Rows, row)
	}
	r.Tag = fmt.Sprintf("SELECT %d", len(r.Rows))
	return r, true, nil
}

// row gives the columns under the names of either table, padded as Redshift's are.
func (e loadError) row(columns []string) ([]*string, error) {
	var row []*string
	for _, c := range columns {
		v, ok := map[string]string{
			"file_name": e.file, "line_number": strconv.Itoa(e.line), "column_name": e.column, "error_code": e.code, "error_message": e.reason,
			"filename": e.file, "colname": e.column, "err_code": e.code, "err_reason": e.reason,
		}[c]
		if !ok {
			return nil, &Error{Code: "42703", Message: fmt.Sprintf("column %q does not exist", c)}
		}
		v += "   "
		row = append(row, &v)
	}
	return row, nil
}
