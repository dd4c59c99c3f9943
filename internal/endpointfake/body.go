package endpointfake

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
)

// The protocol's limits.
const (
	maxBodyBytes   = 64 << 20
	maxRecords     = 10_000
	maxRecordBytes = 1_024_000
)

type digest [sha256.Size]byte

var errTooLarge = errors.New("the body is too large")

// read checks a request and takes it apart.
func (s *Server) read(r *http.Request) (*payload, *refusal) {
	if no := s.checkHeaders(r); no != nil {
		return nil, no
	}
	b, err := s.unpack(r)
	if errors.Is(err, errTooLarge) {
		return nil, &refusal{http.StatusRequestEntityTooLarge, err.Error(), false}
	}
	if err != nil {
		return nil, violation("the body cannot be read: %v", err)
	}
	p := &payload{id: r.Header.Get(s.idHeader()), digest: sha256.Sum256(b)}
	var no *refusal
	switch s.Shape {
	case NDJSON:
		p.records, no = lines(b)
	case JSONArray:
		p.records, no = array(b)
	case Loki:
		p.records, no = s.loki(b)
	default:
		p.records, no = firehose(b, p.id)
	}
	if no == nil {
		no = s.refuseRecords(p.records)
	}
	return p, no
}

func (s *Server) refuseRecords(records [][]byte) *refusal {
	for _, d := range records {
		if s.Refuse != nil && s.Refuse(d) {
			return &refusal{http.StatusBadRequest, "a record is refused", false}
		}
	}
	return nil
}

func (s *Server) unpack(r *http.Request) ([]byte, error) {
	limit := s.MaxBodyBytes
	if limit <= 0 {
		limit = maxBodyBytes
	}
	var from io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, err
		}
		from = z
	}
	b, err := io.ReadAll(io.LimitReader(from, limit+1))
	if err == nil && int64(len(b)) > limit {
		return nil, errTooLarge
	}
	return b, err
}

// firehose reads the protocol's body. Nothing beside its keys may stand there, and their case counts.
func firehose(b []byte, id string) ([][]byte, *refusal) {
	var top map[string]json.RawMessage
	if err := json.Unmarshal(b, &top); err != nil {
		return nil, violation("the body is no JSON object: %v", err)
	}
	var named string
	if json.Unmarshal(top["requestId"], &named) != nil || named != id {
		return nil, violation("requestId %s is not that of the header, %s", top["requestId"], id)
	}
	if at, err := strconv.ParseInt(string(top["timestamp"]), 10, 64); err != nil || at < 1e12 || at >= 1e13 {
		return nil, violation("timestamp %s, want milliseconds", top["timestamp"])
	}
	var records []map[string]string
	if len(top) != 3 || json.Unmarshal(top["records"], &records) != nil {
		return nil, violation("the body has other keys than requestId, timestamp and records, or records are no objects of strings")
	}
	if n := len(records); n < 1 || n > maxRecords {
		return nil, violation("%d records, want 1 to %d", n, maxRecords)
	}
	out := make([][]byte, len(records))
	for i, r := range records {
		data, ok := r["data"]
		d, err := base64.StdEncoding.Strict().DecodeString(data)
		if !ok || len(r) != 1 || err != nil || len(d) > maxRecordBytes || strings.ContainsAny(data, "\r\n") { // which the decoder skips
			return nil, violation("record %d: want data alone, base64, of at most %d bytes", i, maxRecordBytes)
		}
		out[i] = d
	}
	return out, nil
}

// lines: a newline ends each record, the last one too.
func lines(b []byte) ([][]byte, *refusal) {
	if !bytes.HasSuffix(b, []byte("\n")) {
		return nil, violation("the last line has no end")
	}
	return bytes.Split(b[:len(b)-1], []byte("\n")), nil
}

func array(b []byte) ([][]byte, *refusal) {
	var values []json.RawMessage
	if err := json.Unmarshal(b, &values); err != nil || len(values) == 0 {
		return nil, violation("the body is no JSON array with values")
	}
	out := make([][]byte, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out, nil
}

// loki reads a push of one stream. Times rise: of two equal lines of one time Loki keeps one.
func (s *Server) loki(b []byte) ([][]byte, *refusal) {
	var push struct {
		Streams []struct {
			Stream map[string]string `json:"stream"`
			Values [][]string        `json:"values"`
		} `json:"streams"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&push); err != nil || d.More() || len(push.Streams) != 1 {
		return nil, violation("the body is no push of one stream")
	}
	if !maps.Equal(push.Streams[0].Stream, s.Labels) {
		return nil, violation("labels %v, want %v", push.Streams[0].Stream, s.Labels)
	}
	var out [][]byte
	var last int64
	for i, v := range push.Streams[0].Values {
		if len(v) != 2 {
			return nil, violation("entry %d has %d parts, want a time and a line", i, len(v))
		}
		at, err := strconv.ParseInt(v[0], 10, 64)
		if err != nil || at < 1e18 || at <= last {
			return nil, violation("entry %d is of %q: want nanoseconds that rise", i, v[0])
		}
		last = at
		out = append(out, []byte(v[1]))
	}
	if len(out) == 0 {
		return nil, violation("a stream without entries")
	}
	return out, nil
}
