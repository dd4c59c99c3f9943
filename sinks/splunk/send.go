package splunk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"hydrant/record"
)

// Send makes one attempt and, with acknowledgements, waits until the indexer has the records or AckTimeout is over. It takes up to
// Timeout + AckTimeout; ctx ends it early. Records of white space are Rejected by a verdict once the others are delivered.
func (s *Sink) Send(ctx context.Context, req *record.Request) record.Reply {
	if err := s.mayBegin(ctx); err != nil {
		out := unanswered(err)
		out.Unsent = true
		return record.Reply{Outcome: out}
	}
	p := s.pack(req)
	if p.sent == 0 {
		return record.Reply{Outcome: record.Outcome{Kind: record.Delivered}, Verdicts: p.blank}
	}
	out := s.attempt(ctx, p)
	if out.Code == "Splunk.RequestTooLarge" {
		s.shrink(req.Bytes)
	}
	if out.Kind != record.Delivered {
		return record.Reply{Outcome: out} // of all: the blank ones go with the others, to be told apart in the end
	}
	return record.Reply{Outcome: out, Verdicts: p.blank}
}

func (s *Sink) mayBegin(ctx context.Context) error {
	if s.acks.ctx.Err() != nil {
		return errClosed
	}
	return ctx.Err()
}

// attempt sends the parcel over the current channel. A channel on which a status may be left unread is not used again: ids are a node's
// own count, and behind a proxy, or after a restart, the status of these records could be read as that of others.
func (s *Sink) attempt(ctx context.Context, p parcel) record.Outcome {
	ch := s.acks.channel()
	out := s.post(ctx, ch, p)
	if s.o.AckTimeout > 0 && out.Kind == record.Retry && !out.Unsent {
		s.acks.abandon(ch)
	}
	return out
}

func (s *Sink) post(ctx context.Context, ch *channel, p parcel) record.Outcome {
	a, err := s.exchange(ctx, call{path: "/" + s.o.Endpoint, channel: ch.guid, query: s.query(), body: p.body, gzip: s.o.ContentEncoding == "gzip"})
	if err != nil {
		return s.loud(ctx, "", unanswered(err))
	}
	r, out, ok := judge(a, p.sent)
	switch {
	case !ok:
		return s.loud(ctx, a.token, s.ownIndex(out))
	case s.o.AckTimeout == 0:
		return record.Outcome{Kind: record.Delivered}
	case r.AckID == nil:
		return record.Outcome{Kind: record.Retry, Code: "Splunk.ProxyWithoutStickySessions", Err: errNoAckID}
	}
	return s.await(ctx, ch, *r.AckID)
}

var errNoAckID = errors.New("splunk: accepted without an acknowledgement id: acknowledgement is disabled for the token, or what answers in the collector's place drops it")

// ownIndex: raw data name no index, so that one that is refused is the configuration's or the token's, and can be mended.
func (s *Sink) ownIndex(out record.Outcome) record.Outcome {
	if out.Code == "Splunk.InvalidIndex" && s.o.Endpoint == "raw" {
		out.Kind, out.TooLarge, out.Unsent = record.Retry, false, true
	}
	return out
}

// query is what raw data cannot say itself.
func (s *Sink) query() url.Values {
	if s.o.Endpoint != "raw" {
		return nil
	}
	q := url.Values{}
	for k, v := range map[string]string{"host": s.o.Host, "source": s.o.Source, "sourcetype": s.o.SourceType, "index": s.o.Index} {
		if v != "" {
			q.Set(k, v)
		}
	}
	return q
}

// loud has a refused token asked for anew and says so: nothing is delivered until somebody mends it.
func (s *Sink) loud(ctx context.Context, token string, out record.Outcome) record.Outcome {
	if out.Code == "Splunk.InvalidToken" || out.Code == "Splunk.DisabledToken" {
		s.tokens.refused(token)
		s.warn(ctx, "splunk takes no records: the token is refused or missing", out.Err)
	}
	return out
}

// await waits for the acknowledgement of what was accepted under an id.
func (s *Sink) await(ctx context.Context, ch *channel, id int64) record.Outcome {
	w, ok := s.acks.enter(ch, id)
	if !ok {
		return inDoubt(errTwice)
	}
	timer := time.NewTimer(s.o.AckTimeout)
	defer timer.Stop()
	var why error
	select {
	case out := <-w.done:
		return out
	case <-timer.C:
		why = fmt.Errorf("splunk: no acknowledgement within %v", s.o.AckTimeout)
	case <-ctx.Done():
		why = fmt.Errorf("splunk: waiting for an acknowledgement: %w", ctx.Err())
	case <-s.acks.ctx.Done():
		why = fmt.Errorf("splunk: %w", errClosed)
	}
	out, settled, last := s.acks.leave(ch, w)
	switch {
	case settled:
		return out
	case last != nil:
		why = fmt.Errorf("%w; the last question for it: %w", why, last)
	}
	return record.Outcome{Kind: record.Retry, Code: "Splunk.AckTimeout", Err: why}
}

var errTwice = errors.New("splunk: one acknowledgement id was given twice: requests over one channel reach different nodes, or the indexer was restarted")

func inDoubt(err error) record.Outcome {
	return record.Outcome{Kind: record.Retry, Code: "Splunk.ProxyWithoutStickySessions", Err: err}
}

// askAcks asks which of the ids are indexed. An error with a final outcome says that no acknowledgement will ever come; without one, that
// it is worth asking again.
func (s *Sink) askAcks(ctx context.Context, guid string, body []byte) (acked map[string]bool, final *record.Outcome, err error) {
	a, err := s.exchange(ctx, call{path: "/ack", channel: guid, body: body})
	if err != nil {
		return nil, nil, s.loud(ctx, "", unanswered(err)).Err
	}
	if acked, ok := readAcks(a); ok {
		return acked, nil, nil
	}
	if a.status == http.StatusOK {
		return nil, nil, errNoAcks
	}
	_, out, _ := judge(a, 1)
	out = s.loud(ctx, a.token, out)
	if out.Code == "Splunk.DisabledAck" || out.Code == "Splunk.ProxyWithoutStickySessions" {
		return nil, &record.Outcome{Kind: record.Retry, Code: out.Code, Err: out.Err, RetryAfter: out.RetryAfter}, out.Err
	}
	return nil, nil, out.Err
}

var errNoAcks = errors.New("splunk: the answer holds no acknowledgements")
