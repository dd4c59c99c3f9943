package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/spf13/cobra"
)

const (
	defaultEndpoint = "http://127.0.0.1:4573"
	endpointEnv     = "HYDRANT_ENDPOINT"
	defaultRegion   = "us-east-1"

	// credentialsTimeout bounds the search for credentials; a Hydrant without auth needs none.
	credentialsTimeout = 5 * time.Second
	// answerTimeout bounds a request: longer than the daemon waits for its disk or for a part of its memory.
	answerTimeout = 2 * time.Minute
)

// endpointFlag says where the daemon is.
type endpointFlag struct{ value string }

func (e *endpointFlag) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&e.value, "endpoint", "", "`URL` of the record port (default $"+endpointEnv+", else "+defaultEndpoint+")")
}

// url is the flag, the environment's or the default, without a slash at its end.
func (e *endpointFlag) url() (string, error) {
	text := e.value
	if text == "" {
		text = os.Getenv(endpointEnv)
	}
	if text == "" {
		text = defaultEndpoint
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return "", usagef("the endpoint %q is no URL; write one such as %s", text, defaultEndpoint)
	}
	return strings.TrimRight(text, "/"), nil
}

// client returns an API client that makes one attempt a call.
func (e *endpointFlag) client(ctx context.Context) (*firehose.Client, string, error) {
	endpoint, err := e.url()
	if err != nil {
		return nil, "", err
	}
	c, err := newClient(ctx, endpoint)
	return c, endpoint, err
}

func newClient(ctx context.Context, endpoint string) (*firehose.Client, error) {
	c, err := loadAWS(ctx)
	if err != nil {
		return nil, err
	}
	return firehose.NewFromConfig(c, func(o *firehose.Options) {
		o.BaseEndpoint = &endpoint
		o.Retryer = aws.NopRetryer{}
		o.HTTPClient = &http.Client{Timeout: answerTimeout, Transport: http.DefaultTransport.(*http.Transport).Clone()}
	}), nil
}

// loadAWS is the SDK's standard chain without the metadata service of EC2, which elsewhere is only found missing after seconds.
func loadAWS(ctx context.Context) (aws.Config, error) {
	c, err := awsconfig.LoadDefaultConfig(ctx,
		awsconfig.WithDefaultRegion(defaultRegion),
		awsconfig.WithEC2IMDSClientEnableState(imds.ClientDisabled))
	if err != nil {
		return c, configError{fmt.Errorf("the AWS settings of this shell cannot be used: %w", err)}
	}
	c.Credentials = aws.NewCredentialsCache(orAnonymous(c.Credentials))
	return c, nil
}

// orAnonymous signs with made-up keys where the chain finds none: a Hydrant without an auth section takes any.
func orAnonymous(chain aws.CredentialsProvider) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		if chain != nil {
			ctx, cancel := context.WithTimeout(ctx, credentialsTimeout)
			defer cancel()
			if found, err := chain.Retrieve(ctx); err == nil {
				return found, nil
			}
		}
		return aws.Credentials{AccessKeyID: "hydrant", SecretAccessKey: "hydrant", Source: "none found"}, nil
	})
}

// explain says what to do next about an error of a call.
func explain(endpoint string, err error) error {
	var dial *net.OpError
	var api smithy.APIError
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case errors.As(err, &dial) && dial.Op == "dial":
		return fmt.Errorf("no Hydrant answers at %s (%w); start one with `hydrant run`, or say where it is with --endpoint or $%s", endpoint, dial.Err, endpointEnv)
	case errors.As(err, &api) && api.ErrorCode() == "ResourceNotFoundException":
		return fmt.Errorf("%s `hydrant streams` lists the streams of %s", api.ErrorMessage(), endpoint)
	case errors.As(err, &api):
		return fmt.Errorf("%s: %s", api.ErrorCode(), api.ErrorMessage())
	}
	if status, _ := statusOf(err); status != 0 {
		return fmt.Errorf("%s answers, but not as a record port (HTTP status %d); that is usually %s; say where it is with --endpoint or $%s",
			endpoint, status, defaultEndpoint, endpointEnv)
	}
	return fmt.Errorf("%s: %w", endpoint, err)
}

// statusOf is the HTTP status of a failed call, 0 when there was no answer.
func statusOf(err error) (int, http.Header) {
	var resp *smithyhttp.ResponseError
	if !errors.As(err, &resp) || resp.Response == nil {
		return 0, nil
	}
	return resp.HTTPStatusCode(), resp.Response.Header
}
