package daemon

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"hydrant/config"
	"hydrant/record"
	"hydrant/sinks/httpendpoint"
	"hydrant/sinks/opensearch"
	"hydrant/sinks/redshift"
	"hydrant/sinks/splunk"
)

// newRequester makes the client of a destination that takes records in requests.
func newRequester(e *env, stream string, d config.Destination) (io.Closer, error) {
	switch {
	case d.OpenSearch != nil:
		return newOpenSearch(e, d.OpenSearch)
	case d.Splunk != nil:
		return newSplunk(e, d.Splunk)
	case d.HTTP != nil:
		return newHTTP(e, stream, d.HTTP)
	}
	return nil, errors.New("the destination takes no requests")
}

func newOpenSearch(e *env, o *config.OpenSearch) (io.Closer, error) {
	t, err := clientTLS(o.TLS)
	if err != nil {
		return nil, err
	}
	opt := opensearch.Options{
		URLs: o.URLs, Index: o.Index, Rotation: o.Rotation, WeekRule: o.WeekRule, DocumentID: o.DocumentID, Timestamp: o.Timestamp,
		Pipeline: o.Pipeline, TypeName: o.TypeName, Username: o.Username, Password: o.Password.Get(), TLS: t, ContentEncoding: o.Encoding,
		MaxBytes: int64(o.Request.Size), MaxRecords: o.Request.Records, MaxConcurrent: o.Request.Concurrent, Timeout: time.Duration(o.Timeout),
		Logger: e.logger,
	}
	if o.SigV4 != nil {
		opt.SigV4Service, opt.Region, opt.Serverless = o.SigV4.Service, o.SigV4.Region, o.SigV4.Service == "aoss"
		if opt.Region == "" {
			opt.Region = e.region
		}
	}
	return opensearch.New(opt)
}

func newSplunk(e *env, s *config.Splunk) (io.Closer, error) {
	t, err := clientTLS(s.TLS)
	if err != nil {
		return nil, err
	}
	return splunk.New(splunk.Options{
		URL: s.URL, Token: s.Token.Get(), Endpoint: s.Endpoint, AckTimeout: time.Duration(s.AckTimeout), Host: s.Host, Source: s.Source,
		SourceType: s.SourceType, Index: s.Index, ContentEncoding: s.Encoding, MaxBytes: int64(s.Request.Size), MaxRecords: s.Request.Records,
		TLS: t, Timeout: time.Duration(s.Timeout), Logger: e.logger,
	})
}

func newHTTP(e *env, stream string, h *config.HTTP) (io.Closer, error) {
	t, err := clientTLS(h.TLS)
	if err != nil {
		return nil, err
	}
	headers := map[string]func() (string, error){}
	for name, v := range h.Headers {
		headers[name] = v.Get()
	}
	return httpendpoint.New(httpendpoint.Options{
		URL: h.URL, AccessKey: h.AccessKey.Get(), SourceARN: config.StreamARN(e.aws, stream), CommonAttributes: h.CommonAttributes,
		ContentEncoding: h.Encoding, Plain: h.Plain, Body: h.Body, Labels: h.Labels, Headers: headers, MaxBytes: int64(h.Request.Size),
		MaxRecords: h.Request.Records, Timeout: time.Duration(h.Timeout), TLS: t, Logger: e.logger,
	})
}

// newLoader makes the client of a warehouse.
func newLoader(e *env, d config.Destination) (io.Closer, error) {
	c := d.Redshift
	if c == nil {
		return nil, errors.New("the destination loads no objects")
	}
	objects := e.stores.of(c.S3)
	opt := redshift.Options{
		Table: c.Table, Columns: c.Columns, CopyOptions: c.CopyOptions, Credentials: c.Credentials.Get(), Ledger: c.Ledger,
		NoLedger: c.Ledger == config.LedgerNone, StatementTimeout: time.Duration(c.Timeout), Logger: e.logger,
		PutManifest: func(ctx context.Context, bucket, key string, body []byte) record.Outcome {
			return objects.Put(ctx, manifestObject(bucket, key, body))
		},
	}
	if opener, ok := objects.(opener); ok {
		opt.ReadObject = opener.ReadObject
	}
	if a := c.DataAPI; a != nil {
		opt.DataAPI = &redshift.DataAPI{Cluster: a.Cluster, Workgroup: a.Workgroup, Database: a.Database, DBUser: a.DBUser, SecretARN: a.SecretARN,
			Region: a.Region, Endpoint: a.Endpoint}
		if a.Region == "" {
			opt.DataAPI.Region = e.region
		}
	}
	if p := c.Postgres; p != nil {
		opt.Postgres = &redshift.Postgres{URL: p.URL.Get(), Username: p.Username, Password: p.Password.Get()}
		if p.Plain {
			opt.Mode = redshift.ModePlain
		}
	}
	return redshift.New(context.Background(), opt)
}

// opener reads objects again.
type opener interface {
	ReadObject(ctx context.Context, bucket, key string) (io.ReadCloser, error)
}

// clientTLS is nil when nothing is configured.
func clientTLS(c config.TLS) (*tls.Config, error) {
	if c == (config.TLS{}) {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName, InsecureSkipVerify: c.InsecureSkipVerify}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.ca_file: %s holds no certificate in PEM form", c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("tls.cert_file: %w", err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}
