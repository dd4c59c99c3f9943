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
		Values:    []string{"one", "two", "2026%2F07"},
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
		{Main, "c=" + q + "/", "c=one/"},
		{Main, "!{partitionKeyFromLambda:a}-!{timestamp:dd}", "one-13"},
		{Main, "c=" + q + "/again=" + q + "/!{partitionKeyFromLambda:a}/", "c=one/again=one/two/"},
		{Main, "!{partitionKeyFromLambda:a}/" + q + "/!{eventTime:yyyy/MM}/!{timestamp:dd}/", "one/two/2026/07/13/"},
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
		{Main, "!{eventTime}", "is no expression"},
		{Main, "!{eventTime:ddd}", "!{eventTime:ddd}: 3 times the letter d"},
		{Main, "!{eventtime:dd}", "unknown namespace"},
		{Main, "!{eventTime:'" + strings.Repeat("a", 600) + "'}", "at most 512"},
		{Error, "!{firehose:error-output-type}!{eventTime:yyyy}", "must not contain !{eventTime:...}"},
		{Error, "!{firehose:error-output-type}!{partitionKeyFromLambda:a}", "must not contain"},
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
	const noError = lead + "ErrorOutputPrefix cannot be null or empty when Prefix contains expressions"
	const off = "Dynamic Partitioning Namespaces can only be part of a prefix expression when Dynamic Partitioning is enabled."
	const none = lead + "Prefix must contain a partition expression such as !{partitionKeyFromQuery:...} when Dynamic Partitioning is enabled"
	for _, c := range []struct {
		partitioned               bool
		prefix, errorPrefix, want string
	}{
		{false, "", "", ""},
		{false, "logs/", "", ""},
		{false, "logs/", "errors/", ""},
		{false, "", typed, ""},
		{false, "!{timestamp:yyyy}", typed, ""},
		{false, "!{timestamp:yyyy}", "errors/", ""},
		{false, "!{timestamp:yyyy}", "", noError},
		{false, "!{firehose:random-string}", "", noError},
		{false, "!{partitionKeyFromQuery:a}", typed, off},
		{false, "!{partitionKeyFromLambda:a}", typed, off},
		{false, "!{eventTime:yyyy}", typed, off},
		{false, "", "!{timestamp:yyyy}", lead + "ErrorOutputPrefix with expressions must contain !{firehose:error-output-type}"},
		{false, "!{x:y}", typed, lead + `unknown namespace "x"; the namespaces are timestamp, firehose, partitionKeyFromQuery, partitionKeyFromLambda and eventTime`},
		{true, "!{partitionKeyFromQuery:a}/", typed, ""},
		{true, "!{partitionKeyFromQuery:a}/", "errors/", ""},
		{true, "!{partitionKeyFromLambda:a}/!{partitionKeyFromQuery:a}/!{timestamp:yyyy}/", typed, ""},
		{true, "!{eventTime:yyyy/MM/dd}/", typed, ""},
		{true, "!{partitionKeyFromQuery:a}/", "", noError},
		{true, "", "", none},
		{true, "logs/", typed, none},
		{true, "!{timestamp:yyyy}/", typed, none},
		{true, "!{partitionKeyFromQuery:a}/", "!{timestamp:yyyy}/", lead + "ErrorOutputPrefix with expressions must contain !{firehose:error-output-type}"},
		{true, "!{partitionKeyFromQuery:a}/", "!{partitionKeyFromQuery:a}/", lead + "ErrorOutputPrefix must not contain !{partitionKeyFromQuery:...}"},
		{true, "!{eventTime:yyyy}/", typed + "!{eventTime:yyyy}", lead + "ErrorOutputPrefix must not contain !{eventTime:...}"},
		{true, "!{partitionKeyFromQuery:a}/!{firehose:error-output-type}/", typed, lead + "Prefix must not contain !{firehose:error-output-type}"},
	} {
		err := Validate(c.prefix, c.errorPrefix, c.partitioned)
		if got := fmt.Sprint(err); (err == nil) != (c.want == "") || err != nil && got != c.want {
			t.Errorf("%q, %q: got %q, want %q", c.prefix, c.errorPrefix, got, c.want)
		}
	}
}

// TestDefaultErrorPrefix: errors land beside the records, under their type.
func TestDefaultErrorPrefix(t *testing.T) {
	_, errs, err := Both("myPrefix/", "", false)
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
	in := testInput()
	in.Values = []string{strings.Repeat("x", 512)}
	if _, err := tmpl.Eval(in); !errors.Is(err, ErrTooLong) {
		t.Errorf("long value: %v", err)
	}
	in.Values = []string{""}
	if _, err := tmpl.Eval(in); err == nil {
		t.Error("an empty value was taken")
	}
	in.Values = nil
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
		in.Values = make([]string, len(tmpl.Keys()))
		for i := range in.Values {
			in.Values[i] = "v"
		}
		if got, err := tmpl.Eval(in); err != nil {
			t.Fatalf("%q parsed, but: %q %v", s, got, err)
		}
	})
}
