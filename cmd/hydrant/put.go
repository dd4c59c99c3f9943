package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/spf13/cobra"
)

// Limits of the Firehose API.
const (
	maxBatchRecords = 500
	maxBatchBytes   = 4 << 20
	maxRecordBytes  = 1_024_000
)

func newPut() *cobra.Command {
	var at endpointFlag
	p := &putter{}
	cmd := &cobra.Command{
		Use:   "put STREAM [FILE|-]",
		Short: "Send the lines of a file as records (NDJSON)",
		Long: `Send the lines of a file, or of standard input, as records with PutRecordBatch. Each line with its line feed is one
record of at most 1,024,000 bytes; empty lines are skipped. Lines go in order.

A full or stopping daemon is tried again as it asks to, for at most --retry-for a batch. When something fails, the
message says how many lines are stored; those before that number are safe, so that sending can go on behind them.`,
		Example: "  hydrant put weblogs events.ndjson\n  tail -n +1001 events.ndjson | hydrant put weblogs",
		Args:    argsNamed(1, 2, "STREAM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			in, name, err := openInput(cmd, args[1:])
			if err != nil {
				return err
			}
			defer in.Close()
			if p.client, p.endpoint, err = at.client(ctx); err != nil {
				return err
			}
			p.stream = args[0]
			err = p.send(ctx, in, name)
			fmt.Fprintf(cmd.OutOrStdout(), "%s accepted by stream %s\n", count(p.accepted, "record"), p.stream)
			return err
		},
	}
	at.add(cmd)
	cmd.Flags().DurationVar(&p.retryFor, "retry-for", time.Minute, "how long one batch is tried again while the daemon refuses it")
	return cmd
}

// openInput is the file named, or standard input.
func openInput(cmd *cobra.Command, args []string) (io.ReadCloser, string, error) {
	if len(args) == 0 || args[0] == "-" {
		return io.NopCloser(cmd.InOrStdin()), "standard input", nil
	}
	f, err := os.Open(args[0])
	if err != nil {
		return nil, "", fmt.Errorf("read records: %w", err)
	}
	return f, args[0], nil
}

// putter sends lines in batches, one after the other.
type putter struct {
	client           *firehose.Client
	endpoint, stream string
	retryFor         time.Duration
	batch            []types.Record
	bytes            int
	first, last      int64 // lines of the batch
	accepted         int64 // records
	stored           int64 // lines up to which everything is stored
	unclear          bool  // whether lines behind those are stored
}

// send sends all lines. The error says how many are stored.
func (p *putter) send(ctx context.Context, in io.Reader, name string) error {
	lines := &lineReader{r: bufio.NewReaderSize(in, 256<<10)}
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && len(line) == 0 {
			continue
		}
		if err == nil {
			err = p.add(ctx, line, lines.number)
		} else {
			err = errors.Join(fmt.Errorf("%s, line %d: %w", name, lines.number, err), p.flush(ctx))
		}
		if err != nil {
			return p.report(err)
		}
	}
	if err := p.flush(ctx); err != nil {
		return p.report(err)
	}
	return nil
}

func (p *putter) report(err error) error {
	switch {
	case p.stored == 0 && p.unclear:
		return fmt.Errorf("%w\nno line is known to be stored", err)
	case p.stored == 0:
		return fmt.Errorf("%w\nnothing was stored", err)
	}
	return fmt.Errorf("%w\nlines 1 to %d are stored; go on from line %d", err, p.stored, p.stored+1)
}

// add puts a line into the batch, which is sent first when it would become too large.
func (p *putter) add(ctx context.Context, line []byte, number int64) error {
	if len(p.batch) == maxBatchRecords || p.bytes+len(line) > maxBatchBytes {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	if len(p.batch) == 0 {
		p.first = number
	}
	p.batch = append(p.batch, types.Record{Data: append([]byte(nil), line...)})
	p.bytes += len(line)
	p.last = number
	return nil
}

// flush sends the batch until it is accepted.
func (p *putter) flush(ctx context.Context) error {
	if len(p.batch) == 0 {
		return nil
	}
	end := time.Now().Add(p.retryFor)
	for attempt := 0; ; attempt++ {
		out, err := p.client.PutRecordBatch(ctx, &firehose.PutRecordBatchInput{DeliveryStreamName: &p.stream, Records: p.batch})
		if err == nil {
			return p.answered(out)
		}
		status, header := statusOf(err)
		wait := retryAfter(header, attempt)
		switch {
		case maybeStored(err, status):
			p.unclear = true
			return fmt.Errorf("lines %d to %d may or may not be stored: %w", p.first, p.last, explain(p.endpoint, err))
		case status != http.StatusServiceUnavailable:
			return explain(p.endpoint, err)
		case time.Now().Add(wait).After(end):
			return fmt.Errorf("lines %d to %d were refused for %s: %w", p.first, p.last, p.retryFor, explain(p.endpoint, err))
		}
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// maybeStored says whether a call that failed may have been carried out: all but a refusal. An answer of success that cannot be read is none.
func maybeStored(err error, status int) bool {
	switch status {
	case 0:
		return !notSent(err)
	case http.StatusServiceUnavailable:
		return false
	}
	return status < http.StatusMultipleChoices || status >= http.StatusInternalServerError
}

// answered takes a success; records that the service did not take, as Firehose itself may answer, are an error.
func (p *putter) answered(out *firehose.PutRecordBatchOutput) error {
	failed := int64(0)
	if out.FailedPutCount != nil {
		failed = int64(*out.FailedPutCount)
	}
	p.accepted += int64(len(p.batch)) - failed
	if failed > 0 {
		p.unclear = true
		return fmt.Errorf("%d of the records in lines %d to %d were not accepted", failed, p.first, p.last)
	}
	p.stored = p.last
	p.batch, p.bytes = p.batch[:0], 0
	return nil
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return errors.New("interrupted")
	}
}

var errTooLong = fmt.Errorf("the line has more than %d bytes, the longest record there is; split it or leave it out", maxRecordBytes)

// lineReader gives lines with exactly one line feed at their end, and holds no more than one record.
type lineReader struct {
	r      *bufio.Reader
	number int64 // of the line given last, from 1
	buf    []byte
}

// next is the next line, valid until the call after it; empty for an empty line, io.EOF behind the last.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	l.number++
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.buf)+len(part) > maxRecordBytes+1 { // one more for a carriage return
			return nil, errTooLong
		}
		l.buf = append(l.buf, part...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(l.buf) == 0:
			return nil, io.EOF
		case err == nil || errors.Is(err, io.EOF):
			return l.whole()
		default:
			return nil, err
		}
	}
}

func (l *lineReader) whole() ([]byte, error) {
	line := l.buf
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	if len(line) == 0 {
		return nil, nil
	}
	if len(line) >= maxRecordBytes {
		return nil, errTooLong
	}
	return append(line, '\n'), nil
}
