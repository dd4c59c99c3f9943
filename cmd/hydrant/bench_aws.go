package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"

	"hydrant/internal/loadgen"
)

const benchBucket = "bench"

// createBenchStream makes the stream unless it is there.
func createBenchStream(ctx context.Context, endpoint, stream string) error {
	c, err := newClient(ctx, endpoint)
	if err != nil {
		return err
	}
	_, err = c.CreateDeliveryStream(ctx, &firehose.CreateDeliveryStreamInput{
		DeliveryStreamName: &stream, DeliveryStreamType: types.DeliveryStreamTypeDirectPut,
		ExtendedS3DestinationConfiguration: &types.ExtendedS3DestinationConfiguration{
			BucketARN: aws.String("arn:aws:s3:::" + benchBucket), RoleARN: aws.String("arn:aws:iam::000000000000:role/hydrant"),
			Prefix:            aws.String(stream + "/"),
			BufferingHints:    &types.BufferingHints{SizeInMBs: aws.Int32(64), IntervalInSeconds: aws.Int32(60)},
			CompressionFormat: types.CompressionFormatGzip,
		},
	})
	var inUse *types.ResourceInUseException
	if err != nil && !errors.As(err, &inUse) {
		return fmt.Errorf("create stream %s: %w", stream, explain(endpoint, err))
	}
	return nil
}

// newSigner signs POSTs to the endpoint as loadgen sends them.
func newSigner(ctx context.Context, o *loadgen.Options) (func(hash string) (map[string]string, error), error) {
	c, err := loadAWS(ctx)
	if err != nil {
		return nil, err
	}
	signer := v4.NewSigner()
	target := "Firehose_20150804.PutRecordBatch"
	if o.Mode == loadgen.ModePut {
		target = "Firehose_20150804.PutRecord"
	}
	return func(hash string) (map[string]string, error) {
		creds, err := c.Credentials.Retrieve(ctx)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.Endpoint+"/", nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/x-amz-json-1.1")
		req.Header.Set("X-Amz-Target", target)
		if err := signer.SignHTTP(ctx, creds, req, hash, "firehose", c.Region, time.Now()); err != nil {
			return nil, err
		}
		out := map[string]string{}
		for _, k := range []string{"Authorization", "X-Amz-Date", "X-Amz-Security-Token"} {
			if v := req.Header.Get(k); v != "" {
				out[k] = v
			}
		}
		return out, nil
	}, nil
}
