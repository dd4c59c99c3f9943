package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/smithy-go"
)

// invoker asks AWS Lambda, or what speaks its Invoke.
type invoker struct {
	client   *lambda.Client
	function string
	account  string
	region   string
	http     *http.Transport
}

func newInvoker(o Options) (*invoker, error) {
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		return nil, err
	}
	if o.Region != "" {
		cfg.Region = o.Region
	}
	transport := awshttp.NewBuildableClient().GetTransport()
	transport.MaxIdleConnsPerHost = o.Concurrency
	v := &invoker{function: o.Function, account: o.Account, region: cfg.Region, http: transport}
	v.client = lambda.NewFromConfig(cfg, func(l *lambda.Options) {
		l.Retryer = aws.NopRetryer{} // attempts are counted here
		l.HTTPClient = bounded{&http.Client{Transport: transport}}
		if o.Endpoint != "" {
			l.BaseEndpoint = aws.String(o.Endpoint)
		}
	})
	return v, nil
}

func (v *invoker) arn() string {
	if len(v.function) > 4 && v.function[:4] == "arn:" {
		return v.function
	}
	return fmt.Sprintf("arn:aws:lambda:%s:%s:function:%s", v.region, v.account, v.function)
}

func (v *invoker) close() error {
	v.http.CloseIdleConnections()
	return nil
}

func (v *invoker) call(ctx context.Context, payload []byte) ([]byte, error) {
	out, err := v.client.Invoke(ctx, &lambda.InvokeInput{FunctionName: &v.function, Payload: payload, InvocationType: types.InvocationTypeRequestResponse})
	if err != nil {
		return nil, classified(err)
	}
	if out.FunctionError != nil && bytes.Contains(out.Payload, []byte("Task timed out")) {
		return nil, errTimedOut
	}
	if out.FunctionError != nil { // the payload may quote a record
		return nil, &invokeError{code: codeFunction, message: "The Lambda function was successfully invoked but it returned an error result."}
	}
	if len(out.Payload) > maxPayload {
		return nil, errAnswerTooLarge
	}
	return out.Payload, nil
}

var errAnswerTooLarge = &invokeError{code: codeTooLarge, message: "The answer has more than 6 MB.", tooLarge: true}

func classified(err error) error {
	if errors.Is(err, errLongBody) {
		return errAnswerTooLarge
	}
	var api smithy.APIError
	var resp *awshttp.ResponseError
	status, code := 0, ""
	if errors.As(err, &resp) {
		status = resp.HTTPStatusCode()
	}
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	e := &invokeError{code: codeFunction, message: clip(err.Error())}
	switch {
	case code == "RequestTooLargeException" || status == http.StatusRequestEntityTooLarge:
		e.code, e.tooLarge = codeTooLarge, true
	case code == "ResourceNotFoundException" || status == http.StatusNotFound:
		e.code = codeNotFound
	case code == "TooManyRequestsException" || status == http.StatusTooManyRequests:
		e.code = codeThrottled
	case status == http.StatusForbidden || status == http.StatusUnauthorized:
		e.code = codeDenied
	}
	return e
}

// bounded reads no more of an answer than Lambda would send.
type bounded struct{ client *http.Client }

var errLongBody = errors.New("the answer is too long")

func (b bounded) Do(r *http.Request) (*http.Response, error) {
	resp, err := b.client.Do(r)
	if err == nil {
		resp.Body = &limited{resp.Body, maxPayload + 64<<10}
	}
	return resp, err
}

type limited struct {
	io.ReadCloser
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errLongBody
	}
	n, err := l.ReadCloser.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
