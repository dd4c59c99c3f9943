package httpendpoint

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"hydrant/internal/endpointfake"
	"hydrant/internal/sinktest"
)

const (
	arn       = "arn:aws:firehose:eu-west-1:123456789012:deliverystream/weblogs"
	accessKey = "a-key-that-nobody-may-log"
)

func value(v string) func() (string, error) { return func() (string, error) { return v, nil } }

// firehoseOptions are those of a sink whose receiver is receiver(endpointfake.Firehose).
func firehoseOptions() Options {
	return Options{AccessKey: value(accessKey), SourceARN: arn, CommonAttributes: map[string]string{"env": "prod", "ümlaut": "🚰 <&>"}}
}

func plainOptions(shape string) Options {
	o := Options{Plain: true, Body: shape, Headers: map[string]func() (string, error){"dd-api-key": value(accessKey)}}
	if shape == bodyLoki {
		o.Labels = map[string]string{"job": "hydrant", "env": `a"b`}
	}
	return o
}

// receiver accepts what firehoseOptions and plainOptions send, and breaks the test for all else.
func receiver(t *testing.T, shape string) *endpointfake.Server {
	t.Helper()
	fake := endpointfake.New()
	fake.Shape = shape
	if shape == endpointfake.Firehose {
		fake.AccessKey, fake.SourceARN = accessKey, arn
	} else {
		fake.Headers = map[string]string{"Dd-Api-Key": accessKey}
		fake.Labels = plainOptions(shape).Labels
	}
	t.Cleanup(func() {
		for _, v := range fake.Violations() {
			t.Errorf("violation: %s", v)
		}
	})
	return fake
}

// open makes a sink in front of a fake.
func open(t *testing.T, fake *endpointfake.Server, o Options) *Sink {
	t.Helper()
	address, stop := fake.Start()
	t.Cleanup(stop)
	o.URL = address + "/in?token=secret-in-the-url"
	return mustNew(t, o)
}

func mustNew(t testing.TB, o Options) *Sink {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// next makes the fake meet its next request with a fault.
func next(fake *endpointfake.Server) func(endpointfake.Fault) {
	var armed atomic.Pointer[endpointfake.Fault]
	fake.Fault = func(*endpointfake.Request) (f endpointfake.Fault) {
		if p := armed.Swap(nil); p != nil {
			f = *p
		}
		return f
	}
	return func(f endpointfake.Fault) { armed.Store(&f) }
}

func faults(plain bool) map[sinktest.Fault]endpointfake.Fault {
	known := map[sinktest.Fault]endpointfake.Fault{
		sinktest.FaultUnavailable:      {Kind: endpointfake.Status, Status: 503, Message: "no " + accessKey},
		sinktest.FaultThrottled:        {Kind: endpointfake.Status, Status: 429, RetryAfter: "7"},
		sinktest.FaultDenied:           {Kind: endpointfake.Status, Status: 403, Message: accessKey + " is no key"},
		sinktest.FaultHang:             {Kind: endpointfake.Hang},
		sinktest.FaultCut:              {Kind: endpointfake.Cut},
		sinktest.FaultTakenNotAnswered: {Kind: endpointfake.CutAfter},
		sinktest.FaultTooLarge:         {Kind: endpointfake.Status, Status: 413},
	}
	if !plain { // of a plain endpoint, 200 says enough
		known[sinktest.FaultGarbage] = endpointfake.Fault{Kind: endpointfake.Garbage}
	}
	return known
}

func contract(t *testing.T, o Options) {
	sinktest.RunRequests(t, func(t *testing.T) sinktest.RequestSubject {
		fake := receiver(t, o.Body)
		fail := next(fake)
		log := new(bytes.Buffer)
		o := o
		o.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		subject := sinktest.RequestSubject{
			Sink: open(t, fake, o), Received: fake.Received, Idempotent: true, Log: log.String,
			Secrets: []string{accessKey, "secret-in-the-url"},
			Fail: func(f sinktest.Fault) bool {
				fault, ok := faults(o.Plain)[f]
				if ok {
					fail(fault)
				}
				return ok
			},
		}
		switch o.Body {
		case bodyArray:
			subject.Refuse = []byte("no JSON")
		case bodyNDJSON, bodyLoki:
			subject.Refuse, subject.WholeRefused = []byte(`{"bad":1}`), true
			fake.Refuse = func(d []byte) bool { return string(d) == `{"bad":1}` }
		}
		return subject
	})
}

func TestContract(t *testing.T) {
	for _, encoding := range []string{encodingNone, encodingGzip} {
		for _, shape := range []string{"", bodyNDJSON, bodyArray, bodyLoki} {
			t.Run(strings.Trim(fmt.Sprint(shape, " ", encoding), " "), func(t *testing.T) {
				o := firehoseOptions()
				if shape != "" {
					o = plainOptions(shape)
				}
				o.ContentEncoding = encoding
				contract(t, o)
			})
		}
	}
}
