package loadgen

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"
)

// How records travel.
const (
	ModeNDJSON = "ndjson" // POST /v1/streams/STREAM/records
	ModeBatch  = "batch"  // PutRecordBatch
	ModePut    = "put"    // PutRecord
)

// What is prepared ahead: enough that nothing along the way can profit from repetition, little enough to stay small.
const (
	preparedBytes  = 32 << 20 // of records
	preparedBodies = 4096
	leastBodies    = 8
)

const lineEnd = "\r\n"

// request is one prepared request, shared by all connections. Only its signature changes.
type request struct {
	head    []byte // request line, headers and the empty line that ends them
	body    []byte
	hash    string // SHA-256 of the body in hexadecimal, when it will be signed
	records int64
	bytes   int64 // of the records, as the daemon counts them
	signed  atomic.Pointer[signature]
}

// signature holds the whole head of a signed request.
type signature struct {
	head []byte
	at   time.Time
}

// prepare makes the requests.
func prepare(o *Options, target *url.URL) ([]*request, error) {
	g := newGenerator(o.RecordBytes, o.Seed)
	n := min(preparedBodies, max(leastBodies, preparedBytes/(o.Batch*o.RecordBytes)))
	if o.Records > 0 {
		n = int(min(int64(n), (o.Records+int64(o.Batch)-1)/int64(o.Batch)))
	}
	all := make([]*request, n)
	for i := range all {
		r, err := o.request(g, target)
		if err != nil {
			return nil, err
		}
		all[i] = r
	}
	return all, nil
}

// header is what every request of the mode carries.
func (o *Options) header() http.Header {
	h := http.Header{}
	switch o.Mode {
	case ModeNDJSON:
		h.Set("Content-Type", "application/x-ndjson")
	case ModeBatch:
		h.Set("Content-Type", "application/x-amz-json-1.1")
		h.Set("X-Amz-Target", "Firehose_20150804.PutRecordBatch")
	case ModePut:
		h.Set("Content-Type", "application/x-amz-json-1.1")
		h.Set("X-Amz-Target", "Firehose_20150804.PutRecord")
	}
	if o.Gzip {
		h.Set("Content-Encoding", "gzip")
	}
	return h
}

func (o *Options) path(target *url.URL) string {
	if o.Mode == ModeNDJSON {
		return target.Path + "/v1/streams/" + url.PathEscape(o.Stream) + "/records"
	}
	return target.Path + "/"
}

func (o *Options) request(g *generator, target *url.URL) (*request, error) {
	r := &request{}
	o.fill(r, g)
	if o.Gzip {
		var packed bytes.Buffer
		w, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(r.body); err != nil {
			return nil, err
		}
		if err := w.Close(); err != nil {
			return nil, err
		}
		r.body = packed.Bytes()
	}
	var head bytes.Buffer
	fmt.Fprintf(&head, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: hydrant-bench\r\n", o.path(target), target.Host)
	if err := o.header().Write(&head); err != nil {
		return nil, err
	}
	head.WriteString("Content-Length: " + strconv.Itoa(len(r.body)) + lineEnd + lineEnd)
	r.head = head.Bytes()
	if o.Sign != nil {
		sum := sha256.Sum256(r.body)
		r.hash = hex.EncodeToString(sum[:])
	}
	return r, nil
}

// fill writes the body.
func (o *Options) fill(r *request, g *generator) {
	var b, line []byte
	if o.Mode != ModeNDJSON {
		b = append(strconv.AppendQuote(append(b, `{"DeliveryStreamName":`...), o.Stream), ',')
	}
	switch o.Mode {
	case ModeBatch:
		b = append(b, `"Records":[`...)
	case ModePut:
		b = append(b, `"Record":`...)
	}
	for i := range o.Batch {
		line = append(g.event(line[:0]), '\n')
		r.records++
		if o.Mode == ModeNDJSON {
			r.bytes += int64(len(line) - 1)
			b = append(b, line...)
			continue
		}
		r.bytes += int64(len(line))
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"Data":"`...)
		b = base64.StdEncoding.AppendEncode(b, line)
		b = append(b, `"}`...)
	}
	switch o.Mode {
	case ModeBatch:
		b = append(b, "]}"...)
	case ModePut:
		b = append(b, '}')
	}
	r.body = b
}
