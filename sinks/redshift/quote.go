package redshift

import (
	"errors"
	"fmt"
	"strings"
)

// maxNameBytes is Redshift's limit; PostgreSQL's is 63.
const maxNameBytes = 127

// quoteName quotes one identifier. What needs more than quotes around it is refused.
func quoteName(name string) (string, error) {
	if name == "" || len(name) > maxNameBytes {
		return "", fmt.Errorf("%q: want a name of 1 to %d characters", name, maxNameBytes)
	}
	for _, c := range []byte(name) {
		if c != '_' && c != '$' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return "", fmt.Errorf("%q: a name is made of letters, digits, _ and $", name)
		}
	}
	return `"` + name + `"`, nil
}

// quoteTable quotes [schema.]table.
func quoteTable(name string) (string, error) {
	schema, table, ok := strings.Cut(name, ".")
	if !ok {
		return quoteName(name)
	}
	s, err := quoteName(schema)
	if err != nil {
		return "", err
	}
	t, err := quoteName(table)
	return s + "." + t, err
}

// quoteNames joins names that were checked.
func quoteNames(names []string) string {
	return `"` + strings.Join(names, `", "`) + `"`
}

// literal quotes a string. Redshift takes a backslash in every literal for an escape, PostgreSQL only in those marked E.
func (l *Loader) literal(s string) string {
	if l.o.Mode == ModePlain {
		return "E" + quoteLiteral(s)
	}
	return quoteLiteral(s)
}

func quoteLiteral(s string) string {
	return "'" + strings.NewReplacer("'", "''", `\`, `\\`).Replace(s) + "'"
}

// closing is where the literal that s begins with ends, -1 when it does not.
func closing(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] != s[0]:
		case i+1 < len(s) && s[i+1] == s[0]:
			i++
		default:
			return i
		}
	}
	return -1
}

// checkOptions refuses what would end the COPY statement or make it load nothing. All else is Redshift's to judge.
func checkOptions(options string) error {
	bare, err := withoutLiterals(options)
	switch {
	case err != nil:
		return fmt.Errorf("copy options: %w", err)
	case strings.ContainsRune(options, 0):
		return errors.New("copy options: a NUL character")
	case strings.Contains(bare, ";"), strings.Contains(bare, "--"), strings.Contains(bare, "/*"):
		return errors.New("copy options: neither ; nor a comment may stand outside quotes")
	}
	for _, word := range strings.Fields(bare) {
		if strings.EqualFold(word, "NOLOAD") {
			return errors.New("copy options: NOLOAD would pass for loaded what is not")
		}
	}
	return nil
}

// withoutLiterals blanks what stands in quotes.
func withoutLiterals(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\'' && s[i] != '"' {
			b.WriteByte(s[i])
			continue
		}
		end := closing(s[i:])
		if end < 0 {
			return "", errors.New("a quote is not closed")
		}
		i += end
		b.WriteByte(' ')
	}
	return b.String(), nil
}
