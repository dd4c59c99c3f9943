package redshiftfake

import (
	"fmt"
	"strconv"
	"strings"
)

// copyStatement is a COPY that was understood.
type copyStatement struct {
	table       string   // [schema.]table without quotes
	columns     []string // nil: all
	from        string   // s3://bucket/key
	credentials string   // the clause, spaced out and in capitals but for its literal
	options     map[string]string
}

// token is a word (in capitals), a literal, a quoted name, or a sign.
type token struct {
	kind byte // w, ' for literals, " for names, or the sign itself
	text string
}

func lexCopy(sql string) ([]token, error) {
	var out []token
	for i := 0; i < len(sql); {
		c := sql[i]
		switch {
		case c == ' ' || c == '\n' || c == '\t' || c == '\r':
			i++
		case c == '\'' || c == '"':
			text, n := unquote(sql[i:])
			if n == 0 {
				return nil, syntaxError("unterminated quoted string")
			}
			out = append(out, token{c, text})
			i += n
		case wordByte(c):
			from := i
			for i < len(sql) && wordByte(sql[i]) {
				i++
			}
			out = append(out, token{'w', sql[from:i]})
		case strings.IndexByte("(),.=", c) >= 0:
			out = append(out, token{c, string(c)})
			i++
		default:
			return nil, near(string(c))
		}
	}
	return append(out, token{}), nil
}

func wordByte(c byte) bool {
	return c == '_' || c == '$' || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// unquote reads a literal as Redshift does, where a backslash escapes; n is how long it is, 0 when it does not end.
func unquote(s string) (text string, n int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] == '\'' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case s[i] != s[0]:
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == s[0]:
			i++
			b.WriteByte(s[0])
		default:
			return b.String(), i + 1
		}
	}
	return "", 0
}

func near(what string) error { return syntaxError(fmt.Sprintf("at or near %q", what)) }

// copyParser walks over the tokens; the first mistake ends it.
type copyParser struct {
	in  []token
	at  int
	err error
}

func parseCopy(sql string) (*copyStatement, error) {
	in, err := lexCopy(sql)
	if err != nil {
		return nil, err
	}
	p := &copyParser{in: in}
	c := &copyStatement{options: map[string]string{}}
	p.word("COPY")
	c.table = p.name()
	if p.sign('.') {
		c.table += "." + p.name()
	}
	if p.sign('(') {
		for more := true; more && p.err == nil; more = p.sign(',') {
			c.columns = append(c.columns, p.name())
		}
		p.must(')')
	}
	p.word("FROM")
	c.from = p.literal()
	for p.err == nil && p.in[p.at].kind != 0 {
		p.clause(c)
	}
	if p.err == nil && c.credentials == "" {
		return nil, syntaxError("COPY without credentials")
	}
	return c, p.err
}

func (p *copyParser) fail() {
	if p.err == nil {
		p.err = near(p.in[p.at].text)
	}
}

func (p *copyParser) isWord(w string) bool {
	if t := p.in[p.at]; t.kind == 'w' && strings.EqualFold(t.text, w) {
		p.at++
		return true
	}
	return false
}

func (p *copyParser) word(w string) {
	if !p.isWord(w) {
		p.fail()
	}
}

func (p *copyParser) sign(c byte) bool {
	if p.in[p.at].kind == c {
		p.at++
		return true
	}
	return false
}

func (p *copyParser) must(c byte) {
	if !p.sign(c) {
		p.fail()
	}
}

// name is an identifier, in small letters whether quoted or not, as Redshift takes them.
func (p *copyParser) name() string {
	t := p.in[p.at]
	if t.kind != 'w' && t.kind != '"' {
		p.fail()
		return ""
	}
	p.at++
	return strings.ToLower(t.text)
}

func (p *copyParser) literal() string {
	t := p.in[p.at]
	if t.kind != '\'' {
		p.fail()
		return ""
	}
	p.at++
	return t.text
}

// clause reads the credentials or one option.
func (p *copyParser) clause(c *copyStatement) {
	t := p.in[p.at]
	if t.kind != 'w' {
		p.fail()
		return
	}
	name := strings.ToUpper(t.text)
	p.at++
	switch name {
	case "IAM_ROLE":
		if p.isWord("DEFAULT") {
			p.credential(c, "IAM_ROLE DEFAULT")
			return
		}
		p.credential(c, "IAM_ROLE '"+p.literal()+"'")
	case "CREDENTIALS":
		p.isWord("AS")
		p.credential(c, "CREDENTIALS '"+p.literal()+"'")
	case "FORMAT":
		p.isWord("AS")
		name = strings.ToUpper(p.in[p.at].text)
		if name != "JSON" && name != "CSV" {
			p.fail()
			return
		}
		p.at++
		p.option(c, name, formatArguments[name])
	default:
		kind, ok := copyOptions[name]
		if !ok {
			p.at--
			p.fail()
			return
		}
		p.option(c, name, kind)
	}
}

func (p *copyParser) credential(c *copyStatement, clause string) {
	if c.credentials != "" {
		p.err = syntaxError("conflicting or redundant options")
	}
	c.credentials = clause
}

// copyOptions are Redshift's, with what follows them: nothing, a literal, a number, a literal or nothing, on or off or nothing.
var copyOptions = map[string]string{
	"MANIFEST": "", "GZIP": "", "ESCAPE": "", "REMOVEQUOTES": "", "TRUNCATECOLUMNS": "", "BLANKSASNULL": "", "EMPTYASNULL": "",
	"FILLRECORD": "", "IGNOREBLANKLINES": "", "ROUNDEC": "", "TRIMBLANKS": "", "EXPLICIT_IDS": "", "ACCEPTANYDATE": "", "NOLOAD": "",
	"JSON": "literal", "REGION": "literal", "TIMEFORMAT": "literal", "DATEFORMAT": "literal", "DELIMITER": "literal", "NULL": "literal",
	"QUOTE": "literal", "MAXERROR": "number", "IGNOREHEADER": "number", "COMPROWS": "number",
	"CSV": "", "ACCEPTINVCHARS": "optional", "STATUPDATE": "switch", "COMPUPDATE": "switch",
}

var formatArguments = map[string]string{"JSON": "literal", "CSV": ""}

func (p *copyParser) option(c *copyStatement, name, kind string) {
	if _, twice := c.options[name]; twice {
		p.err = syntaxError("conflicting or redundant options")
		return
	}
	value := ""
	switch kind {
	case "literal":
		p.isWord("AS")
		value = p.literal()
	case "optional":
		p.isWord("AS")
		if p.in[p.at].kind == '\'' {
			value = p.literal()
		}
	case "number":
		p.isWord("AS")
		value = p.in[p.at].text
		if _, err := strconv.Atoi(value); err != nil {
			p.fail()
			return
		}
		p.at++
	case "switch":
		for _, w := range []string{"ON", "OFF", "TRUE", "FALSE", "PRESET"} {
			if p.isWord(w) {
				value = w
				break
			}
		}
	}
	c.options[name] = value
}
