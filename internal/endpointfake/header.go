package endpointfake

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// refusal is why a request is not taken.
type refusal struct {
	status    int
	reason    string
	violation bool // the sender broke the protocol
}

func violation(format string, a ...any) *refusal {
	return &refusal{http.StatusBadRequest, fmt.Sprintf(format, a...), true}
}

// checkHeaders looks at everything but the body.
func (s *Server) checkHeaders(r *http.Request) *refusal {
	if r.Method != http.MethodPost {
		return violation("method %s, want POST", r.Method)
	}
	if r.ContentLength < 0 || len(r.TransferEncoding) > 0 {
		return violation("no Content-Length")
	}
	if v := r.Header["Content-Encoding"]; v != nil && !slices.Equal(v, []string{"gzip"}) {
		return violation("Content-Encoding %q, want gzip or none", v)
	}
	if !uuidShape().MatchString(single(r, s.idHeader())) {
		return violation("%s %q, want one UUID", s.idHeader(), r.Header[s.idHeader()])
	}
	check := s.checkPlain
	if s.Shape == Firehose {
		check = s.checkFirehose
	}
	if no := check(r); no != nil {
		return no
	}
	for name, want := range s.Headers {
		if single(r, name) != want {
			return &refusal{http.StatusForbidden, name + " is not accepted", false}
		}
	}
	return nil
}

func uuidShape() *regexp.Regexp {
	return regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
}

func arnShape() *regexp.Regexp {
	return regexp.MustCompile(`^arn:[a-z-]+:firehose:[a-z0-9-]*:[0-9]{12}:deliverystream/[a-zA-Z0-9._-]{1,64}$`)
}

// single is the value of a header that stands once, "" for any other.
func single(r *http.Request, name string) string {
	if v := r.Header.Values(name); len(v) == 1 {
		return v[0]
	}
	return ""
}

func (s *Server) checkFirehose(r *http.Request) *refusal {
	if v := single(r, "X-Amz-Firehose-Protocol-Version"); v != "1.0" {
		return violation("X-Amz-Firehose-Protocol-Version %q, want 1.0", v)
	}
	if v := single(r, "Content-Type"); v != "application/json" {
		return violation("Content-Type %q, want application/json", v)
	}
	arn := single(r, "X-Amz-Firehose-Source-Arn")
	if !arnShape().MatchString(arn) || s.SourceARN != "" && arn != s.SourceARN {
		return violation("X-Amz-Firehose-Source-Arn %q is not the stream's", arn)
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Firehose-") && !known(name) {
			return violation("%s is no header of the protocol", name)
		}
	}
	if no := checkAttributes(r); no != nil {
		return no
	}
	return s.checkKey(r)
}

func known(name string) bool {
	switch strings.TrimPrefix(name, "X-Amz-Firehose-") {
	case "Protocol-Version", "Request-Id", "Source-Arn", "Access-Key", "Common-Attributes":
		return true
	}
	return false
}

func (s *Server) checkKey(r *http.Request) *refusal {
	got := r.Header.Values("X-Amz-Firehose-Access-Key")
	switch {
	case s.AccessKey == "" && got != nil:
		return violation("an access key although none is configured")
	case s.AccessKey != "" && !slices.Equal(got, []string{s.AccessKey}):
		return &refusal{http.StatusUnauthorized, "the access key is not accepted", false}
	}
	return nil
}

// checkAttributes: the header may be absent, its value may hold nothing else than the protocol says.
func checkAttributes(r *http.Request) *refusal {
	const name = "X-Amz-Firehose-Common-Attributes"
	if r.Header.Values(name) == nil {
		return nil
	}
	v := single(r, name)
	var top map[string]json.RawMessage
	var attributes map[string]string
	if json.Unmarshal([]byte(v), &top) != nil || len(top) != 1 || json.Unmarshal(top["commonAttributes"], &attributes) != nil || attributes == nil {
		return violation("%s %q is no JSON of the protocol", name, v)
	}
	if len(attributes) > 50 {
		return violation("%d common attributes, at most 50", len(attributes))
	}
	for k, v := range attributes {
		if k == "" || utf8.RuneCountInString(k) > 256 || utf8.RuneCountInString(v) > 1024 {
			return violation("common attribute %q is too long or has no name", k)
		}
	}
	return nil
}

// checkPlain: a receiver that knows nothing of Firehose is told nothing of it.
func (s *Server) checkPlain(r *http.Request) *refusal {
	want := "application/json"
	if s.Shape == NDJSON {
		want = "application/x-ndjson"
	}
	if v := single(r, "Content-Type"); v != want {
		return violation("Content-Type %q, want %s", v, want)
	}
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Amz-Firehose-") {
			return violation("%s in a plain request", name)
		}
	}
	return nil
}
