package schema

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The limits of a type, so that what is hostile costs nothing.
const (
	MaxDepth      = 32      // arrays, maps and structs inside each other
	MaxTypeBytes  = 4 << 20 // of a type's text
	MaxNameBytes  = 255     // of the name of a column or field
	maxShownBytes = 60      // of a type in a message
)

// ParseError says where a type's text cannot be read and what to write there.
type ParseError struct {
	Text   string // the whole text
	Offset int    // of the trouble, in bytes
	Msg    string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("type %s, at byte %d: %s", quote(e.Text), e.Offset, e.Msg)
}

// quote shows at most maxShownBytes of s.
func quote(s string) string {
	if len(s) <= maxShownBytes {
		return strconv.Quote(s)
	}
	return strconv.Quote(strings.ToValidUTF8(s[:maxShownBytes], "")) + "..."
}

// Parse reads a type as Hive and Glue write it: bigint, decimal(10,2), array<struct<a:int,b:map<string,double>>>. Case and white
// space do not matter. The name of a struct field may hold every character but :,<> unless it stands in back-quotes, where two
// back-quotes stand for one. The error is a *ParseError.
func Parse(s string) (*Type, error) {
	p := &parser{s: s}
	if len(s) > MaxTypeBytes {
		return nil, p.fail(0, "a type may be %d bytes long, this one has %d", MaxTypeBytes, len(s))
	}
	if !utf8.ValidString(s) {
		return nil, p.fail(0, "not valid UTF-8")
	}
	t, err := p.parse(0)
	if err != nil {
		return nil, err
	}
	p.space()
	if p.i < len(s) {
		return nil, p.fail(p.i, "%s follows the type %s; remove it", p.next(), quote(t.String()))
	}
	return t, nil
}

// parser is one pass over a type's text.
type parser struct {
	s string
	i int
}

func (p *parser) fail(at int, format string, args ...any) error {
	return &ParseError{Text: p.s, Offset: at, Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) space() {
	for p.i < len(p.s) && isSpace(p.s[p.i]) {
		p.i++
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// next names what stands at the present place, for messages.
func (p *parser) next() string {
	if p.i >= len(p.s) {
		return "the end"
	}
	if w := p.peekWord(); w != "" {
		return quote(w)
	}
	_, n := utf8.DecodeRuneInString(p.s[p.i:])
	return strconv.Quote(p.s[p.i : p.i+n])
}

// is says whether c comes next, and steps over it.
func (p *parser) is(c byte) bool {
	p.space()
	if p.i < len(p.s) && p.s[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) want(c byte, why string) error {
	if p.is(c) {
		return nil
	}
	return p.fail(p.i, "%s stands where %q is wanted %s", p.next(), c, why)
}

func (p *parser) peekWord() string {
	j := p.i
	for j < len(p.s) && isWord(p.s[j]) {
		j++
	}
	return p.s[p.i:j]
}

func (p *parser) word() string {
	p.space()
	w := p.peekWord()
	p.i += len(w)
	return w
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func (p *parser) parse(depth int) (*Type, error) {
	p.space()
	at := p.i
	name := strings.ToLower(p.word())
	switch name {
	case "":
		return nil, p.fail(at, "%s stands where a type is wanted, such as string, bigint or array<double>", p.next())
	case "array", "map", "struct":
		return p.nested(name, at, depth+1)
	case "decimal", "numeric", "dec":
		return p.decimal()
	case "varchar", "char":
		return p.chars(name, at)
	}
	k := kindOf(name)
	if k == 0 {
		return nil, p.fail(at, "%s", refusal(name))
	}
	if err := p.suffix(k, at); err != nil {
		return nil, err
	}
	return &Type{Kind: k}, nil
}

// suffix reads what may follow the name of a type that has no parameters.
func (p *parser) suffix(k Kind, at int) error {
	before := p.i
	switch w := strings.ToLower(p.word()); {
	case k == Double && w == "precision":
		return nil
	case k == Timestamp && w == "with":
		return p.fail(at, "timestamp with a time zone is not supported; write timestamp, which holds UTC")
	}
	p.i = before
	if p.is('(') {
		return p.fail(p.i-1, "the type %s takes no parameters", k)
	}
	p.i = before
	return nil
}

func (p *parser) decimal() (*Type, error) {
	t := &Type{Kind: Decimal, Precision: 10}
	if !p.is('(') {
		return t, nil
	}
	var err error
	if t.Precision, err = p.number(1, 38, "the precision of a decimal"); err != nil {
		return nil, err
	}
	if p.is(',') {
		if t.Scale, err = p.number(0, t.Precision, "the scale of this decimal"); err != nil {
			return nil, err
		}
	}
	return t, p.want(')', "to end the parameters of decimal")
}

// chars reads varchar(n) and char(n), which are strings here: a value is never cut.
func (p *parser) chars(name string, at int) (*Type, error) {
	limit := 65535
	if name == "char" {
		limit = 255
	}
	if !p.is('(') {
		return nil, p.fail(at, "%s needs a length, such as %s(20); or write string", name, name)
	}
	if _, err := p.number(1, limit, "the length of "+name); err != nil {
		return nil, err
	}
	return &Type{Kind: String}, p.want(')', "to end the length of "+name)
}

func (p *parser) number(lo, hi int, what string) (int, error) {
	p.space()
	at := p.i
	w := p.word()
	n, err := strconv.Atoi(w)
	if err != nil || n < lo || n > hi {
		if w == "" {
			w = p.next()
		}
		return 0, p.fail(at, "%s is a number from %d to %d, not %s", what, lo, hi, strings.Trim(quote(w), `"`))
	}
	return n, nil
}

func (p *parser) nested(name string, at, depth int) (*Type, error) {
	if depth > MaxDepth {
		return nil, p.fail(at, "array, map and struct may stand inside each other %d deep; write string here, which keeps JSON text", MaxDepth)
	}
	if err := p.want('<', "behind "+name); err != nil {
		return nil, err
	}
	var t *Type
	var err error
	switch name {
	case "array":
		t, err = p.array(depth)
	case "map":
		t, err = p.mapOf(depth)
	default:
		t, err = p.structOf(depth)
	}
	if err != nil {
		return nil, err
	}
	return t, p.want('>', "to end "+name)
}

func (p *parser) array(depth int) (*Type, error) {
	elem, err := p.parse(depth)
	return &Type{Kind: Array, Elem: elem}, err
}

func (p *parser) mapOf(depth int) (*Type, error) {
	p.space()
	at := p.i
	key, err := p.parse(depth)
	if err != nil {
		return nil, err
	}
	if !key.IsMapKey() {
		return nil, p.fail(at, "a map's keys are string, or a type of whole numbers, not %s", key.Kind)
	}
	if err := p.want(',', "between the key and value types of map"); err != nil {
		return nil, err
	}
	elem, err := p.parse(depth)
	return &Type{Kind: Map, Key: key, Elem: elem}, err
}

// IsMapKey says whether a JSON key can become t.
func (t *Type) IsMapKey() bool {
	switch t.Kind {
	case String, TinyInt, SmallInt, Int, BigInt:
		return true
	default:
		return false
	}
}

func (p *parser) structOf(depth int) (*Type, error) {
	t := &Type{Kind: Struct}
	seen := make(map[string]bool)
	for {
		p.space()
		at := p.i
		name, err := p.field()
		if err != nil {
			return nil, err
		}
		if seen[name] {
			return nil, p.fail(at, "the struct has two fields named %s", quote(name))
		}
		seen[name] = true
		if err := p.want(':', "between the name and type of a field"); err != nil {
			return nil, err
		}
		ft, err := p.parse(depth)
		if err != nil {
			return nil, err
		}
		t.Fields = append(t.Fields, Column{Name: name, Type: ft})
		if !p.is(',') {
			return t, nil
		}
	}
}

// field reads the name of a struct's field.
func (p *parser) field() (string, error) {
	at := p.i
	name, err := p.plainName(), error(nil)
	if name != "" && name[0] == '`' {
		p.i = at + 1
		name, err = p.quotedName(at)
	}
	switch {
	case err != nil:
		return "", err
	case name == "":
		return "", p.fail(at, "%s stands where the name of a field is wanted, as in struct<name:string>", p.next())
	case len(name) > MaxNameBytes:
		return "", p.fail(at, "the name of a field may be %d bytes long, this one has %d", MaxNameBytes, len(name))
	}
	return name, nil
}

func (p *parser) plainName() string {
	rest := p.s[p.i:]
	n := strings.IndexAny(rest, ":,<>")
	if n < 0 {
		n = len(rest)
	}
	p.i += n
	return strings.TrimRight(rest[:n], " \t\r\n")
}

// quotedName reads up to the closing back-quote; the opening one stands at the offset at.
func (p *parser) quotedName(at int) (string, error) {
	var b strings.Builder
	for {
		n := strings.IndexByte(p.s[p.i:], '`')
		if n < 0 {
			return "", p.fail(at, "the back-quote is not closed")
		}
		b.WriteString(p.s[p.i : p.i+n])
		p.i += n + 1
		if p.i >= len(p.s) || p.s[p.i] != '`' {
			return b.String(), nil
		}
		b.WriteByte('`')
		p.i++
	}
}
