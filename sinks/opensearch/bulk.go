package opensearch

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"

	"hydrant/record"
)

const (
	codeInvalidDocument = "OpenSearch.InvalidDocument"

	maxPooled    = 16 << 20 // bytes of a buffer that is kept for the next request
	millisAnHour = 3_600_000
)

var (
	errBlank     = errors.New("opensearch: the record is empty or holds only white space")
	errManyLines = errors.New("opensearch: the record has several lines and is no JSON, so that it cannot be written as one line")
)

// bulk is a request as it is sent, and what of it was refused before.
type bulk struct {
	body []byte
	sent []int            // which items are in body, in its order
	bad  []record.Verdict // about the others, by rising item
	one  bytes.Buffer     // a document that is made to be one line

	zipped bytes.Buffer
	zip    *gzip.Writer

	suffix []byte // of the index's name, for records that arrived in hour
	hour   int64
}

// bulkPool keeps the memory of requests. The zero value is ready.
type bulkPool struct{ p sync.Pool }

func (p *bulkPool) get() *bulk {
	b, _ := p.p.Get().(*bulk)
	if b == nil {
		b = &bulk{}
	}
	b.body, b.sent, b.bad, b.suffix, b.hour = b.body[:0], b.sent[:0], nil, b.suffix[:0], -1
	return b
}

func (p *bulkPool) put(b *bulk) {
	if cap(b.body) <= maxPooled && b.zipped.Cap() <= maxPooled && b.one.Cap() <= maxPooled {
		p.p.Put(b)
	}
}

// fill writes the items that can be sent, in their order. For those that are one line already it allocates nothing.
func (b *bulk) fill(n *names, t *timestamp, items []record.Item) {
	size := 0
	for i := range items {
		size += len(items[i].Data) + actionBytes
	}
	b.body, b.sent = slices.Grow(b.body, size), slices.Grow(b.sent, len(items))
	for i := range items {
		item := &items[i]
		doc, err := b.line(item.Data)
		if err != nil {
			b.bad = append(b.bad, record.Verdict{Item: i, Outcome: record.Outcome{Kind: record.Rejected, Code: codeInvalidDocument, Err: err}})
			continue
		}
		b.body = n.appendAction(b.body, b.suffixOf(n, item.ArrivalMillis), item)
		b.body = t.appendDocument(b.body, doc, item.ArrivalMillis)
		b.body = append(b.body, '\n')
		b.sent = append(b.sent, i)
	}
}

// actionBytes is about what an action line takes.
const actionBytes = 112

// line is the record as one line. Only what has line breaks inside is looked into.
func (b *bulk) line(data []byte) ([]byte, error) {
	doc := bytes.TrimRight(data, "\r\n")
	if len(bytes.TrimLeft(doc, " \t\r\n")) == 0 {
		return nil, errBlank
	}
	if bytes.IndexByte(doc, '\n') < 0 {
		return doc, nil
	}
	b.one.Reset()
	if json.Compact(&b.one, doc) != nil {
		return nil, errManyLines // the error of Compact quotes the record
	}
	return b.one.Bytes(), nil
}

// suffixOf remembers the last one: no rotation is finer than an hour, and records arrive in order.
func (b *bulk) suffixOf(n *names, arrivalMillis int64) []byte {
	if hour := arrivalMillis / millisAnHour; hour != b.hour {
		b.suffix, b.hour = n.appendSuffix(b.suffix[:0], arrivalMillis), hour
	}
	return b.suffix
}

// payload is what goes over the wire.
func (b *bulk) payload(compress bool) ([]byte, error) {
	if !compress {
		return b.body, nil
	}
	b.zipped.Reset()
	if b.zip == nil {
		var err error
		if b.zip, err = gzip.NewWriterLevel(&b.zipped, gzip.BestSpeed); err != nil {
			return nil, err
		}
	} else {
		b.zip.Reset(&b.zipped)
	}
	if _, err := b.zip.Write(b.body); err != nil {
		return nil, err
	}
	if err := b.zip.Close(); err != nil {
		return nil, err
	}
	return b.zipped.Bytes(), nil
}

// bufferPool keeps the memory that answers are read into. The zero value is ready.
type bufferPool struct{ p sync.Pool }

func (p *bufferPool) get() *bytes.Buffer {
	b, _ := p.p.Get().(*bytes.Buffer)
	if b == nil {
		b = &bytes.Buffer{}
	}
	b.Reset()
	return b
}

func (p *bufferPool) put(b *bytes.Buffer) {
	if b.Cap() <= maxPooled {
		p.p.Put(b)
	}
}
