package redshiftfake

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
)

// rows reads the rows of a file and the line each begins at.
func (s *session) rows(ctx context.Context, c *copyStatement, f file, columns []string) (rows [][]*string, lines []int, err error) {
	if how, ok := c.options["JSON"]; ok {
		return s.jsonRows(ctx, c, f, columns, how)
	}
	if _, ok := c.options["CSV"]; ok {
		return s.csvRows(c, f, columns)
	}
	return s.delimited(c, f, columns)
}

// jsonRows reads JSON values with nothing but space between them.
func (s *session) jsonRows(ctx context.Context, c *copyStatement, f file, columns []string, how string) (rows [][]*string, lines []int, err error) {
	pick, err := s.picker(ctx, how, columns)
	if err != nil {
		return nil, nil, err
	}
	d := json.NewDecoder(bytes.NewReader(f.body))
	d.UseNumber()
	for {
		line := 1 + bytes.Count(f.body[:skipSpace(f.body, d.InputOffset())], []byte("\n"))
		var v map[string]any
		err := d.Decode(&v)
		if errors.Is(err, io.EOF) {
			return rows, lines, nil
		}
		if err != nil || v == nil {
			return nil, nil, s.badLoad(c, loadError{file: f.url, line: line, code: "1224", reason: "Invalid JSON format. No matching close brace found"})
		}
		rows, lines = append(rows, pick(v)), append(lines, line)
	}
}

func skipSpace(b []byte, at int64) int64 {
	for at < int64(len(b)) && strings.IndexByte(" \t\r\n", b[at]) >= 0 {
		at++
	}
	return at
}

// picker makes a row of an object: by the names of its members, which are matched as they are, or by the paths of a file.
func (s *session) picker(ctx context.Context, how string, columns []string) (func(map[string]any) []*string, error) {
	switch how {
	case "auto", "auto ignorecase":
		return func(v map[string]any) []*string {
			if how == "auto ignorecase" {
				v = lowered(v)
			}
			row := make([]*string, len(columns))
			for i, c := range columns {
				row[i] = text(v[c])
			}
			return row
		}, nil
	}
	body, err := s.get(ctx, how)
	if err != nil {
		return nil, err
	}
	var file struct {
		Paths []string `json:"jsonpaths"`
	}
	if err := json.Unmarshal(body, &file); err != nil || len(file.Paths) != len(columns) {
		return nil, &Error{Code: "XX000", Message: "Number of jsonpaths and the number of columns should match"}
	}
	return func(v map[string]any) []*string {
		row := make([]*string, len(columns))
		for i, p := range file.Paths {
			row[i] = text(follow(v, p))
		}
		return row
	}, nil
}

func lowered(v map[string]any) map[string]any {
	out := map[string]any{}
	for k, x := range v {
		out[strings.ToLower(k)] = x
	}
	return out
}

// follow walks $.a.b, $['a'][0].
func follow(v any, path string) any {
	path = strings.NewReplacer("['", ".", "']", "", "[", ".", "]", "").Replace(strings.TrimPrefix(path, "$"))
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "."), ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

// text is a value as its column gets it; what is nested stays JSON.
func text(v any) *string {
	var s string
	switch x := v.(type) {
	case nil:
		return nil
	case string:
		s = x
	case json.Number:
		s = x.String()
	case bool:
		s = strconv.FormatBool(x)
	default:
		b, _ := json.Marshal(x) // came from JSON
		s = string(b)
	}
	return &s
}

func (s *session) csvRows(c *copyStatement, f file, columns []string) (rows [][]*string, lines []int, err error) {
	r := csv.NewReader(bytes.NewReader(f.body))
	if d := c.options["DELIMITER"]; d != "" {
		r.Comma = []rune(d)[0]
	}
	r.FieldsPerRecord = len(columns)
	for {
		fields, err := r.Read()
		if errors.Is(err, io.EOF) {
			return rows, lines, nil
		}
		if err != nil {
			var bad *csv.ParseError
			errors.As(err, &bad) // reading from memory gives no other
			return nil, nil, s.badLoad(c, loadError{file: f.url, line: bad.StartLine, code: "1202", reason: "Extra or missing column(s) found"})
		}
		line, _ := r.FieldPos(0)
		rows, lines = append(rows, pointers(fields)), append(lines, line)
	}
}

// delimited reads lines of fields between |, or what DELIMITER says. With ESCAPE a backslash takes the next character as it is.
func (s *session) delimited(c *copyStatement, f file, columns []string) (rows [][]*string, lines []int, err error) {
	sep := c.options["DELIMITER"]
	if sep == "" {
		sep = "|"
	}
	_, escapes := c.options["ESCAPE"]
	for n, line := range strings.Split(strings.TrimSuffix(string(f.body), "\n"), "\n") {
		fields := split(line, sep[0], escapes)
		if len(fields) != len(columns) {
			return nil, nil, s.badLoad(c, loadError{file: f.url, line: n + 1, code: "1202", reason: "Extra or missing column(s) found"})
		}
		rows, lines = append(rows, pointers(fields)), append(lines, n+1)
	}
	return rows, lines, nil
}

func split(line string, sep byte, escapes bool) []string {
	fields := []string{""}
	for i := 0; i < len(line); i++ {
		switch {
		case escapes && line[i] == '\\' && i+1 < len(line):
			i++
			fields[len(fields)-1] += line[i : i+1]
		case line[i] == sep:
			fields = append(fields, "")
		default:
			fields[len(fields)-1] += line[i : i+1]
		}
	}
	return fields
}

func pointers(fields []string) []*string {
	row := make([]*string, len(fields))
	for i := range fields {
		row[i] = &fields[i]
	}
	return row
}
