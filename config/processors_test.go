package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestProcessorsKeepTheirOrder(t *testing.T) {
	c := goodFile(t, "processors.good.yml")
	s := streamNamed(t, c, "everything")
	want := []Processor{{Decompress: "gzip"}, {CloudWatchLogs: &CloudWatchLogs{Extract: "message"}},
		{Deaggregate: &Deaggregate{Type: "delimited", Delimiter: "####"}},
		{Partition: []PartitionQuery{{"customer", ".customer_id"}, {"y", `.ts|strftime("%Y")`}}}, {AppendDelimiter: "\n"}}
	if !reflect.DeepEqual(s.Processors, want) {
		t.Errorf("got %+v, want %+v", s.Processors, want)
	}
	if p := s.Partitioning; p.MaxActive != 0 || p.Defaults["customer"] != "unknown" || p.EventTime.Field != ".ts" || p.EventTime.Formats != nil {
		t.Errorf("%+v", p)
	}
	if p := streamNamed(t, c, "short").Processors; p[1].CloudWatchLogs.Extract != "message" || p[2].Deaggregate.Type != "json" || p[3].AppendDelimiter != "\r\n" {
		t.Errorf("%+v", p)
	}
	if e := streamNamed(t, c, "time").Partitioning.EventTime; e.Field != ".meta.at" || len(e.Formats) != 4 {
		t.Errorf("%+v", e)
	}
	for name, want := range map[string]bool{"everything": true, "short": false, "time": true, "backup-too": true} {
		if streamNamed(t, c, name).Partitioned() != want {
			t.Errorf("%s: Partitioned is not %v", name, want)
		}
	}
}

// TestManyKeysKeepTheirOrder, which a map would lose.
func TestManyKeysKeepTheirOrder(t *testing.T) {
	var keys, prefix, columns strings.Builder
	for i := range 20 {
		fmt.Fprintf(&keys, "k%d: .a, ", (i*7)%20)
		fmt.Fprintf(&prefix, "!{partitionKeyFromQuery:k%d}", i)
		fmt.Fprintf(&columns, "c%d: int, ", (i*7)%20)
	}
	c := parseText(t, "streams:\n  - name: a\n    format: parquet\n    parquet: {schema: {columns: {"+columns.String()+"}}}\n    processors: [partition: {"+keys.String()+
		"}]\n    destination: {s3: {bucket: lake, prefix: '"+prefix.String()+"', error_prefix: e}}\n")
	for i := range 20 {
		if q := c.Streams[0].Processors[0].Partition[i]; q.Name != fmt.Sprintf("k%d", (i*7)%20) {
			t.Fatalf("key %d is %s", i, q.Name)
		}
		if q := c.Streams[0].Parquet.Schema.Columns[i]; q.Name != fmt.Sprintf("c%d", (i*7)%20) {
			t.Fatalf("column %d is %s", i, q.Name)
		}
	}
}

func TestQueries(t *testing.T) {
	for query, want := range map[string]string{
		".a":                               "",
		".a.b[0].c":                        "",
		`."x-y" // "none"`:                 "",
		`.ts | strftime("%Y")`:             "",
		`.ts[0:10]`:                        "",
		`.at | fromdateiso8601 | todate`:   "",
		`.at | strptime("%Y") | mktime`:    "",
		`.now`:                             "",
		`{now}.now`:                        "",
		`.env | .input`:                    "",
		`"now"`:                            "",
		`def f(x): x; f(.a)`:               "",
		`. as {a: $x} | $x`:                "",
		`.a | @base64`:                     "",
		`[.a[]?] | length`:                 "",
		"":                                 "is empty",
		" \n":                              "is empty",
		".a |":                             "no jq expression",
		".a)":                              "no jq expression",
		"foo":                              "function not defined: foo/0",
		"rand":                             "function not defined",
		"$x":                               "variable not defined",
		"now":                              "uses now, the time of day",
		".a // now":                        "uses now",
		"[{a: [now]}]":                     "uses now",
		`"x\(now)y"`:                       "uses now",
		`.[now]`:                           "uses now",
		`.a[now:]`:                         "uses now",
		`reduce .[] as $x (now; .)`:        "uses now",
		`foreach .[] as $x (0; .; now)`:    "uses now",
		`try now catch .`:                  "uses now",
		`. as {a: $x} ?// [$x] | now`:      "uses now",
		`def f: def g: now; g; f`:          "uses now",
		`label $l | now`:                   "uses now",
		`if now then 1 elif 2 then 3 end`:  "uses now",
		`@base64 "\(now)"`:                 "uses now",
		`{(now|tostring): 1}`:              "uses now",
		`.a |= now`:                        "uses now",
		`-now`:                             "uses now",
		`env.HOME`:                         "uses env, the environment",
		`$ENV.HOME`:                        "uses $ENV, the environment",
		`{$ENV}`:                           "uses $ENV",
		`. as {$ENV: $x} | $x`:             "", // a field of that name
		`input`:                            "uses input, another record",
		`[inputs]`:                         "uses inputs",
		`input_filename`:                   "uses input_filename",
		`debug`:                            "uses debug",
		`debug("x")`:                       "uses debug",
		`stderr`:                           "uses stderr",
		`halt_error`:                       "uses halt_error",
		`.t | localtime`:                   "uses localtime, which depends on the machine's time zone",
		`.t | strflocaltime("%H")`:         "uses strflocaltime",
		`$__prog_args`:                     "uses $__prog_args",
		`import "a" as a; .`:               "uses import",
		`include "a"; .`:                   "uses import",
		`get_search_list`:                  "uses get_search_list",
		strings.Repeat("(", 6000):          "has 6000 bytes",
		strings.Repeat("[", 2000) + ".":    "no jq expression",
		strings.Repeat("-", 5000) + "now":  "uses now",
		strings.Repeat("try ", 1200) + "1": "",
	} {
		err := checkQuery(query)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: got %v, want %q", query, err, want)
		}
	}
}

// FuzzQuery: no panic and no running; what is taken names nothing of the world outside.
func FuzzQuery(f *testing.F) {
	for _, q := range []string{".a", "now", `"\(env)"`, "def f: input; f", "{$ENV}", ". as [$a] | $a", "reduce .[] as $x (0; . + $x)"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, q string) {
		if err := checkQuery(q); err == nil && strings.TrimSpace(q) == "" {
			t.Fatal("nothing was taken")
		}
	})
}

// TestSameRecords has each change that matters before the format, and those that do not.
func TestSameRecords(t *testing.T) {
	base := func() Stream { return streamNamed(t, goodFile(t, "processors.good.yml"), "everything") }
	for _, c := range []struct {
		name            string
		change          func(*Stream)
		records, output bool
	}{
		{"nothing", func(*Stream) {}, true, true},
		{"max active", func(s *Stream) { s.Partitioning.MaxActive = 7 }, true, true},
		{"buffer", func(s *Stream) { s.Buffer.Size = 2 * MB }, true, true},
		{"no formats", func(s *Stream) { s.Partitioning.EventTime.Formats = []string{} }, true, true},
		{"literal text", func(s *Stream) { s.Destination.S3.Prefix += "x/" }, true, false},
		{"bucket", func(s *Stream) { s.Destination.S3.Bucket = "sea" }, true, false},
		{"format", func(s *Stream) { s.Format = FormatJSON }, true, false},
		{"compression", func(s *Stream) { s.Compression = CompressionGzip }, true, false},
		{"zone", func(s *Stream) { s.Destination.S3.TimeZone = "Asia/Tokyo" }, false, false}, // there are event times
		{"a step less", func(s *Stream) { s.Processors = s.Processors[:4] }, false, false},
		{"another step", func(s *Stream) { s.Processors[2].Deaggregate.Delimiter = "##" }, false, false},
		{"query", func(s *Stream) { s.Processors[3].Partition[0].Query = ".c" }, false, false},
		{"default", func(s *Stream) { s.Partitioning.Defaults["customer"] = "x" }, false, false},
		{"no default", func(s *Stream) { s.Partitioning.Defaults = nil }, false, false},
		{"field", func(s *Stream) { s.Partitioning.EventTime.Field = ".x" }, false, false},
		{"formats", func(s *Stream) { s.Partitioning.EventTime.Formats = []string{"millis"} }, false, false},
		{"pattern", func(s *Stream) { swap(s, "yyyy/MM/dd", "yyyy/MM") }, false, false},
		{"order of keys", func(s *Stream) {
			swap(s, "c=!{partitionKeyFromQuery:customer}/y=!{partitionKeyFromQuery:y}", "y=!{partitionKeyFromQuery:y}/c=!{partitionKeyFromQuery:customer}")
		}, false, false},
		{"no destination", func(s *Stream) { s.Destination.S3 = nil }, false, false},
	} {
		a, b := base(), base()
		c.change(&b)
		if a.SameRecords(b) != c.records || b.SameRecords(a) != c.records {
			t.Errorf("%s: SameRecords is not %v", c.name, c.records)
		}
		if a.SameOutput(b) != c.output || b.SameOutput(a) != c.output {
			t.Errorf("%s: SameOutput is not %v", c.name, c.output)
		}
	}
	plain := Stream{Name: "a", Destination: Destination{S3: &S3{Bucket: "lake"}}}
	zoned := Stream{Name: "a", Destination: Destination{S3: &S3{Bucket: "lake", TimeZone: "Asia/Tokyo"}}, Partitioning: &Partitioning{}}
	if !plain.SameRecords(zoned) {
		t.Error("without event times the zone makes other records")
	}
}

func swap(s *Stream, old, now string) {
	if !strings.Contains(s.Destination.S3.Prefix, old) {
		panic(old)
	}
	s.Destination.S3.Prefix = strings.Replace(s.Destination.S3.Prefix, old, now, 1)
}

// TestSameOutputOfParquet has each setting.
func TestSameOutputOfParquet(t *testing.T) {
	base := func() Stream { return streamNamed(t, goodFile(t, "parquet.good.yml"), "columns") }
	for name, change := range map[string]func(*Parquet){
		"column":       func(p *Parquet) { p.Schema.Columns[0].Type = "int" },
		"order":        func(p *Parquet) { c := p.Schema.Columns; c[0], c[1] = c[1], c[0] },
		"infer":        func(p *Parquet) { p.Schema = Schema{Infer: true} },
		"glue":         func(p *Parquet) { p.Schema = Schema{Glue: &GlueTable{Database: "d", Table: "t"}} },
		"compression":  func(p *Parquet) { p.Compression = "none" },
		"page":         func(p *Parquet) { p.PageSize = MB },
		"row group":    func(p *Parquet) { p.RowGroupSize = MB },
		"dictionary":   func(p *Parquet) { p.Dictionary = "auto" },
		"writer":       func(p *Parquet) { p.Writer = "v1" },
		"timestamps":   func(p *Parquet) { p.Timestamps = "nanos" },
		"unknown":      func(p *Parquet) { p.Unknown = "drop" },
		"duplicates":   func(p *Parquet) { p.Duplicates = "error" },
		"case":         func(p *Parquet) { p.JSON.CaseSensitive = false },
		"dots":         func(p *Parquet) { p.JSON.DotsToUnderscores = false },
		"keys":         func(p *Parquet) { p.JSON.Keys = nil },
		"time formats": func(p *Parquet) { p.JSON.TimestampFormats = nil },
	} {
		a, b := base(), base()
		change(b.Parquet)
		if a.SameOutput(b) || b.SameOutput(a) {
			t.Errorf("%s: is no change of the output", name)
		}
		if !a.SameRecords(b) {
			t.Errorf("%s: is a change of the records", name)
		}
	}
}
