package httpendpoint

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"unicode/utf8"

	"hydrant/record"
)

// encoder appends the body of a request to dst. It says how many items are in it, and has verdicts for the others. The same items make the
// same bytes, whenever and wherever.
type encoder func(dst []byte, req *record.Request) (body []byte, items int, refused []record.Verdict)

func (o Options) encoder() encoder {
	switch {
	case !o.Plain:
		return encodeFirehose
	case o.Body == bodyArray:
		return encodeArray
	case o.Body == bodyLoki:
		labels, _ := json.Marshal(o.Labels) // strings can always be written; the keys are in order
		return func(dst []byte, req *record.Request) ([]byte, int, []record.Verdict) {
			return encodeLoki(dst, req, labels)
		}
	}
	return encodeLines
}

var (
	errNotJSON = errors.New("the record is not valid JSON, of which the body is an array")
	errNotUTF8 = errors.New("the record is not valid UTF-8, of which the body is made")
)

func invalid(item int, err error) record.Verdict {
	return record.Verdict{Item: item, Outcome: record.Outcome{Kind: record.Rejected, Code: codeInvalidRecord, Err: err}}
}

// encodeFirehose writes the protocol's body. Its time is the arrival of the first record, as attempts must not differ.
func encodeFirehose(dst []byte, req *record.Request) ([]byte, int, []record.Verdict) {
	if len(req.Items) == 0 {
		return dst, 0, nil
	}
	size := 128 + len(req.ID)
	for i := range req.Items {
		size += base64.StdEncoding.EncodedLen(len(req.Items[i].Data)) + len(`{"data":""},`)
	}
	dst = slices.Grow(dst, size)
	dst = appendString(append(dst, `{"requestId":`...), []byte(req.ID))
	dst = strconv.AppendInt(append(dst, `,"timestamp":`...), req.Items[0].ArrivalMillis, 10)
	dst = append(dst, `,"records":[`...)
	for i := range req.Items {
		dst = append(dst, `{"data":"`...)
		dst = base64.StdEncoding.AppendEncode(dst, req.Items[i].Data)
		dst = append(dst, `"},`...)
	}
	return append(dst[:len(dst)-1], "]}"...), len(req.Items), nil
}

// encodeLines writes a line for each record. JSON that stands on several lines is put on one; what is no JSON goes as it is.
func encodeLines(dst []byte, req *record.Request) ([]byte, int, []record.Verdict) {
	dst = slices.Grow(dst, sizeHint(req, 1))
	for i := range req.Items {
		data := trimNewline(req.Items[i].Data)
		if bytes.IndexByte(data, '\n') < 0 {
			dst = append(dst, data...)
		} else {
			dst = appendCompact(dst, data)
		}
		dst = append(dst, '\n')
	}
	return dst, len(req.Items), nil
}

func appendCompact(dst, data []byte) []byte {
	b := bytes.NewBuffer(dst)
	if json.Compact(b, data) != nil {
		return append(dst, data...)
	}
	return b.Bytes()
}

// trimNewline takes off the newline that many producers end a record with.
func trimNewline(data []byte) []byte {
	if n := len(data); n > 0 && data[n-1] == '\n' {
		data = data[:n-1]
		if n > 1 && data[n-2] == '\r' {
			data = data[:n-2]
		}
	}
	return data
}

func encodeArray(dst []byte, req *record.Request) (b []byte, items int, refused []record.Verdict) {
	dst = append(slices.Grow(dst, sizeHint(req, 1)), '[')
	for i := range req.Items {
		data := req.Items[i].Data
		if !json.Valid(data) {
			refused = append(refused, invalid(i, errNotJSON))
			continue
		}
		if items > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, data...)
		items++
	}
	return append(dst, ']'), items, refused
}

// encodeLoki writes a push of one stream, a value for each record: its time in nanoseconds, and its line. Within a push times rise: Loki
// takes two equal lines of one time for one, and is best served in order.
func encodeLoki(dst []byte, req *record.Request, labels []byte) (b []byte, items int, refused []record.Verdict) {
	dst = slices.Grow(dst, sizeHint(req, 32)+int(req.Bytes/8)) // an eighth for what is escaped
	dst = append(append(dst, `{"streams":[{"stream":`...), labels...)
	dst = append(dst, `,"values":[`...)
	var last int64
	for i := range req.Items {
		line := trimNewline(req.Items[i].Data)
		if !utf8.Valid(line) {
			refused = append(refused, invalid(i, errNotUTF8))
			continue
		}
		if items > 0 {
			dst = append(dst, ',')
		}
		last = max(lokiTime(&req.Items[i]), last+1)
		dst = strconv.AppendInt(append(dst, `["`...), last, 10)
		dst = appendString(append(dst, `",`...), line)
		dst = append(dst, ']')
		items++
	}
	return append(dst, "]}]}"...), items, refused
}

// lokiTime is a time of the record's own, whatever request it is in, so that Loki knows it again when it comes in another one: below the
// millisecond of its arrival there is room for 50,000 records of 20 parts each. Beyond that, and when records came back from an error
// prefix or the clock was put back, times may be equal or fall.
func lokiTime(item *record.Item) int64 {
	const parts, perMilli = 20, 1_000_000
	id, sub := item.Name()
	return item.ArrivalMillis*perMilli + int64((uint64(id.Pos)%(perMilli/parts)*parts+uint64(sub))%perMilli)
}

func sizeHint(req *record.Request, perItem int) int {
	return 256 + int(req.Bytes) + perItem*len(req.Items)
}

// appendString appends valid UTF-8 as a JSON string.
func appendString(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i, c := range s {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[from:]...), '"')
}
