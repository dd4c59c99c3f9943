// Package hook asks a Lambda function, or what takes the same invocations (an HTTP server, a process on this machine), what becomes of
// records: Firehose's contract of data transformation, with its codes. It keeps nothing: who asks makes the answers durable.
package hook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"hydrant/record"
)

// Record is one to be transformed.
type Record struct {
	Data          []byte
	ArrivalMillis int64
}

// Answer is what became of it.
type Answer struct {
	Data    []byte
	Dropped bool
	Keys    map[string]string // metadata.partitionKeys
	Failure *record.Failure   // not nil: it is set aside, as it was
}

// Options say who is asked and how. Exactly one of Function, URL and Exec is set.
type Options struct {
	Stream, Account, Region string // of the delivery stream's ARN

	Function string // name or ARN
	Endpoint string // of the Lambda service; "": as the SDK finds it
	URL      string
	Headers  map[string]func() (string, error) // looked up for each request
	Exec     []string
	Env      map[string]string // beside PATH, HOME and LANG
	Memory   int64             // bytes of address space that the process may take; 0: any

	Buffer      int64         // bytes of data in one invocation, at most; default 1 MB
	Retries     int           // more attempts after the first that failed
	Timeout     time.Duration // of one attempt; default 5 min
	Concurrency int           // invocations at once; default 1
	Logger      *slog.Logger
}

// Limits of an invocation.
const (
	maxPayload = 6 << 20 // bytes of an invocation and of its answer, as Lambda has it
	perRecord  = 160     // bytes around a record's data in an invocation, at most
	firstWait  = 200 * time.Millisecond
	maxWait    = 10 * time.Second
)

// caller makes one attempt. It answers with an *invokeError where the function, or the way to it, failed.
type caller interface {
	call(ctx context.Context, payload []byte) (answer []byte, err error)
	// arn names who is asked, in error records.
	arn() string
	close() error
}

// Client asks one function. Safe for concurrent use.
type Client struct {
	o    Options
	to   caller
	arnv string // of the delivery stream
}

// New makes a client. It asks nobody.
func New(o Options) (*Client, error) {
	o.Buffer = cmp.Or(o.Buffer, 1<<20)
	o.Timeout = cmp.Or(o.Timeout, 5*time.Minute)
	o.Concurrency = max(o.Concurrency, 1)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Client{o: o, arnv: fmt.Sprintf("arn:aws:firehose:%s:%s:deliverystream/%s", o.Region, o.Account, o.Stream)}
	var err error
	switch {
	case o.Function != "":
		c.to, err = newInvoker(o)
	case o.URL != "":
		c.to, err = newPoster(o)
	case len(o.Exec) > 0:
		c.to, err = newProcesses(o)
	default:
		err = errors.New("nobody to ask")
	}
	if err != nil {
		return nil, fmt.Errorf("lambda: %w", err)
	}
	return c, nil
}

// Close ends processes and connections. No Ask may be under way.
func (c *Client) Close() error { return c.to.close() }

// Ask gives an answer for each record, in their order. Its error is that of ctx: then nothing is known.
func (c *Client) Ask(ctx context.Context, records []Record) ([]Answer, error) {
	answers := make([]Answer, len(records))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(c.o.Concurrency)
	for from := 0; from < len(records); {
		to := c.cut(records, from)
		part, out := records[from:to], answers[from:to]
		g.Go(func() error { return c.ask(ctx, part, out) })
		from = to
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return answers, nil
}

// cut is where an invocation ends that begins with a record.
func (c *Client) cut(records []Record, from int) int {
	data, payload := int64(0), int64(1024)
	for i := from; i < len(records); i++ {
		n := int64(len(records[i].Data))
		data, payload = data+n, payload+n/3*4+4+perRecord
		if i > from && (data > c.o.Buffer || payload > maxPayload) {
			return i
		}
	}
	return len(records)
}

// ask makes one invocation, and more until one works or there were enough. One that is too large, or whose answer is, is made in halves.
func (c *Client) ask(ctx context.Context, records []Record, out []Answer) error {
	id := newID()
	payload := c.event(id, records)
	var failed *invokeError
	for attempt := 1; ; attempt++ {
		answer, err := c.attempt(ctx, payload)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			c.read(answer, records, out, attempt)
			return nil
		}
		if !errors.As(err, &failed) {
			failed = &invokeError{code: codeFunction, message: err.Error()}
		}
		if failed.tooLarge && len(records) > 1 {
			mid := len(records) / 2
			if err := c.ask(ctx, records[:mid], out[:mid]); err != nil {
				return err
			}
			return c.ask(ctx, records[mid:], out[mid:])
		}
		if failed.tooLarge || attempt > c.o.Retries {
			c.o.Logger.Error("a hook failed; its records are set aside", "stream", c.o.Stream, "records", len(records), "attempts", attempt, "code", failed.code, "err", failed)
			for i := range out {
				out[i] = c.failure(failed.code, failed.message, attempt)
			}
			return nil
		}
		c.o.Logger.Warn("a hook failed; it is asked again", "stream", c.o.Stream, "records", len(records), "attempt", attempt, "code", failed.code, "err", failed)
		if !rest(ctx, attempt) {
			return ctx.Err()
		}
	}
}

func (c *Client) attempt(ctx context.Context, payload []byte) ([]byte, error) {
	if len(payload) > maxPayload {
		return nil, &invokeError{code: codeTooLarge, message: fmt.Sprintf("The invocation would have %d bytes; Lambda takes %d.", len(payload), maxPayload), tooLarge: true}
	}
	ctx, cancel := context.WithTimeout(ctx, c.o.Timeout)
	defer cancel()
	answer, err := c.to.call(ctx, payload)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, errTimedOut
	}
	return answer, err
}

var errTimedOut = &invokeError{code: codeTimedOut, message: "The Lambda function invocation timed out. Increase the Timeout setting in the Lambda function."}

// rest waits before the next attempt: doubling, with full jitter.
func rest(ctx context.Context, attempt int) bool {
	limit := min(firstWait<<min(attempt-1, 20), maxWait)
	t := time.NewTimer(rand.N(limit) + time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
