package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/firehose"
	"github.com/aws/aws-sdk-go-v2/service/firehose/types"
)

// demoSender sends events the two ways there are.
type demoSender struct {
	endpoint, stream string
	api              *firehose.Client
	http             *http.Client
}

func newDemoSender(endpoint, stream string) *demoSender {
	// No credentials of this machine are looked for, and none are sent: the daemon is our own.
	api := firehose.New(firehose.Options{
		Region: defaultRegion, BaseEndpoint: &endpoint, Retryer: aws.NopRetryer{},
		Credentials: orAnonymous(nil), HTTPClient: &http.Client{Timeout: answerTimeout},
	})
	return &demoSender{endpoint: endpoint, stream: stream, api: api, http: &http.Client{Timeout: answerTimeout}}
}

// batch sends lines with the SDK's PutRecordBatch.
func (s *demoSender) batch(ctx context.Context, lines [][]byte) error {
	records := make([]types.Record, len(lines))
	for i, l := range lines {
		records[i].Data = l
	}
	out, err := s.api.PutRecordBatch(ctx, &firehose.PutRecordBatchInput{DeliveryStreamName: &s.stream, Records: records})
	if err != nil {
		return fmt.Errorf("PutRecordBatch: %w", err)
	}
	if n := aws.ToInt32(out.FailedPutCount); n != 0 {
		return fmt.Errorf("PutRecordBatch: %d records were not accepted", n)
	}
	return nil
}

// ndjson posts lines to the stream's HTTP path.
func (s *demoSender) ndjson(ctx context.Context, lines [][]byte) error {
	body := bytes.NewReader(append(bytes.Join(lines, []byte("\n")), '\n'))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint+"/v1/streams/"+s.stream+"/records", body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-ndjson")
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return err
	}
	var answer struct {
		Accepted int `json:"accepted"`
	}
	if resp.StatusCode != http.StatusOK || json.Unmarshal(text, &answer) != nil || answer.Accepted != len(lines) {
		return fmt.Errorf("POST of %d lines was answered %s: %s", len(lines), resp.Status, bytes.TrimSpace(text))
	}
	return nil
}

const nextText = `
%s
  # Python
  python3 -c 'import boto3; boto3.client("firehose", endpoint_url="%[2]s", region_name="us-east-1", aws_access_key_id="any", aws_secret_access_key="any").put_record(DeliveryStreamName="demo", Record={"Data": b"{\"hello\": \"boto3\"}"})'
  # aws CLI (Data is base64: version 2 decodes it, version 1 sends it as it stands)
  AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any aws firehose put-record --endpoint-url %[2]s --region us-east-1 --delivery-stream-name demo --record '{"Data":"eyJoZWxsbyI6ICJhd3MifQ=="}'
  # plain HTTP
  curl -H 'Content-Type: application/x-ndjson' --data-binary '{"hello": "curl"}' %[2]s/v1/streams/demo/records
`

// printNext prints lines to copy. The daemon of a run that ends here cannot take them; the next one will have the usual port.
func printNext(w io.Writer, addr string, once bool) {
	title, endpoint := "Send your own, while this runs:", "http://"+addr
	if once {
		title, endpoint = "To send your own, start `hydrant quickstart` without --once, and in another shell:", defaultEndpoint
	}
	fmt.Fprintf(w, nextText, title, endpoint)
}
