package splunk

import (
	"context"
	"strings"
	"testing"

	"hydrant/internal/hecfake"
	"hydrant/internal/sinktest"
	"hydrant/record"
)

func packed(t *testing.T, o Options, data ...string) string {
	t.Helper()
	o.URL = "http://splunk"
	return string(openAt(t, o).pack(sinktest.NewRequest(1, data...)).body)
}

func TestRawBody(t *testing.T) {
	got := packed(t, Options{}, `{"a":1}`, "text\n", " two\nlines\r\n", "\xff\x00")
	if want := "{\"a\":1}\ntext\n two\nlines\r\n\xff\x00\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestEventBody(t *testing.T) {
	const head = `{"time":1795000000.000,"event":`
	for in, want := range map[string]string{
		`{"event":{"a": 1}, "time":1}` + "\n":  `{"event":{"a":1},"time":1}`,
		`{"event":"<&>","host":"other"}`:       `{"event":"<&>","host":"other"}`,
		`{"a": "<ü>", "b": [1, 2]}`:            head + `{"a":"<ü>","b":[1,2]},"host":"h\"1","index":"main"}`,
		`{"Event":1}`:                          head + `{"Event":1},"host":"h\"1","index":"main"}`,
		`{"deep":{"event":1}}`:                 head + `{"deep":{"event":1}},"host":"h\"1","index":"main"}`,
		`["event"]`:                            head + `["event"],"host":"h\"1","index":"main"}`,
		`12345678901234567890.10`:              head + `12345678901234567890.10,"host":"h\"1","index":"main"}`,
		"a \"line\" <b> ü \x01\r\n":            head + `"a \"line\" <b> ü \u0001","host":"h\"1","index":"main"}`,
		"bad \xff\xfe text":                    head + "\"bad \uFFFD text\",\"host\":\"h\\\"1\",\"index\":\"main\"}",
		"{\"bad\":\"\xff\"}":                   head + "{\"bad\":\"\uFFFD\"},\"host\":\"h\\\"1\",\"index\":\"main\"}",
		`{"event":1} {"event":2}`:              head + `"{\"event\":1} {\"event\":2}","host":"h\"1","index":"main"}`,
		`{"event":`:                            head + `"{\"event\":","host":"h\"1","index":"main"}`,
		strings.Repeat("[", 20_000) + "deep":   head + `"` + strings.Repeat("[", 20_000) + `deep","host":"h\"1","index":"main"}`,
		`{"\u0065vent":1}`:                     head + `{"\u0065vent":1},"host":"h\"1","index":"main"}`,
		`{"event":"a"` + "\x00" + `}`:          head + `"{\"event\":\"a\"\u0000}","host":"h\"1","index":"main"}`,
		`{"time":"x","fields":{"event":"no"}}`: head + `{"time":"x","fields":{"event":"no"}},"host":"h\"1","index":"main"}`,
	} {
		if got := packed(t, Options{Endpoint: "event", Host: `h"1`, Index: "main"}, in); got != want {
			t.Errorf("%.80q becomes\n%.200s, want\n%.200s", in, got, want)
		}
	}
}

func TestEventTime(t *testing.T) {
	s := openAt(t, Options{URL: "http://splunk", Endpoint: "event"})
	req := sinktest.NewRequest(1, "1")
	req.Items[0].ArrivalMillis = 1_795_000_000_007
	if got := string(s.pack(req).body); got != `{"time":1795000000.007,"event":1}` {
		t.Error(got)
	}
}

// Records without content are rejected, their neighbours go on; with nothing else nothing is sent.
func TestBlankRecords(t *testing.T) {
	for _, endpoint := range []string{"raw", "event"} {
		fake := hecfake.New(testToken)
		s := open(t, fake, Options{Endpoint: endpoint})
		r := s.Send(context.Background(), sinktest.NewRequest(1, "", "one", " \r\n", "two"))
		if r.Kind != record.Delivered || len(r.Verdicts) != 2 || r.Verdicts[0].Item != 0 || r.Verdicts[1].Item != 2 {
			t.Fatalf("%s: %+v", endpoint, r)
		}
		for _, v := range r.Verdicts {
			if v.Kind != record.Rejected || v.Code != "Splunk.InvalidDataFormat" || v.Err == nil {
				t.Errorf("%s: %+v", endpoint, v)
			}
		}
		if n := len(fake.Events()); n != 2 {
			t.Errorf("%s: %d events", endpoint, n)
		}
		r = s.Send(context.Background(), sinktest.NewRequest(2, "", "\n"))
		if r.Kind != record.Delivered || len(r.Verdicts) != 2 || fake.Requests() != 1 {
			t.Errorf("%s: %+v after %d requests", endpoint, r, fake.Requests())
		}
		fake.Next(hecfake.Fault{Code: 9}, hecfake.Fault{Code: 6})
		if r = s.Send(context.Background(), sinktest.NewRequest(3, "", "x")); r.Kind != record.Retry || r.Verdicts != nil {
			t.Errorf("%s: %+v, want all to be sent again", endpoint, r)
		}
		if r = s.Send(context.Background(), sinktest.NewRequest(3, "", "x")); r.Kind != record.Rejected || r.TooLarge {
			t.Errorf("%s: %+v, want the only one that was sent to be refused", endpoint, r)
		}
	}
}

func TestMetadataReachesTheCollector(t *testing.T) {
	for _, endpoint := range []string{"raw", "event"} {
		fake := hecfake.New(testToken)
		fake.Indexes = []string{"main"}
		const guid = "0F0e0d0c-1111-2222-3333-444444444444"
		s := open(t, fake, Options{Endpoint: endpoint, Host: "h&1", Source: "s=ü", SourceType: "t", Index: "main", Channel: guid, ContentEncoding: "gzip"})
		if r := s.Send(context.Background(), sinktest.NewRequest(1, "x")); r.Kind != record.Delivered {
			t.Fatalf("%s: %+v", endpoint, r)
		}
		e := fake.Events()[0]
		if e.Host != "h&1" || e.Source != "s=ü" || e.SourceType != "t" || e.Index != "main" || e.Channel != guid {
			t.Errorf("%s: %+v", endpoint, e)
		}
	}
}

// A refused event is found by halving.
func TestHalvingFindsTheBadEvent(t *testing.T) {
	fake := hecfake.New(testToken)
	s := open(t, fake, Options{Endpoint: "event"})
	var rejected []string
	var deliver func(data []string)
	deliver = func(data []string) {
		r := s.Send(context.Background(), sinktest.NewRequest(1, data...))
		switch {
		case r.Kind == record.Rejected && r.TooLarge:
			deliver(data[:len(data)/2])
			deliver(data[len(data)/2:])
		case r.Kind == record.Rejected:
			rejected = append(rejected, data...)
		}
	}
	deliver([]string{`1`, `2`, `{"event":{}}`, `4`, `""`, `6`, `7`})
	if got := strings.Join(rejected, " "); got != `{"event":{}} ""` || len(fake.Events()) != 5 {
		t.Errorf("rejected %s, %d taken", got, len(fake.Events()))
	}
}
