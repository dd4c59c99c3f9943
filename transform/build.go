package transform

import (
	"fmt"
	"slices"
	"time"

	"hydrant/config"
	"hydrant/config/prefix"
)

// builder makes the steps of one chain.
type builder struct {
	stream config.Stream
	keys   []prefix.Key
	zone   *time.Location
	steps  []processor
	last   *partition // the last step that reads the record as JSON
}

func (b *builder) build() ([]processor, error) {
	for i, p := range b.stream.Processors {
		if i < stagedCount(b.stream.Processors) {
			continue // NewStaged's
		}
		s, err := b.step(p)
		if err != nil {
			return nil, fmt.Errorf("processor %d: %w", i+1, err)
		}
		if s != nil {
			b.steps = append(b.steps, s)
		}
	}
	if err := b.checkKeys(); err != nil {
		return nil, err
	}
	return b.steps, b.eventTime()
}

// step makes one processor; nil for one that leaves records as they are.
func (b *builder) step(p config.Processor) (processor, error) {
	switch {
	case p.Decompress != "":
		return newDecompress(p.Decompress)
	case p.CloudWatchLogs != nil:
		return newLogs(p.CloudWatchLogs.Extract)
	case p.Deaggregate != nil:
		return newDeaggregate(*p.Deaggregate)
	case p.Partition != nil:
		return b.partition(p.Partition)
	case p.AppendDelimiter != "":
		return appendDelimiter(p.AppendDelimiter), nil
	case p.JQ != "":
		return newJQ(p.JQ)
	case p.Filter != nil:
		return newFilter(p.Filter)
	case p.Redact != nil:
		return newRedact(p.Redact)
	case p.Set != nil:
		return newSet(p.Set)
	case p.Rename != nil:
		return newRename(p.Rename)
	case p.Drop != nil:
		return newDrop(p.Drop)
	case p.Parse != nil:
		return newParse(p.Parse)
	case p.Timestamp != nil:
		return newTimestamp(p.Timestamp)
	case p.Sample != nil:
		return newSample(p.Sample)
	}
	return nil, errNoStep
}

func (b *builder) partition(queries []config.PartitionQuery) (processor, error) {
	s := &partition{keys: len(b.keys)}
	for _, q := range queries {
		code, err := compile(q.Query)
		if err != nil {
			return nil, fmt.Errorf("partition key %s: %w", q.Name, err)
		}
		f := finder{name: q.Name, query: code, fallback: b.fallback(q.Name)}
		for i, k := range b.keys {
			if k.Namespace == prefix.FromQuery && k.Name == q.Name {
				f.slots = append(f.slots, i)
			}
		}
		if f.slots != nil { // one that the prefix does not use need not run
			s.finders = append(s.finders, f)
		}
	}
	if s.finders == nil {
		return nil, nil
	}
	s.plant()
	b.last = s
	return s, nil
}

func (b *builder) fallback(name string) string {
	if b.stream.Partitioning == nil {
		return ""
	}
	return b.stream.Partitioning.Defaults[name]
}

// checkKeys sees that each key of the prefix has a processor that finds its value.
func (b *builder) checkKeys() error {
	for _, k := range b.keys {
		switch k.Namespace {
		case prefix.FromQuery:
			if !slices.ContainsFunc(b.stream.Processors, func(p config.Processor) bool {
				return slices.ContainsFunc(p.Partition, func(q config.PartitionQuery) bool { return q.Name == k.Name })
			}) {
				return fmt.Errorf("the prefix uses !{%s:%s}, and no partition processor names it", k.Namespace, k.Name)
			}
		case prefix.EventTime: // eventTime sees to it
		case prefix.FromLambda:
			if !slices.ContainsFunc(b.stream.Processors, func(p config.Processor) bool { return p.Lambda != nil }) {
				return fmt.Errorf("the prefix uses !{%s:%s}, and no processor gives partition keys from Lambda", k.Namespace, k.Name)
			}
		default:
			return fmt.Errorf("the prefix uses !{%s:%s}: unknown namespace", k.Namespace, k.Name)
		}
	}
	return nil
}

// eventTime lets the last step that reads records as JSON find the event time too. Without one, a step of its
// own does, in front of the delimiters that end the chain: behind them a record need not be JSON any more.
func (b *builder) eventTime() error {
	var e eventTime
	for i, k := range b.keys {
		if k.Namespace != prefix.EventTime {
			continue
		}
		p, err := prefix.ParsePattern(k.Name)
		if err != nil {
			return fmt.Errorf("!{eventTime:%s}: %w", k.Name, err)
		}
		e.shapes = append(e.shapes, shape{slot: i, pattern: p})
	}
	if e.shapes == nil {
		return nil
	}
	if b.stream.Partitioning == nil || b.stream.Partitioning.EventTime == nil {
		return fmt.Errorf("the prefix uses !{eventTime:...}, and partitioning.event_time does not say where a record has its time")
	}
	if err := e.configure(*b.stream.Partitioning.EventTime, b.zone); err != nil {
		return fmt.Errorf("event time: %w", err)
	}
	if b.last == nil {
		b.last = &partition{keys: len(b.keys)}
		b.steps = slices.Insert(b.steps, b.behindData(), processor(b.last))
	}
	b.last.event = &e
	b.last.plant()
	return nil
}

func (b *builder) behindData() int {
	n := len(b.steps)
	for n > 0 {
		if _, ok := b.steps[n-1].(appendDelimiter); !ok {
			break
		}
		n--
	}
	return n
}
