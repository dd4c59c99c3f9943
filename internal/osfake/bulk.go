package osfake

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

// bulkAnswer and what it holds have the server's own fields; those that a filter leaves are the ones without omitempty.
type bulkAnswer struct {
	Took   int                 `json:"took,omitempty"`
	Errors bool                `json:"errors"`
	Items  []map[string]result `json:"items"`
}

type result struct {
	Index   string   `json:"_index,omitempty"`
	ID      string   `json:"_id,omitempty"`
	Version int      `json:"_version,omitempty"`
	Result  string   `json:"result,omitempty"`
	Shards  any      `json:"_shards,omitempty"`
	SeqNo   int      `json:"_seq_no,omitempty"`
	Status  int      `json:"status"`
	Error   *problem `json:"error,omitempty"`
}

type problem struct {
	Type      string            `json:"type"`
	Reason    string            `json:"reason"`
	Index     string            `json:"index,omitempty"`
	CausedBy  map[string]string `json:"caused_by,omitempty"`
	IndexUUID string            `json:"index_uuid,omitempty"`
}

// action is the first of an item's two lines.
type action struct {
	Create *struct {
		Index string `json:"_index"`
		ID    string `json:"_id"`
		Type  string `json:"_type"`
	} `json:"create"`
}

var indexName = regexp.MustCompile(`^[^A-Z\\/*?"<>| ,#:_+-][^A-Z\\/*?"<>| ,#:]*$`)

// take works through a bulk request. Its framing must be right as a whole; each document is then taken or refused by itself.
func (s *Server) take(body []byte, filtered, ids bool) reply {
	if len(body) == 0 || body[len(body)-1] != '\n' {
		return whole(http.StatusBadRequest, "illegal_argument_exception", `The bulk request must be terminated by a newline [\n]`)
	}
	docs, err := parse(bytes.Split(body[:len(body)-1], []byte{'\n'}))
	if err != nil {
		return whole(http.StatusBadRequest, "illegal_argument_exception", err.Error())
	}
	s.bulk.Lock()
	defer s.bulk.Unlock()
	out := bulkAnswer{Took: 3, Items: make([]map[string]result, 0, len(docs))}
	for _, d := range docs {
		r := s.create(d)
		out.Errors = out.Errors || r.Error != nil
		if filtered {
			r = result{Status: r.Status, Error: r.Error, ID: named(r.ID, ids)}
		}
		out.Items = append(out.Items, map[string]result{"create": r})
	}
	if filtered {
		out.Took = 0
	}
	if s.Shuffle {
		turnFailures(out.Items)
	}
	return reply{status: http.StatusOK, body: out}
}

func named(id string, ids bool) string {
	if ids {
		return id
	}
	return ""
}

// turnFailures puts what failed in the opposite order, each in a place of one that failed, as ingest pipelines do.
func turnFailures(items []map[string]result) {
	var at []int
	for i := range items {
		if items[i]["create"].Error != nil {
			at = append(at, i)
		}
	}
	for a, b := 0, len(at)-1; a < b; a, b = a+1, b-1 {
		items[at[a]], items[at[b]] = items[at[b]], items[at[a]]
	}
}

func parse(lines [][]byte) ([]Document, error) {
	if len(lines)%2 != 0 {
		return nil, fmt.Errorf("%d lines are not pairs of action and document", len(lines))
	}
	var docs []Document
	for i := 0; i < len(lines); i += 2 {
		var a action
		dec := json.NewDecoder(bytes.NewReader(lines[i]))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&a); err != nil || a.Create == nil {
			return nil, fmt.Errorf("malformed action/metadata line [%d]", i+1)
		}
		if len(lines[i+1]) == 0 {
			return nil, fmt.Errorf("line [%d] is empty", i+2)
		}
		docs = append(docs, Document{Index: a.Create.Index, ID: a.Create.ID, Source: bytes.Clone(lines[i+1])})
	}
	return docs, nil
}

// create takes one document, or says why not.
func (s *Server) create(d Document) result {
	refuse := func(status int, typ, reason string) result {
		return result{Index: d.Index, ID: d.ID, Status: status, Error: &problem{Type: typ, Reason: reason, Index: d.Index}}
	}
	var fields map[string]json.RawMessage
	switch err := json.Unmarshal(d.Source, &fields); {
	case !indexName.MatchString(d.Index) || len(d.Index) > 255:
		return refuse(http.StatusBadRequest, "invalid_index_name_exception", "Invalid index name ["+d.Index+"]")
	case len(d.ID) > 512:
		return refuse(http.StatusBadRequest, "illegal_argument_exception", "id is too long")
	case err != nil || fields == nil:
		return refuse(http.StatusBadRequest, "mapper_parsing_exception", "failed to parse, preview: "+strings.ToValidUTF8(string(d.Source), "?"))
	}
	if s.Judge != nil {
		if no := s.Judge(d); no != nil {
			return refuse(no.Status, no.Type, no.Reason)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.indices[d.Index]
	switch {
	case in == nil && s.NoAutoCreate:
		return refuse(http.StatusNotFound, "index_not_found_exception", "no such index ["+d.Index+"]")
	case in == nil:
		in = &index{ids: map[string]bool{}}
		s.indices[d.Index] = in
	case in.stream && fields["@timestamp"] == nil:
		return refuse(http.StatusBadRequest, "mapper_parsing_exception", "data stream timestamp field [@timestamp] is missing")
	}
	if d.ID == "" {
		s.nextID++
		d.ID = fmt.Sprintf("generated-%d", s.nextID)
	}
	if in.ids[d.ID] {
		return refuse(http.StatusConflict, "version_conflict_engine_exception", "["+d.ID+"]: version conflict, document already exists (current version [1])")
	}
	in.ids[d.ID] = true
	s.taken = append(s.taken, d)
	return result{Index: d.Index, ID: d.ID, Version: 1, Result: "created", SeqNo: len(s.taken), Status: http.StatusCreated,
		Shards: map[string]int{"total": 2, "successful": 1, "failed": 0}}
}
