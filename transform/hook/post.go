package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// poster asks an HTTP server that takes the same JSON.
type poster struct {
	o      Options
	client *http.Client
}

func newPoster(o Options) (*poster, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = o.Concurrency
	return &poster{o: o, client: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

func (p *poster) arn() string { return p.o.URL }

func (p *poster) close() error {
	p.client.CloseIdleConnections()
	return nil
}

func (p *poster) call(ctx context.Context, payload []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.o.URL, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for name, value := range p.o.Headers {
		v, err := value()
		if err != nil {
			return nil, &invokeError{code: codeDenied, message: "A header's secret cannot be had: " + clip(err.Error())}
		}
		req.Header.Set(name, v)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return nil, &invokeError{code: codeFunction, message: clip(err.Error())}
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return nil, statusError(resp.StatusCode)
	}
	b, err := io.ReadAll(&limited{resp.Body, maxPayload + 1})
	switch {
	case errors.Is(err, errLongBody), len(b) > maxPayload:
		return nil, errAnswerTooLarge
	case err != nil:
		return nil, &invokeError{code: codeFunction, message: "The answer broke off: " + clip(err.Error())}
	}
	return b, nil
}

func statusError(status int) *invokeError {
	e := &invokeError{code: codeFunction, message: fmt.Sprintf("The server answered with status %d.", status)}
	switch status {
	case http.StatusRequestEntityTooLarge:
		e.code, e.tooLarge = codeTooLarge, true
	case http.StatusTooManyRequests:
		e.code = codeThrottled
	case http.StatusUnauthorized, http.StatusForbidden:
		e.code = codeDenied
	case http.StatusNotFound:
		e.code = codeNotFound
	}
	return e
}
