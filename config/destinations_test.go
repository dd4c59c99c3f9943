package config

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// change is one edit of a stream.
type change struct {
	name string
	edit func(*Stream)
}

// destinationCase is a destination with edits of how it is reached, and of what is delivered.
type destinationCase struct {
	destination string // YAML
	reach, what []change
}

func at(name string, edit func(*Destination)) change {
	return change{name, func(s *Stream) { edit(&s.Destination) }}
}

func destinationCases() map[string]destinationCase {
	return map[string]destinationCase{
		"opensearch": {
			"opensearch: {url: https://h, index: i, username: u, password: p}",
			[]change{
				at("url", func(d *Destination) { d.OpenSearch.URLs = []string{"https://g", "https://h"} }),
				at("username", func(d *Destination) { d.OpenSearch.Username = "v" }),
				at("password", func(d *Destination) { d.OpenSearch.Password = "q" }),
				at("sigv4", func(d *Destination) { d.OpenSearch.SigV4 = &SigV4{Region: "us-east-1"} }),
				at("tls", func(d *Destination) { d.OpenSearch.TLS.ServerName = "h" }),
				at("content_encoding", func(d *Destination) { d.OpenSearch.Encoding = EncodingGzip }),
				at("request", func(d *Destination) { d.OpenSearch.Request = Request{Size: MB, Records: 7, Concurrent: 3} }),
				at("timeout", func(d *Destination) { d.OpenSearch.Timeout *= 2 }),
			},
			[]change{
				at("index", func(d *Destination) { d.OpenSearch.Index = "j" }),
				at("rotation", func(d *Destination) { d.OpenSearch.Rotation = RotationHour }),
				at("week_rule", func(d *Destination) { d.OpenSearch.WeekRule = "iso" }),
				at("document_id", func(d *Destination) { d.OpenSearch.DocumentID = DocumentIDNone }),
				at("timestamp", func(d *Destination) { d.OpenSearch.Timestamp = "at" }),
				at("pipeline", func(d *Destination) { d.OpenSearch.Pipeline = "p" }),
				at("type_name", func(d *Destination) { d.OpenSearch.TypeName = "_doc" }),
			},
		},
		"splunk": {
			"splunk: {url: https://h, token: t}",
			[]change{
				at("url", func(d *Destination) { d.Splunk.URL = "https://g" }),
				at("token", func(d *Destination) { d.Splunk.Token = "u" }),
				at("tls", func(d *Destination) { d.Splunk.TLS.ServerName = "h" }),
				at("content_encoding", func(d *Destination) { d.Splunk.Encoding = EncodingGzip }),
				at("request", func(d *Destination) { d.Splunk.Request.Size = 2 * MB }),
				at("timeout", func(d *Destination) { d.Splunk.Timeout *= 2 }),
				at("ack_timeout", func(d *Destination) { d.Splunk.AckTimeout = 0 }),
			},
			[]change{
				at("endpoint", func(d *Destination) { d.Splunk.Endpoint = SplunkEvent }),
				at("host", func(d *Destination) { d.Splunk.Host = "x" }),
				at("source", func(d *Destination) { d.Splunk.Source = "x" }),
				at("sourcetype", func(d *Destination) { d.Splunk.SourceType = "x" }),
				at("index", func(d *Destination) { d.Splunk.Index = "x" }),
			},
		},
		"http": {
			"http: {url: https://h, access_key: k}",
			[]change{
				at("url", func(d *Destination) { d.HTTP.URL = "https://g/?a=b" }),
				at("access_key", func(d *Destination) { d.HTTP.AccessKey = "l" }),
				at("tls", func(d *Destination) { d.HTTP.TLS.ServerName = "h" }),
				at("content_encoding", func(d *Destination) { d.HTTP.Encoding = EncodingGzip }),
				at("headers", func(d *Destination) { d.HTTP.Headers = map[string]Secret{"X-Key": "k"} }),
				at("request", func(d *Destination) { d.HTTP.Request.Records = 9 }),
				at("timeout", func(d *Destination) { d.HTTP.Timeout *= 2 }),
			},
			[]change{
				at("common_attributes", func(d *Destination) { d.HTTP.CommonAttributes = map[string]string{"a": "b"} }),
				at("plain", func(d *Destination) { d.HTTP.Plain = true }),
				at("body", func(d *Destination) { d.HTTP.Body = BodyArray }),
				at("labels", func(d *Destination) { d.HTTP.Labels = map[string]string{"job": "x"} }),
			},
		},
		"redshift": {
			"redshift: {data_api: {cluster: c, database: d, db_user: u}, table: t, s3: {bucket: lake}}",
			[]change{
				at("data_api", func(d *Destination) { d.Redshift.DataAPI = &DataAPI{Workgroup: "w", Database: "e"} }),
				at("postgres", func(d *Destination) {
					d.Redshift.DataAPI, d.Redshift.Postgres = nil, &Postgres{URL: "postgres://u@h/db"}
				}),
				at("credentials", func(d *Destination) { d.Redshift.Credentials = "IAM_ROLE 'x'" }),
				at("timeout", func(d *Destination) { d.Redshift.Timeout *= 2 }),
				at("s3.region", func(d *Destination) { d.Redshift.S3.Region = "us-east-1" }),
				at("s3.endpoint", func(d *Destination) { d.Redshift.S3.Endpoint = "http://h" }),
			},
			[]change{
				at("table", func(d *Destination) { d.Redshift.Table = "v" }),
				at("columns", func(d *Destination) { d.Redshift.Columns = []string{"a"} }),
				at("copy_options", func(d *Destination) { d.Redshift.CopyOptions = "CSV" }),
				at("ledger", func(d *Destination) { d.Redshift.Ledger = LedgerNone }),
				at("s3.bucket", func(d *Destination) { d.Redshift.S3.Bucket = "sea" }),
				at("s3.prefix", func(d *Destination) { d.Redshift.S3.Prefix = "p/" }),
			},
		},
		"file": {
			"file: {path: a}",
			[]change{
				at("rotate", func(d *Destination) { d.File.Rotate = Rotate{Size: MB, Keep: 3} }),
			},
			[]change{
				at("path", func(d *Destination) { d.File.Path = "b" }),
				{"compression", func(s *Stream) { s.Compression = CompressionGzip }},
			},
		},
	}
}

// anywhere are edits of every stream.
func anywhere() (reach, what []change) {
	return []change{
			{"retry.for", func(s *Stream) { s.Retry.For = 0 }},
			{"buffer", func(s *Stream) { s.Buffer.Size = 2 * MB }},
			{"backup.s3.region", func(s *Stream) { s.Backup.S3.Region = "us-east-1" }},
		}, []change{
			{"format", func(s *Stream) { s.Format = FormatRaw }},
			{"backup.mode", func(s *Stream) { s.Backup.Mode = BackupAll }},
			{"backup.s3.bucket", func(s *Stream) { s.Backup.S3.Bucket = "other" }},
			{"backup.s3.prefix", func(s *Stream) { s.Backup.S3.Prefix = "other/" }},
			{"processors", func(s *Stream) { s.Processors = []Processor{{AppendDelimiter: "\n"}} }},
			{"destination", func(s *Stream) { s.Destination = Destination{S3: &S3{Bucket: "lake"}} }},
		}
}

func destinationStream(t *testing.T, destination string) Stream {
	t.Helper()
	text := "object_store: s3\nstreams: [{name: a, backup: {s3: {bucket: lake-failed}}, destination: {" + destination + "}}]"
	c, err := parse([]byte(text), &reader{file: "f", env: testEnv})
	if err != nil {
		t.Fatal(err)
	}
	return c.Streams[0]
}

// TestWhatIsANewVersion: how a destination is reached may change as often as it likes; what it gets belongs to a version.
func TestWhatIsANewVersion(t *testing.T) {
	for kind, c := range destinationCases() {
		base := destinationStream(t, c.destination)
		reach, what := anywhere()
		for _, edit := range slices.Concat(c.reach, reach) {
			if s := edited(t, base, edit); !s.SameOutput(base) || !base.SameOutput(s) {
				t.Errorf("%s: another %s is another version", kind, edit.name)
			}
		}
		for _, edit := range slices.Concat(c.what, what) {
			if s := edited(t, base, edit); s.SameOutput(base) || base.SameOutput(s) {
				t.Errorf("%s: another %s is no other version", kind, edit.name)
			}
		}
	}
}

// edited is a copy of the stream that differs in one thing. The original stays as it is.
func edited(t *testing.T, s Stream, c change) Stream {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var out Stream
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	c.edit(&out)
	if same, err := json.Marshal(out); err != nil || bytes.Equal(same, data) {
		t.Fatalf("%s was not edited: %v", c.name, err)
	}
	return out
}

// TestReachedByTheNewest: a version keeps what it delivers, and goes where the newest one says.
func TestReachedByTheNewest(t *testing.T) {
	for kind, c := range destinationCases() {
		if kind == "file" {
			continue // the store is asked for its rotation
		}
		old := destinationStream(t, c.destination)
		for _, edit := range c.reach {
			if strings.HasPrefix(edit.name, "s3.") {
				continue // where objects are is the store's to know
			}
			newest := edited(t, old, edit)
			if got := old.Destination.ReachedBy(newest.Destination); !sameAsStored(got, newest.Destination) {
				t.Errorf("%s: the newest %s is not used", kind, edit.name)
			}
		}
		for _, edit := range c.what {
			newest := edited(t, old, edit)
			if got := old.Destination.ReachedBy(newest.Destination); !sameAsStored(got.what().withoutObjects(), old.Destination.what().withoutObjects()) {
				t.Errorf("%s: the newest %s is delivered in a former version", kind, edit.name)
			}
		}
	}
}

// withoutObjects leaves out the place of Redshift's objects, which delivery knows from elsewhere.
func (d Destination) withoutObjects() Destination {
	if d.Redshift != nil {
		c := *d.Redshift
		c.S3 = nil
		d.Redshift = &c
	}
	return d
}

// TestReachedByAnotherKind: a version whose kind of destination is gone is reached as it says itself.
func TestReachedByAnotherKind(t *testing.T) {
	for kind, c := range destinationCases() {
		old := destinationStream(t, c.destination).Destination
		for other, o := range destinationCases() {
			if newest := destinationStream(t, o.destination).Destination; other != kind && !reflect.DeepEqual(old.ReachedBy(newest), old) {
				t.Errorf("%s is reached as %s says", kind, other)
			}
		}
	}
}

// TestWhereObjectsLie: of Redshift and of S3 itself in a bucket, of all others nowhere.
func TestWhereObjectsLie(t *testing.T) {
	if d := (Destination{S3: &S3{Bucket: "lake"}}); d.ObjectsS3() != d.S3 {
		t.Errorf("s3: %v", d.ObjectsS3())
	}
	for kind, c := range destinationCases() {
		d := destinationStream(t, c.destination).Destination
		if got := d.ObjectsS3(); (got != nil) != (kind == "redshift") || got != nil && got != d.Redshift.S3 {
			t.Errorf("%s: %v", kind, got)
		}
	}
}
