package splunk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/klauspost/compress/gzip"

	"hydrant/record"
)

// parcel is a request as it goes to the collector.
type parcel struct {
	body  []byte
	sent  int              // records in it
	blank []record.Verdict // about the records that are not in it
}

// pack makes the body. A record of nothing but white space is no event: the collector drops it in silence or refuses all for it, so it is
// rejected here. The body is new for each attempt: the transport may still read it when the answer has come.
func (s *Sink) pack(req *record.Request) parcel {
	var p parcel
	var b bytes.Buffer
	b.Grow(int(req.Bytes) + len(req.Items)*(32+len(s.meta)))
	for i := range req.Items {
		it := &req.Items[i]
		switch {
		case len(bytes.TrimSpace(it.Data)) == 0:
			p.blank = append(p.blank, record.Verdict{Item: i, Outcome: record.Outcome{Kind: record.Rejected, Code: "Splunk.InvalidDataFormat", Err: errBlank}})
			continue
		case s.o.Endpoint == "raw":
			appendRaw(&b, it.Data)
		default:
			s.appendEvent(&b, it)
		}
		p.sent++
	}
	p.body = b.Bytes()
	if s.o.ContentEncoding == "gzip" {
		p.body = s.zip(p.body)
	}
	return p
}

// appendRaw ends each record with a newline: without one, Splunk's line breaker would make one event of two records.
func appendRaw(b *bytes.Buffer, data []byte) {
	b.Write(data)
	if data[len(data)-1] != '\n' {
		b.WriteByte('\n')
	}
}

// appendEvent sends an object with a member "event" as it is, and makes the event of any other record: its JSON value, or its text.
func (s *Sink) appendEvent(b *bytes.Buffer, it *record.Item) {
	data := it.Data
	if !utf8.Valid(data) {
		data = bytes.ToValidUTF8(data, []byte("\uFFFD"))
	}
	if isEvent(data) && json.Compact(b, data) == nil {
		return
	}
	fmt.Fprintf(b, `{"time":%d.%03d,"event":`, it.ArrivalMillis/1000, it.ArrivalMillis%1000)
	if json.Compact(b, data) != nil {
		appendText(b, data)
	}
	b.WriteString(s.meta)
	b.WriteByte('}')
}

// isEvent: a JSON object with a member "event". Most others are told apart without being decoded.
func isEvent(data []byte) bool {
	if !bytes.Contains(data, []byte(`"event"`)) {
		return false
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return false
	}
	_, ok := members["event"]
	return ok
}

// appendText writes a JSON string without the newline that ended the record: here it ends nothing.
func appendText(b *bytes.Buffer, text []byte) {
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	_ = e.Encode(string(text)) // into memory, and a string always has a JSON form
	b.Truncate(b.Len() - 1)    // the encoder's own newline
}

func (s *Sink) zip(body []byte) []byte {
	z, _ := s.zips.Get().(*gzip.Writer)
	if z == nil {
		z, _ = gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for an unknown level only
	}
	defer s.zips.Put(z)
	var out bytes.Buffer
	z.Reset(&out)
	_, _ = z.Write(body) // into memory
	_ = z.Close()
	return out.Bytes()
}
