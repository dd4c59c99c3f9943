package httpendpoint

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

const maxKeyBytes = 4096

var errHeader = errors.New("the value cannot stand in a header")

// headers are those that may be secret. They are asked for once, and again after the endpoint has refused them: a key may have been
// changed meanwhile.
type headers struct {
	ask map[string]func() (string, error) // by canonical name; not changed after newHeaders

	mu    sync.Mutex
	known http.Header // nil when they are to be asked for; a map is never changed once it stands here
}

func newHeaders(o Options) *headers {
	h := &headers{ask: map[string]func() (string, error){}}
	for name, ask := range o.Headers {
		h.ask[http.CanonicalHeaderKey(name)] = ask
	}
	if o.AccessKey != nil {
		h.ask["X-Amz-Firehose-Access-Key"] = o.AccessKey
	}
	return h
}

// get returns the headers, which the caller must not change. Errors name the header only, and say what its function said.
func (h *headers) get() (http.Header, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known != nil {
		return h.known, nil
	}
	known := http.Header{}
	for name, ask := range h.ask {
		v, err := ask()
		if err == nil && (!validValue(v) || name == "X-Amz-Firehose-Access-Key" && len(v) > maxKeyBytes) {
			err = errHeader
		}
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		known[name] = []string{v}
	}
	h.known = known
	return known, nil
}

// forget makes the next get ask again, unless others than these were got meanwhile.
func (h *headers) forget(used http.Header) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range used {
		if h.known[name] == nil || h.known[name][0] != used[name][0] {
			return
		}
	}
	h.known = nil
}

// hide takes the values of headers out of a text.
func hide(text string, secret http.Header) string {
	for _, v := range secret {
		if v[0] != "" {
			text = strings.ReplaceAll(text, v[0], "***")
		}
	}
	return text
}
