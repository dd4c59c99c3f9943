package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"hydrant/config/prefix"
)

// Limits of processors and partitioning.
const (
	maxDelimiterBytes = 64
	maxPartitionKeys  = prefix.MaxKeys
	maxActive         = 1_000_000
	maxFormats        = 20

	extractMessage       = "message"
	deaggregateJSON      = "json"
	deaggregateDelimited = "delimited"
)

// Partitioned says whether records are parted into objects by their content: by keys that are found in them, or by their own time.
func (s Stream) Partitioned() bool {
	return s.partitionStep() >= 0 || s.Partitioning != nil && s.Partitioning.EventTime != nil || s.hook() != nil && s.usesHookKeys()
}

// hook is the processor lambda; nil without one.
func (s Stream) hook() *Lambda {
	for _, p := range s.Processors {
		if p.Lambda != nil {
			return p.Lambda
		}
	}
	return nil
}

// usesHookKeys says whether the prefix has keys that the hook's answers give.
func (s Stream) usesHookKeys() bool {
	if s.Destination.S3 == nil {
		return false
	}
	main, err := prefix.Parse(s.Destination.S3.Prefix, prefix.Main)
	return err == nil && slices.ContainsFunc(main.Keys(), func(k prefix.Key) bool { return k.Namespace == prefix.FromLambda })
}

// partitionStep is the index of the partition processor; -1: there is none.
func (s Stream) partitionStep() int {
	return slices.IndexFunc(s.Processors, func(p Processor) bool { return len(p.Partition) > 0 })
}

// checkProcessors: each at most once unless it may be repeated, in an order in which each can do its work.
func (s *Stream) checkProcessors(r *report) {
	seen := map[string]bool{}
	for i := range s.Processors {
		p, path := &s.Processors[i], fmt.Sprintf("processors[%d]", i)
		kind := p.kind()
		again, _ := stepKindOf(kind)
		switch {
		case kind == "":
			r.add(path, "names no processor; use one of %s", joinWords(steps()))
			continue
		case seen[kind] && !again.repeats:
			r.add(path, "%s stands here a second time; a stream has each processor once", kind)
			continue
		}
		if problem := s.misplaced(i, kind, seen); problem != "" {
			r.add(path, "%s %s", kind, problem)
		}
		seen[kind] = true
		p.check(r, path)
	}
}

// misplaced says what is wrong with where a processor stands; "" for nothing.
func (s *Stream) misplaced(i int, kind string, seen map[string]bool) string {
	switch kind {
	case stepDecompress:
		if i > 0 {
			return "must be the first processor; the others work on what it unpacks"
		}
	case stepCloudWatchLogs:
		if i == 0 || s.Processors[i-1].kind() != stepDecompress {
			return "needs decompress: gzip directly before it; CloudWatch Logs sends gzip"
		}
	case stepDeaggregate:
		if seen[stepPartition] {
			return "must stand before partition; keys are looked for in the records that it makes"
		}
	case stepAppendDelimiter:
		switch {
		case i < len(s.Processors)-1:
			return "must be the last processor"
		case s.Format == FormatParquet || s.Format == FormatJSONArray:
			return fmt.Sprintf("has no place in format %s, which separates records by itself; remove it", s.Format)
		}
	}
	return ""
}

func (d *Deaggregate) check(r *report, path string) {
	switch d.Type {
	case deaggregateJSON:
		if d.Delimiter != "" {
			r.add(path+".delimiter", "is only for type: delimited; write that, or remove it")
		}
	case deaggregateDelimited:
		if d.Delimiter == "" {
			r.add(path+".delimiter", "is missing; write the text between two records")
			return
		}
		checkDelimiter(r, path+".delimiter", d.Delimiter)
	default:
		r.oneOf(path+".type", d.Type, deaggregateJSON, deaggregateDelimited)
	}
}

func checkDelimiter(r *report, path, text string) {
	if len(text) > maxDelimiterBytes {
		r.add(path, "has %d bytes; use at most %d", len(text), maxDelimiterBytes)
	}
}

var partitionName = regexp.MustCompile(`^[A-Za-z0-9_]{1,128}$`)

func checkQueries(r *report, path string, queries []PartitionQuery) {
	if len(queries) > maxPartitionKeys {
		r.add(path, "%d keys are above the limit %d; remove some", len(queries), maxPartitionKeys)
	}
	seen := map[string]bool{}
	for _, q := range queries {
		switch {
		case !partitionName.MatchString(q.Name):
			r.add(path, "%q is no name of a key; use 1 to 128 letters, digits and _", clip(q.Name))
			continue
		case seen[q.Name]:
			r.add(path, "the key %s stands here twice", q.Name)
			continue
		}
		seen[q.Name] = true
		if err := checkQuery(q.Query); err != nil {
			r.add(path+"."+q.Name, "%s", err)
		}
	}
}

// checkPartitioning: every partition expression of the prefix has what it needs, and every key is used, as in Firehose.
func (s *Stream) checkPartitioning(r *report) {
	s.Partitioning.check(r, s.queries())
	if s.Partitioning != nil && !s.Partitioned() {
		r.add("partitioning", "has nothing to partition by; add the processor partition: {KEY: .PATH}, or event_time here")
	}
	if s.Destination.S3 == nil {
		return
	}
	main, err := prefix.Parse(s.Destination.S3.Prefix, prefix.Main)
	if err != nil {
		return // reported with the destination
	}
	keys := main.Keys()
	for _, k := range keys {
		s.checkKey(r, k)
	}
	for _, q := range s.queries() {
		if k := (prefix.Key{Namespace: prefix.FromQuery, Name: q.Name}); partitionName.MatchString(q.Name) && !slices.Contains(keys, k) {
			r.add(fmt.Sprintf("processors[%d].partition.%s", s.partitionStep(), q.Name), "is not used; put %s into destination.s3.prefix, or remove the key", k)
		}
	}
	byTime := slices.ContainsFunc(keys, func(k prefix.Key) bool { return k.Namespace == prefix.EventTime })
	if !byTime && s.Partitioning != nil && s.Partitioning.EventTime != nil {
		r.add("partitioning.event_time", "is not used; put an expression such as !{eventTime:yyyy/MM/dd} into destination.s3.prefix, or remove it")
	}
}

func (s *Stream) queries() []PartitionQuery {
	if i := s.partitionStep(); i >= 0 {
		return s.Processors[i].Partition
	}
	return nil
}

// checkKey sees that a partition expression of the prefix has its value from somewhere.
func (s *Stream) checkKey(r *report, k prefix.Key) {
	const path = "destination.s3.prefix"
	switch k.Namespace {
	case prefix.FromLambda:
		if s.hook() == nil {
			r.add(path, "%s needs the processor lambda, whose answers have the key; add it, or use partitionKeyFromQuery", k)
		}
	case prefix.EventTime:
		if s.Partitioning == nil || s.Partitioning.EventTime == nil {
			r.add(path, "%s needs to know where a record has its time; write partitioning: {event_time: .FIELD}, or use !{timestamp:...} for its arrival", k)
		}
	case prefix.FromQuery:
		named := func(q PartitionQuery) bool { return q.Name == k.Name }
		if !slices.ContainsFunc(s.queries(), named) {
			r.add(path, "%s has no key; add it to the processors: partition: {%s: .FIELD}", k, clip(k.Name))
		}
	}
}

func (p *Partitioning) check(r *report, queries []PartitionQuery) {
	if p == nil {
		return
	}
	if p.MaxActive < 0 || p.MaxActive > maxActive {
		r.add("partitioning.max_active", "%d is outside the limits; use 0 (no limit) to %d", p.MaxActive, maxActive)
	}
	for _, name := range slices.Sorted(maps.Keys(p.Defaults)) {
		value := p.Defaults[name]
		path := "partitioning.defaults." + name
		named := func(q PartitionQuery) bool { return q.Name == name }
		switch {
		case !slices.ContainsFunc(queries, named):
			r.add(path, "is no key of the processor partition; correct the name, or remove it")
		case value == "":
			r.add(path, "is empty; write the value that stands for a missing one")
		case len(prefix.AppendEscaped(nil, value)) > prefix.MaxValueBytes:
			r.add(path, "is longer than %d bytes as part of an object key; shorten it", prefix.MaxValueBytes)
		}
	}
	p.EventTime.check(r)
}

func (e *EventTime) check(r *report) {
	if e == nil {
		return
	}
	const path = "partitioning.event_time"
	if e.Field == "" {
		r.add(path, "names no field; write a path such as .timestamp")
	} else if err := checkQuery(e.Field); err != nil {
		r.add(path, "%s", err)
	}
	checkTimeFormats(r, path+".formats", e.Formats, "millis", "seconds")
}

// checkTimeFormats takes patterns and the given words.
func checkTimeFormats(r *report, path string, formats []string, words ...string) {
	if len(formats) > maxFormats {
		r.add(path, "%d formats are above the limit %d; remove some", len(formats), maxFormats)
		return
	}
	for i, f := range formats {
		if slices.Contains(words, f) {
			continue
		}
		if _, err := prefix.NewTimeParser(f); err != nil {
			r.add(fmt.Sprintf("%s[%d]", path, i), "%q is not one of %s, and no pattern of dates: %s", clip(f), strings.Join(words, ", "), err)
		}
	}
}
