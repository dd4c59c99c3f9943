package httpendpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"hydrant/internal/endpointfake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

func withURL(o Options) Options {
	o.URL = "https://endpoint.example/in"
	return o
}

func TestOptions(t *testing.T) {
	many := map[string]string{}
	for i := range 51 {
		many[fmt.Sprint(i)] = ""
	}
	header := func(names ...string) map[string]func() (string, error) {
		m := map[string]func() (string, error){}
		for _, n := range names {
			m[n] = value("v")
		}
		return m
	}
	for name, c := range map[string]struct {
		plain  string // body of a plain endpoint, "" for Firehose's protocol
		change func(*Options)
		want   string // "" for good options
	}{
		"firehose":                 {"", func(*Options) {}, ""},
		"plain":                    {bodyLoki, func(*Options) {}, ""},
		"port and query":           {"", func(o *Options) { o.URL = "http://10.0.0.1:8080/x?y=z" }, ""},
		"no URL":                   {"", func(o *Options) { o.URL = "" }, "scheme"},
		"another scheme":           {"", func(o *Options) { o.URL = "ftp://x/" }, "scheme"},
		"no host":                  {"", func(o *Options) { o.URL = "http:///x" }, "no host"},
		"port without a host":      {"", func(o *Options) { o.URL = "http://:80/x" }, "no host"},
		"no URL at all":            {"", func(o *Options) { o.URL = "http://secret\x7f" }, "cannot be parsed"},
		"user":                     {"", func(o *Options) { o.URL = "http://me:secret@x/" }, "Authorization"},
		"no ARN":                   {"", func(o *Options) { o.SourceARN = "" }, "source ARN"},
		"ARN with a newline":       {"", func(o *Options) { o.SourceARN = "a\nb" }, "source ARN"},
		"encoding":                 {"", func(o *Options) { o.ContentEncoding = "zstd" }, "content encoding"},
		"attributes":               {"", func(o *Options) { o.CommonAttributes = many }, "at most 50"},
		"attribute without a name": {"", func(o *Options) { o.CommonAttributes = map[string]string{"": "x"} }, "name of 1"},
		"long attribute":           {"", func(o *Options) { o.CommonAttributes = map[string]string{"x": strings.Repeat("ü", 1025)} }, "at most 1024"},
		"longest attribute":        {"", func(o *Options) { o.CommonAttributes = map[string]string{"x": strings.Repeat("ü", 1024)} }, ""},
		"body of the protocol":     {"", func(o *Options) { o.Body = bodyLoki }, "plain"},
		"plain with key":           {bodyNDJSON, func(o *Options) { o.AccessKey = value("x") }, "headers instead"},
		"plain with attributes":    {bodyNDJSON, func(o *Options) { o.CommonAttributes = map[string]string{"x": ""} }, "headers instead"},
		"unknown body":             {"xml", func(*Options) {}, "want ndjson"},
		"labels elsewhere":         {bodyNDJSON, func(o *Options) { o.Labels = map[string]string{"x": "y"} }, "loki"},
		"no label":                 {bodyLoki, func(o *Options) { o.Labels = nil }, "label at least"},
		"bad label":                {bodyLoki, func(o *Options) { o.Labels = map[string]string{"a-b": "y"} }, "letters"},
		"records":                  {"", func(o *Options) { o.MaxRecords = 10001 }, "max records"},
		"bytes":                    {"", func(o *Options) { o.MaxBytes = -1 }, "max bytes"},
		"timeout":                  {"", func(o *Options) { o.Timeout = -1 }, "timeout"},
		"reserved header":          {bodyNDJSON, func(o *Options) { o.Headers = header("idempotency-key") }, "cannot be set"},
		"firehose header":          {"", func(o *Options) { o.Headers = header("x-amz-firehose-x") }, "cannot be set"},
		"content type of protocol": {"", func(o *Options) { o.Headers = header("Content-Type") }, "cannot be set"},
		"content type of plain":    {bodyNDJSON, func(o *Options) { o.Headers = header("Content-Type") }, ""},
		"header twice":             {bodyNDJSON, func(o *Options) { o.Headers = header("a", "A") }, "twice"},
		"bad header":               {bodyNDJSON, func(o *Options) { o.Headers = header("a b") }, "no valid name"},
		"header without value":     {bodyNDJSON, func(o *Options) { o.Headers = map[string]func() (string, error){"a": nil} }, "no value"},
	} {
		t.Run(name, func(t *testing.T) {
			o := firehoseOptions()
			if c.plain != "" {
				o = plainOptions(c.plain)
			}
			o = withURL(o)
			c.change(&o)
			s, err := New(o)
			if err == nil {
				_ = s.Close()
			}
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%v tells a secret", err)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	s := mustNew(t, withURL(firehoseOptions()))
	if got, want := s.Limits(), (record.RequestLimits{Records: 10_000, Bytes: 4 << 20, Concurrent: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	o := withURL(firehoseOptions())
	o.MaxBytes = 1 << 40
	most := mustNew(t, o).Limits()
	item := record.Item{Data: make([]byte, most.Bytes/int64(most.Records))}
	req := &record.Request{ID: strings.Repeat("x", 36)}
	for range most.Records {
		req.Items = append(req.Items, item)
	}
	if b, _, _ := encodeFirehose(nil, req); len(b) > maxRequestBytes || len(b) < maxRequestBytes/10*9 {
		t.Errorf("the largest request has %d bytes, the protocol allows %d", len(b), maxRequestBytes)
	}
}

func TestAttributes(t *testing.T) {
	for _, m := range []map[string]string{nil, {}, {"b": "ü🚰\"\\\n\x7f<", "a": ""}} {
		got := attributes(m)
		var back struct{ CommonAttributes map[string]string }
		if err := json.Unmarshal([]byte(got), &back); err != nil || len(back.CommonAttributes) != len(m) || back.CommonAttributes["b"] != m["b"] {
			t.Errorf("%v became %s: %v", m, got, err)
		}
		for _, c := range []byte(got) {
			if c < ' ' || c > '~' {
				t.Errorf("%s holds byte %#x", got, c)
			}
		}
	}
}

// Keys are asked for once, and again after they were refused.
func TestKeyChanges(t *testing.T) {
	for _, shape := range []string{"", bodyNDJSON} {
		keys := []string{"old", accessKey, "never asked for"}
		ask := func() (string, error) {
			k := keys[0]
			keys = keys[1:]
			return k, nil
		}
		o := firehoseOptions()
		o.AccessKey = ask
		if shape != "" {
			o = plainOptions(shape)
			o.Headers["dd-api-key"] = ask
		}
		s := open(t, receiver(t, shape), o)
		if reply := s.Send(context.Background(), sinktest.NewRequest(1, "1")); reply.Kind != record.Retry || reply.Code != codeDestination {
			t.Errorf("the old key: %+v", reply)
		}
		for range 3 {
			if reply := s.Send(context.Background(), sinktest.NewRequest(1, "1")); reply.Kind != record.Delivered {
				t.Errorf("the new key: %+v", reply)
			}
		}
		if len(keys) != 1 {
			t.Errorf("asked %d times, want 2", 3-len(keys))
		}
	}
}

func TestNoKey(t *testing.T) {
	missing := errors.New("no such file")
	for name, ask := range map[string]func() (string, error){
		"missing": func() (string, error) { return "", missing },
		"newline": value(accessKey + "\n"),
		"long":    value(strings.Repeat("x", 4097)),
	} {
		fake := endpointfake.New()
		o := firehoseOptions()
		o.AccessKey = ask
		reply := open(t, fake, o).Send(context.Background(), sinktest.NewRequest(1, "1"))
		if reply.Kind != record.Retry || reply.Code != codeNoCredentials || !reply.Unsent || fake.Requests() != 0 {
			t.Errorf("%s: %+v after %d requests", name, reply, fake.Requests())
		}
		if strings.Contains(reply.Err.Error(), accessKey) || name == "missing" && !errors.Is(reply.Err, missing) {
			t.Errorf("%s: %v", name, reply.Err)
		}
	}
}

// A late refusal of an old key does not make the new one be forgotten.
func TestForget(t *testing.T) {
	n := 0
	h := newHeaders(Options{AccessKey: func() (string, error) { n++; return fmt.Sprint(n), nil }})
	first, _ := h.get()
	h.forget(first)
	second, _ := h.get()
	h.forget(first)
	if again, _ := h.get(); again.Get("X-Amz-Firehose-Access-Key") != "2" || second.Get("X-Amz-Firehose-Access-Key") != "2" {
		t.Errorf("%v, then %v", second, again)
	}
}
