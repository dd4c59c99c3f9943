// Package s3 writes finished objects to S3 and to stores that speak its protocol. A call makes one
// attempt and classifies what became of it; retrying, back-off and what happens to rejected data
// are delivery's business.
//
// Writes are conditional (If-None-Match: *), so that an object is never overwritten; what already stands
// under a key is told apart by the identity in its metadata key hydrant-batch. A store that refuses the
// condition, or accepts and ignores it, is recognised at its first object: from then on a HEAD comes before each
// unconditional write.
package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Options say how a store is reached and what every object of it carries. Empty fields fall back to the
// SDK's standard chain: environment (AWS_ENDPOINT_URL_S3 too), shared files, the machine's role.
type Options struct {
	Region    string // default: the chain's, else us-east-1
	Endpoint  string // base URL of a store other than AWS's
	PathStyle *bool  // default: true when an endpoint is given here or by the environment

	SSE          string // "" or "none", "s3", "kms"
	KMSKey       string // key id, ARN or alias, with SSE "kms"; "" is the account's default key
	StorageClass string
	ACL          string // a canned ACL

	HTTPClient  *http.Client            // default: one with time-outs of its own
	Credentials aws.CredentialsProvider // default: the chain's
	Logger      *slog.Logger

	// OnUpload is called with the id of a multipart upload before its first part. An error ends the
	// attempt: nobody may start an upload that would be forgotten. OnUploadDone is called once the upload
	// is known to be complete or gone. Both may be called concurrently for different uploads.
	OnUpload     func(bucket, key, uploadID string) error
	OnUploadDone func(uploadID string)
}

// Limits of one attempt.
const (
	maxKeyBytes  = 1024
	maxPutBytes  = 64 << 20  // larger objects go up in parts
	partBytes    = 16 << 20  // of each part but the last
	maxParts     = 10_000    // more bytes than partBytes allows make larger parts
	minRate      = 512 << 10 // bytes a second below which an attempt is given up
	attemptGrace = 60 * time.Second
	abortTimeout = 10 * time.Second
	maxProbe     = 8 << 20 // bytes of an object that is sent twice to see whether the store honours conditions
)

// Store is one store and one way of writing to it. Safe for concurrent use.
type Store struct {
	client *s3.Client
	http   *http.Client // nil when the caller brought one
	o      Options
	log    *slog.Logger

	partBytes, maxPutBytes int64 // the constants, but for tests

	// unconditional is set for good once a write succeeded only without If-None-Match, or although its key was taken.
	unconditional atomic.Bool
	// probed is set once the store was seen to honour the condition or not, or while that is found out.
	probed atomic.Bool
	// proven is set once the store took an object with these options; see aboutObject.
	proven atomic.Bool
}

// New reads the SDK's configuration chain and makes a client. It calls no service. Close the store when done.
func New(ctx context.Context, o Options) (*Store, error) {
	st := &Store{o: o, log: o.Logger, partBytes: partBytes, maxPutBytes: maxPutBytes}
	if st.log == nil {
		st.log = slog.New(slog.DiscardHandler)
	}
	if _, ok := sseTypes[o.SSE]; !ok {
		return nil, fmt.Errorf("s3: sse %q: want none, s3 or kms", o.SSE)
	}
	cfg, err := config.LoadDefaultConfig(ctx, st.loadOptions()...)
	if err != nil {
		return nil, fmt.Errorf("s3: load AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if cfg.Credentials != nil {
		cfg.Credentials = credentialsChain{cfg.Credentials}
	}
	cfg.HTTPClient = st.httpClient(cfg.HTTPClient)
	st.client = s3.NewFromConfig(cfg, st.clientOptions)
	return st, nil
}

func (s *Store) loadOptions() []func(*config.LoadOptions) error {
	base := awshttp.NewBuildableClient().WithTransportOptions(tuneTransport).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 5 * time.Second })
	opts := []func(*config.LoadOptions) error{config.WithHTTPClient(base)}
	if s.o.Region != "" {
		opts = append(opts, config.WithRegion(s.o.Region))
	}
	if s.o.Credentials != nil {
		opts = append(opts, config.WithCredentialsProvider(s.o.Credentials))
	}
	return opts
}

// tuneTransport: many streams share one host, and nothing may wait for an answer for ever. HTTP/2 is left
// out, as one stuck connection would then hold up every stream.
func tuneTransport(t *http.Transport) {
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 128
	t.IdleConnTimeout = 60 * time.Second
	t.TLSHandshakeTimeout = 10 * time.Second
	t.ResponseHeaderTimeout = 60 * time.Second
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
}

// httpClient makes a client that can be closed out of what the chain configured (its certificates, say).
func (s *Store) httpClient(chain aws.HTTPClient) aws.HTTPClient {
	if s.o.HTTPClient != nil {
		return s.o.HTTPClient
	}
	b, ok := chain.(*awshttp.BuildableClient)
	if !ok {
		return chain
	}
	s.http = &http.Client{Transport: b.GetTransport(), CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return s.http
}

// clientOptions runs after the environment was read, so that o.BaseEndpoint shows an endpoint from there.
func (s *Store) clientOptions(o *s3.Options) {
	if s.o.Endpoint != "" {
		o.BaseEndpoint = aws.String(s.o.Endpoint)
	}
	o.UsePathStyle = o.BaseEndpoint != nil
	if s.o.PathStyle != nil {
		o.UsePathStyle = *s.o.PathStyle
	}
	// Checksums are computed here and sent as plain headers: the SDK's trailers are refused by many stores.
	o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	o.RetryMaxAttempts = 1
	o.Retryer = aws.NopRetryer{}
}

// Close ends idle connections. Calls that are under way are not affected.
func (s *Store) Close() error {
	if s.http != nil {
		s.http.CloseIdleConnections()
	}
	return nil
}

var sseTypes = map[string]types.ServerSideEncryption{
	"": "", "none": "", "s3": types.ServerSideEncryptionAes256, "kms": types.ServerSideEncryptionAwsKms,
}

func (s *Store) kmsKey() *string {
	if s.o.SSE != "kms" {
		return nil
	}
	return optional(s.o.KMSKey)
}

// configured says whether requests carry headers that a store may refuse whatever the object.
func (s *Store) configured() bool {
	return sseTypes[s.o.SSE] != "" || s.o.StorageClass != "" || s.o.ACL != ""
}

func optional(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}

// attemptTimeout is how long sending so many bytes may take.
func attemptTimeout(sizeBytes int64) time.Duration {
	return attemptGrace + time.Duration(sizeBytes/minRate)*time.Second
}

var errNoSize = errors.New("s3: size of an object is negative")

// ReadObject reads an object from its beginning. The reader ends with ctx, and is the caller's to close.
func (s *Store) ReadObject(ctx context.Context, bucket, key string) (io.ReadCloser, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, fmt.Errorf("s3: read an object: %w", err)
	}
	return out.Body, nil
}
