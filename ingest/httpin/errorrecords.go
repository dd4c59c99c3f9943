package httpin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"hydrant/record"
)

// Replayer takes records that come back from an error prefix, each once.
type Replayer interface {
	// Replay makes the records of a put durable that have not come back before: its note has the origin of each. accepted is how many are
	// new. Errors as Appender's.
	Replay(ctx context.Context, stream string, put *record.Put) (accepted int, err error)
}

// What is given to the log at once.
const (
	maxReplayRecords = 1000
	maxReplayBytes   = 4 << 20
)

// errorRecord is what we read of Firehose's error records, whoever wrote them.
type errorRecord struct {
	RawData  *string `json:"rawData"`
	RecordID string  `json:"recordId"` // ours: what the record was when it was first accepted

	// What tells records of Firehose itself apart.
	ArrivalTimestamp  json.RawMessage `json:"arrivalTimestamp"`
	SequenceNumber    json.RawMessage `json:"sequenceNumber"`
	SubSequenceNumber json.RawMessage `json:"subSequenceNumber"`
	SubsequenceNumber json.RawMessage `json:"subsequenceNumber"`
	EventID           json.RawMessage `json:"EventId"`
	DataID            json.RawMessage `json:"dataId"`
	ESDocumentID      json.RawMessage `json:"esDocumentId"`
	OSDocumentID      json.RawMessage `json:"osDocumentId"`
}

// origins names error records. Those that only say what a record held and when it came may be told of several records that are alike: the
// second such one in a request is another, the third, and so on.
type origins struct {
	alike map[record.Epoch]record.Position
}

// of is what the record was. Records that Hydrant did not set aside have a name made of what is in them.
func (s *origins) of(e *errorRecord) (o record.Origin, err error) {
	if e.RecordID != "" {
		if o, err = record.ParseOrigin(e.RecordID); err == nil {
			_ = json.Unmarshal(e.ArrivalTimestamp, &o.FailedMillis) // 0 when it is no time
		}
		return o, err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %s %s %s %s %s %s %s %s", *e.RawData, e.ArrivalTimestamp, e.SequenceNumber, e.SubSequenceNumber,
		e.SubsequenceNumber, e.EventID, e.DataID, e.ESDocumentID, e.OSDocumentID))
	copy(o.Epoch[:], sum[:])
	if !e.named() {
		o.Pos = s.alike[o.Epoch]
		s.alike[o.Epoch]++
	}
	return o, nil
}

// named says whether the record has a name of its own, whatever the service calls it.
func (e *errorRecord) named() bool {
	return len(e.SequenceNumber)+len(e.EventID)+len(e.DataID)+len(e.ESDocumentID)+len(e.OSDocumentID) > 0
}

// errorRecords serves POST /v1/streams/{stream}/error-records: the lines of an error object. Each becomes a record again, once, however often
// it is sent. The lines are taken in parts; what was taken when one is refused is not taken again by a repeat.
func (h *handler) errorRecords(w http.ResponseWriter, r *http.Request) {
	n, err := h.acceptErrors(w, r)
	if err != nil {
		h.fail(w, h.problemOf(r.PathValue("stream"), err))
		return
	}
	h.opts.Metrics.request(http.StatusOK)
	write(w, http.StatusOK, []byte(fmt.Sprintf(`{"accepted":%d,"repeated":%d}`, n.accepted, n.read-n.accepted)))
}

type replayed struct{ read, accepted int }

func (h *handler) acceptErrors(w http.ResponseWriter, r *http.Request) (n replayed, err error) {
	start := time.Now()
	if err := h.precheck(w, r); err != nil {
		return n, err
	}
	stream := r.PathValue("stream")
	if _, err := h.authorize(r, stream, ""); err != nil {
		return n, err
	}
	body, err := h.opts.Bodies.Read(w, r, "gzip", "zstd")
	if err != nil {
		return n, err
	}
	defer body.Release()
	if err := checkErrorRecords(body.Bytes()); err != nil {
		return n, err
	}
	p := &replay{ctx: r.Context(), to: h.opts.Replayer, stream: stream}
	err = eachErrorRecord(body.Bytes(), p.add)
	if err == nil {
		err = p.flush()
	}
	h.opts.Metrics.put(stream, time.Since(start))
	return p.n, err
}

// checkErrorRecords refuses a body of which not every line is an error record, before anything of it is taken.
func checkErrorRecords(b []byte) error {
	return eachErrorRecord(b, func([]byte, record.Origin) error { return nil })
}

// eachErrorRecord reads one after the other, with or without line breaks between them.
func eachErrorRecord(b []byte, visit func(data []byte, o record.Origin) error) error {
	d := json.NewDecoder(bytes.NewReader(b))
	names := origins{alike: map[record.Epoch]record.Position{}}
	for n := 1; ; n++ {
		var e errorRecord
		err := d.Decode(&e)
		if errors.Is(err, io.EOF) {
			return nil
		}
		bad := func(why string) error {
			return problem(http.StatusBadRequest, "no_error_record", "Record "+strconv.Itoa(n)+" is no error record: "+why+".")
		}
		if err != nil {
			return bad("it is no JSON object of that shape")
		}
		if e.RawData == nil {
			return bad(`it has no "rawData"`)
		}
		data, err := base64.StdEncoding.DecodeString(*e.RawData)
		if err != nil {
			return bad(`its "rawData" is not base64`)
		}
		if len(data) > record.MaxPutBytes {
			return bad("it is longer than a put may be")
		}
		o, err := names.of(&e)
		if err != nil {
			return bad(`its "recordId" is not EPOCH.POSITION.SUB`)
		}
		if err := visit(data, o); err != nil {
			return err
		}
	}
}

// replay gathers records to puts.
type replay struct {
	ctx     context.Context
	to      Replayer
	stream  string
	put     *record.Put
	origins []record.Origin
	n       replayed
}

func (p *replay) add(data []byte, o record.Origin) error {
	if p.put != nil && (p.put.Count() >= maxReplayRecords || p.put.Bytes()+len(data) > maxReplayBytes) {
		if err := p.flush(); err != nil {
			return err
		}
	}
	if p.put == nil {
		p.put = record.NewPut()
	}
	p.put.Add(data)
	p.origins = append(p.origins, o)
	return nil
}

func (p *replay) flush() error {
	if p.put == nil {
		return nil
	}
	put := p.put
	p.put = nil
	defer put.Release()
	if err := put.SetNote(record.Note{Origins: p.origins}); err != nil {
		return err
	}
	p.origins = nil // the note keeps them
	accepted, err := p.to.Replay(p.ctx, p.stream, put)
	if err == nil {
		p.n.read += put.Count()
		p.n.accepted += accepted
	}
	return err
}
