package opensearch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"hydrant/record"
)

// Send offers the items once, as documents of one bulk request, in their order. Records that cannot be written as one line are rejected
// without being sent; their neighbours go on. It returns at the latest when Options.Timeout is over. Safe for concurrent use.
func (s *Sink) Send(ctx context.Context, req *record.Request) record.Reply {
	if err := ctx.Err(); err != nil {
		return record.Reply{Outcome: s.unanswered(&attempt{}, err)}
	}
	b := s.bulks.get()
	defer s.bulks.put(b)
	b.fill(&s.names, &s.timestamp, req.Items)
	if len(b.sent) == 0 {
		return record.Reply{Outcome: record.Outcome{Kind: record.Delivered}, Verdicts: b.bad}
	}
	reply := s.offer(ctx, req, b)
	if len(b.bad) > 0 {
		reply.Verdicts = append(reply.Verdicts, b.bad...)
		slices.SortFunc(reply.Verdicts, func(a, b record.Verdict) int { return cmp.Compare(a.Item, b.Item) })
	}
	return reply
}

// offer makes the attempt. The memory of b may be used again when it has returned.
//
// An answer that does not tell which failures are which is asked for once more at once, with ids: the cluster's reasons must be known however
// short the time for retries is. The repeat finds what the first one took.
func (s *Sink) offer(ctx context.Context, req *record.Request, b *bulk) record.Reply {
	bytes, err := b.payload(s.client.gzip)
	if err != nil {
		return record.Reply{Outcome: failed("OpenSearch.CompressionFailed", err, true)}
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	defer cancel()
	auth, secret, err := s.basic()
	if err != nil {
		return record.Reply{Outcome: s.unanswered(&attempt{}, err)}
	}
	p := &payload{b: bytes}
	defer p.shut()
	ask := func(named bool) (record.Reply, *judge) {
		j := &judge{s: s, req: req, sent: b.sent, named: named}
		return s.post(ctx, p, j, auth, secret), j
	}
	reply, j := ask(s.names.ids && s.named.Load())
	if j.which {
		if named, _ := ask(true); named.Kind == record.Delivered {
			return named
		}
	}
	return reply
}

// post sends the documents once and reads what the cluster says.
func (s *Sink) post(ctx context.Context, p *payload, j *judge, auth func(*http.Request), secret string) record.Reply {
	a := newAttempt(ctx)
	began := s.pace.begin()
	resp, err := s.client.post(a, p, j.named, auth)
	if err != nil {
		return record.Reply{Outcome: s.unanswered(a, err)}
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 == 2 {
		return s.answered(a, j, resp, began)
	}
	s.client.nodes.answered(a.node, !absent(resp.StatusCode))
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorAnswer)) // the status says enough
	if resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden {
		s.password.refused(secret)
	}
	return record.Reply{Outcome: s.refused(j.req, resp, readRefusal(body), began)}
}

// basic is what puts user and password into a request, nil where there are none, and the password.
func (s *Sink) basic() (set func(*http.Request), secret string, err error) {
	if s.o.Username == "" {
		return nil, "", nil
	}
	if secret, err = s.password.get(); err != nil {
		return nil, "", err
	}
	return func(r *http.Request) { r.SetBasicAuth(s.o.Username, secret) }, secret, nil
}

// answered reads an answer that speaks of each item.
func (s *Sink) answered(a *attempt, j *judge, resp *http.Response, began int) record.Reply {
	buf := s.answers.get()
	defer s.answers.put(buf)
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return record.Reply{Outcome: s.unanswered(a, fmt.Errorf("read the answer: %w", err))}
	}
	s.client.nodes.answered(a.node, true)
	if n > maxAnswer {
		return record.Reply{Outcome: failed(codeInvalidResponse, errLongAnswer, false)}
	}
	items, ok := readAnswer(buf.Bytes(), j.item)
	if !ok {
		return record.Reply{Outcome: failed(codeInvalidResponse, errNoAnswer, false)}
	}
	if items != len(j.sent) {
		return record.Reply{Outcome: failed(codeInvalidResponse, fmt.Errorf("opensearch: the answer speaks of %d documents, %d were sent", items, len(j.sent)), false)}
	}
	if j.busy {
		s.pace.busy(began)
	} else {
		s.pace.taken(j.req.Bytes)
	}
	j.end()
	return record.Reply{Outcome: record.Outcome{Kind: record.Delivered}, Verdicts: j.verdicts}
}

var (
	errLongAnswer = fmt.Errorf("opensearch: the answer has more than %d bytes", maxAnswer)
	errNoAnswer   = errors.New("opensearch: the answer is not one to a bulk request")
)
