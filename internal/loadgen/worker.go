package loadgen

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"
)

const (
	maxFailures  = 5                      // of a connection, one after the other
	reconnect    = 100 * time.Millisecond // between two of them
	longestPause = time.Second            // whatever a refusal asks for
	resignAfter  = time.Minute            // a signature is good for 5 minutes
	maxShown     = 300                    // bytes of an answer in a message
)

// worker is one connection. It belongs to one goroutine.
type worker struct {
	*run
	conn    net.Conn
	r       *bufio.Reader
	packets net.Buffers

	accepted, records, bytes int64
	latency                  Histogram
	errors                   map[string]int64
}

// answer is what became of a request.
type answer struct {
	status int
	header http.Header
	text   []byte // the beginning
}

func (w *worker) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	host := w.target.Host
	if w.target.Port() == "" {
		host = net.JoinHostPort(w.target.Hostname(), map[string]string{"http": "80", "https": "443"}[w.target.Scheme])
	}
	d := net.Dialer{Timeout: 10 * time.Second}
	var err error
	if w.target.Scheme == "https" {
		w.conn, err = (&tls.Dialer{NetDialer: &d}).DialContext(ctx, "tcp", host)
	} else {
		w.conn, err = d.DialContext(ctx, "tcp", host)
	}
	if err != nil {
		w.conn = nil
		return err
	}
	w.r = bufio.NewReaderSize(w.conn, 16<<10)
	return nil
}

func (w *worker) disconnect() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// loop sends until there is nothing more to send.
func (w *worker) loop(ctx context.Context) {
	defer w.disconnect()
	failures := 0
	for ctx.Err() == nil {
		q := w.take()
		if q == nil {
			return
		}
		start := time.Now()
		a, err := w.exchange(ctx, q)
		switch {
		case err != nil && ctx.Err() != nil:
			return
		case err != nil:
			w.disconnect()
			w.errors[kindOf(err)]++
			if failures++; failures == maxFailures {
				w.fail(fmt.Errorf("gave up after %d failed requests in a row on a connection: %w", failures, err))
				return
			}
			pause(ctx, reconnect)
		default:
			failures = 0
			w.count(ctx, q, a, time.Since(start))
		}
	}
}

// count notes an answer. One that every further request would get ends the run.
func (w *worker) count(ctx context.Context, q *request, a answer, took time.Duration) {
	if a.status == http.StatusOK {
		w.accepted++
		w.records += q.records
		w.bytes += q.bytes
		w.latency.Add(took)
		return
	}
	w.errors[strconv.Itoa(a.status)]++
	switch {
	case a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests:
		wait := wished(a.header)
		if !w.end.IsZero() {
			wait = min(wait, time.Until(w.end))
		}
		pause(ctx, wait)
	case a.status < 500:
		w.fail(&RefusedError{a.status, string(bytes.TrimSpace(a.text))})
	}
}

// exchange sends one request and reads its answer whole.
func (w *worker) exchange(ctx context.Context, q *request) (answer, error) {
	if err := w.connect(ctx); err != nil {
		return answer{}, err
	}
	head, err := w.head(q)
	if err != nil {
		return answer{}, err
	}
	conn := w.conn
	if err := conn.SetDeadline(time.Now().Add(w.Timeout)); err != nil {
		return answer{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	w.packets = append(w.packets[:0], head, q.body)
	packets := w.packets
	_, werr := packets.WriteTo(conn)
	a, keep, err := w.read() // a refusal may come before everything was sent
	if err != nil {
		return answer{}, errors.Join(werr, err)
	}
	if !keep || werr != nil {
		w.disconnect()
	}
	return a, nil
}

func (w *worker) read() (a answer, keep bool, err error) {
	resp, err := http.ReadResponse(w.r, nil)
	if err != nil {
		return a, false, err
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	if a.status != http.StatusOK {
		if a.text, err = io.ReadAll(io.LimitReader(resp.Body, maxShown)); err != nil {
			return a, false, err
		}
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return a, !resp.Close, err
}

// head is the request's, with its signature when there has to be one. Two connections may sign the same request at the
// same time; either's signature is good.
func (w *worker) head(q *request) ([]byte, error) {
	if w.Sign == nil {
		return q.head, nil
	}
	if s := q.signed.Load(); s != nil && time.Since(s.at) < resignAfter {
		return s.head, nil
	}
	headers, err := w.Sign(q.hash)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	head := slices.Clone(q.head[:len(q.head)-len(lineEnd)])
	for k, v := range headers {
		head = append(head, k+": "+v+lineEnd...)
	}
	s := &signature{head: append(head, lineEnd...), at: time.Now()}
	q.signed.Store(s)
	return s.head, nil
}

// wished is the pause that a refusal asks for.
func wished(h http.Header) time.Duration {
	wait := reconnect
	if ms, err := strconv.Atoi(h.Get("X-Amz-Retry-After")); err == nil {
		wait = time.Duration(min(ms, 60_000)) * time.Millisecond
	} else if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil {
		wait = time.Duration(min(s, 60)) * time.Second
	}
	return max(min(wait, longestPause), time.Millisecond)
}

func kindOf(err error) string {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "timeout"
	}
	return "connection"
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
