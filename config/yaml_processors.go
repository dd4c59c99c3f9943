package config

import (
	"fmt"
	"regexp"
	"slices"

	"gopkg.in/yaml.v3"
)

// The processors of YAML, as they are named there.
const (
	stepDecompress      = "decompress"
	stepCloudWatchLogs  = "cloudwatch_logs"
	stepDeaggregate     = "deaggregate"
	stepPartition       = "partition"
	stepAppendDelimiter = "append_delimiter"
)

// list gives the elements of a list; none when it is absent or was reported.
func (s *section) list(key string) []*yaml.Node {
	n, ok := s.values[key]
	if !ok {
		return nil
	}
	path := s.sub(key)
	at := n
	switch n = s.r.resolve(n, path); {
	case n == nil || isNull(n):
		return nil
	case n.Kind != yaml.SequenceNode:
		s.r.fail(at, path, "is %s; write a list", kindName(n))
		return nil
	case !s.r.spend(len(n.Content)):
		return nil
	}
	return n.Content
}

// texts reads a list of single values.
func (s *section) texts(key string, to *[]string) {
	for i, n := range s.list(key) {
		path := fmt.Sprintf("%s[%d]", s.sub(key), i)
		s.r.places[path] = n
		if _, v, ok := s.r.scalar(n, path); ok {
			*to = append(*to, v)
		}
	}
}

// isScalar says whether the key has a single value in place of a section.
func (s *section) isScalar(key string) bool {
	n, ok := s.values[key]
	if !ok {
		return false
	}
	n = s.r.resolve(n, s.sub(key))
	return n != nil && n.Kind == yaml.ScalarNode && !isNull(n)
}

func (s *section) processors(st *Stream) {
	for i, n := range s.list("processors") {
		st.Processors = append(st.Processors, s.r.processor(n, fmt.Sprintf("%s[%d]", s.sub("processors"), i)))
	}
}

// processor reads one element of the list, which names one processor.
func (r *reader) processor(n *yaml.Node, path string) Processor {
	s := r.section(n, path, append(steps(), laterSteps()...)...)
	switch {
	case s == nil || len(s.keys) == 0:
		if !r.bad[path] {
			r.fail(n, path, "is empty; write one processor, such as decompress: gzip")
		}
		return Processor{}
	case len(s.keys) > 1:
		r.fail(s.keys[s.order[1]], path, "has %d processors (%s); put a dash before each", len(s.keys), joinWords(s.order))
		return Processor{}
	}
	name := s.order[0]
	if slices.Contains(laterSteps(), name) {
		s.unsupported(name, "remove it")
	}
	p := s.step(name)
	if p.kind() == "" {
		r.bad[path] = true // reported, or empty
		if !r.bad[s.sub(name)] {
			r.fail(s.keys[name], s.sub(name), "is empty; %s", exampleOf(name))
		}
	}
	return p
}

func exampleOf(step string) string {
	if k, _ := stepKindOf(step); k.example != "" {
		return k.example
	}
	return "write a value"
}

// step reads the processor of that name.
func (s *section) step(name string) Processor {
	var p Processor
	if k, ok := stepKindOf(name); ok {
		k.read(s, name, &p)
	}
	return p
}

func (s *section) cloudWatchLogs(name string, p *Processor) {
	p.CloudWatchLogs = &CloudWatchLogs{Extract: extractMessage}
	if sec := s.section(name, "extract"); sec != nil {
		sec.text("extract", &p.CloudWatchLogs.Extract)
	}
}

func (s *section) deaggregate(key string) *Deaggregate {
	d := &Deaggregate{}
	if s.isScalar(key) {
		s.text(key, &d.Type)
		if d.Type == deaggregateDelimited {
			s.r.fail(s.values[key], s.sub(key), "needs its delimiter; write {type: delimited, delimiter: TEXT}")
		}
		return d
	}
	sec := s.section(key, "type", "delimiter")
	if sec == nil || len(sec.keys) == 0 {
		return nil
	}
	sec.text("type", &d.Type)
	sec.delimiter("delimiter", &d.Delimiter)
	return d
}

var bareEscapes = regexp.MustCompile(`^(\\[nrt])+$`)

// delimiter reads a text in which escapes that YAML left alone are a mistake.
func (s *section) delimiter(key string, to *string) {
	n, v, ok := s.scalar(key)
	switch {
	case !ok:
	case bareEscapes.MatchString(v):
		s.r.fail(n, s.sub(key), `%s is a backslash and a letter here; put it in double quotes, "%s", for the character`, v, v)
	default:
		*to = v
	}
}

// queries reads partition keys in the order in which they are written.
func (s *section) queries(key string) []PartitionQuery {
	sec := s.r.free(s.values[key], s.sub(key))
	if sec == nil {
		return nil
	}
	var out []PartitionQuery
	for _, name := range sec.order {
		q := PartitionQuery{Name: name}
		sec.text(name, &q.Query)
		out = append(out, q)
	}
	return out
}

func (s *section) partitioning(st *Stream) {
	sec := s.section("partitioning", "max_active", "defaults", "event_time")
	if sec == nil {
		return
	}
	p := &Partitioning{}
	st.Partitioning = p
	sec.integer("max_active", &p.MaxActive)
	if n, ok := sec.values["defaults"]; ok {
		if d := s.r.free(n, sec.sub("defaults")); d != nil {
			p.Defaults = map[string]string{}
			for _, k := range d.order {
				if _, v, ok := d.scalar(k); ok {
					p.Defaults[k] = v
				}
			}
		}
	}
	if _, ok := sec.keys["event_time"]; !ok {
		return
	}
	p.EventTime = &EventTime{}
	if sec.isScalar("event_time") {
		sec.text("event_time", &p.EventTime.Field)
		return
	}
	if e := sec.section("event_time", "field", "formats"); e != nil {
		e.text("field", &p.EventTime.Field)
		e.texts("formats", &p.EventTime.Formats)
	}
}
