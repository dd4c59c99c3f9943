package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// errorTarget is the stream that takes error records.
type errorTarget struct {
	client   *http.Client
	endpoint string
	stream   string
	token    string
	retryFor time.Duration
	answered bool // there is a daemon: if it cannot be reached, it is being restarted
}

func newErrorTarget(endpoint, stream, token string, retryFor time.Duration) *errorTarget {
	return &errorTarget{client: &http.Client{Timeout: answerTimeout, Transport: http.DefaultTransport.(*http.Transport).Clone()},
		endpoint: endpoint, stream: stream, token: token, retryFor: retryFor}
}

// replayAnswer is what became of the records of a request.
type replayAnswer struct {
	Accepted, Repeated int64
	Error              struct{ Type, Message string }
}

// send sends lines until they are taken. Whatever an attempt came to, another one takes no record twice. A *badObject: the daemon does not take
// these lines, others may be good.
func (t *errorTarget) send(ctx context.Context, lines []byte) (replayAnswer, error) {
	end := time.Now().Add(t.retryFor)
	for attempt := 0; ; attempt++ {
		answer, status, header, err := t.once(ctx, lines)
		t.answered = t.answered || err == nil
		if err == nil && status == http.StatusOK {
			return answer, nil
		}
		wait := retryAfter(header, attempt)
		switch again := err != nil && (t.answered || !notSent(err)) || status >= http.StatusInternalServerError; {
		case ctx.Err() != nil:
			return answer, ctx.Err()
		case again && time.Now().Add(wait).Before(end):
		case err != nil:
			return answer, explain(t.endpoint, err)
		case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge:
			return answer, &badObject{"the daemon does not take it: " + t.said(answer, status)}
		default:
			return answer, fmt.Errorf("stream %s: %s", t.stream, t.said(answer, status))
		}
		if err := pause(ctx, wait); err != nil {
			return answer, err
		}
	}
}

// said is what the daemon answered, for people.
func (t *errorTarget) said(a replayAnswer, status int) string {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return a.Error.Message + " Give --token or $" + tokenEnv + "."
	case a.Error.Message != "":
		return a.Error.Message
	}
	return fmt.Sprintf("%s answers, but not as a record port (HTTP status %d)", t.endpoint, status)
}

func (t *errorTarget) once(ctx context.Context, lines []byte) (a replayAnswer, status int, header http.Header, err error) {
	target := t.endpoint + "/v1/streams/" + url.PathEscape(t.stream) + "/error-records"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(lines))
	if err != nil {
		return a, 0, nil, err
	}
	r.Header.Set("Content-Type", "application/x-ndjson")
	if t.token != "" {
		r.Header.Set("Authorization", "Bearer "+t.token)
	}
	resp, err := t.client.Do(r)
	if err != nil {
		return a, 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return a, resp.StatusCode, resp.Header, err
	}
	if err := json.Unmarshal(body, &a); err != nil && resp.StatusCode == http.StatusOK {
		return a, http.StatusBadGateway, resp.Header, nil // somebody else answered
	}
	return a, resp.StatusCode, resp.Header, nil
}
