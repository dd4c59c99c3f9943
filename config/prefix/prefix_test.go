package prefix

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func testInput() Input {
	return Input{
		Time:      time.Date(2026, 7, 13, 14, 5, 9, 67890123, time.UTC),
		ErrorType: "processing-failed",
		Random:    func(n int) string { return fmt.Sprintf("random%05d", n) },
		Partition: func(space, key string) (string, bool) { return space + "." + key, key != "none" },
	}
}

func TestEval(t *testing.T) {
	const q = "!{partitionKeyFromQuery:customer}"
	for _, c := range []struct {
		kind       Kind
		text, want string
	}{
		{Main, "", "2026/07/13/14/"},
		{Main, "legacy", "legacy2026/07/13/14/"},
		{Main, "legacy/", "legacy/2026/07/13/14/"},
		{Main, "/", "/2026/07/13/14/"},
		{Main, "a!b{c}", "a!b{c}2026/07/13/14/"},
		{Main, "!{firehose:random-string}", "random00000"},
		{Main, "!{firehose:random-string}/!{firehose:random-string}/", "random00000/random00001/"},
		{Main, "y=!{timestamp:yyyy}/m=!{timestamp:MM}/", "y=2026/m=07/"},
		{Main, "!{timestamp:'year='yyyy'/month='MM/}", "year=2026/month=07/"},
		{Main, "!{timestamp:HH:mm:ss.SSS}", "14:05:09.067"},
		{Main, "!{timestamp:yyyy}!", "2026!"},
		{Main, "c=" + q + "/", "c=partitionKeyFromQuery.customer/"},
		{Main, "!{partitionKeyFromLambda:a}-!{timestamp:dd}", "partitionKeyFromLambda.a-13"},
		{Error, "", "processing-failed/2026/07/13/14/"},
		{Error, "errors/", "errors/processing-failed/2026/07/13/14/"},
		{Error, "e/!{firehose:error-output-type}/", "e/processing-failed/"},
		{Error, "!{firehose:error-output-type}/!{timestamp:yyyy/MM/dd}/!{firehose:random-string}", "processing-failed/2026/07/13/random00000"},
	} {
		tmpl, err := Parse(c.text, c.kind)
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		got, err := tmpl.Eval(testInput())
		if err != nil || got != c.want {
			t.Errorf("%q: got %q, %v; want %q", c.text, got, err, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		text, want string
	}{
		{Main, "!{", "no closing brace"},
		{Main, "a/!{timestamp:yyyy", "no closing brace"},
		{Main, "!{}", "is no expression"},
		{Main, "!{timestamp}", "is no expression"},
		{Main, "!{timestamp:}", "is no expression"},
		{Main, "!{timestamp:!{timestamp:yyyy}}", "not stand inside"},
		{Main, "!{time:yyyy}", "unknown namespace"},
		{Main, "!{Timestamp:yyyy}", "unknown namespace"},
		{Main, "!{firehose:random}", "unknown value"},
		{Main, "!{timestamp:ddd}", "3 times the letter d"},
		{Main, "!{timestamp:yyyy-MM-ddTHH}", `"T" is no pattern letter`},
		{Main, "!{timestamp:zzzz}", "4 times the letter z"},
		{Main, "!{timestamp:B}", "language data"},
		{Main, "!{timestamp:'x}", "not closed"},
		{Main, "!{timestamp:a#}", "reserved"},
		{Main, "!{timestamp:pd}", "pad width 1 is too small"},
		{Main, "!{firehose:error-output-type}", "Prefix must not contain"},
		{Error, "!{timestamp:yyyy}", "must contain !{firehose:error-output-type}"},
		{Error, "!{firehose:error-output-type}!{partitionKeyFromQuery:a}", "must not contain"},
		{Main, "a\nb", "control characters"},
		{Main, "a\x00", "control characters"},
		{Main, "\xff", "UTF-8"},
		{Main, strings.Repeat("a", 1025), "at most 1024"},
		{Main, strings.Repeat("a", 513), "at most 512"},
		{Main, strings.Repeat("\u65e5", 300), "760 bytes"},
		{Main, "!{timestamp:'" + strings.Repeat("a", 600) + "'}", "at most 512"},
	} {
		_, err := Parse(c.text, c.kind)
		var rule *RuleError
		if !errors.As(err, &rule) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: got %v, want %q", c.text, err, c.want)
		}
	}
}

func TestValidate(t *testing.T) {
	const lead = "Ths supplied prefix(es) do not satisfy the following constraint: "
	const typed = "e/!{firehose:error-output-type}/"
	for _, c := range []struct{ prefix, errorPrefix, want string }{
		{"", "", ""},
		{"logs/", "", ""},
		{"logs/", "errors/", ""},
		{"", typed, ""},
		{"!{timestamp:yyyy}", typed, ""},
		{"!{timestamp:yyyy}", "errors/", ""},
		{"!{timestamp:yyyy}", "", lead + "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"},
		{"!{firehose:random-string}", "", lead + "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"},
		{"!{partitionKeyFromQuery:a}", typed, "Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled."},
		{"", "!{timestamp:yyyy}", lead + "ErrorOutputPrefix with expressions must contain !{firehose:error-output-type}"},
		{"!{x:y}", typed, lead + `unknown namespace "x"; the namespaces are timestamp, firehose, partitionKeyFromQuery and partitionKeyFromLambda`},
	} {
		err := Validate(c.prefix, c.errorPrefix)
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || err != nil && got != c.want {
			t.Errorf("%q, %q: got %q, want %q", c.prefix, c.errorPrefix, got, c.want)
		}
	}
}

// TestDefaultErrorPrefix: errors land beside the records, under their type.
func TestDefaultErrorPrefix(t *testing.T) {
	_, errs, err := Both("myPrefix/", "")
	if err != nil {
		t.Fatal(err)
	}
	got, err := errs.Eval(testInput())
	if want := "myPrefix/processing-failed/2026/07/13/14/"; err != nil || got != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func TestEvalLimits(t *testing.T) {
	tmpl, err := Parse("!{partitionKeyFromQuery:k}/", Main)
	if err != nil {
		t.Fatal(err)
	}
	if k := tmpl.Partitions(); len(k) != 1 || k[0].Name != "k" {
		t.Fatalf("partitions %v", k)
	}
	in := testInput()
	in.Partition = func(string, string) (string, bool) { return strings.Repeat("x", 512), true }
	if _, err := tmpl.Eval(in); !errors.Is(err, ErrTooLong) {
		t.Errorf("long value: %v", err)
	}
	in.Partition = func(string, string) (string, bool) { return "", true }
	if _, err := tmpl.Eval(in); err == nil {
		t.Error("an empty value was taken")
	}
	in.Partition = nil
	if _, err := tmpl.Eval(in); err == nil {
		t.Error("a missing value was taken")
	}
}

func TestObjectName(t *testing.T) {
	at := time.Date(2026, 7, 3, 4, 5, 6, 0, time.FixedZone("x", 3600))
	got := ObjectName("web.logs-1", 12, at, "0b8e2c1a-1111-8222-9333-444455556666", ".gz")
	if want := "web.logs-1-12-2026-07-03-04-05-06-0b8e2c1a-1111-8222-9333-444455556666.gz"; got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

// FuzzParse: no panic, and whatever parses evaluates within the limits.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "a/", "!{timestamp:yyyy/MM/dd}/", "!{firehose:random-string}", "!{timestamp:'a''b'[ppppH]}",
		"!{firehose:error-output-type}/", "!{partitionKeyFromQuery:k}", "!{", "!{timestamp:p", "!{timestamp:YYYY-'W'ww-e G QQQQ zzz VV}"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, s string, isMain bool) {
		kind := Error
		if isMain {
			kind = Main
		}
		tmpl, err := Parse(s, kind)
		if err != nil {
			return
		}
		in := testInput()
		in.Partition = func(string, string) (string, bool) { return "v", true }
		if got, err := tmpl.Eval(in); err != nil {
			t.Fatalf("%q parsed, but: %q %v", s, got, err)
		}
	})
}
