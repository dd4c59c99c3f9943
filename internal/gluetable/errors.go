package gluetable

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Reason says what kind of trouble it is, and so what to do about it.
type Reason uint8

// The reasons why there are no columns. The last two may pass by themselves; the others need somebody to change something.
const (
	Other       Reason = iota
	NotFound           // no such database, table or version
	Denied             // these credentials may not read it
	Credentials        // there are none, or they are not valid
	Invalid            // the catalog does not understand the request
	NoColumns          // the table has none
	Unreachable        // no answer
	Busy               // the catalog is too busy or broken
)

// Error says why a table's columns could not be had, and what to do.
type Error struct {
	Reason Reason
	Table  string // database.table
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("glue table %s: %s (%v)", e.Table, e.Reason.advice(), e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Temporary says whether asking again, later, may help without anybody changing anything.
func (e *Error) Temporary() bool { return e.Reason == Unreachable || e.Reason == Busy }

func (r Reason) advice() string {
	switch r {
	case NotFound:
		return "it does not exist; create it, or correct catalog, database, table, version or region"
	case Denied:
		return "access denied; allow glue:GetTable and glue:GetTableVersion on the catalog, the database and the table, and, under Lake Formation, DESCRIBE"
	case Credentials:
		return "no valid AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile (AWS_PROFILE), or give this machine a role"
	case Invalid:
		return "the catalog refused the request; check the names of catalog, database, table and version"
	case NoColumns:
		return "the table has no columns; name a table that has, or list the columns in the configuration"
	case Unreachable:
		return "the catalog does not answer; check endpoint, region and network"
	case Busy:
		return "the catalog cannot answer now; it is asked again later"
	default:
		return "the answer cannot be understood; check that the endpoint is that of a Glue catalog"
	}
}

func (c *Client) fail(r Reason, err error) error {
	return &Error{Reason: r, Table: c.o.Database + "." + c.o.Table, Err: err}
}

// errCredentials: nobody has credentials for us. No request was made.
var errCredentials = errors.New("no AWS credentials")

// chain marks the errors of the provider that it wraps, which would else pass for answers of the catalog.
type chain struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (c chain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return got, fmt.Errorf("%w: %w", errCredentials, err)
	}
	return got, nil
}

// IsCredentialsProvider lets the SDK see what kind of provider is inside.
func (c chain) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(c.CredentialsProvider, target)
}

func reasonOf(err error) Reason {
	if errors.Is(err, errCredentials) {
		return Credentials
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if r := reasonOfCode(api.ErrorCode()); r != Other {
			return r
		}
	}
	var sending *smithyhttp.RequestSendError
	var network net.Error
	if errors.As(err, &sending) || errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) {
		return Unreachable
	}
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil && answer.Response.Response != nil {
		return reasonOfStatus(answer.HTTPStatusCode())
	}
	return Other
}

func reasonOfCode(code string) Reason {
	switch code {
	case "EntityNotFoundException", "ResourceNotFoundException":
		return NotFound
	case "AccessDeniedException", "AccessDenied", "GlueEncryptionException", "PermissionTypeMismatchException":
		return Denied
	case "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "ExpiredToken", "InvalidClientTokenId",
		"MissingAuthenticationTokenException", "MissingAuthenticationToken", "IncompleteSignatureException", "SignatureDoesNotMatch", "OptInRequired":
		return Credentials
	case "InvalidInputException", "ValidationException", "UnknownOperationException":
		return Invalid
	case "ThrottlingException", "Throttling", "RequestLimitExceeded", "InternalServiceException", "InternalFailure", "ServiceUnavailable",
		"OperationTimeoutException", "ResourceNotReadyException", "FederationSourceException", "FederationSourceRetryableException":
		return Busy
	}
	return Other
}

// reasonOfStatus judges an answer by its status alone, as that of something between us and the catalog.
func reasonOfStatus(status int) Reason {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return Denied
	case status == http.StatusTooManyRequests || status >= 500:
		return Busy
	case status >= 400:
		return Invalid
	}
	return Other
}
