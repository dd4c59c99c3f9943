// Package prefix owns the custom prefix expressions of S3 objects, `!{namespace:value}`: it parses
// them, checks the rules that hold between a prefix and its error prefix, and evaluates them.
// It draws no random text and reads no clock: whoever evaluates supplies both, so that the same
// batch gets the same key however often it is computed.
package prefix

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Kind says which of a destination's two prefixes a text is; their rules differ.
type Kind int

// The kinds of prefix.
const (
	Main  Kind = iota + 1 // for delivered records
	Error                 // for records that were set aside
	Path                  // of a file that records are appended to: nothing is added to it
)

// Limits of a prefix.
const (
	MaxChars          = 1024 // of the text as written
	MaxEvaluatedChars = 512
	// MaxEvaluatedBytes leaves room for the longest object name in a key of 1024 bytes.
	MaxEvaluatedBytes = 760
	// RandomChars is the length of what Input.Random supplies.
	RandomChars = 11
)

// defaultPattern is what follows a prefix that has no expression.
const defaultPattern = "yyyy/MM/dd/HH/"

// longestErrorType bounds `!{firehose:error-output-type}` when a length is foreseen.
const longestErrorType = len("metadata-extraction-failed") + 8

// ErrTooLong is what Eval returns for a result above the limits. Only partition values can cause it:
// Parse refuses texts that could become too long by themselves.
var ErrTooLong = errors.New("the evaluated prefix is too long")

// RuleError is a rule of prefixes that a text breaks. Error is the message on the Firehose API;
// Constraint alone reads better elsewhere.
type RuleError struct {
	Constraint string
	whole      bool // Constraint is the whole message
}

// Error is Firehose's message; the misspelled first word is Firehose's own.
func (e *RuleError) Error() string {
	if e.whole {
		return e.Constraint
	}
	return "Ths supplied prefix(es) do not satisfy the following constraint: " + e.Constraint
}

func broken(format string, args ...any) error {
	return &RuleError{Constraint: fmt.Sprintf(format, args...)}
}

// Input is everything that an evaluation depends on.
type Input struct {
	Time      time.Time // of the object's oldest record, already in the destination's zone
	ErrorType string    // for error prefixes, such as processing-failed
	// Random supplies the text of the n-th random-string of the template, counted from 0.
	Random func(occurrence int) string
	// Values are the partition values in the order of Keys, as AppendEscaped makes them. None may be empty.
	Values []string
}

// Template is a parsed prefix. It never changes and is safe for concurrent use.
type Template struct {
	parts     []part
	keys      []Key
	expr      bool
	errorType bool
}

// part is a literal or one expression.
type part struct {
	kind    partKind
	text    string  // literal
	pattern Pattern // timestamp, eventTime
	key     int     // partition, eventTime: index in Template.keys
}

type partKind int

const (
	literal partKind = iota
	timestamp
	random
	errorType
	partition
	eventTime
)

// Parse reads one prefix. An empty or literal Main prefix gets `yyyy/MM/dd/HH/` appended without a
// slash between; an empty or literal Error prefix gets the error type and `/yyyy/MM/dd/HH/`. Any expression
// suppresses both. The error, when there is one, is a *RuleError.
func Parse(s string, kind Kind) (*Template, error) {
	if err := checkText(s); err != nil {
		return nil, err
	}
	t := &Template{}
	if err := t.parse(s, kind); err != nil {
		return nil, err
	}
	if kind == Error && t.expr && !t.errorType {
		return nil, broken("ErrorOutputPrefix with expressions must contain !{firehose:error-output-type}")
	}
	if !t.expr && kind != Path {
		t.appendDefault(kind)
	}
	return t, t.checkLength()
}

// Validate checks a destination's two prefixes and the rules between them. Either may be empty.
// With partitioned, the prefix must hold a partition expression; without, it must hold none.
func Validate(prefix, errorPrefix string, partitioned bool) error {
	_, _, err := Both(prefix, errorPrefix, partitioned)
	return err
}

// Both parses a destination's two prefixes after checking what Validate checks. Without an error
// prefix, errors go to the main prefix, then the error type, then the date.
func Both(prefix, errorPrefix string, partitioned bool) (main, errs *Template, err error) {
	if main, err = Parse(prefix, Main); err != nil {
		return nil, nil, err
	}
	switch {
	case !partitioned && len(main.keys) > 0:
		return nil, nil, &RuleError{whole: true, Constraint: "Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled."}
	case partitioned && len(main.keys) == 0:
		return nil, nil, broken("Prefix must contain a partition expression such as !{partitionKeyFromQuery:...} when Dynamic Partitioning is enabled")
	}
	if errorPrefix == "" {
		if main.expr {
			return nil, nil, broken("ErrorOutputPrefix cannot be null or empty when Prefix contains expressions")
		}
		errorPrefix = prefix
	}
	errs, err = Parse(errorPrefix, Error)
	return main, errs, err
}

func checkText(s string) error {
	if !utf8.ValidString(s) {
		return broken("a prefix must be valid UTF-8")
	}
	if n := utf8.RuneCountInString(s); n > MaxChars {
		return broken("a prefix has at most %d characters, not %d", MaxChars, n)
	}
	for i, r := range s {
		if r < 0x20 || r == 0x7f {
			return broken("a prefix must hold no control characters (%U at byte %d)", r, i)
		}
	}
	return nil
}

func (t *Template) parse(s string, kind Kind) error {
	for s != "" {
		start := strings.Index(s, "!{")
		if start < 0 {
			t.literal(s)
			return nil
		}
		t.literal(s[:start])
		end := strings.IndexByte(s[start:], '}')
		if end < 0 {
			return broken("!{ may only begin an expression: %q has no closing brace", clip(s[start:]))
		}
		if err := t.expression(s[start+2:start+end], kind); err != nil {
			return err
		}
		s = s[start+end+1:]
	}
	return nil
}

func (t *Template) literal(s string) {
	if s != "" {
		t.parts = append(t.parts, part{kind: literal, text: s})
	}
}

// expression reads what stands between the braces.
func (t *Template) expression(s string, kind Kind) error {
	t.expr = true
	if strings.Contains(s, "!{") {
		return broken("!{ may only begin an expression, not stand inside one: %q", clip("!{"+s+"}"))
	}
	space, value, ok := strings.Cut(s, ":")
	if !ok || value == "" {
		return broken("%q is no expression; write !{namespace:value}", clip("!{"+s+"}"))
	}
	switch space {
	case "timestamp":
		p, err := ParsePattern(value)
		if err != nil {
			return broken("!{timestamp:%s}: %s", clip(value), err)
		}
		t.parts = append(t.parts, part{kind: timestamp, pattern: p})
		return nil
	case "firehose":
		return t.firehose(value, kind)
	case FromQuery, FromLambda, EventTime:
		return t.partition(Key{space, value}, kind)
	}
	return broken("unknown namespace %q; the namespaces are timestamp, firehose, partitionKeyFromQuery, partitionKeyFromLambda and eventTime", clip(space))
}

func (t *Template) firehose(value string, kind Kind) error {
	switch value {
	case "random-string":
		t.parts = append(t.parts, part{kind: random})
		return nil
	case "error-output-type":
		if kind != Error {
			return broken("Prefix must not contain !{firehose:error-output-type}")
		}
		t.errorType = true
		t.parts = append(t.parts, part{kind: errorType})
		return nil
	}
	return broken("unknown value !{firehose:%s}; there are random-string and error-output-type", clip(value))
}

func (t *Template) partition(k Key, kind Kind) error {
	if kind == Path {
		return broken("a file's path must not contain !{%s:...}; use !{timestamp:...}", k.Namespace)
	}
	if kind == Error {
		return broken("ErrorOutputPrefix must not contain !{%s:...}", k.Namespace)
	}
	p := part{kind: partition, key: slices.Index(t.keys, k)}
	if k.Namespace == EventTime {
		var err error
		if p.pattern, err = ParsePattern(k.Name); err != nil {
			return broken("!{eventTime:%s}: %s", clip(k.Name), err)
		}
		p.kind = eventTime
	}
	if p.key < 0 {
		if len(t.keys) == MaxKeys {
			return broken("Prefix has more than %d different partition expressions", MaxKeys)
		}
		p.key = len(t.keys)
		t.keys = append(t.keys, k)
	}
	t.parts = append(t.parts, p)
	return nil
}

func (t *Template) appendDefault(kind Kind) {
	if kind == Error {
		t.parts = append(t.parts, part{kind: errorType}, part{kind: literal, text: "/"})
		t.errorType = true
	}
	p, err := ParsePattern(defaultPattern)
	if err != nil {
		panic(err) // our own constant
	}
	t.parts = append(t.parts, part{kind: timestamp, pattern: p})
}

// checkLength refuses a template that could exceed the limits without any partition value.
func (t *Template) checkLength() error {
	chars, bytes := t.longest(nil)
	if chars > MaxEvaluatedChars || bytes > MaxEvaluatedBytes {
		return broken("an evaluated prefix has at most %d characters and %d bytes; this one can reach %d and %d", MaxEvaluatedChars, MaxEvaluatedBytes, chars, bytes)
	}
	return nil
}

// CheckValues says whether Eval keeps its limits with these values, in the order of Keys, whatever the time.
// The error is ErrTooLong.
func (t *Template) CheckValues(values []string) error {
	if chars, bytes := t.longest(values); chars > MaxEvaluatedChars || bytes > MaxEvaluatedBytes {
		return fmt.Errorf("%w: the partition's values make it %d characters and %d bytes; it may have %d and %d",
			ErrTooLong, chars, bytes, MaxEvaluatedChars, MaxEvaluatedBytes)
	}
	return nil
}

// longest is how long Eval's result can become with the values; those that are missing count as one character.
func (t *Template) longest(values []string) (chars, bytes int) {
	for _, p := range t.parts {
		n := 0
		switch p.kind {
		case literal:
			chars += utf8.RuneCountInString(p.text)
			bytes += len(p.text)
		case timestamp, eventTime:
			chars += p.pattern.maxChars()
			bytes += p.pattern.maxBytes()
		case random:
			n = RandomChars
		case errorType:
			n = longestErrorType
		case partition:
			if n = 1; p.key < len(values) {
				chars += utf8.RuneCountInString(values[p.key])
				bytes += len(values[p.key])
				n = 0
			}
		}
		chars, bytes = chars+n, bytes+n
	}
	return chars, bytes
}

// Head is the text before the first expression.
func (t *Template) Head() string {
	if len(t.parts) > 0 && t.parts[0].kind == literal {
		return t.parts[0].text
	}
	return ""
}

// Eval gives the prefix for one object. It fails when a partition value is missing or empty,
// or with ErrTooLong.
func (t *Template) Eval(in Input) (string, error) {
	b := make([]byte, 0, 128)
	drawn := 0
	for _, p := range t.parts {
		switch p.kind {
		case literal:
			b = append(b, p.text...)
		case timestamp:
			b = p.pattern.Append(b, in.Time)
		case errorType:
			b = append(b, in.ErrorType...)
		case random:
			if in.Random != nil {
				b = append(b, in.Random(drawn)...)
			}
			drawn++
		case partition, eventTime:
			if p.key >= len(in.Values) || in.Values[p.key] == "" {
				return "", fmt.Errorf("no partition value for %s", t.keys[p.key])
			}
			if p.kind == partition {
				b = append(b, in.Values[p.key]...)
			} else {
				b = appendUnescaped(b, in.Values[p.key])
			}
		}
	}
	if len(b) > MaxEvaluatedBytes || utf8.RuneCount(b) > MaxEvaluatedChars {
		return "", fmt.Errorf("%w: %d bytes", ErrTooLong, len(b))
	}
	return string(b), nil
}

// ObjectName is the part of a key behind the prefix: `<stream>-<version>-yyyy-MM-dd-HH-mm-ss-<uuid><ext>`.
// t is in the destination's zone already; ext has its dot.
func ObjectName(stream string, version int, t time.Time, uuid, ext string) string {
	b := make([]byte, 0, len(stream)+len(uuid)+len(ext)+32)
	b = append(b, stream...)
	b = append(b, '-')
	b = strconv.AppendInt(b, int64(version), 10)
	b = t.AppendFormat(b, "-2006-01-02-15-04-05-")
	b = append(b, uuid...)
	return string(append(b, ext...))
}

// clip shortens what a message quotes.
func clip(s string) string {
	const limit = 60
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
