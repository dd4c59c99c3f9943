// Package redshift takes objects that lie in an S3 bucket into a table of Amazon Redshift by COPY, or into one of PostgreSQL by INSERT. A
// call makes one attempt and classifies what became of it; writing the object, retrying, back-off, and what happens to a batch that
// cannot be loaded are delivery's business.
//
// A batch is taken in once: one transaction locks a ledger table, runs a statement that fails when the batch stands there already, enters
// it, loads the object and commits. Neither Redshift nor its Data API has unique keys or conditions, and the answer to a COMMIT
// may be lost: only a row that stands or falls with the loaded rows tells what happened. The lock makes an attempt wait for an earlier one
// that still runs, whoever started it, until that one's row can be seen or never will be. For as long it keeps all loads of the ledger
// in line; streams that are to load at the same time are given ledgers of their own.
package redshift

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"hydrant/record"
)

// The modes of Options.
const (
	ModeRedshift = "redshift" // COPY … MANIFEST
	ModePlain    = "plain"    // for PostgreSQL: INSERT … SELECT of the object's JSON
)

// Defaults and limits.
const (
	DefaultLedger           = "hydrant_loads"
	DefaultStatementTimeout = 15 * time.Minute
	DefaultPollEvery        = 500 * time.Millisecond

	maxPollEvery = 5 * time.Second
	callGrace    = time.Minute // of a call beyond its statements: connecting, the manifest, polling
	forgetAtOnce = 500         // ledger rows a statement, which must stay below the Data API's 100 KB
)

// Postgres reaches the warehouse over PostgreSQL's wire protocol.
type Postgres struct {
	// URL is asked before each connection: postgres://user:password@host:port/database?sslmode=…&sslrootcert=…, or
	// jdbc:redshift://host:port/database. sslmode is verify-full when the URL does not say.
	URL func() (string, error)
	// Username and Password stand for those of the URL when set, Password is asked before each connection.
	Username string
	Password func() (string, error)
}

// DataAPI reaches the warehouse through the Redshift Data API. Empty fields about AWS fall back to the SDK's standard chain.
type DataAPI struct {
	Cluster, Workgroup string // exactly one
	Database           string
	DBUser, SecretARN  string // at most one
	Region, Endpoint   string
	Credentials        aws.CredentialsProvider
}

// Options say where the warehouse is and how an object gets into its table. Either Postgres or DataAPI must be given.
type Options struct {
	Postgres *Postgres
	DataAPI  *DataAPI

	Table       string   // [schema.]table as the catalog has it; letters, digits, _ and $
	Columns     []string // of the table, in the order of the object's where that matters; all when empty
	CopyOptions string   // what COPY is told beside table, source, credentials and MANIFEST; not used in plain mode
	// Credentials is asked before each COPY for its clause: IAM_ROLE '…', IAM_ROLE default or CREDENTIALS '…'. Not used in plain mode.
	Credentials func() (string, error)

	Ledger   string // [schema.]table, DefaultLedger when empty
	NoLedger bool   // no ledger: an attempt whose answer is lost loads its batch twice

	// PutManifest stores the manifest in the bucket of the object it names. That it exists already is as good, as it never changes.
	PutManifest func(ctx context.Context, bucket, key string, body []byte) record.Outcome
	// ReadObject opens an object, in plain mode only. The reader ends with ctx.
	ReadObject func(ctx context.Context, bucket, key string) (io.ReadCloser, error)

	Mode             string        // ModeRedshift when empty
	StatementTimeout time.Duration // of each statement, waiting for the ledger included
	PollEvery        time.Duration // first pause between questions to the Data API; they grow to 5 s
	Logger           *slog.Logger
}

// Loader takes objects into one table. Safe for concurrent use.
type Loader struct {
	o      Options
	log    *slog.Logger
	table  string // quoted
	ledger string // quoted, "" without one
	t      transport
	limit  time.Duration // of a call

	setup chan struct{} // held by who creates the ledger
	ready atomic.Bool   // the ledger was seen
}

// New checks the options and, for the Data API, reads the SDK's configuration chain. It calls no service and asks for no secret. Close
// the loader when done.
func New(ctx context.Context, o Options) (*Loader, error) {
	o = withDefaults(o)
	l := &Loader{o: o, log: o.Logger, setup: make(chan struct{}, 1), limit: 2*o.StatementTimeout + callGrace}
	if err := l.check(); err != nil {
		return nil, fmt.Errorf("redshift: %w", err)
	}
	if o.Postgres != nil {
		l.t = &wire{o: *o.Postgres, timeout: o.StatementTimeout, diagnoses: o.Mode == ModeRedshift}
		return l, nil
	}
	api, err := newDataAPI(ctx, *o.DataAPI, o)
	if err != nil {
		return nil, fmt.Errorf("redshift: %w", err)
	}
	l.t = api
	return l, nil
}

func withDefaults(o Options) Options {
	if o.Mode == "" {
		o.Mode = ModeRedshift
	}
	if o.Ledger == "" {
		o.Ledger = DefaultLedger
	}
	if o.StatementTimeout <= 0 {
		o.StatementTimeout = DefaultStatementTimeout
	}
	if o.PollEvery <= 0 {
		o.PollEvery = DefaultPollEvery
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func (l *Loader) check() (err error) {
	o := &l.o
	switch {
	case (o.Postgres == nil) == (o.DataAPI == nil):
		return errors.New("either a PostgreSQL URL or the Data API is needed")
	case o.Postgres != nil && o.Postgres.URL == nil:
		return errors.New("a PostgreSQL URL is needed")
	case o.Mode != ModeRedshift && o.Mode != ModePlain:
		return fmt.Errorf("mode %q: want %s or %s", o.Mode, ModeRedshift, ModePlain)
	case o.Mode == ModePlain && (o.DataAPI != nil || o.ReadObject == nil):
		return errors.New("mode plain needs a PostgreSQL URL and a way to read objects")
	case o.Mode == ModeRedshift && (o.PutManifest == nil || o.Credentials == nil):
		return errors.New("mode redshift needs credentials for COPY and a way to store manifests")
	}
	if l.table, err = quoteTable(o.Table); err != nil {
		return fmt.Errorf("table: %w", err)
	}
	if !o.NoLedger {
		if l.ledger, err = quoteTable(o.Ledger); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
	}
	for _, c := range o.Columns {
		if _, err := quoteName(c); err != nil {
			return fmt.Errorf("column: %w", err)
		}
	}
	return checkOptions(o.CopyOptions)
}

// Close ends idle connections. Calls that are under way are not affected.
func (l *Loader) Close() error {
	l.t.close()
	return nil
}
