// Package loadgen sends prepared requests over a few connections as fast as they are answered, and measures the
// answers. It speaks HTTP/1.1 itself: the load must cost the machine little beside the daemon that is measured. It does
// not judge what it measures.
package loadgen

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Options of a run. All but Duration, Records, Gzip, Seed, Timeout and Sign are required.
type Options struct {
	Endpoint    string // http or https
	Stream      string
	Mode        string // ndjson, batch or put
	Connections int
	Batch       int           // records a request
	RecordBytes int           // mean
	Duration    time.Duration // 0: without a limit
	Records     int64         // stop when at least so many were accepted or refused; 0: without a limit
	Gzip        bool
	Seed        uint64
	Timeout     time.Duration // of one request; 2 minutes when 0
	// Sign returns the headers that sign a POST of a body with this hash to the endpoint; nil: requests are not signed.
	// It is called from all connections at the same time.
	Sign func(hash string) (map[string]string, error)
}

// Limits of what can be asked for.
const (
	maxConnections = 10_000
	minRecordBytes = 64
	maxRecordBytes = 800_000 // mean: the longest of them stay below the limit of a record
	maxBatchBytes  = 4 << 20
	maxBodyBytes   = 16 << 20
)

// Result is what was measured.
type Result struct {
	Requests int64 // accepted
	Records  int64 // accepted
	Bytes    int64 // of these records
	Elapsed  time.Duration
	CPU      time.Duration    // that this process used meanwhile
	Latency  Histogram        // of accepted requests, from the first byte sent to the last one received
	Errors   map[string]int64 // requests that were not accepted, by HTTP status, "timeout" or "connection"
}

// RefusedError is an answer that every further request would get.
type RefusedError struct {
	Status int
	Text   string // the beginning of the answer
}

func (e *RefusedError) Error() string { return fmt.Sprintf("the answer was %d: %s", e.Status, e.Text) }

// Check says what cannot be done.
func (o *Options) Check() error {
	u, err := url.Parse(o.Endpoint)
	longest := o.RecordBytes + o.RecordBytes/4 + 2
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("the endpoint %q is no URL", o.Endpoint)
	case o.Stream == "":
		return errors.New("name a stream")
	case o.Mode != ModeNDJSON && o.Mode != ModeBatch && o.Mode != ModePut:
		return fmt.Errorf("the mode %q is not one of ndjson, batch, put", o.Mode)
	case o.Connections < 1 || o.Connections > maxConnections:
		return fmt.Errorf("%d connections are not within 1 to %d", o.Connections, maxConnections)
	case o.RecordBytes < minRecordBytes || o.RecordBytes > maxRecordBytes:
		return fmt.Errorf("records of %d bytes are not within %d to %d", o.RecordBytes, minRecordBytes, maxRecordBytes)
	case o.Mode == ModePut && o.Batch != 1:
		return errors.New("a put carries one record; leave the batch at 1")
	case o.Batch < 1 || o.Mode == ModeBatch && o.Batch > 500:
		return fmt.Errorf("%d records are not within the 1 to 500 of a batch", o.Batch)
	case o.Mode == ModeBatch && o.Batch > maxBatchBytes/longest, o.Batch > maxBodyBytes/longest:
		return fmt.Errorf("%d records of %d bytes do not fit a request; send fewer or shorter ones", o.Batch, o.RecordBytes)
	case o.Duration < 0 || o.Records < 0:
		return errors.New("a limit is negative")
	}
	return nil
}

// Run sends until a limit is reached or ctx ends, which is no error. The result is what was measured so far, also with
// an error: one that sending more could not overcome. Requests on their way at the end are waited for.
func Run(ctx context.Context, o Options) (*Result, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Minute
	}
	target, err := url.Parse(strings.TrimRight(o.Endpoint, "/"))
	if err != nil {
		return nil, err
	}
	requests, err := prepare(&o, target)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &run{Options: o, target: target, requests: requests, stop: cancel}
	workers := make([]*worker, o.Connections)
	for i := range workers {
		workers[i] = &worker{run: r, errors: map[string]int64{}}
	}
	if err := workers[0].connect(ctx); err != nil { // nobody there: said at once, and before the clock runs
		return nil, err
	}
	start, cpu := time.Now(), cpuTime()
	if o.Duration > 0 {
		r.end = start.Add(o.Duration)
	}
	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(func() { w.loop(ctx) })
	}
	wg.Wait()
	out := collect(workers)
	out.Elapsed, out.CPU = time.Since(start), cpuTime()-cpu
	return out, r.failure()
}

// run is what the connections of one run share.
type run struct {
	Options
	target   *url.URL
	requests []*request
	end      time.Time // zero: none
	next     atomic.Int64
	stop     context.CancelCauseFunc

	mu  sync.Mutex
	err error
}

// take gives the next request, nil when it is time to end.
func (r *run) take() *request {
	if !r.end.IsZero() && !time.Now().Before(r.end) {
		return nil
	}
	n := r.next.Add(1) - 1
	if r.Records > 0 && n*int64(r.Batch) >= r.Records {
		return nil
	}
	return r.requests[n%int64(len(r.requests))]
}

// fail ends the run for all connections; the first reason is kept.
func (r *run) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	r.stop(err)
}

func (r *run) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func collect(workers []*worker) *Result {
	out := &Result{Errors: map[string]int64{}}
	for _, w := range workers {
		out.Requests += w.accepted
		out.Records += w.records
		out.Bytes += w.bytes
		out.Latency.Merge(&w.latency)
		for k, n := range w.errors {
			out.Errors[k] += n
		}
	}
	return out
}
