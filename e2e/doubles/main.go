// Command doubles serves the strict doubles of a Firehose HTTP endpoint and of Splunk's HTTP Event Collector, for end-to-end tests, with faults
// on demand.
//
//	doubles -endpoint 127.0.0.1:8001 -access-key KEY -hec 127.0.0.1:8002 -token TOKEN -control 127.0.0.1:8003
//
// The control port takes POST /fail?kind=NAME[&status=N][&n=N] (the next n requests to the endpoint meet the fault), POST /next?kind=NAME[&code=N]
// (the next request to the collector does), POST /acks?mode=at-once|held|lost|denied, POST /acknowledge, POST /restart (of the indexer), and
// GET /received, /events (a line each, in the order taken) and /stats.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"hydrant/internal/endpointfake"
	"hydrant/internal/hecfake"
)

type doubles struct {
	endpoint *endpointfake.Server
	hec      *hecfake.Server

	mu     sync.Mutex
	faults []endpointfake.Fault
	met    int
}

func main() {
	endpoint := flag.String("endpoint", "127.0.0.1:8001", "address of the endpoint")
	key := flag.String("access-key", "", "access key that requests must carry")
	shape := flag.String("shape", endpointfake.Firehose, "shape of bodies: Firehose's when empty, ndjson, json-array, loki")
	maxBody := flag.Int64("max-body", 0, "bytes of a body, unpacked, above which it is answered 413; 0: 64 MiB")
	refuse := flag.String("refuse", "", "text of records that make the endpoint refuse their request")
	hec := flag.String("hec", "127.0.0.1:8002", "address of the collector")
	token := flag.String("token", "token", "the collector's only token")
	acks := flag.Bool("acks", false, "the token has indexer acknowledgement")
	control := flag.String("control", "127.0.0.1:8003", "address for faults and counts")
	flag.Parse()
	d := &doubles{endpoint: endpointfake.New(), hec: hecfake.New(*token)}
	d.endpoint.AccessKey, d.endpoint.Shape, d.endpoint.MaxBodyBytes, d.endpoint.Fault = *key, *shape, *maxBody, d.fault
	if *refuse != "" {
		d.endpoint.Refuse = func(data []byte) bool { return bytes.Contains(data, []byte(*refuse)) }
	}
	if *shape == endpointfake.Loki {
		d.endpoint.Labels = map[string]string{"job": "e2e"}
	}
	d.hec.Acks, d.hec.MaxBytes = *acks, 64<<20
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	failed := make(chan error, 3)
	for addr, h := range map[string]http.Handler{*endpoint: d.endpoint, *hec: d.hec, *control: d.control()} {
		s := &http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 10 * time.Second}
		defer func() { _ = s.Close() }()
		go func() { failed <- s.ListenAndServe() }()
	}
	select {
	case <-ctx.Done():
	case err := <-failed:
		fmt.Fprintln(os.Stderr, "doubles:", err)
		os.Exit(1)
	}
}

// fault takes the next one out of the queue.
func (d *doubles) fault(*endpointfake.Request) endpointfake.Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.faults) == 0 {
		return endpointfake.Fault{}
	}
	f := d.faults[0]
	d.faults = d.faults[1:]
	d.met++
	return f
}

var endpointKinds = map[string]endpointfake.Kind{
	"status": endpointfake.Status, "status-after": endpointfake.StatusAfter, "hang": endpointfake.Hang, "hang-after": endpointfake.HangAfter,
	"cut-body": endpointfake.CutBody, "cut": endpointfake.Cut, "cut-after": endpointfake.CutAfter, "cut-answer": endpointfake.CutAnswer,
	"drip": endpointfake.Drip, "wrong-echo": endpointfake.WrongEcho, "wrong-type": endpointfake.WrongType, "encoded": endpointfake.Encoded,
	"garbage": endpointfake.Garbage, "huge": endpointfake.Huge, "redirect": endpointfake.Redirect, "early-answer": endpointfake.EarlyAnswer,
}

var hecKinds = map[string]hecfake.FaultKind{
	"answer": hecfake.Answer, "bare": hecfake.Bare, "hang": hecfake.Hang, "cut": hecfake.Cut, "cut-after": hecfake.CutAfter, "no-ack-id": hecfake.NoAckID,
}

var ackModes = map[string]hecfake.AckMode{"at-once": hecfake.AckAtOnce, "held": hecfake.AckHeld, "lost": hecfake.AckLost, "denied": hecfake.AckDenied}

func (d *doubles) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /fail", d.fail)
	mux.HandleFunc("POST /next", d.next)
	mux.HandleFunc("POST /acks", func(w http.ResponseWriter, r *http.Request) {
		mode, ok := ackModes[r.FormValue("mode")]
		if !ok {
			http.Error(w, "no such mode", http.StatusBadRequest)
			return
		}
		d.hec.SetAcks(mode)
	})
	mux.HandleFunc("POST /acknowledge", func(http.ResponseWriter, *http.Request) { d.hec.Acknowledge() })
	mux.HandleFunc("POST /restart", func(http.ResponseWriter, *http.Request) { d.hec.Restart() })
	mux.HandleFunc("GET /received", func(w http.ResponseWriter, _ *http.Request) {
		for _, data := range d.endpoint.Received() {
			_, _ = w.Write(append(bytes.TrimRight(data, "\n"), '\n'))
		}
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, _ *http.Request) {
		for _, e := range d.hec.Events() {
			line := e.Raw
			if e.Event != nil {
				line = e.Event
			}
			_, _ = w.Write(append(bytes.Clone(line), '\n'))
		}
	})
	mux.HandleFunc("GET /stats", d.stats)
	return mux
}

func (d *doubles) fail(w http.ResponseWriter, r *http.Request) {
	kind, ok := endpointKinds[r.FormValue("kind")]
	if !ok {
		http.Error(w, "no such fault", http.StatusBadRequest)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for range max(1, number(r, "n")) {
		d.faults = append(d.faults, endpointfake.Fault{Kind: kind, Status: number(r, "status"), RetryAfter: r.FormValue("retry-after")})
	}
}

func (d *doubles) next(w http.ResponseWriter, r *http.Request) {
	kind, ok := hecKinds[r.FormValue("kind")]
	if !ok {
		http.Error(w, "no such fault", http.StatusBadRequest)
		return
	}
	d.hec.Next(hecfake.Fault{Kind: kind, Code: number(r, "code"), Status: number(r, "status")})
}

func number(r *http.Request, key string) int {
	n, _ := strconv.Atoi(r.FormValue(key)) // 0 when it is missing
	return n
}

func (d *doubles) stats(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	waiting, met := len(d.faults), d.met
	d.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]any{
		"requests": d.endpoint.Requests(), "repeats": d.endpoint.Repeats(), "violations": d.endpoint.Violations(), "faults_waiting": waiting, "faults_met": met,
		"received": len(d.endpoint.Received()), "hec_requests": d.hec.Requests(), "events": len(d.hec.Events()), "polls": len(d.hec.Polls()),
	})
}
