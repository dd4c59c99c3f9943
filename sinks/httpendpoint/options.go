package httpendpoint

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"
)

// Values of Options.ContentEncoding and Options.Body.
const (
	encodingNone = "none"
	encodingGzip = "gzip"

	bodyNDJSON = "ndjson"
	bodyArray  = "json-array"
	bodyLoki   = "loki"
)

// Options say how an endpoint is reached and what it is sent.
type Options struct {
	URL string // http or https, without user and password; sent unchanged

	// Of Firehose's protocol only, an error with Plain but for SourceARN. AccessKey is nil for none; at most 4,096 bytes. It is asked
	// at the first request, and again after the endpoint has refused it.
	AccessKey        func() (string, error)
	SourceARN        string            // required
	CommonAttributes map[string]string // at most 50, names of 1 to 256 characters, values of at most 1,024

	ContentEncoding string // none (default) or gzip

	Plain bool // the endpoint says by a status of 2xx that it took a request
	// Body of a plain request: ndjson (default), a line for each record; json-array, where a record that is no JSON is rejected here;
	// loki, a push of one stream, where a record that is no UTF-8 is rejected here. Newlines within JSON are taken out for ndjson, and a
	// newline that ends a record does not count for ndjson and loki.
	Body   string
	Labels map[string]string // of loki's stream, at least one

	// Headers beside our own, which may hold secrets: asked when AccessKey is. A plain endpoint may be given its own Content-Type.
	Headers map[string]func() (string, error)

	MaxBytes   int64         // record data of a request, default 4 MiB; less where the protocol's 64 MiB of body would be exceeded
	MaxRecords int           // of a request, default and at most 10,000
	Timeout    time.Duration // of an attempt from its start to the end of the answer, default 180 s as Firehose's
	TLS        *tls.Config   // copied; default: the system's roots, TLS 1.2 at least
	Logger     *slog.Logger
}

func (o Options) withDefaults() Options {
	if o.ContentEncoding == "" {
		o.ContentEncoding = encodingNone
	}
	if o.Plain && o.Body == "" {
		o.Body = bodyNDJSON
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 4 << 20
	}
	if o.MaxRecords == 0 {
		o.MaxRecords = maxRecords
	}
	if o.Timeout == 0 {
		o.Timeout = 180 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// parseURL does not repeat the URL in its errors: what is asked for behind a ? may be a secret.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("the URL cannot be parsed")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("the URL's scheme is %q: want http or https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("the URL has no host")
	case u.User != nil:
		return nil, errors.New("the URL holds a user: give the header Authorization instead")
	}
	return u, nil
}

func (o Options) check() error {
	switch {
	case o.ContentEncoding != encodingNone && o.ContentEncoding != encodingGzip:
		return fmt.Errorf("content encoding %q: want none or gzip", o.ContentEncoding)
	case o.MaxBytes < 1:
		return fmt.Errorf("max bytes %d: want at least 1", o.MaxBytes)
	case o.MaxRecords < 1 || o.MaxRecords > maxRecords:
		return fmt.Errorf("max records %d: want 1 to %d", o.MaxRecords, maxRecords)
	case o.Timeout < 0:
		return fmt.Errorf("timeout %v: want more than 0", o.Timeout)
	}
	if err := o.checkHeaders(); err != nil {
		return err
	}
	if o.Plain {
		return o.checkPlain()
	}
	return o.checkFirehose()
}

func (o Options) checkFirehose() error {
	switch {
	case o.SourceARN == "" || !validValue(o.SourceARN):
		return fmt.Errorf("source ARN %q: the protocol requires one", o.SourceARN)
	case o.Body != "" || len(o.Labels) > 0:
		return errors.New("a body of another shape, and labels, are for plain endpoints")
	case len(o.CommonAttributes) > 50:
		return fmt.Errorf("%d common attributes: at most 50", len(o.CommonAttributes))
	}
	for name, v := range o.CommonAttributes {
		if name == "" || utf8.RuneCountInString(name) > 256 || utf8.RuneCountInString(v) > 1024 {
			return fmt.Errorf("common attribute %q: want a name of 1 to 256 characters, a value of at most 1024", name)
		}
	}
	return nil
}

func (o Options) checkPlain() error {
	switch {
	case o.AccessKey != nil || len(o.CommonAttributes) > 0:
		return errors.New("a plain endpoint gets no access key and no common attributes: give headers instead")
	case o.Body != bodyNDJSON && o.Body != bodyArray && o.Body != bodyLoki:
		return fmt.Errorf("body %q: want ndjson, json-array or loki", o.Body)
	case o.Body != bodyLoki && len(o.Labels) > 0:
		return errors.New("labels are for the body loki")
	case o.Body == bodyLoki && len(o.Labels) == 0:
		return errors.New("the body loki needs a label at least")
	}
	label := regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)
	for name, v := range o.Labels {
		if !label.MatchString(name) || !utf8.ValidString(v) {
			return fmt.Errorf("label %q: want letters, digits and _, and a value in UTF-8", name)
		}
	}
	return nil
}

func (o Options) checkHeaders() error {
	seen := map[string]bool{}
	for name, value := range o.Headers {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !validName(name) || value == nil:
			return fmt.Errorf("header %q: no valid name, or no value", name)
		case seen[canonical]:
			return fmt.Errorf("header %q stands twice", name)
		case o.reserved(canonical):
			return fmt.Errorf("header %q cannot be set", name)
		}
		seen[canonical] = true
	}
	return nil
}

// reserved: these are what the protocols, or HTTP itself, need to say.
func (o Options) reserved(canonical string) bool {
	switch canonical {
	case "Content-Type":
		return !o.Plain
	case "Host", "Connection", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Trailer", "Te", "Upgrade", "Expect", "Idempotency-Key":
		return true
	}
	return strings.HasPrefix(canonical, "X-Amz-Firehose-")
}

// fixedHeaders are those of every request that are the same and no secret.
func (o Options) fixedHeaders() http.Header {
	h := http.Header{"User-Agent": {"hydrant"}, "Content-Type": {"application/json"}}
	if o.Plain && o.Body == bodyNDJSON {
		h.Set("Content-Type", "application/x-ndjson")
	}
	if o.ContentEncoding == encodingGzip {
		h.Set("Content-Encoding", "gzip")
	}
	if !o.Plain {
		h.Set("X-Amz-Firehose-Protocol-Version", "1.0")
		h.Set("X-Amz-Firehose-Source-Arn", o.SourceARN)
		h.Set("X-Amz-Firehose-Common-Attributes", attributes(o.CommonAttributes))
	}
	return h
}

// attributes is the header's JSON, its keys in order, in ASCII as headers are.
func attributes(m map[string]string) string {
	if m == nil {
		m = map[string]string{}
	}
	b, _ := json.Marshal(map[string]any{"commonAttributes": m}) // strings can always be written
	var out strings.Builder
	for _, r := range string(b) {
		switch {
		case r < 0x7f:
			out.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&out, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return out.String()
}

// maxBytes is MaxBytes, but no more than fits the protocol's body with as many records as there may be.
func (o Options) maxBytes() int64 {
	if o.Plain {
		return o.MaxBytes
	}
	const around, perRecord = 1 << 10, 16
	return min(o.MaxBytes, (maxRequestBytes-around-perRecord*int64(o.MaxRecords))/4*3)
}

// validName says whether HTTP allows a header of this name.
func validName(name string) bool {
	return regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$").MatchString(name)
}

// validValue says whether HTTP allows such a value of a header.
func validValue(v string) bool {
	for i := range len(v) {
		if v[i] < 0x20 && v[i] != '\t' || v[i] == 0x7f {
			return false
		}
	}
	return true
}
