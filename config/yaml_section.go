package config

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// section is one mapping of the file, its keys checked.
type section struct {
	r      *reader
	path   string
	values map[string]*yaml.Node
	keys   map[string]*yaml.Node
	order  []string // the keys as they are written, merged ones behind
}

// section reads a mapping that may hold the legal keys; any other is reported. nil: there is none.
func (r *reader) section(n *yaml.Node, path string, legal ...string) *section {
	s := r.free(n, path)
	if s == nil {
		return nil
	}
	for name, key := range s.keys {
		if !slices.Contains(legal, name) {
			hint := didYouMean(name, legal)
			if hint == "" {
				hint = "; the keys here are " + strings.Join(legal, ", ")
			}
			r.fail(key, s.sub(name), "unknown key%s", hint)
		}
	}
	return s
}

// free reads a mapping whose keys are the user's. nil: there is none.
func (r *reader) free(n *yaml.Node, path string) *section {
	n = r.mapping(n, path)
	if n == nil {
		return nil
	}
	s := &section{r: r, path: path, values: map[string]*yaml.Node{}, keys: map[string]*yaml.Node{}}
	s.collect(n, 0)
	return s
}

// mapping gives the node when it is one; null counts as absent.
func (r *reader) mapping(n *yaml.Node, path string) *yaml.Node {
	at := n
	if n = r.resolve(n, path); n == nil || isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.fail(at, path, "is %s; write keys and values here", kindName(n))
		return nil
	}
	if path != "" {
		r.places[path] = n
	}
	return n
}

func (s *section) sub(key string) string {
	if s.path == "" {
		return clip(key)
	}
	return s.path + "." + clip(key)
}

const maxMergeDepth = 8

// collect takes the keys of a mapping, then those that it merges in (<<), which never replace.
func (s *section) collect(n *yaml.Node, depth int) {
	if !s.r.spend(len(n.Content)) {
		return
	}
	seen := map[string]int{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.Tag == "!!merge" {
			merges = append(merges, value)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			s.r.fail(key, s.path, "a key must be a plain text")
			continue
		}
		if line, twice := seen[key.Value]; twice {
			s.r.fail(key, s.sub(key.Value), "stands here a second time; the first is in line %d", line)
			continue
		}
		seen[key.Value] = key.Line
		if _, own := s.values[key.Value]; own {
			continue // merged in, and the section has its own
		}
		s.values[key.Value], s.keys[key.Value] = value, key
		s.order = append(s.order, key.Value)
		s.r.places[s.sub(key.Value)] = value
	}
	for _, m := range merges {
		s.merge(m, depth+1)
	}
}

func (s *section) merge(n *yaml.Node, depth int) {
	if n = s.r.resolve(n, s.path); n == nil {
		return
	}
	if depth > maxMergeDepth {
		s.r.fail(n, s.path, "merges (<<) are nested too deeply")
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		s.collect(n, depth)
	case yaml.SequenceNode:
		for _, one := range n.Content {
			s.merge(one, depth+1)
		}
	default:
		s.r.fail(n, s.path, "<< must name a section")
	}
}

// scalar gives the text of a value with variables put in.
func (s *section) scalar(key string) (n *yaml.Node, text string, ok bool) {
	n, ok = s.values[key]
	if !ok {
		return nil, "", false
	}
	return s.r.scalar(n, s.sub(key))
}

func (r *reader) scalar(n *yaml.Node, path string) (*yaml.Node, string, bool) {
	at, text, ok := r.literal(n, path)
	if !ok {
		return nil, "", false
	}
	text, err := expand(text, r.env)
	if err != nil {
		r.fail(at, path, "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return nil, "", false
	}
	return at, text, true
}

// literal gives the text of a value as it is written.
func (r *reader) literal(n *yaml.Node, path string) (*yaml.Node, string, bool) {
	at := n
	if n = r.resolve(n, path); n == nil {
		return nil, "", false
	}
	switch {
	case n.Kind != yaml.ScalarNode:
		r.fail(at, path, "is %s; write one value", kindName(n))
	case isNull(n):
		r.fail(at, path, "has no value; write one, or remove the key")
	case strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!"):
		r.fail(at, path, "begins with !, which YAML takes for a tag; put the value in quotes")
	case n.Tag == "!!binary":
		r.fail(at, path, "binary values are not allowed")
	default:
		return at, n.Value, true
	}
	return nil, "", false
}

func (s *section) text(key string, to *string) {
	n, v, ok := s.scalar(key)
	if !ok {
		return
	}
	if s.r.resolved(n).Tag == "!!bool" {
		s.r.fail(n, s.sub(key), "%q is true or false; put quotes around it if it is meant as text", v)
		return
	}
	*to = v
}

func (r *reader) resolved(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

func (s *section) bytes(key string, to *Bytes) {
	if n, v, ok := s.scalar(key); ok {
		b, err := ParseBytes(v)
		if err != nil {
			s.r.fail(n, s.sub(key), "%s", err)
			return
		}
		*to = b
	}
}

func (s *section) duration(key string, to *Duration) {
	if n, v, ok := s.scalar(key); ok {
		d, err := ParseDuration(v)
		if err != nil {
			s.r.fail(n, s.sub(key), "%s", err)
			return
		}
		*to = d
	}
}

func (s *section) integer(key string, to *int) {
	if n, v, ok := s.scalar(key); ok {
		i, err := strconv.Atoi(v)
		if err != nil {
			s.r.fail(n, s.sub(key), "%q is no whole number", clip(v))
			return
		}
		*to = i
	}
}

func (s *section) boolean(key string, to **bool) {
	if n, v, ok := s.scalar(key); ok {
		if v != "true" && v != "false" {
			s.r.fail(n, s.sub(key), "%q is neither true nor false", clip(v))
			return
		}
		b := v == "true"
		*to = &b
	}
}

// unsupported reports a key of the documented language that this version cannot act on.
func (s *section) unsupported(key, instead string) {
	if k, ok := s.keys[key]; ok {
		s.r.fail(k, s.sub(key), "not supported by this version; %s", instead)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}
