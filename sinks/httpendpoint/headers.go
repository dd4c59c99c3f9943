package httpendpoint

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
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

// confidential is what an endpoint may know from a request and nobody is to read: the values of secret headers, whole and by word, as
// the token of "Bearer token" is told without the word before it, and what may be a token in the URL.
func (s *Sink) confidential(secret http.Header) []string {
	const word, segment = 6, 16 // shorter ones stand in ordinary text
	var out []string
	add := func(least int, values ...string) {
		for _, v := range values {
			if len(v) >= least {
				out = append(out, v)
			}
		}
	}
	for _, v := range secret {
		add(1, v[0])
		add(word, strings.Fields(v[0])...)
	}
	add(word, s.url.RawQuery)
	for _, values := range s.url.Query() {
		add(word, values...)
	}
	add(segment, strings.Split(s.url.Path, "/")...)
	add(segment, strings.Split(s.url.EscapedPath(), "/")...)
	return out
}

// hide takes the secrets out of a text, the longest first: one may be part of another.
func hide(text string, secrets []string) string {
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	for _, v := range secrets {
		text = strings.ReplaceAll(text, v, "***")
	}
	return text
}
