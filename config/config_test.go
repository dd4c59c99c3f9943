package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func parseText(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse([]byte(text), "t.yml", testEnv)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestDefaultIsLegal(t *testing.T) {
	if errs := Default().Check(); len(errs) > 0 {
		t.Fatal(errs)
	}
	want := Default()
	want.File = "t.yml"
	if got, want := fmt.Sprintf("%+v", parseText(t, "")), fmt.Sprintf("%+v", want); got != want {
		t.Fatalf("empty file:\n%s\ndefault:\n%s", got, want)
	}
}

func TestStreamDefaults(t *testing.T) {
	c := parseText(t, "streams:\n  - name: a\n    destination: {s3: {bucket: lake, endpoint: 'http://h'}}\nobject_store: s3\n")
	s := c.Streams[0]
	want := Buffer{Size: 5 * MB, Interval: Duration(300 * time.Second), MaxBacklog: 10 * GB}
	if s.Buffer != want || s.Format != "json" || s.Compression != "none" || s.Source.Direct == nil || s.Line != 2 {
		t.Errorf("stream %+v", s)
	}
	if s.Retry.For != Duration(300*time.Second) || s.Backup.Mode != "none" || s.Backup.Buffer.Size != 5*MB {
		t.Errorf("retry %v, backup %+v", s.Retry, s.Backup)
	}
	d := s.Destination.S3
	if d.SSE != "none" || d.TimeZone != "UTC" || d.PathStyle == nil || !*d.PathStyle {
		t.Errorf("s3 %+v", d)
	}
}

func TestEnvironmentIsPutInOnce(t *testing.T) {
	data, err := os.ReadFile("testdata/environment.good.yml")
	if err != nil {
		t.Fatal(err)
	}
	s := parseText(t, string(data)).Streams[0]
	if got, want := s.Destination.S3.Prefix, "ab-${BUCKET}-${BUCKET}/"; got != want {
		t.Errorf("prefix %q, want %q", got, want)
	}
	if s.Destination.S3.Bucket != "lake" || s.Buffer.Size != 64*MB {
		t.Errorf("%+v %+v", s.Destination.S3, s.Buffer)
	}
}

func TestAliases(t *testing.T) {
	data, err := os.ReadFile("testdata/aliases.good.yml")
	if err != nil {
		t.Fatal(err)
	}
	st := parseText(t, string(data)).Streams
	if len(st) != 3 || st[1].Name != "b" || st[1].Buffer.Size != 8*MB || st[1].Destination.S3.Prefix != "logs/" {
		t.Fatalf("%+v", st)
	}
	if st[2].Destination.S3.Bucket != "lake" || st[2].Destination.S3.Prefix != "other/" {
		t.Fatalf("%+v", st[2].Destination.S3)
	}
}

// TestAliasBomb: aliases of aliases end at a limit, soon.
func TestAliasBomb(t *testing.T) {
	var b strings.Builder
	b.WriteString("streams:\n  - &s\n    name: a\n    destination: {s3: {bucket: lake}}\n    tags: &t {")
	for i := range 5000 {
		fmt.Fprintf(&b, "k%d: v, ", i)
	}
	b.WriteString("}\n")
	for range 5000 {
		b.WriteString("  - *s\n")
	}
	_, err := Parse([]byte(b.String()), "t.yml", testEnv)
	if err == nil || !strings.Contains(err.Error(), "too many values") {
		t.Fatalf("%.200v", err)
	}
	deep := strings.Repeat("{<<: ", 200) + "{}" + strings.Repeat("}", 200)
	if _, err := Parse([]byte(deep), "t.yml", testEnv); err == nil || !strings.Contains(err.Error(), "too deeply") {
		t.Fatalf("%.200v", err)
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "h.yml")
	if _, err := Load(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(file, []byte("listen: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(file)
	var p *Problem
	if !errors.As(err, &p) || p.File != file || p.Line != 1 || p.Col != 9 || p.Path != "listen" {
		t.Errorf("%+v", p)
	}
	if err := os.WriteFile(file, make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil || !strings.Contains(err.Error(), "larger than the limit 4MB") {
		t.Errorf("large file: %v", err)
	}
}

func TestParseBytes(t *testing.T) {
	for in, want := range map[string]Bytes{"0": 0, "7": 7, "7B": 7, "512KB": 512 << 10, "64MB": 64 << 20, "64 MB": 64 << 20, "10GB": 10 << 30, "1TiB": 1 << 40, "9223372036854775807": 1<<63 - 1} {
		if got, err := ParseBytes(in); err != nil || got != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "MB", "-1", "1.5MB", "1mb", "1 M B", "9223372036854775808", "8388608TB", "0x10", "1e3"} {
		if got, err := ParseBytes(in); err == nil {
			t.Errorf("%q was taken as %v", in, got)
		}
	}
	for in, want := range map[Bytes]string{0: "0B", 1: "1B", 1536: "1536B", 64 << 20: "64MB", 1536 << 10: "1536KB", 1 << 40: "1TB", -1 << 20: "-1MB"} {
		if in.String() != want {
			t.Errorf("%d: %s, want %s", int64(in), in, want)
		}
	}
}

func TestAbout(t *testing.T) {
	for in, want := range map[Bytes]string{0: "0B", 1023: "1023B", KB: "1KB", 1536: "1.5KB", 252_123_456_789: "234.8GB", 2 * TB: "2TB"} {
		if got := in.About(); got != want {
			t.Errorf("%d: %s, want %s", int64(in), got, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]string{"0": "0s", "0s": "0s", "300s": "5m", "90s": "90s", "24h": "24h", "1h30m": "90m", "250ms": "250ms"} {
		if got, err := ParseDuration(in); err != nil || got.String() != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "300", "5.5", "-1s", "1d", "s", "9999999999h", "NaN"} {
		if got, err := ParseDuration(in); err == nil {
			t.Errorf("%q was taken as %v", in, got)
		}
	}
}

func TestStoredFormIsNumbers(t *testing.T) {
	data, err := json.Marshal(Buffer{Size: MB, Interval: Duration(time.Second)})
	if want := `{"Size":1048576,"Interval":1000000000,"MaxBacklog":0,"Guaranteed":0,"Retain":0}`; err != nil || string(data) != want {
		t.Fatalf("%s, %v", data, err)
	}
}

func TestNormalizeKeepsDecisions(t *testing.T) {
	s := Stream{Buffer: Buffer{Size: MB}}
	s.Normalize()
	if s.Buffer.Interval != 0 || s.Retry.For != 0 {
		t.Errorf("zero was replaced: %+v %+v", s.Buffer, s.Retry)
	}
	before := fmt.Sprintf("%+v", s)
	s.Normalize()
	if after := fmt.Sprintf("%+v", s); after != before {
		t.Errorf("twice is not once:\n%s\n%s", before, after)
	}
}

func TestSameOutput(t *testing.T) {
	base := func() Stream {
		return Stream{Name: "a", Buffer: Buffer{Size: MB}, Destination: Destination{S3: &S3{Bucket: "lake", Prefix: "p/"}},
			Backup: Backup{Mode: BackupAll, S3: &S3{Bucket: "copies"}}}
	}
	for _, c := range []struct {
		name   string
		change func(*Stream)
		same   bool
	}{
		{"nothing", func(*Stream) {}, true},
		{"normalized", func(s *Stream) { s.Normalize() }, true},
		{"endpoint", func(s *Stream) { s.Destination.S3.Endpoint = "http://h" }, true},
		{"region", func(s *Stream) { s.Destination.S3.Region = "eu-west-1" }, true},
		{"path style", func(s *Stream) { b := true; s.Destination.S3.PathStyle = &b }, true},
		{"backup endpoint", func(s *Stream) { s.Backup.S3.Endpoint = "http://h" }, true},
		{"buffer", func(s *Stream) { s.Buffer = Buffer{Size: 2 * MB, MaxBacklog: GB} }, true},
		{"retry", func(s *Stream) { s.Retry.For = 7 }, true},
		{"tags", func(s *Stream) { s.Tags = map[string]string{"a": "b"} }, true},
		{"line", func(s *Stream) { s.Line = 9 }, true},
		{"bucket", func(s *Stream) { s.Destination.S3.Bucket = "sea" }, false},
		{"prefix", func(s *Stream) { s.Destination.S3.Prefix = "q/" }, false},
		{"error prefix", func(s *Stream) { s.Destination.S3.ErrorPrefix = "e/" }, false},
		{"extension", func(s *Stream) { s.Destination.S3.FileExtension = ".x" }, false},
		{"zone", func(s *Stream) { s.Destination.S3.TimeZone = "Asia/Tokyo" }, false},
		{"sse", func(s *Stream) { s.Destination.S3.SSE = SSES3 }, false},
		{"key", func(s *Stream) { s.Destination.S3.KMSKey = "k" }, false},
		{"format", func(s *Stream) { s.Format = FormatRaw }, false},
		{"compression", func(s *Stream) { s.Compression = CompressionGzip }, false},
		{"level", func(s *Stream) { s.CompressionLevel = 1 }, false},
		{"backup mode", func(s *Stream) { s.Backup.Mode = BackupFailed }, false},
		{"backup bucket", func(s *Stream) { s.Backup.S3.Bucket = "x" }, false},
		{"backup compression", func(s *Stream) { s.Backup.Compression = CompressionZip }, false},
		{"no destination", func(s *Stream) { s.Destination.S3 = nil }, false},
	} {
		a, b := base(), base()
		c.change(&b)
		if a.SameOutput(b) != c.same || b.SameOutput(a) != c.same {
			t.Errorf("%s: same is not %v", c.name, c.same)
		}
		if a.Destination.S3.SSE != "" {
			t.Fatal("SameOutput changed its argument")
		}
	}
	off, failed := base(), base()
	off.Backup, failed.Backup = Backup{}, Backup{Mode: BackupFailed}
	if !off.SameOutput(failed) {
		t.Error("a backup of failures without a place of its own changes nothing")
	}
	failed.Backup.S3 = &S3{Bucket: "x"}
	if off.SameOutput(failed) {
		t.Error("a backup of failures with a place of its own writes elsewhere")
	}
}

func TestCheckDisk(t *testing.T) {
	c := Default()
	for range 4 {
		c.Streams = append(c.Streams, Stream{Buffer: Buffer{Guaranteed: GB}})
	}
	if err := CheckDisk(c, int64(4*GB+c.MinFree)); err != nil {
		t.Error(err)
	}
	var f *FieldError
	if err := CheckDisk(c, int64(4*GB+c.MinFree-1)); !errors.As(err, &f) || f.Path != "streams[3].buffer.guaranteed" {
		t.Errorf("%v", err)
	}
	c.Streams[0].Buffer.Guaranteed, c.Streams[1].Buffer.Guaranteed = 1<<62, 1<<62
	if err := CheckDisk(c, int64(TB)); err == nil {
		t.Error("the sum overflowed")
	}
	if err := CheckDisk(Default(), int64(Default().MinFree)); err != nil {
		t.Errorf("no shares, small disk: %v", err)
	}
	c = Default()
	c.MinFree, c.Streams = 900*GB, []Stream{{Buffer: Buffer{Guaranteed: GB}}}
	err := CheckDisk(c, 252_123_456_789)
	if want := "900GB is more than the whole disk of the data directory, 234.8GB"; !errors.As(err, &f) || f.Path != "min_free" || !strings.Contains(f.Message, want) {
		t.Errorf("min_free above the disk: %v", err)
	}
}

// FuzzParse: no panic, and what loads passes its own checks.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, "f.yml", testEnv)
		if err != nil {
			return
		}
		if errs := c.Check(); len(errs) > 0 {
			t.Fatalf("loaded, but: %v", errs)
		}
	})
}
