package transform

import (
	"context"
	"maps"
	"time"

	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/record"
	"hydrant/transform/hook"
)

// lambda asks a hook what becomes of records.
type lambda struct {
	client   *hook.Client
	size     int64 // of the data of all invocations at once
	interval time.Duration
	keys     []prefix.Key
	fallback func(name string) string
	records  []hook.Record
}

func (b *builder) lambda(c *config.Lambda, env Env) (asker, error) {
	headers := map[string]func() (string, error){}
	for name, v := range c.Headers {
		headers[name] = v.Reveal
	}
	region := c.Region
	if region == "" {
		region = env.Region
	}
	client, err := hook.New(hook.Options{
		Stream: env.Stream, Account: env.Account, Region: region, Function: c.Function, Endpoint: c.Endpoint, URL: c.URL, Headers: headers,
		Exec: c.Exec, Env: maps.Clone(c.Env), Memory: int64(c.Memory), Buffer: int64(c.Buffer.Size), Retries: c.Retries,
		Timeout: time.Duration(c.Timeout), Concurrency: c.Concurrent, Logger: env.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &lambda{client: client, size: int64(c.Buffer.Size) * int64(c.Concurrent), interval: time.Duration(c.Buffer.Interval), keys: b.keys, fallback: b.fallback}, nil
}

func (s *lambda) gather() (int64, time.Duration) { return s.size, s.interval }

// Close implements io.Closer.
func (s *lambda) Close() error { return s.client.Close() }

func (s *lambda) ask(ctx context.Context, ps []part, arrivals []int64) ([][]part, error) {
	s.records = s.records[:0]
	for i, p := range ps {
		s.records = append(s.records, hook.Record{Data: p.data, ArrivalMillis: arrivals[i]})
	}
	defer clear(s.records)
	answers, err := s.client.Ask(ctx, s.records)
	if err != nil {
		return nil, err
	}
	out, made := make([][]part, len(ps)), make([]part, len(ps))
	for i, a := range answers {
		if a.Dropped {
			continue
		}
		made[i] = s.become(ps[i], a)
		out[i] = made[i : i+1]
	}
	return out, nil
}

// become is the part that an answer makes, with the values of the prefix's keys.
func (s *lambda) become(p part, a hook.Answer) part {
	if a.Failure != nil {
		p.failure = a.Failure
		return p
	}
	p.data = a.Data
	var values [][]byte
	for i, k := range s.keys {
		if k.Namespace != prefix.FromLambda {
			continue
		}
		if values == nil {
			values = make([][]byte, len(s.keys))
			copy(values, p.values)
			p.values = values
		}
		v := a.Keys[k.Name]
		if v == "" {
			v = s.fallback(k.Name)
		}
		if v == "" {
			p.failure = failed(record.MetadataFailed, codeMetadata, "partition key %s: the answer's partitionKeys have no value", k.Name)
			return p
		}
		if values[i] = prefix.AppendEscaped(nil, v); len(values[i]) > prefix.MaxValueBytes {
			p.failure = failed(record.MetadataFailed, codeMetadata, "partition key %s: %v", k.Name, tooLong(len(values[i])))
			return p
		}
	}
	return p
}
