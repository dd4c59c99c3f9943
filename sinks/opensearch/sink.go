// Package opensearch sends records as documents to the _bulk endpoint of OpenSearch clusters, Amazon OpenSearch Service and Serverless,
// and Elasticsearch. A call makes one attempt and classifies what became of each record; retrying, back-off, batching and what happens
// to rejected records are delivery's business.
//
// The action is always create, under an id that is made of the record's own name: a document that is there already (409) was
// written by an earlier attempt, and counts as delivered. The index follows from the time of arrival, so that no attempt ever
// writes a record into another index.
//
// The client library brings the signing and the URLs of nodes. What it would do on its own account is turned off: retries,
// health checks, discovery, and settings that it takes from the environment.
package opensearch

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"

	"hydrant/record"
)

// Options say how a cluster is reached and what documents become.
type Options struct {
	URLs []string // of nodes, without credentials; taken in turn

	Index      string // name, its beginning where Rotation adds a suffix, or a data stream
	Rotation   string // "" or none | hour | day | week | month: suffix by arrival, UTC
	WeekRule   string // "" or us: weeks end with a Saturday, which numbers them | iso
	DocumentID string // "" or stable: made of the record's name, once each | none: the cluster's
	Timestamp  string // top-level field that gets the arrival time (RFC 3339, ms, UTC) in objects without it; "" none
	Pipeline   string // ingest pipeline; "" none
	TypeName   string // for Elasticsearch up to 6; "" none

	Username     string                  // basic authentication; "" none
	Password     func() (string, error)  // of Username; asked once, and again after a 401 or 403
	SigV4Service string                  // es | aoss: sign requests; "" do not
	Region       string                  // of SigV4; default: the SDK chain's
	Credentials  aws.CredentialsProvider // of SigV4; default: the SDK chain's
	TLS          *tls.Config             // nil: the system's

	ContentEncoding string        // "" or none | gzip: of requests
	MaxBytes        int64         // of the records of a request, default 5 MiB
	MaxRecords      int           // of a request, default 5000
	MaxConcurrent   int           // requests of a batch at once, default 4
	Timeout         time.Duration // of one request, default 60 s

	Serverless bool // names of the fields of error records: osDocumentId, osIndexName
	Logger     *slog.Logger
}

// Defaults and limits of one attempt.
const (
	defaultMaxBytes      = 5 << 20
	defaultMaxRecords    = 5000
	defaultMaxConcurrent = 4
	defaultTimeout       = 60 * time.Second

	maxAnswer      = 64 << 20 // bytes of an answer to a bulk request; more is refused
	maxErrorAnswer = 64 << 10 // bytes read of an answer that refuses a request
	maxReason      = 1000     // bytes kept of the reason for a document
)

// Sink is one cluster and one way of writing to it. Safe for concurrent use.
type Sink struct {
	o         Options
	names     names
	timestamp timestamp
	client    *client
	password  password
	pace      pace
	bulks     bulkPool
	answers   bufferPool
	log       throttledLog
	named     atomic.Bool // answers are asked to name documents, since one had to be asked again for that
}

// New makes a client. It asks no service; credentials are asked for when the first request is made. Close the sink when done.
func New(o Options) (*Sink, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("opensearch: %w", err)
	}
	o.MaxBytes = cmp.Or(o.MaxBytes, defaultMaxBytes)
	o.MaxRecords = cmp.Or(o.MaxRecords, defaultMaxRecords)
	o.MaxConcurrent = cmp.Or(o.MaxConcurrent, defaultMaxConcurrent)
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := newClient(&o)
	if err != nil {
		return nil, fmt.Errorf("opensearch: %w", err)
	}
	s := &Sink{o: o, names: newNames(&o), timestamp: newTimestamp(o.Timestamp), client: c, log: throttledLog{log: o.Logger.With("sink", "opensearch")}}
	s.password.ask = o.Password
	s.pace.init(o.MaxBytes, o.MaxConcurrent)
	return s, nil
}

func (o *Options) check() error {
	switch {
	case len(o.URLs) == 0:
		return errors.New("no URL of a node")
	case o.Index == "":
		return errors.New("no index")
	case !oneOf(o.Rotation, "", "none", "hour", "day", "week", "month"):
		return fmt.Errorf("rotation %q: want none, hour, day, week or month", o.Rotation)
	case !oneOf(o.WeekRule, "", "us", "iso"):
		return fmt.Errorf("week rule %q: want us or iso", o.WeekRule)
	case !oneOf(o.DocumentID, "", "stable", "none"):
		return fmt.Errorf("document id %q: want stable or none", o.DocumentID)
	case !oneOf(o.SigV4Service, "", "es", "aoss"):
		return fmt.Errorf("service %q to sign for: want es or aoss", o.SigV4Service)
	case !oneOf(o.ContentEncoding, "", "none", "gzip"):
		return fmt.Errorf("content encoding %q: want none or gzip", o.ContentEncoding)
	case o.SigV4Service != "" && o.Username != "":
		return errors.New("requests are either signed or carry a user name")
	case o.Username != "" && o.Password == nil:
		return errors.New("a user name without a password")
	case !utf8.ValidString(o.Timestamp):
		return errors.New("the name of the timestamp field is not UTF-8")
	case o.MaxBytes < 0 || o.MaxRecords < 0 || o.MaxConcurrent < 0 || o.Timeout < 0:
		return errors.New("a limit is negative")
	}
	return nil
}

func oneOf(v string, allowed ...string) bool {
	for _, a := range allowed {
		if v == a {
			return true
		}
	}
	return false
}

// Limits are what the cluster takes at once, as far as it is known: fewer bytes after it refused a request for its size, fewer requests
// after it said that it is busy. Both grow back while it takes what it is given.
func (s *Sink) Limits() record.RequestLimits {
	bytes, concurrent := s.pace.limits()
	return record.RequestLimits{Records: s.o.MaxRecords, Bytes: bytes, Concurrent: concurrent}
}

// Describe names the document that the item is: Firehose's fields of an error record for this destination.
func (s *Sink) Describe(item *record.Item) []record.Field {
	id, index := "", s.names.index+string(s.names.appendSuffix(nil, item.ArrivalMillis))
	if s.names.ids {
		id = string(appendID(nil, item))
	}
	if s.o.Serverless {
		return []record.Field{{Name: "osDocumentId", Value: id}, {Name: "osIndexName", Value: index}}
	}
	return []record.Field{{Name: "esDocumentId", Value: id}, {Name: "esIndexName", Value: index}, {Name: "esTypeName", Value: s.o.TypeName}}
}

// Close ends idle connections. Calls that are under way are not affected.
func (s *Sink) Close() error { return s.client.close() }
