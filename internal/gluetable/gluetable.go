// Package gluetable reads a table's columns from the Glue Data Catalog, or from what speaks its protocol. It knows the names of
// column types, not what they mean. One call makes one attempt; when to ask again is the caller's business.
package gluetable

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/glue/types"
	"github.com/aws/smithy-go/logging"
)

// Limits of one call.
const (
	timeout        = 10 * time.Second
	maxAnswerBytes = 16 << 20
	latest         = "LATEST"
	defaultRegion  = "us-east-1"
)

// Options say which table, and how its catalog is reached. Empty fields fall back to the SDK's standard chain: environment
// (AWS_ENDPOINT_URL_GLUE too), shared files, the machine's role.
type Options struct {
	Region   string // default: the chain's, else us-east-1
	Endpoint string // base URL of a catalog other than AWS's
	Catalog  string // account id; default: that of the credentials
	Database string
	Table    string
	Version  string // a number; default LATEST: the table as it is

	Credentials aws.CredentialsProvider // default: the chain's
}

// Column is a column of the table, with the name of its type as the catalog has it.
type Column struct{ Name, Type string }

// Table is what the catalog knows of a table. Its partition keys are left out: their values stand in the paths of files, not in files.
type Table struct {
	Version string // which version this is; empty when the catalog does not say
	Columns []Column
}

// Client reads one table. Safe for concurrent use.
type Client struct {
	o    Options
	glue *glue.Client
	http *awshttp.BuildableClient

	timeout time.Duration // the constant, but for tests
}

// New reads the SDK's configuration chain and makes a client. It calls no service. Close the client when done.
func New(ctx context.Context, o Options) (*Client, error) {
	if o.Database == "" || o.Table == "" {
		return nil, errors.New("glue: a database and a table must be named")
	}
	c := &Client{o: o, timeout: timeout, http: awshttp.NewBuildableClient().WithTransportOptions(tune).
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = timeout / 2 })}
	opts := []func(*config.LoadOptions) error{config.WithHTTPClient(c.http), config.WithLogger(logging.Nop{})} // errors are returned, not logged
	if o.Region != "" {
		opts = append(opts, config.WithRegion(o.Region))
	}
	if o.Credentials != nil {
		opts = append(opts, config.WithCredentialsProvider(o.Credentials))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("glue: load AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	if cfg.Credentials != nil {
		cfg.Credentials = chain{cfg.Credentials}
	}
	cfg.HTTPClient = limited{cfg.HTTPClient}
	c.glue = glue.NewFromConfig(cfg, func(g *glue.Options) {
		if o.Endpoint != "" {
			g.BaseEndpoint = aws.String(o.Endpoint)
		}
		g.Retryer, g.RetryMaxAttempts = aws.NopRetryer{}, 1
	})
	return c, nil
}

// tune: a table is asked for every few minutes, so that no connection is worth keeping.
func tune(t *http.Transport) { t.DisableKeepAlives = true }

// Close ends idle connections. Calls that are under way are not affected.
func (c *Client) Close() error {
	c.http.GetTransport().CloseIdleConnections()
	return nil
}

// Fetch asks the catalog once, for 10 seconds at most. The error is an *Error, which says what to do.
func (c *Client) Fetch(ctx context.Context) (Table, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	t, err := c.table(ctx)
	if err != nil {
		return Table{}, c.fail(reasonOf(err), err)
	}
	if t == nil || t.StorageDescriptor == nil || len(t.StorageDescriptor.Columns) == 0 {
		return Table{}, c.fail(NoColumns, noColumns(t))
	}
	table := Table{Version: aws.ToString(t.VersionId)}
	for _, col := range t.StorageDescriptor.Columns {
		table.Columns = append(table.Columns, Column{Name: aws.ToString(col.Name), Type: aws.ToString(col.Type)})
	}
	return table, nil
}

func (c *Client) table(ctx context.Context) (*types.Table, error) {
	var catalog *string
	if c.o.Catalog != "" {
		catalog = aws.String(c.o.Catalog)
	}
	if c.o.Version == "" || c.o.Version == latest {
		out, err := c.glue.GetTable(ctx, &glue.GetTableInput{CatalogId: catalog, DatabaseName: &c.o.Database, Name: &c.o.Table})
		if err != nil {
			return nil, err
		}
		return out.Table, nil
	}
	out, err := c.glue.GetTableVersion(ctx, &glue.GetTableVersionInput{CatalogId: catalog, DatabaseName: &c.o.Database, TableName: &c.o.Table, VersionId: &c.o.Version})
	if err != nil {
		return nil, err
	}
	if out.TableVersion == nil {
		return nil, nil
	}
	if t := out.TableVersion.Table; t != nil && t.VersionId == nil {
		t.VersionId = out.TableVersion.VersionId
	}
	return out.TableVersion.Table, nil
}

// noColumns says why a table may have none.
func noColumns(t *types.Table) error {
	if t != nil && t.TargetTable != nil {
		return fmt.Errorf("it is a link to the table %s.%s of catalog %s", aws.ToString(t.TargetTable.DatabaseName), aws.ToString(t.TargetTable.Name),
			aws.ToString(t.TargetTable.CatalogId))
	}
	return errors.New("the catalog lists no columns for it")
}

// limited bounds the answers that are read.
type limited struct{ aws.HTTPClient }

// Do implements aws.HTTPClient.
func (l limited) Do(req *http.Request) (*http.Response, error) {
	resp, err := l.HTTPClient.Do(req)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, maxAnswerBytes)
	}
	return resp, err
}
