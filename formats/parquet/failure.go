package parquet

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"hydrant/record"
)

// failureKind is why a record does not fit.
type failureKind uint8

const (
	failInternal failureKind = iota
	failSyntax
	failUTF8
	failDepth
	failEmpty
	failNoObject
	failUnknown
	failTwice
	failMisfit
	failNoColumns
)

// scratchFailure keeps what is needed to say why, without saying it: a record that makes the schema grow fails too.
type scratchFailure struct {
	kind failureKind
	node *node
	at   int // index of the value
	grow bool
}

// set notes a failure and returns broken.
func (f *scratchFailure) set(kind failureKind, n *node, at int) int {
	f.kind, f.node, f.at = kind, n, at
	return broken
}

// misfit notes that a scalar does not fit a scalar: a wider type would take it.
func (f *scratchFailure) misfit(n *node, at int, growing bool) int {
	f.grow = growing
	return f.set(failMisfit, n, at)
}

func (f *scratchFailure) skipped(s *skipper, at int) int {
	if s.deep {
		return f.set(failDepth, nil, at)
	}
	return f.set(failSyntax, nil, at)
}

// The codes of Firehose for records that were not converted.
const (
	codeParse     = "DataFormatConversion.ParseError"
	codeMalformed = "DataFormatConversion.MalformedData"
)

// failure makes the error for the record that was just taken back. Broken JSON counts before anything else, also behind
// the place where the record stopped to fit: no schema will ever take it.
func (e *Encoder) failure(data []byte) error {
	f := e.fail
	if broken := checkJSON(data); broken != "" {
		return &record.Failure{Type: record.ConversionFailed, Code: codeParse, Message: broken}
	}
	if f.grow {
		return ErrGrow
	}
	return &record.Failure{Type: record.ConversionFailed, Code: codeMalformed, Message: f.message(data)}
}

func (f *scratchFailure) message(data []byte) string {
	switch f.kind {
	case failEmpty:
		return "the record holds no JSON object"
	case failNoObject:
		return fmt.Sprintf("the record holds %s where a JSON object is wanted", describe(data, f.at))
	case failUnknown:
		return fmt.Sprintf("%s under the key %s, which has no column%s", describe(data, f.at), keyBefore(data, f.at), inside(f.node))
	case failTwice:
		return fmt.Sprintf("column %q: its key stands in an object twice", f.node.path)
	case failNoColumns:
		return "nothing is known of the columns, and the record says nothing of any"
	case failMisfit:
		return fmt.Sprintf("column %q: %s does not fit %s", f.node.path, describe(data, f.at), f.node.want)
	}
	return "the record could not be converted"
}

// keyBefore is the key of the value at i, as it stands in the record, or the beginning of it.
func keyBefore(data []byte, i int) string {
	head := bytes.TrimRight(data[:min(i, len(data))], " \t\r\n")
	head = bytes.TrimRight(bytes.TrimSuffix(head, []byte(":")), " \t\r\n")
	end := len(head)
	for at := end - 2; at >= 0; at-- {
		if head[at] == '"' && !escaped(head, at) {
			key := head[at:end]
			if len(key) > maxShown {
				return strings.ToValidUTF8(string(key[:maxShown]), "") + "…"
			}
			return string(key)
		}
	}
	return "?"
}

// escaped says whether an odd number of backslashes stands before a place.
func escaped(b []byte, at int) bool {
	n := 0
	for at--; at >= 0 && b[at] == '\\'; at-- {
		n++
	}
	return n%2 == 1
}

func inside(n *node) string {
	if n == nil || n.path == "" {
		return ""
	}
	return fmt.Sprintf(" in %q", n.path)
}

// maxShown is how many bytes of a value a message shows.
const maxShown = 40

// describe names the value at i: its kind, and the beginning of a scalar.
func describe(data []byte, i int) string {
	if i >= len(data) {
		return "nothing"
	}
	kind := "the number"
	switch data[i] {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case 'n':
		return "null"
	case '"':
		kind = "the string"
	case 't', 'f':
		kind = "the boolean"
	}
	end := scanScalar(data, i)
	if end == broken {
		return "a value"
	}
	s := data[i:end]
	if len(s) > maxShown {
		n := maxShown - len("…")
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		return kind + " " + string(s[:n]) + "…"
	}
	return kind + " " + string(s)
}

// checkJSON says what is wrong with the text of a record: values of JSON one behind the other. Nothing is wrong: "".
func checkJSON(b []byte) string {
	if !utf8.Valid(b) {
		at := 0
		for at < len(b) {
			r, n := utf8.DecodeRune(b[at:])
			if r == utf8.RuneError && n == 1 {
				break
			}
			at += n
		}
		return fmt.Sprintf("byte %d of the record is not UTF-8", at)
	}
	for i := skipSpace(b, 0); i < len(b); i = skipSpace(b, i) {
		s := skipper{}
		if i = s.skip(b, i, 0); i == broken {
			if s.deep {
				return fmt.Sprintf("the record is nested more than %d levels deep", maxDepth)
			}
			return fmt.Sprintf("the record is not JSON at byte %d", s.at)
		}
	}
	return ""
}
