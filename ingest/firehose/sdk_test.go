package firehose

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
	"github.com/aws/smithy-go"

	"hydrant/record"
)

// newSDK returns the Go SDK's client, speaking to b over a real connection.
func newSDK(t *testing.T, b *bench) *sdk.Client {
	srv := httptest.NewServer(b)
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.Close()
	})
	return sdk.New(sdk.Options{
		BaseEndpoint: aws.String(srv.URL),
		Region:       "us-east-1",
		Credentials:  credentials.NewStaticCredentialsProvider("AKID", "secret", ""),
		HTTPClient:   &http.Client{Transport: transport},
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })
		}),
	})
}

func TestSDKPuts(t *testing.T) {
	b := newBench()
	c := newSDK(t, b)
	one, err := c.PutRecord(t.Context(), &sdk.PutRecordInput{DeliveryStreamName: aws.String("s"), Record: &types.Record{Data: []byte("a/+\n")}})
	if err != nil || *one.RecordId != "0000000000000001deadbeef" || *one.Encrypted {
		t.Fatalf("%+v %v", one, err)
	}
	many, err := c.PutRecordBatch(t.Context(), &sdk.PutRecordBatchInput{
		DeliveryStreamName: aws.String("s"),
		Records:            []types.Record{{Data: []byte("b")}, {Data: []byte{}}, {Data: []byte("\xff\xfe")}},
	})
	if err != nil || *many.FailedPutCount != 0 || len(many.RequestResponses) != 3 {
		t.Fatalf("%+v %v", many, err)
	}
	for _, r := range many.RequestResponses {
		if r.ErrorCode != nil || len(*r.RecordId) != 24 {
			t.Errorf("%+v", r)
		}
	}
	if got := b.log.streams["s"]; !slices.Equal(got, []string{"a/+\n", "b", "", "\xff\xfe"}) {
		t.Errorf("the log has %q", got)
	}
}

func TestSDKControl(t *testing.T) {
	b := newBench()
	c := newSDK(t, b)
	made, err := c.CreateDeliveryStream(t.Context(), &sdk.CreateDeliveryStreamInput{DeliveryStreamName: aws.String("t")})
	if err != nil || *made.DeliveryStreamARN != "arn:aws:firehose:us-east-1:000000000000:deliverystream/t" {
		t.Fatalf("%+v %v", made, err)
	}
	var inUse *types.ResourceInUseException
	if _, err := c.CreateDeliveryStream(t.Context(), &sdk.CreateDeliveryStreamInput{DeliveryStreamName: aws.String("t")}); !errors.As(err, &inUse) {
		t.Errorf("made twice: %v", err)
	}
	d, err := c.DescribeDeliveryStream(t.Context(), &sdk.DescribeDeliveryStreamInput{DeliveryStreamName: aws.String("t"), Limit: aws.Int32(1)})
	if err != nil || d.DeliveryStreamDescription.DeliveryStreamStatus != types.DeliveryStreamStatusActive {
		t.Errorf("%+v %v", d, err)
	}
	l, err := c.ListDeliveryStreams(t.Context(), &sdk.ListDeliveryStreamsInput{Limit: aws.Int32(1), ExclusiveStartDeliveryStreamName: aws.String("a")})
	if err != nil || !slices.Equal(l.DeliveryStreamNames, []string{"s"}) || !*l.HasMoreDeliveryStreams {
		t.Errorf("%+v %v", l, err)
	}
	l, err = c.ListDeliveryStreams(t.Context(), &sdk.ListDeliveryStreamsInput{DeliveryStreamType: types.DeliveryStreamTypeKinesisStreamAsSource})
	if err != nil || len(l.DeliveryStreamNames) != 0 || *l.HasMoreDeliveryStreams {
		t.Errorf("of another type: %+v %v", l, err)
	}
	if _, err := c.DeleteDeliveryStream(t.Context(), &sdk.DeleteDeliveryStreamInput{DeliveryStreamName: aws.String("t")}); err != nil {
		t.Error(err)
	}
	var notFound *types.ResourceNotFoundException
	if _, err := c.DeleteDeliveryStream(t.Context(), &sdk.DeleteDeliveryStreamInput{DeliveryStreamName: aws.String("t")}); !errors.As(err, &notFound) {
		t.Errorf("deleted twice: %v", err)
	}
}

func TestSDKErrors(t *testing.T) {
	b := newBench()
	c := newSDK(t, b)
	_, err := c.PutRecord(t.Context(), &sdk.PutRecordInput{DeliveryStreamName: aws.String("nobody"), Record: &types.Record{Data: []byte("a")}})
	var notFound *types.ResourceNotFoundException
	if !errors.As(err, &notFound) || *notFound.Message != "Firehose nobody under account 123456789012 not found." {
		t.Errorf("%v", err)
	}
	many := slices.Repeat([]types.Record{{Data: []byte("a")}}, 501)
	_, err = c.PutRecordBatch(t.Context(), &sdk.PutRecordBatchInput{DeliveryStreamName: aws.String("s"), Records: many})
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != "ValidationException" {
		t.Errorf("%v", err)
	}
	five := types.Record{Data: make([]byte, maxRecordBytes)}
	_, err = c.PutRecordBatch(t.Context(), &sdk.PutRecordBatchInput{DeliveryStreamName: aws.String("s"), Records: []types.Record{five, five, five, five, five}})
	var invalid *types.InvalidArgumentException
	if !errors.As(err, &invalid) {
		t.Errorf("%v", err)
	}
	if b.log.calls != 1 {
		t.Errorf("%d calls of the log", b.log.calls)
	}
}

func TestSDKRetriesWhenFull(t *testing.T) {
	b := newBench()
	c := newSDK(t, b)
	full := &record.Unavailable{Reason: "The backlog is full.", RetryAfter: time.Millisecond}
	in := &sdk.PutRecordInput{DeliveryStreamName: aws.String("s"), Record: &types.Record{Data: []byte("a")}}
	b.log.fail = []error{full, full}
	if _, err := c.PutRecord(t.Context(), in); err != nil || b.log.calls != 3 {
		t.Errorf("%v after %d calls", err, b.log.calls)
	}
	b.log.fail = []error{full, full, full}
	var unavailable *types.ServiceUnavailableException
	if _, err := c.PutRecord(t.Context(), in); !errors.As(err, &unavailable) {
		t.Errorf("%v", err)
	}
	if got := b.log.streams["s"]; len(got) != 1 {
		t.Errorf("the log has %q", got)
	}
}
