package redshift

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/redshiftdata"
	"github.com/aws/aws-sdk-go-v2/service/redshiftdata/types"
	"github.com/aws/smithy-go/logging"
)

const (
	defaultRegion  = "us-east-1"
	statementName  = "hydrant"
	maxAnswerBytes = 4 << 20
	cancelWait     = 5 * time.Second // for CancelStatement to be taken
	maxUnknown     = 10              // questions in a row that got no answer before a statement is given up
)

// dataAPI submits statements and asks what became of them. A batch of statements is one transaction there.
type dataAPI struct {
	o       DataAPI
	client  *redshiftdata.Client
	http    *http.Client // nil when the chain brought something else
	timeout time.Duration
	poll    time.Duration
	submits *submissions
}

func newDataAPI(ctx context.Context, d DataAPI, o Options) (*dataAPI, error) {
	switch {
	case (d.Cluster == "") == (d.Workgroup == ""):
		return nil, errors.New("the Data API needs either a cluster or a workgroup")
	case d.Database == "":
		return nil, errors.New("the Data API needs a database")
	case d.DBUser != "" && d.SecretARN != "":
		return nil, errors.New("the Data API takes a database user or a secret, not both")
	}
	a := &dataAPI{o: d, timeout: o.StatementTimeout, poll: o.PollEvery, submits: newSubmissions()}
	base := awshttp.NewBuildableClient().WithTransportOptions(tune).WithDialerOptions(func(d *net.Dialer) { d.Timeout = 5 * time.Second })
	opts := []func(*config.LoadOptions) error{config.WithHTTPClient(base), config.WithLogger(logging.Nop{})} // errors are returned, not logged
	if d.Region != "" {
		opts = append(opts, config.WithRegion(d.Region))
	}
	if d.Credentials != nil {
		opts = append(opts, config.WithCredentialsProvider(d.Credentials))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = defaultRegion
	}
	if cfg.Credentials != nil {
		cfg.Credentials = chain{cfg.Credentials}
	}
	cfg.HTTPClient = limited{a.httpClient(cfg.HTTPClient)}
	a.client = redshiftdata.NewFromConfig(cfg, func(r *redshiftdata.Options) {
		if d.Endpoint != "" {
			r.BaseEndpoint = aws.String(d.Endpoint)
		}
		r.Retryer, r.RetryMaxAttempts = aws.NopRetryer{}, 1
	})
	return a, nil
}

func tune(t *http.Transport) {
	t.MaxIdleConnsPerHost = 8
	t.IdleConnTimeout = 60 * time.Second
	t.TLSHandshakeTimeout = 10 * time.Second
	t.ResponseHeaderTimeout = 30 * time.Second
}

// httpClient makes a client that can be closed out of what the chain configured (its certificates, say).
func (d *dataAPI) httpClient(fromChain aws.HTTPClient) aws.HTTPClient {
	b, ok := fromChain.(*awshttp.BuildableClient)
	if !ok {
		return fromChain
	}
	d.http = &http.Client{Transport: b.GetTransport(), CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	return d.http
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

func (d *dataAPI) close() {
	if d.http != nil {
		d.http.CloseIdleConnections()
	}
}

// transact submits all at once. Of a submission whose answer is lost nobody knows whether it runs: the next attempt repeats it word for
// word under its token, and is told of the first one's statement if there is one. Should the token be forgotten by then, the ledger
// is what keeps the batch from being loaded twice.
func (d *dataAPI) transact(ctx context.Context, id string, steps []step) *failure {
	sub, again := d.submits.take(id, d.statements(steps))
	out, err := d.client.BatchExecuteStatement(ctx, &redshiftdata.BatchExecuteStatementInput{
		Sqls: sub.sqls, ClientToken: &sub.token, StatementName: aws.String(statementName), Database: &d.o.Database,
		ClusterIdentifier: optional(d.o.Cluster), WorkgroupName: optional(d.o.Workgroup), DbUser: optional(d.o.DBUser), SecretArn: optional(d.o.SecretARN),
	})
	if err != nil {
		if unanswered(err) {
			d.submits.keep(id, sub)
		}
		f := apiFailure(ctx, atConnect, err)
		f.unsent = f.unsent && !again // the one before may run
		return f
	}
	desc, f := d.wait(ctx, steps[len(steps)-1].at, out.Id)
	if f != nil || desc.Status == types.StatusStringFinished {
		return f
	}
	return d.failed(ctx, steps, desc)
}

// statements puts the session's setting in front.
func (d *dataAPI) statements(steps []step) []string {
	sqls := []string{"SET statement_timeout TO " + strconv.FormatInt(max(d.timeout.Milliseconds(), 1), 10)}
	for _, s := range steps {
		sqls = append(sqls, s.sql)
	}
	return sqls
}

// failed finds out which statement it was.
func (d *dataAPI) failed(ctx context.Context, steps []step, desc *redshiftdata.DescribeStatementOutput) *failure {
	for i, sub := range desc.SubStatements {
		if sub.Status != types.StatementStatusStringFailed && sub.Status != types.StatementStatusStringAborted {
			continue
		}
		st := step{at: atSession}
		if n := ordinal(aws.ToString(sub.Id), i); n > 0 && n <= len(steps) {
			st = steps[n-1]
		}
		f := statementFailure(st.at, aws.ToString(sub.Error), aws.ToString(desc.Error))
		f.unsent = true
		if st.at == atCopy && f.name == nameLoad && sub.RedshiftQueryId > 0 {
			d.diagnose(ctx, sub.RedshiftQueryId, f)
		}
		return f
	}
	f := statementFailure(atCommit, aws.ToString(desc.Error), "")
	if desc.Status == types.StatusStringAborted {
		f.name = nameCancelled
	}
	return f
}

// ordinal is the number of a statement in its batch, from 0: its id ends with it, counted from 1.
func ordinal(id string, index int) int {
	if i := strings.LastIndexByte(id, ':'); i >= 0 {
		if n, err := strconv.Atoi(id[i+1:]); err == nil {
			return n - 1
		}
	}
	return index
}

// statementFailure takes what is known of a statement: a text, which stands in one of two places.
func statementFailure(at stepKind, texts ...string) *failure {
	f := &failure{at: at}
	for _, t := range texts {
		if f.text == "" {
			f.text = t
		}
	}
	f.name = nameOfText(at, f.text)
	if hidden(at, f.name) {
		f.text = "the data was refused"
	}
	return f
}

func (d *dataAPI) diagnose(ctx context.Context, query int64, f *failure) {
	ctx, cancel := context.WithTimeout(ctx, diagnoseTimeout)
	defer cancel()
	f.text = diagnosis(f.text, strconv.FormatInt(query, 10), func(sql string) ([][]string, *failure) { return d.single(ctx, atSession, sql) })
}

func (d *dataAPI) single(ctx context.Context, at stepKind, sql string) ([][]string, *failure) {
	out, err := d.client.ExecuteStatement(ctx, &redshiftdata.ExecuteStatementInput{
		Sql: &sql, StatementName: aws.String(statementName), Database: &d.o.Database,
		ClusterIdentifier: optional(d.o.Cluster), WorkgroupName: optional(d.o.Workgroup), DbUser: optional(d.o.DBUser), SecretArn: optional(d.o.SecretARN),
	})
	if err != nil {
		return nil, apiFailure(ctx, at, err)
	}
	desc, f := d.wait(ctx, at, out.Id)
	switch {
	case f != nil:
		return nil, f
	case desc.Status != types.StatusStringFinished:
		return nil, statementFailure(at, aws.ToString(desc.Error))
	case !aws.ToBool(desc.HasResultSet):
		return nil, nil
	}
	result, err := d.client.GetStatementResult(ctx, &redshiftdata.GetStatementResultInput{Id: out.Id})
	if err != nil {
		return nil, apiFailure(ctx, at, err)
	}
	return cells(result.Records), nil
}

func cells(records [][]types.Field) [][]string {
	var rows [][]string
	for _, r := range records[:min(len(records), maxRows)] {
		row := make([]string, len(r))
		for i, f := range r {
			switch v := f.(type) {
			case *types.FieldMemberLongValue:
				row[i] = strconv.FormatInt(v.Value, 10)
			case *types.FieldMemberStringValue:
				row[i] = v.Value
			}
		}
		rows = append(rows, row)
	}
	return rows
}

func optional(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}
