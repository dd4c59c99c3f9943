package redshift

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/redshiftdata"
	"github.com/aws/aws-sdk-go-v2/service/redshiftdata/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// wait asks until a statement has ended, less and less often. When ctx ends, the statement is asked to end too, which it need not heed. A
// question without an answer says nothing about the statement, so a few in a row are borne.
func (d *dataAPI) wait(ctx context.Context, at stepKind, id *string) (*redshiftdata.DescribeStatementOutput, *failure) {
	pause, unknown := d.poll, 0
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			d.cancel(ctx, id)
			return nil, &failure{at: at, name: nameCancelled, cause: ctx.Err()}
		case <-timer.C:
		}
		out, err := d.client.DescribeStatement(ctx, &redshiftdata.DescribeStatementInput{Id: id})
		switch {
		case err == nil && ended(out.Status):
			return out, nil
		case err == nil:
			unknown = 0
		case ctx.Err() == nil:
			if unknown++; unknown >= maxUnknown || !passing(err) {
				f := apiFailure(ctx, at, err)
				f.unsent = false
				return nil, f
			}
		}
		pause = max(min(pause*3/2, maxPollEvery), d.poll)
		timer.Reset(pause)
	}
}

func ended(s types.StatusString) bool {
	return s == types.StatusStringFinished || s == types.StatusStringFailed || s == types.StatusStringAborted
}

func (d *dataAPI) cancel(ctx context.Context, id *string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelWait)
	defer cancel()
	_, _ = d.client.CancelStatement(ctx, &redshiftdata.CancelStatementInput{Id: id}) // the next attempt finds out by the ledger
}

// errCredentials: nobody has credentials for us. No request was made.
var errCredentials = errors.New("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile (AWS_PROFILE), or give this machine a role")

// chain marks the errors of the provider that it wraps, which would else pass for answers of the Data API.
type chain struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (c chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return got, errCredentials
	}
	return got, nil
}

// IsCredentialsProvider lets the SDK see what kind of provider is inside.
func (c chain) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(c.CredentialsProvider, target)
}

// unanswered: the request may have been taken. That is so of everything but a refusal and a connection that never came about.
func unanswered(err error) bool {
	var op *net.OpError
	switch {
	case errors.Is(err, errCredentials):
		return false
	case errors.As(err, &op) && op.Op == "dial":
		return false
	}
	n := status(err)
	return n < 400 || n >= 500
}

// passing: asking again may help without anybody doing anything.
func passing(err error) bool {
	if errors.Is(err, errCredentials) {
		return false
	}
	n := status(err)
	return n < 400 || n >= 500 || n == http.StatusTooManyRequests || apiCode(err) == "ThrottlingException"
}

// status is that of the answer, 0 when there was none.
func status(err error) int {
	var r *smithyhttp.ResponseError
	if errors.As(err, &r) {
		return r.HTTPStatusCode()
	}
	return 0
}

func apiCode(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// apiFailure classifies what the service said to a request, not to a statement.
func apiFailure(ctx context.Context, at stepKind, err error) *failure {
	f := &failure{at: at, cause: ctx.Err(), unsent: !unanswered(err)}
	var api smithy.APIError
	switch {
	case f.cause != nil:
		f.name = nameCancelled
	case errors.As(err, &api):
		f.name, f.text = nameOfAPI(api.ErrorCode()), api.ErrorCode()+": "+api.ErrorMessage()
	case errors.Is(err, errCredentials):
		f.name, f.text = nameAuth, errCredentials.Error()
	default:
		f.name, f.text = nameConnection, err.Error()
	}
	return f
}

func nameOfAPI(code string) string {
	switch code {
	case "AccessDeniedException", "AccessDenied":
		return nameDenied
	case "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "InvalidClientTokenId", "MissingAuthenticationTokenException":
		return nameAuth
	case "ThrottlingException", "ActiveStatementsExceededException", "ActiveSessionsExceededException":
		return "Throttled"
	case "DatabaseConnectionException":
		return nameConnection
	}
	return nameInternal
}
