// Command bulkd is a _bulk endpoint for measurements: it checks that each request is made of actions and documents, answers item by item as
// OpenSearch does, and keeps nothing. `bulkd ADDRESS`; POST /refuse?on=1 makes it answer 503 until on=0, GET /taken counts documents.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

type server struct {
	taken, bytes atomic.Int64
	refuse       atomic.Bool
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: bulkd ADDRESS")
	}
	s := &server{}
	mux := http.NewServeMux()
	mux.HandleFunc("/_bulk", s.bulk)
	mux.HandleFunc("/refuse", func(_ http.ResponseWriter, r *http.Request) { s.refuse.Store(r.FormValue("on") == "1") })
	mux.HandleFunc("/taken", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"documents":%d,"bytes":%d}`, s.taken.Load(), s.bytes.Load())
	})
	srv := &http.Server{Addr: os.Args[1], Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(srv.ListenAndServe())
}

func (s *server) bulk(w http.ResponseWriter, r *http.Request) {
	if s.refuse.Load() {
		http.Error(w, `{"error":{"type":"unavailable"},"status":503}`, http.StatusServiceUnavailable)
		return
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := s.answer(w, b, r.URL.Query().Has("filter_path")); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// answer reads action and document lines in turn. Who filters is told each item's status, others all of it.
func (s *server) answer(to io.Writer, b []byte, filtered bool) error {
	w := bufio.NewWriterSize(to, 64<<10)
	_, _ = w.WriteString(`{"took":30,"errors":false,"items":[`)
	for n := 0; len(b) > 0; n++ {
		action, rest, ok := bytes.Cut(b, []byte("\n"))
		doc, rest, ok2 := bytes.Cut(rest, []byte("\n"))
		if !ok || !ok2 || !json.Valid(action) || len(doc) < 2 || doc[0] != '{' || doc[len(doc)-1] != '}' {
			return fmt.Errorf("item %d is no action and document", n)
		}
		b = rest
		if n > 0 {
			_ = w.WriteByte(',')
		}
		s.taken.Add(1)
		s.bytes.Add(int64(len(doc)))
		if filtered {
			_, _ = w.WriteString(`{"create":{"status":201}}`)
			continue
		}
		_, _ = fmt.Fprintf(w, `{"create":{"_index":"logs-2026-11-27","_id":"AAAAAAAAAAAAAAAAAAAAAA-%d","_version":1,"result":"created","_shards":{"total":2,"successful":1,"failed":0},"_seq_no":%d,"_primary_term":1,"status":201}}`, n, n)
	}
	_, _ = w.WriteString("]}")
	return w.Flush()
}
