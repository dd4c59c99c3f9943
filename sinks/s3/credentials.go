package s3

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// errCredentials: nobody has credentials for us. No request was made.
var errCredentials = errors.New("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile (AWS_PROFILE), or give this machine a role")

// credentialsChain marks the errors of the provider that it wraps, which would else pass for answers of the store: of the chain's
// last link, the machine's metadata service, nobody has heard who only forgot a key.
type credentialsChain struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (c credentialsChain) Retrieve(ctx context.Context) (aws.Credentials, error) {
	got, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return got, fmt.Errorf("%w (%w)", errCredentials, err)
	}
	return got, nil
}

// IsCredentialsProvider lets the SDK see what kind of provider is inside.
func (c credentialsChain) IsCredentialsProvider(target aws.CredentialsProvider) bool {
	return aws.IsCredentialsProvider(c.CredentialsProvider, target)
}
