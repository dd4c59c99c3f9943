package opensearch

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/opensearch-project/opensearch-go/v4/signer"
	"github.com/opensearch-project/opensearch-go/v4/signer/awsv2"
)

// errCredentials: nobody has credentials for us. No request was made.
var errCredentials = errors.New("no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile (AWS_PROFILE), or give this machine a role")

// newSigner reads the SDK's configuration chain, unless the options say all. It calls no service.
func newSigner(o *Options) (signer.Signer, error) {
	var load []func(*config.LoadOptions) error
	if o.Region != "" {
		load = append(load, config.WithRegion(o.Region))
	}
	if o.Credentials != nil {
		load = append(load, config.WithCredentialsProvider(o.Credentials))
	}
	cfg, err := config.LoadDefaultConfig(context.Background(), load...)
	if err != nil {
		return nil, fmt.Errorf("load AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return nil, errors.New("no AWS region to sign for")
	}
	cfg.Credentials = marked{cfg.Credentials}
	return awsv2.NewSignerWithService(aws.Config{Region: cfg.Region, Credentials: cfg.Credentials}, o.SigV4Service)
}

// marked tells the errors of the provider inside from those of a request to the cluster.
type marked struct{ aws.CredentialsProvider }

// Retrieve implements aws.CredentialsProvider.
func (m marked) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if m.CredentialsProvider == nil {
		return aws.Credentials{}, errCredentials
	}
	got, err := m.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return got, fmt.Errorf("%w (%w)", errCredentials, err)
	}
	return got, nil
}
