package redshift

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

const (
	diagnoseTimeout = 10 * time.Second
	maxReasonChars  = 200
)

// loadErrors are the questions for the first error of a load: of today's Redshift, and of clusters that lack that view. query is a
// number, or "" for the session's last COPY.
func loadErrors(query string) []string {
	if query == "" {
		query = "pg_last_copy_id()"
	}
	return []string{
		"SELECT file_name, line_number, column_name, error_message FROM sys_load_error_detail WHERE query_id = " + query + " ORDER BY start_time DESC LIMIT 1",
		"SELECT filename, line_number, colname, err_reason FROM stl_load_errors WHERE query = " + query + " ORDER BY starttime DESC LIMIT 1",
	}
}

// diagnosis adds to text what the warehouse noted about the load that failed, as far as it can be had.
func diagnosis(text, query string, ask func(sql string) ([][]string, *failure)) string {
	for _, sql := range loadErrors(query) {
		rows, f := ask(sql)
		if f != nil || len(rows) == 0 || len(rows[0]) != 4 {
			continue
		}
		r := rows[0]
		return text + fmt.Sprintf(": file %s, line %s, column %q: %s", tidy(r[0]), tidy(r[1]), tidy(r[2]), withoutValues(tidy(r[3])))
	}
	return text
}

// tidy makes one short line of a field: Redshift pads them.
func tidy(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > maxReasonChars {
		return string(r[:maxReasonChars]) + "…"
	}
	return s
}

// withoutValues takes what a reason quotes of the record out of it.
func withoutValues(reason string) string {
	return regexp.MustCompile(`'[^']*('|$)|"[^"]*("|$)`).ReplaceAllString(reason, "'…'")
}
