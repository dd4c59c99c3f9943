package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"hydrant/config"
	"hydrant/delivery"
	"hydrant/record"
	"hydrant/transform"
)

// Trial is what became of records that were tried.
type Trial struct {
	Records  int // that were read
	Out      int // that would be delivered
	Steps    []transform.StepCount
	Failures []TrialFailure
}

// TrialFailure is a record that would be set aside.
type TrialFailure struct {
	Record int // its number, from 1
	record.Failure
}

// tryAtOnce is how many records are tried at once.
const tryAtOnce = 500

// Try runs the lines of in through a stream's processors and its format. What would be delivered is written to out, a line for each record;
// nothing else is touched but the hooks, which are really asked.
func Try(ctx context.Context, c *config.Config, stream string, in io.Reader, out io.Writer, logger *slog.Logger) (*Trial, error) {
	s, err := streamOf(c, stream)
	if err != nil {
		return nil, err
	}
	keys, zone, err := partitionKeys(s)
	if err != nil {
		return nil, err
	}
	t, err := transform.NewTrial(s, keys, zone, transform.Env{Stream: s.Name, Account: c.AWS.AccountID, Region: c.AWS.Region, Logger: logger})
	if err != nil {
		return nil, err
	}
	judge, err := judgeOf(s)
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	r := &trial{t: t, out: bufio.NewWriter(out), judge: judge}
	err = errors.Join(r.run(ctx, in), r.out.Flush(), t.Close())
	r.done.Steps = t.Counts()
	return &r.done, err
}

func streamOf(c *config.Config, name string) (config.Stream, error) {
	if name == "" && len(c.Streams) == 1 {
		return c.Streams[0], nil
	}
	for _, s := range c.Streams {
		if s.Name == name {
			return s, nil
		}
	}
	if name == "" {
		return config.Stream{}, errors.New("the configuration has several streams; name one with --stream")
	}
	return config.Stream{}, fmt.Errorf("the configuration has no stream %q", name)
}

// judgeOf is the stream's format; nil where it takes whatever there is.
func judgeOf(s config.Stream) (delivery.Encoder, error) {
	if s.Format != config.FormatParquet && s.Format != config.FormatJSONArray || s.Format == config.FormatParquet && len(s.Parquet.Schema.Columns) == 0 {
		return nil, nil
	}
	spec, err := buildSpec(s, 1, record.RoleMain, func(c config.Parquet) *learnedSchemas { return &learnedSchemas{config: c} })
	if err != nil || spec.NewEncoder == nil {
		return nil, err
	}
	return spec.NewEncoder(io.Discard, "trial", delivery.Schema{})
}

type trial struct {
	t     *transform.Trial
	judge delivery.Encoder
	out   *bufio.Writer
	done  Trial
}

func (r *trial) run(ctx context.Context, in io.Reader) error {
	lines := bufio.NewReaderSize(in, 64<<10)
	for {
		recs, err := readLines(lines)
		if len(recs) > 0 {
			products, perr := r.t.Process(ctx, recs)
			if perr != nil {
				return perr
			}
			for i, p := range products {
				if werr := r.take(r.done.Records+i+1, p.Records); werr != nil {
					return werr
				}
			}
			r.done.Records += len(recs)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	for p := r.t.End(); p != nil; p = r.t.End() {
		if err := r.take(r.done.Records, p.Records); err != nil {
			return err
		}
	}
	return nil
}

// readLines reads some records, each a line.
func readLines(in *bufio.Reader) (recs []record.Record, err error) {
	for len(recs) < tryAtOnce {
		line, err := in.ReadBytes('\n')
		line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if len(line) > 0 {
			recs = append(recs, record.Record{Data: line})
		}
		if err != nil {
			return recs, err
		}
	}
	return recs, nil
}

func (r *trial) take(n int, all []record.Derived) error {
	for i := range all {
		d := &all[i]
		if d.Failure == nil && r.judge != nil {
			f, err := asFailure(r.judge.Write(d.Data))
			if err != nil {
				return err
			}
			d.Failure = f
		}
		if d.Failure != nil {
			r.done.Failures = append(r.done.Failures, TrialFailure{n, *d.Failure})
			continue
		}
		r.done.Out++
		_, _ = r.out.Write(bytes.TrimSuffix(d.Data, []byte("\n")))
		if err := r.out.WriteByte('\n'); err != nil {
			return err
		}
	}
	return nil
}

// asFailure takes the failure of one record out of an encoder's error.
func asFailure(err error) (*record.Failure, error) {
	var f *record.Failure
	if errors.As(err, &f) {
		return f, nil
	}
	return nil, err
}
