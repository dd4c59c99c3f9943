package transform

import (
	"math"
	"strings"
	"testing"
	"time"

	"hydrant/config"
	"hydrant/config/prefix"
	"hydrant/record"
)

func eventChain(t testing.TB, pattern, zone string, e config.EventTime) *Chain {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(config.Stream{Partitioning: &config.Partitioning{EventTime: &e}}, []prefix.Key{{Namespace: prefix.EventTime, Name: pattern}}, loc)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEventTimeForms(t *testing.T) {
	c := eventChain(t, "yyyy-MM-dd'T'HH.mm.ss.SSSSSSSSS", "UTC", config.EventTime{Field: ".t"})
	for in, want := range map[string]string{
		`"2026-01-02T03:04:05Z"`:              "2026-01-02T03.04.05.000000000",
		`"2026-01-02t03:04:05z"`:              "2026-01-02T03.04.05.000000000",
		`"2026-01-02T03:04:05.678901234Z"`:    "2026-01-02T03.04.05.678901234",
		`"2026-01-02T03:04:05,5Z"`:            "2026-01-02T03.04.05.500000000",
		`"2026-01-02T03:04Z"`:                 "2026-01-02T03.04.00.000000000",
		`"2026-01-02T03:04:05+02:00"`:         "2026-01-02T01.04.05.000000000",
		`"2026-01-02T03:04:05-0530"`:          "2026-01-02T08.34.05.000000000",
		`"2026-01-02T03:04:05+14"`:            "2026-01-01T13.04.05.000000000",
		`"2026-01-02T03:04:05"`:               "2026-01-02T03.04.05.000000000",
		`"2026-01-02 03:04:05"`:               "2026-01-02T03.04.05.000000000",
		`"2026-01-02 03:04:05.25"`:            "2026-01-02T03.04.05.250000000",
		`"2026-01-02"`:                        "2026-01-02T00.00.00.000000000",
		`"2024-02-29"`:                        "2024-02-29T00.00.00.000000000",
		`"2016-12-31T23:59:60Z"`:              "2016-12-31T23.59.59.000000000",
		`"\u0032026-01-02"`:                   "2026-01-02T00.00.00.000000000",
		`1767323045`:                          "2026-01-02T03.04.05.000000000",
		`1767323045.678`:                      "2026-01-02T03.04.05.678000000",
		`1767323045678`:                       "2026-01-02T03.04.05.678000000",
		`1767323045678.5`:                     "2026-01-02T03.04.05.678500000",
		`"1767323045"`:                        "2026-01-02T03.04.05.000000000",
		`"1767323045678"`:                     "2026-01-02T03.04.05.678000000",
		`1.767323045E9`:                       "2026-01-02T03.04.05.000000000",
		`1.767323045678e12`:                   "2026-01-02T03.04.05.678000000",
		`0`:                                   "1970-01-01T00.00.00.000000000",
		`-0.5`:                                "1969-12-31T23.59.59.500000000",
		`-86400`:                              "1969-12-31T00.00.00.000000000",
		`99999999999`:                         "5138-11-16T09.46.39.000000000",
		`1000000000000`:                       "2001-09-09T01.46.40.000000000",
		`100000000000`:                        "5138-11-16T09.46.40.000000000",
		`253402300799999`:                     "9999-12-31T23.59.59.999000000",
		`253402300800000`:                     "!year",
		`-62135596800000`:                     "0001-01-01T00.00.00.000000000",
		`-62135596801000`:                     "!year",
		`99999999999999999999999999999`:       "!year",
		`-1e300`:                              "!year",
		`1e400`:                               "!year",
		`"0000-01-01"`:                        "!year",
		`"10000-01-01"`:                       "!forms",
		`"2026-01-02T03:04:05+19:00"`:         "!forms",
		`"2026-01-02T03:04:05+02:60"`:         "!forms",
		`"2026-01-02T03:04:05 Z"`:             "!forms",
		`"2026-01-02T24:00:00Z"`:              "!forms",
		`"2026-01-02T03:60:00Z"`:              "!forms",
		`"2026-01-02T03:04:61Z"`:              "!forms",
		`"2026-02-29"`:                        "!forms",
		`"2026-13-01"`:                        "!forms",
		`"2026-00-01"`:                        "!forms",
		`"2026-01-32"`:                        "!forms",
		`"2026-1-2"`:                          "!forms",
		`"2026-01-02T"`:                       "!forms",
		`"2026-01-02T03"`:                     "!forms",
		`"2026-01-02T03:04:05.Z"`:             "!forms",
		`"2026-01-02T03:04:05.1234567890Z"`:   "!forms",
		`" 2026-01-02"`:                       "!forms",
		`"yesterday"`:                         "!forms",
		`"1767323045x"`:                       "!forms",
		`"0x10"`:                              "!forms",
		`"Infinity"`:                          "!forms",
		`"١٢"`:                                "!forms",
		`"-"`:                                 "!forms",
		`true`:                                "!forms",
		`""`:                                  "!missing, null or empty",
		`null`:                                "!missing, null or empty",
		`{}`:                                  "!it is an object",
		`"` + strings.Repeat("1", 5000) + `"`: "!forms",
	} {
		g := derive(t, c, `{"t":`+in+`}`)[0]
		if why, bad := strings.CutPrefix(want, "!"); bad {
			if g.kind != record.MetadataFailed || !strings.HasPrefix(g.why, "event time .t: ") || !strings.Contains(g.why, why) {
				t.Errorf("%s: %+v", clip(in, 50), g)
			}
		} else if g.part != want {
			t.Errorf("%s: got %q %q, want %q", in, g.part, g.why, want)
		}
	}
	if g := derive(t, c, `{"x":1}`)[0]; !strings.Contains(g.why, "missing") {
		t.Errorf("%+v", g)
	}
}

func TestEventTimeZone(t *testing.T) {
	for _, c := range []struct{ pattern, zone, in, want string }{
		{"yyyy/MM/dd/HH", "UTC", `"2026-01-02T23:30:00Z"`, "2026%2F01%2F02%2F23"},
		{"yyyy/MM/dd/HH", "Asia/Tokyo", `"2026-01-02T23:30:00Z"`, "2026%2F01%2F03%2F08"},
		{"yyyy-MM-dd HH", "Asia/Tokyo", `"2026-01-02 23:30:00"`, "2026-01-02 23"}, // no zone of its own: it is of this one
		{"yyyy-MM-dd HH", "America/New_York", `1767323045`, "2026-01-01 22"},
		{"yyyy", "Asia/Tokyo", `"9999-12-31T20:00:00Z"`, "!"},
		{"yyyy", "America/New_York", `"0001-01-01T00:00:00Z"`, "!"},
	} {
		g := derive(t, eventChain(t, c.pattern, c.zone, config.EventTime{Field: ".t"}), `{"t":`+c.in+`}`)[0]
		if g.part != strings.TrimPrefix(c.want, "!") || (g.kind != "") != (c.want == "!") {
			t.Errorf("%v: %+v", c, g)
		}
	}
}

func TestEventTimeFormats(t *testing.T) {
	for _, c := range []struct {
		formats []string
		in      string
		want    string
	}{
		{[]string{"dd.MM.yyyy HH:mm"}, `"02.01.2026 03:04"`, "2026-01-02 03"},
		{[]string{"dd.MM.yyyy HH:mm"}, `"2026-01-02T03:04:05Z"`, "!"},
		{[]string{"yyyyMMdd"}, `20260102`, "2026-01-02 00"},
		{[]string{"seconds"}, `253402300799`, "9999-12-31 23"},
		{[]string{"seconds"}, `"12"`, "1970-01-01 00"},
		{[]string{"millis"}, `3600000`, "1970-01-01 01"},
		{[]string{"millis"}, `"2026"`, "1970-01-01 00"},
		{[]string{"millis"}, `"2026-01-02"`, "!"},
		{[]string{"yyyy-MM-dd", "millis"}, `"2026-01-02"`, "2026-01-02 00"},
		{[]string{"yyyy-MM-dd", "millis"}, `3600000`, "1970-01-01 01"},
	} {
		g := derive(t, eventChain(t, "yyyy-MM-dd HH", "UTC", config.EventTime{Field: ".t", Formats: c.formats}), `{"t":`+c.in+`}`)[0]
		if g.part != strings.TrimPrefix(c.want, "!") || (g.kind != "") != (c.want == "!") {
			t.Errorf("%v %s: %+v", c.formats, c.in, g)
		}
	}
}

// The event time is looked for beside the partition keys, or alone in front of the delimiters that end the chain.
func TestEventTimeBesideOthers(t *testing.T) {
	year, month := prefix.Key{Namespace: prefix.EventTime, Name: "yyyy"}, prefix.Key{Namespace: prefix.EventTime, Name: "MM"}
	timed := &config.Partitioning{EventTime: &config.EventTime{Field: `.a.t|sub(" at ";"T")`}}
	bar := config.Processor{AppendDelimiter: "|"}
	for _, c := range []struct {
		stream config.Stream
		keys   []prefix.Key
		want   string
	}{
		{steps(queries("k", ".a.k")), append([]prefix.Key{month}, append(fromQuery("k"), year)...), "02/x/2026"},
		{steps(queries("k", ".a.k"), bar), append([]prefix.Key{month}, append(fromQuery("k"), year)...), "02/x/2026"},
		{steps(bar, bar), []prefix.Key{year, month}, "2026/02"},
		{steps(), []prefix.Key{year, month}, "2026/02"},
	} {
		c.stream.Partitioning = timed
		in := `{"a":{"k":"x","t":"2026-02-03 at 04:05:06Z"}}`
		delimiters := 0
		for _, p := range c.stream.Processors {
			delimiters += len(p.AppendDelimiter)
		}
		g := derive(t, newChain(t, c.stream, c.keys...), in)[0]
		if g.part != c.want || g.data != in+strings.Repeat("|", delimiters) || g.raw != in {
			t.Errorf("%+v, want %q", g, c.want)
		}
	}
}

// What Go prints in the default forms is read back as it was.
func FuzzEventTime(f *testing.F) {
	f.Add(int64(0), uint32(0), 0)
	f.Add(int64(1767323045), uint32(678901234), 330)
	f.Add(int64(-62135596800), uint32(1), -1080)
	f.Add(int64(253402300799), uint32(999999999), 1080)
	f.Fuzz(func(t *testing.T, sec int64, nano uint32, east int) {
		east %= 18 * 60
		at := time.Unix(sec%253402300800, int64(nano%1e9)).In(time.FixedZone("", east*60))
		if y := at.Year(); y < 0 || y > 9999 {
			return
		}
		got, ok := parseISO([]byte(at.Format(time.RFC3339Nano)), time.UTC)
		if !ok || !got.Equal(at) {
			t.Fatalf("%s became %s, %v", at.Format(time.RFC3339Nano), got, ok)
		}
	})
}

func FuzzEventTimeText(f *testing.F) {
	for _, s := range []string{"2026-01-02T03:04:05.6+07:00", "1767323045.5", "-1e9", "2026-01-02 03:04:05", "", "-", "9999-12-31T23:59:60-18:00", "1e999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := eventTime{zone: time.UTC, formats: []timeFormat{parseISO, parseEpoch(0), parseEpoch(time.Second), parseEpoch(time.Millisecond)}}
		if at, err := e.parse([]byte(s)); err == nil && (at.Year() < 1 || at.Year() > 9999) {
			t.Fatalf("%q is %v", s, at)
		}
		whole, rest, ok := decimal([]byte(s))
		if ok && (rest <= -1e9 || rest >= 1e9 || math.Signbit(float64(whole)) && rest > 0) {
			t.Fatalf("%q is %d and %d", s, whole, rest)
		}
	})
}
