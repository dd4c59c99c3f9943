package transform

import (
	"fmt"

	"hydrant/internal/bodies/strictjson"
	"hydrant/record"
)

// extractMessages makes a record of the message of each event in a CloudWatch Logs payload: a JSON object that holds
// messageType and logEvents. Several payloads may stand behind each other in a record. Probes that
// CloudWatch Logs sends to see whether somebody listens (CONTROL_MESSAGE) are dropped.
type extractMessages struct {
	scan             scanner // over the record
	event            scanner // over one event
	payload, message *node
}

// Slots of the fields that are read.
const (
	slotType   = 0
	slotEvents = 1
	slotText   = 0
)

func newLogs(extract string) (*extractMessages, error) {
	if extract != "message" {
		return nil, fmt.Errorf("cloudwatch_logs: extract %q is not supported; there is message", clip(extract, 40))
	}
	s := &extractMessages{}
	s.payload, _, _ = plant([][]string{{"messageType"}, {"logEvents"}})
	s.message, _, _ = plant([][]string{{"message"}})
	s.scan.found, s.event.found = make([]found, 2), make([]found, 1)
	return s, nil
}

func (s *extractMessages) process(p part, out *output) {
	before := len(out.list)
	if why := s.extract(p, out); why != "" {
		out.cut(before)
		out.fail(p, failed(record.ProcessingFailed, codeLogs, "not a CloudWatch Logs payload: %s", why))
	}
	s.scan.b, s.event.b = nil, nil
}

func (s *extractMessages) extract(p part, out *output) (why string) {
	c := &s.scan
	c.b = p.data
	i := c.space(0)
	if i == len(c.b) {
		return "the record is empty"
	}
	for i < len(c.b) && !out.over {
		if c.b[i] != '{' {
			return fmt.Sprintf("there is no JSON object at byte %d", i)
		}
		clear(c.found)
		if i = c.value(i, 0, s.payload); i < 0 {
			return c.problem()
		}
		if why = s.one(p, out); why != "" {
			return why
		}
		i = c.space(i)
	}
	return ""
}

// one takes apart the payload whose fields were found.
func (s *extractMessages) one(p part, out *output) (why string) {
	c := &s.scan
	kind, events := c.found[slotType], c.found[slotEvents]
	if kind.kind != text {
		return "it has no messageType"
	}
	switch name := string(unquote(nil, c.b[kind.start:kind.end])); name {
	case "CONTROL_MESSAGE":
		return ""
	case "DATA_MESSAGE":
	default:
		return fmt.Sprintf("messageType %q is neither DATA_MESSAGE nor CONTROL_MESSAGE", clip(name, 40))
	}
	if events.kind != container || c.b[events.start] != '[' {
		return "logEvents is not an array"
	}
	return s.events(p, c.b[events.start:events.end], out)
}

// events reads an array that was found to be well formed.
func (s *extractMessages) events(p part, array []byte, out *output) (why string) {
	c := &s.event
	c.b = array
	i := c.space(1)
	for n := 0; array[i] != ']' && !out.over; n++ {
		clear(c.found)
		if i = c.value(i, 0, s.message); i < 0 {
			return c.problem()
		}
		f := c.found[slotText]
		if f.kind != text {
			return fmt.Sprintf("event %d has no message", n)
		}
		p.data = array[f.start:f.end:f.end]
		if f.odd {
			r := out.room
			from := len(r.buf)
			r.buf = strictjson.Unquote(r.buf, p.data)
			p.data = r.since(from)
		}
		p.raw = p.data
		out.add(p)
		if i = c.space(i); array[i] == ',' {
			i = c.space(i + 1)
		}
	}
	return ""
}
