package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// The limits of a schema file.
const (
	maxFileBytes = 4 << 20
	maxFileDepth = 200    // of its JSON
	maxFileTypes = 50_000 // that it may come to, when all references are followed
)

// node is a JSON value that remembers the order of its members and where it stands.
type node struct {
	kind    byte // { [ " 0 t n: an object, an array, a string, a number, true or false, null
	text    string
	flag    bool
	items   []*node
	members []member
	offset  int64
}

type member struct {
	key   string
	value *node
}

// get is the member of an object, nil when there is none.
func (n *node) get(key string) *node {
	for _, m := range n.members {
		if m.key == key {
			return m.value
		}
	}
	return nil
}

// str is the text of the member when that is a string.
func (n *node) str(key string) string {
	if v := n.get(key); v != nil && v.kind == '"' {
		return v.text
	}
	return ""
}

func (n *node) what() string {
	switch n.kind {
	case '{':
		return "an object"
	case '[':
		return "an array"
	case '"':
		return "the string " + quote(n.text)
	case 't':
		return fmt.Sprint(n.flag)
	case 'n':
		return "null"
	}
	return "the number " + quote(n.text)
}

// fileError is trouble at an offset of the file.
type fileError struct {
	offset int64
	err    error
}

func (e *fileError) Error() string { return e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

func failAt(n *node, format string, args ...any) error {
	return &fileError{n.offset, fmt.Errorf(format, args...)}
}

// readTree reads one JSON value. An object that has a key twice is an error.
func readTree(b []byte) (*node, error) {
	if len(b) > maxFileBytes {
		return nil, fmt.Errorf("a schema file may have %d bytes, this one has %d", maxFileBytes, len(b))
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if len(bytes.TrimSpace(b)) == 0 {
		return nil, errors.New("the file is empty")
	}
	if !utf8.Valid(b) {
		return nil, errors.New("not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	n, err := readValue(d, 0)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return n, nil
		}
		if err == nil {
			err = errors.New("more text follows the schema")
		}
	}
	return nil, asFileError(d, err)
}

// asFileError adds the offset where reading ended, unless the error knows a better one.
func asFileError(d *json.Decoder, err error) error {
	var at *fileError
	if errors.As(err, &at) {
		return err
	}
	offset := d.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = syntax.Offset
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the file ends in the middle of its JSON")
	}
	return &fileError{offset, fmt.Errorf("not JSON: %w", err)}
}

func readValue(d *json.Decoder, depth int) (*node, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	n := &node{offset: d.InputOffset()}
	switch v := tok.(type) {
	case json.Delim:
		n.kind = byte(v)
		if depth++; depth > maxFileDepth {
			return nil, failAt(n, "nested deeper than %d", maxFileDepth)
		}
		return n, readParts(d, n, depth)
	case string:
		n.kind, n.text = '"', v
	case json.Number:
		n.kind, n.text = '0', v.String()
	case bool:
		n.kind, n.flag = 't', v
	default:
		n.kind = 'n'
	}
	return n, nil
}

func readParts(d *json.Decoder, n *node, depth int) error {
	seen := make(map[string]bool)
	for d.More() {
		var key string
		if n.kind == '{' {
			tok, err := d.Token()
			if err != nil {
				return err
			}
			key, _ = tok.(string) // the decoder lets nothing else be a key
			if seen[key] {
				return &fileError{d.InputOffset(), fmt.Errorf("an object has the key %s twice", quote(key))}
			}
			seen[key] = true
		}
		v, err := readValue(d, depth)
		if err != nil {
			return err
		}
		if n.kind == '{' {
			n.members = append(n.members, member{key, v})
		} else {
			n.items = append(n.items, v)
		}
	}
	_, err := d.Token()
	return err
}
