package config

import (
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

func (s *Splunk) check(r *report, path string) {
	checkURL(r, path+".url", s.URL)
	if s.Token == "" {
		r.add(path+".token", "is missing; write the token of the HTTP Event Collector, ${NAME} or file:PATH")
	}
	r.oneOf(path+".endpoint", s.Endpoint, SplunkEvent, SplunkRaw)
	checkEncoding(r, path, s.Encoding)
	checkRange(r, path+".timeout", s.Timeout, Duration(time.Second), maxTimeout, "1s to 15m")
	if s.AckTimeout != 0 {
		checkRange(r, path+".ack_timeout", s.AckTimeout, Duration(time.Second), maxAckTimeout, "1s to 600s, or 0s for no acknowledgements")
	}
	s.Request.check(r, path)
	s.Request.checkInOrder(r, path)
	s.TLS.check(r, path, s.URL)
}

func (h *HTTP) check(r *report, path string) {
	checkEndpoint(r, path+".url", h.URL)
	checkEncoding(r, path, h.Encoding)
	checkRange(r, path+".timeout", h.Timeout, Duration(time.Second), maxTimeout, "1s to 15m")
	h.Request.check(r, path)
	h.Request.checkInOrder(r, path)
	h.TLS.check(r, path, h.URL)
	h.checkHeaders(r, path+".headers")
	h.checkBody(r, path)
	h.checkLabels(r, path+".labels")
	h.checkAttributes(r, path+".common_attributes")
}

// checkHeaders: a request's own headers are not the user's to set.
func (h *HTTP) checkHeaders(r *report, path string) {
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(h.Headers)) {
		canonical := http.CanonicalHeaderKey(name)
		at := path + "." + clip(name)
		switch {
		case !headerName.MatchString(name):
			r.add(at, "%q is no name of a header", clip(name))
		case seen[canonical] != "":
			r.add(at, "is the header %s once more; keep one", seen[canonical])
		case canonical == "Content-Type" && !h.Plain:
			r.add(at, "is application/json in Firehose's protocol; remove it")
		case reservedHeader(canonical):
			r.add(at, "is set by the daemon itself; remove it")
		}
		seen[canonical] = name
	}
}

// reservedHeader: these say what the protocols, or HTTP itself, need to say.
func reservedHeader(canonical string) bool {
	switch canonical {
	case "Host", "Connection", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Trailer", "Te", "Upgrade", "Expect", "Idempotency-Key":
		return true
	}
	return strings.HasPrefix(canonical, "X-Amz-Firehose-")
}

func (h *HTTP) checkBody(r *report, path string) {
	switch {
	case !h.Plain && h.Body != "":
		r.add(path+".body", "is only for plain: true; Firehose's protocol has a body of its own")
	case h.Plain:
		r.oneOf(path+".body", h.Body, BodyNDJSON, BodyArray, BodyLoki)
		if len(h.CommonAttributes) > 0 {
			r.add(path+".common_attributes", "have no place in a plain request; remove them, or write headers")
		}
		if h.AccessKey != "" {
			r.add(path+".access_key", "has no place in a plain request; write it as one of headers")
		}
	}
}

func (h *HTTP) checkLabels(r *report, path string) {
	switch {
	case h.Body == BodyLoki && len(h.Labels) == 0:
		r.add(path, "is missing; Loki needs at least one label, such as {job: hydrant}")
	case h.Body != BodyLoki && len(h.Labels) > 0:
		r.add(path, "is only for body: loki")
	}
	for _, name := range slices.Sorted(maps.Keys(h.Labels)) {
		switch {
		case !labelName.MatchString(name):
			r.add(path+"."+clip(name), "%q is no name of a label; use letters, digits and _, no digit first", clip(name))
		case h.Labels[name] == "":
			r.add(path+"."+name, "has no value, which Loki takes for no label; write one, or remove it")
		}
	}
}

func (h *HTTP) checkAttributes(r *report, path string) {
	if len(h.CommonAttributes) > maxAttributes {
		r.add(path, "%d attributes are above the limit %d; remove some", len(h.CommonAttributes), maxAttributes)
	}
	for _, k := range slices.Sorted(maps.Keys(h.CommonAttributes)) {
		if k == "" || utf8.RuneCountInString(k) > 256 || utf8.RuneCountInString(h.CommonAttributes[k]) > 1024 {
			r.add(path, "%q: names have 1 to 256 characters, values at most 1024", clip(k))
		}
	}
}

// maxAccessKeyBytes is the protocol's.
const maxAccessKeyBytes = 4096

var (
	headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$")
	labelName  = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
)
