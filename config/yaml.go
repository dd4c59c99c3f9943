package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFileBytes bounds a configuration file.
const maxFileBytes = 4 << 20

// Load reads and checks a configuration file. ${NAME} in values is taken from the environment.
// When the file can be read but is wrong, the error is Problems: all that is wrong, not only the first.
func Load(file string) (*Config, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(data, file, os.LookupEnv)
}

// Parse is Load for a file that was read already: name is for messages and the place from which the schema
// files that it names are found, env looks up variables. An empty file is the same as Default.
func Parse(data []byte, name string, env func(string) (string, bool)) (*Config, error) {
	if len(data) > maxFileBytes {
		return nil, Problems{{File: name, Message: "is larger than the limit " + Bytes(maxFileBytes).String()}}
	}
	return parse(data, &reader{file: name, dir: filepath.Dir(name), env: env})
}

func parse(data []byte, r *reader) (*Config, error) {
	r.places, r.bad, r.schemas = map[string]*yaml.Node{}, map[string]bool{}, map[string]schemaFile{}
	root := r.document(data)
	c := Default()
	c.File = r.file
	if root != nil {
		r.config(root, c)
	}
	r.check(c)
	if len(r.problems) > 0 {
		r.problems.sort()
		return nil, r.problems
	}
	for i := range c.Streams {
		c.Streams[i].Normalize()
	}
	return c, nil
}

// reader walks the nodes of one file and collects what is wrong.
type reader struct {
	file     string
	dir      string // where paths in the file begin
	env      func(string) (string, bool)
	problems Problems
	places   map[string]*yaml.Node // where each field's value stands
	bad      map[string]bool       // fields that were not read; checks of them would only repeat
	visited  int
	schemas  map[string]schemaFile // by path
}

// maxVisited bounds the values of a file with its aliases followed, so that a few
// lines of aliases of aliases cost nothing.
const maxVisited = 500_000

func (r *reader) fail(n *yaml.Node, path, format string, args ...any) {
	p := &Problem{File: r.file, Path: path, Message: fmt.Sprintf(format, args...)}
	if n != nil {
		p.Line, p.Col = n.Line, n.Column
	}
	r.problems = append(r.problems, p)
	r.bad[path] = true
}

// document gives the top node, nil for an empty file or after a failure.
func (r *reader) document(data []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := decode(dec, &doc); err != nil {
		if !errors.Is(err, io.EOF) {
			r.syntax(data, err)
		}
		return nil
	}
	if err := decode(dec, &more); err == nil {
		r.fail(&more, "", "a second document begins here; one file holds one configuration")
	} else if !errors.Is(err, io.EOF) {
		r.syntax(data, err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

// decode guards against a parser that gives up by panicking.
func decode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("yaml: %v", v)
		}
	}()
	return dec.Decode(n)
}

// bareExpression is a prefix expression at the start of an unquoted value.
var bareExpression = regexp.MustCompile(`:[ \t]+!\{`)

var syntaxLine = regexp.MustCompile(`^yaml: line (\d+): `)

// syntax reports what the parser could not read. Tabs are the usual reason, and hard to see.
func (r *reader) syntax(data []byte, err error) {
	p := &Problem{File: r.file, Message: "not valid YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	r.problems = append(r.problems, p)
	if m := syntaxLine.FindStringSubmatch(err.Error()); m != nil {
		p.Line, _ = strconv.Atoi(m[1])                                              // digits; an overflow leaves 0, which is unknown
		p.Message = "not valid YAML here or just below: " + err.Error()[len(m[0]):] // the parser's lines are one off at times
	}
	for i, line := range strings.Split(string(data), "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if tab := strings.IndexByte(indent, '\t'); tab >= 0 && strings.TrimSpace(line) != "" {
			p.Line, p.Col = i+1, tab+1
			p.Message = "a tab is used to indent; YAML wants spaces"
			return
		}
		if at := bareExpression.FindStringIndex(line); at != nil {
			p.Line, p.Col = i+1, at[1]-1
			p.Message = "a value that begins with !{ must stand in quotes; YAML takes it for a tag"
			return
		}
	}
	if line, col, ok := bareVariable(string(data), p.Line); ok {
		p.Line, p.Col = line, col
		p.Message = "${ within {...} or [...] must stand in quotes; YAML takes its brace for a section's"
	}
}

// bareVariable finds a ${ without quotes inside of a mapping or list in brackets, at most a line away from near, which is 0 when unknown.
func bareVariable(text string, near int) (line, col int, ok bool) {
	depth, quote := 0, byte(0)
	for i, one := range strings.Split(text, "\n") {
		for at := 0; at < len(one); at++ {
			c := one[at]
			begins := at == 0 || strings.IndexByte(" \t,:{[", one[at-1]) >= 0 // of a value or a comment
			switch {
			case quote == '"' && c == '\\':
				at++
			case quote != 0:
				if c == quote {
					quote = 0
				}
			case begins && c == '#':
				at = len(one)
			case begins && (c == '"' || c == '\''):
				quote = c
			case depth > 0 && strings.HasPrefix(one[at:], "${") && (near == 0 || max(near-i-1, i+1-near) <= 1):
				return i + 1, at + 1, true
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				depth = max(0, depth-1)
			}
		}
	}
	return 0, 0, false
}

// check runs the rules over what was read and finds their places.
func (r *reader) check(c *Config) {
	for _, err := range c.Check() {
		var f *FieldError
		if !errors.As(err, &f) {
			r.fail(nil, "", "%v", err)
			continue
		}
		if n, ok := r.place(f.Path); ok {
			p := &Problem{File: r.file, Path: f.Path, Message: f.Message}
			if n != nil {
				p.Line, p.Col = n.Line, n.Column
			}
			r.problems = append(r.problems, p)
		}
	}
}

// place finds the node of a field, or of the nearest section around it; false: it was reported already.
func (r *reader) place(path string) (*yaml.Node, bool) {
	for {
		if r.bad[path] {
			return nil, false
		}
		if n := r.places[path]; n != nil {
			return n, true
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return nil, true
		}
		path = path[:i]
	}
}

// spend counts values that are looked at; false: there were too many, which is reported once.
func (r *reader) spend(n int) bool {
	within := r.visited <= maxVisited
	r.visited += n
	if within && r.visited > maxVisited {
		r.fail(nil, "", "the file holds too many values when its aliases are followed")
	}
	return r.visited <= maxVisited
}

// resolve follows an alias; nil: it was refused.
func (r *reader) resolve(n *yaml.Node, path string) *yaml.Node {
	if !r.spend(1) {
		return nil
	}
	for hops := 0; n.Kind == yaml.AliasNode; hops++ {
		if hops == 10 || n.Alias == nil {
			r.fail(n, path, "an alias leads nowhere")
			return nil
		}
		n = n.Alias
	}
	return n
}

// variable is ${NAME}, or $${ for a literal ${.
var variable = regexp.MustCompile(`\$\$\{|\$\{[^}]*\}?`)

var variableName = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// expand puts environment variables into a value. What they hold is not expanded again.
func expand(s string, env func(string) (string, bool)) (string, error) {
	var failed error
	out := variable.ReplaceAllStringFunc(s, func(m string) string {
		if m == "$${" {
			return "${"
		}
		name := variableName.FindStringSubmatch(m)
		if name == nil {
			failed = errors.Join(failed, fmt.Errorf("%q is no variable; write ${NAME}, or $${ for the text itself", clip(m)))
			return ""
		}
		v, ok := env(name[1])
		if !ok {
			failed = errors.Join(failed, fmt.Errorf("the environment variable %s is not set", name[1]))
		}
		return v
	})
	return out, failed
}
