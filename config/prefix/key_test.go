package prefix

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAppendEscaped(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"", ""},
		{"plain", "plain"},
		{"A-b_c.d~e!f$g&h(i)j+k,l;m<n>o@p|q`r}", "A-b_c.d~e!f$g&h(i)j+k,l;m<n>o@p|q`r}"},
		{"a/b", "a%2Fb"},
		{`"#%'*/:=?\{[]^`, "%22%23%25%27%2A%2F%3A%3D%3F%5C%7B%5B%5D%5E"},
		{"%2F", "%252F"},
		{"\x00\x01\n\x1f\x7f", "%00%01%0A%1F%7F"},
		{".", "%2E"},
		{"..", "%2E%2E"},
		{"....", "%2E%2E%2E%2E"},
		{"../../etc", "..%2F..%2Fetc"},
		{"..a", "..a"},
		{"1.2", "1.2"},
		{".git", ".git"},
		{" ", "%20"},
		{"  ", "%20%20"},
		{" a b ", "%20a b%20"},
		{"M\u00fcnchen \u6771\u4eac \U0001f600", "M\u00fcnchen \u6771\u4eac \U0001f600"},
		{"a\xffb", "a\ufffdb"},
		{"\xc3", "\ufffd"},
		{"\ufffd", "\ufffd"},
		{"\uffff\ufffe", "%EF%BF%BF%EF%BF%BE"},
		{"\xed\xa0\x80", "\ufffd\ufffd\ufffd"}, // half of a surrogate pair
		{"__HIVE_DEFAULT_PARTITION__", "__HIVE_DEFAULT_PARTITION__"},
	} {
		if got := string(AppendEscaped([]byte("x="), c.value)); got != "x="+c.want {
			t.Errorf("%q: got %q, want %q", c.value, got[2:], c.want)
		}
	}
}

// TestEscapedAllocatesNothing: it runs for each record.
func TestEscapedAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { dst = AppendEscaped(dst[:0], " a/b \u6771 ..") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestKeys(t *testing.T) {
	tmpl, err := Parse("!{eventTime:yyyy}/!{partitionKeyFromLambda:a}/!{partitionKeyFromQuery:a}/!{eventTime:MM}/!{partitionKeyFromLambda:a}/!{eventTime:yyyy}/", Main)
	if err != nil {
		t.Fatal(err)
	}
	want := []Key{{EventTime, "yyyy"}, {FromLambda, "a"}, {FromQuery, "a"}, {EventTime, "MM"}}
	keys := tmpl.Keys()
	if !slices.Equal(keys, want) {
		t.Fatalf("got %v, want %v", keys, want)
	}
	keys[0].Name = "changed"
	if tmpl.Keys()[0].Name != "yyyy" {
		t.Error("Keys gave its own list away")
	}
	if got, err := tmpl.Eval(Input{Values: []string{"2026", "l", "q", "07"}}); err != nil || got != "2026/l/q/07/l/2026/" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := tmpl.Eval(Input{Values: []string{"2026", "l", "q"}}); err == nil || !strings.Contains(err.Error(), "!{eventTime:MM}") {
		t.Errorf("a value too few: %v", err)
	}
	literal, err := Parse("logs/", Main)
	if err != nil || len(literal.Keys()) != 0 {
		t.Errorf("%v, %v", literal.Keys(), err)
	}
}

func TestTooManyKeys(t *testing.T) {
	var b strings.Builder
	for i := range MaxKeys {
		fmt.Fprintf(&b, "!{eventTime:'%d'}", i)
	}
	if _, err := Parse(b.String()+"!{eventTime:'7'}", Main); err != nil {
		t.Error(err)
	}
	if _, err := Parse(b.String()+"!{eventTime:'x'}", Main); err == nil || !strings.Contains(err.Error(), "more than 50") {
		t.Errorf("%v", err)
	}
}

// TestCheckValues: what it lets pass, Eval gives at every time.
func TestCheckValues(t *testing.T) {
	tmpl, err := Parse("!{partitionKeyFromQuery:k}/!{partitionKeyFromQuery:k}/!{timestamp:MMMM}/", Main)
	if err != nil {
		t.Fatal(err)
	}
	const room = (MaxEvaluatedChars - len("//September/")) / 2
	in := testInput()
	for _, c := range []struct {
		value string
		fits  bool
	}{{"x", true}, {strings.Repeat("x", room), true}, {strings.Repeat("x", room+1), false}, {strings.Repeat("\u6771", 130), false}} {
		in.Values = []string{c.value}
		err := tmpl.CheckValues(in.Values)
		if (err == nil) != c.fits || err != nil && !errors.Is(err, ErrTooLong) {
			t.Errorf("%d bytes: %v", len(c.value), err)
		}
		for month := range 12 {
			in.Time = testInput().Time.AddDate(0, month, 0)
			if _, err := tmpl.Eval(in); err != nil && c.fits {
				t.Errorf("%d bytes fit, but: %v", len(c.value), err)
			}
		}
	}
}

// FuzzEscape: a value stays one part of a key, never "." or "..", is valid UTF-8 and comes back when it is unescaped, into
// valid UTF-8 again.
func FuzzEscape(f *testing.F) {
	for _, s := range []string{"", ".", "..", "../x", "a/b", "%", "%2F", " x ", "\x00", "\xff", "\uffff", "k=v", "\u6771"} {
		f.Add(s, "b")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		e := string(AppendEscaped(nil, a))
		if strings.Contains(e, "/") || e == "." || e == ".." || !utf8.ValidString(e) || strings.ContainsFunc(e, func(r rune) bool { return r < ' ' }) {
			t.Fatalf("%q became %q", a, e)
		}
		if !utf8.ValidString(a) {
			a = string([]rune(a)) // each wrong byte becomes U+FFFD
		}
		if back, err := url.PathUnescape(e); err != nil || back != a {
			t.Fatalf("%q became %q, and %q, %v again", a, e, back, err)
		}
		if back := string(appendUnescaped(nil, e)); back != a {
			t.Fatalf("%q became %q, and %q again", a, e, back)
		}
		both := e + string(AppendEscaped(nil, b))
		if both == "." || both == ".." {
			t.Fatalf("%q and %q side by side are %q", a, b, both)
		}
	})
}
