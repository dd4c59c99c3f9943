// Package splunk sends records to Splunk's HTTP Event Collector, as raw data or as events, and waits for the indexer's
// acknowledgement when it is asked to. A call makes one attempt and classifies what became of it in Firehose's error names;
// retrying, back-off, packing and what happens to rejected records are delivery's business.
//
// Splunk recognises no repeats: what was sent and not acknowledged may be indexed, and is sent again. Of a request that it refuses for
// one event it says at most where that event stands, and may have indexed those before it. Such a request is Rejected with TooLarge, "fewer at
// once may be taken", as long as it has more than one record: halved again and again, the bad record ends up alone.
package splunk

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"hydrant/record"
)

// Options say how a collector is reached and what is told about every event.
type Options struct {
	URL string // base URL, such as https://splunk:8088; a path from /services/collector on is taken off
	// Token is asked before the first request and again after one that Splunk refused the token of. One call at a time.
	Token    func() (string, error)
	Endpoint string // "event" or "raw"

	AckTimeout time.Duration // how long an acknowledgement is waited for, from the answer on; 0: an answer of 200 is delivery
	PollEvery  time.Duration // between two questions for acknowledgements at first, grows to 10 s; default 1 s
	Channel    string        // a GUID; "" draws one. Another is drawn whenever an acknowledgement on it is in doubt

	Host, Source, SourceType, Index string // of raw data, and of the events that are made of records

	ContentEncoding string        // "", "none" or "gzip"
	MaxBytes        int64         // record bytes of a request; default 1 MiB, what old collectors take
	MaxRecords      int           // of a request; default 10,000
	TLS             *tls.Config   // nil: the machine's certificates
	Timeout         time.Duration // of one HTTP request, answer included; default 60 s
	Logger          *slog.Logger
}

const (
	defaultBytes   = 1 << 20
	defaultRecords = 10_000
	minBytes       = 64 << 10 // below this a request is not made smaller for an answer of 413
	warnEvery      = time.Minute
)

// Sink is one collector and one way of writing to it. Safe for concurrent use.
type Sink struct {
	o      Options
	base   string // URL of the collector, without a slash at its end
	meta   string // members of each event that is made of a record, each with a comma in front
	http   *http.Client
	log    *slog.Logger
	tokens tokens
	acks   *tracker
	zips   sync.Pool // *gzip.Writer

	bytes  atomic.Int64 // the limit of a request's record bytes; only falls
	warned atomic.Int64 // Unix ns of the last warning
}

// New makes a sink. It sends nothing and asks for no token yet. Close the sink when done.
func New(o Options) (*Sink, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("splunk: %w", err)
	}
	base, err := collector(o.URL)
	if err != nil {
		return nil, fmt.Errorf("splunk: url: %w", err)
	}
	s := &Sink{o: o, base: base, meta: meta(&o), http: newClient(&o), log: o.Logger, tokens: tokens{ask: o.Token}}
	s.acks = newTracker(o.Channel, o.PollEvery, s.askAcks)
	s.bytes.Store(o.MaxBytes)
	return s, nil
}

// complete fills in the defaults and checks what can be checked without a request.
func (o *Options) complete() error {
	if o.PollEvery == 0 {
		o.PollEvery = time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = time.Minute
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = defaultBytes
	}
	if o.MaxRecords == 0 {
		o.MaxRecords = defaultRecords
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Channel == "" {
		o.Channel = newGUID()
	}
	switch {
	case o.Token == nil:
		return errors.New("token: none is given")
	case o.Endpoint != "event" && o.Endpoint != "raw":
		return fmt.Errorf("endpoint %q: want event or raw", o.Endpoint)
	case o.ContentEncoding != "" && o.ContentEncoding != "none" && o.ContentEncoding != "gzip":
		return fmt.Errorf("content encoding %q: want none or gzip", o.ContentEncoding)
	case !isGUID(o.Channel):
		return fmt.Errorf("channel %q: want a GUID", o.Channel)
	case o.AckTimeout < 0 || o.PollEvery < 0 || o.Timeout < 0 || o.MaxBytes < 0 || o.MaxRecords < 0:
		return errors.New("a limit or a time is negative")
	}
	return nil
}

// collector is the URL that everything is asked below. The path before /services/collector stays: a proxy may need it.
func collector(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", errors.New("cannot be read") // the error would hold the whole URL, with a password in it, perhaps
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", errors.New("want http(s)://HOST:PORT")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("may have no user, query or fragment")
	}
	path := u.EscapedPath()
	if i := strings.Index(path+"/", "/services/collector/"); i >= 0 {
		path = path[:i]
	}
	return u.Scheme + "://" + u.Host + strings.TrimRight(path, "/") + "/services/collector", nil
}

// meta is the part that all events made of records share.
func meta(o *Options) string {
	var b strings.Builder
	for _, f := range []record.Field{{Name: "host", Value: o.Host}, {Name: "source", Value: o.Source}, {Name: "sourcetype", Value: o.SourceType}, {Name: "index", Value: o.Index}} {
		if f.Value != "" {
			v, _ := json.Marshal(f.Value) // a string always has a JSON form
			fmt.Fprintf(&b, ",%q:%s", f.Name, v)
		}
	}
	return b.String()
}

// Limits is what the collector takes at once: less after it refused a request for its size. One request at a time keeps the order.
func (s *Sink) Limits() record.RequestLimits {
	return record.RequestLimits{Records: s.o.MaxRecords, Bytes: s.bytes.Load(), Concurrent: 1}
}

// shrink: what was refused as too large is not packed as large again.
func (s *Sink) shrink(refusedBytes int64) {
	next := max(refusedBytes/2, min(minBytes, s.o.MaxBytes))
	for cur := s.bytes.Load(); next < cur && !s.bytes.CompareAndSwap(cur, next); cur = s.bytes.Load() {
	}
}

// Describe names the record as it was first accepted: EventId is EPOCH.POSITION.SUB.
func (s *Sink) Describe(item *record.Item) []record.Field {
	id, sub := item.Name()
	return []record.Field{{Name: "EventId", Value: id.Epoch.String() + "." + strconv.FormatUint(uint64(id.Pos), 10) + "." + strconv.Itoa(int(sub))}}
}

// Close ends the wait for acknowledgements, waits for the question that is under way and ends idle connections. Requests with records
// that are under way are not affected; later ones are refused.
func (s *Sink) Close() error {
	s.acks.close()
	s.http.CloseIdleConnections()
	return nil
}

// warn is for what somebody has to mend. It is said at most once in warnEvery.
func (s *Sink) warn(ctx context.Context, msg string, err error) {
	now, last := time.Now().UnixNano(), s.warned.Load()
	if now-last >= int64(warnEvery) && s.warned.CompareAndSwap(last, now) {
		s.log.WarnContext(ctx, msg, "sink", "splunk", "err", err)
	}
}

// newGUID is a random UUID of version 4.
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func isGUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (c == '-') || !dash && !strings.ContainsRune("0123456789abcdefABCDEF", rune(c)) {
			return false
		}
	}
	return true
}
