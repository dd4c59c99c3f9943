package schema

import (
	"strings"
	"testing"
)

func cols(t testing.TB, s string) []Column {
	t.Helper()
	typ, err := Parse("struct<" + s + ">")
	if err != nil {
		t.Fatal(err)
	}
	return typ.Fields
}

func TestEqual(t *testing.T) {
	all := []string{"a:int", "b:int", "a:bigint", "a:int,b:int", "b:int,a:int", "a:decimal(3,1)", "a:decimal(3,2)", "a:array<int>", "a:array<string>",
		"a:map<string,int>", "a:map<int,int>", "a:map<string,string>", "a:struct<b:int>", "a:struct<c:int>"}
	for i, x := range all {
		for j, y := range all {
			if got := Equal(cols(t, x), cols(t, y)); got != (i == j) {
				t.Errorf("Equal(%s, %s) = %v", x, y, got)
			}
		}
	}
}

func TestLeaves(t *testing.T) {
	for in, want := range map[string]int{"a:int": 1, "a:array<array<int>>,b:date": 2, "a:map<string,struct<x:int,y:array<struct<p:int,q:int>>>>": 4} {
		if got := Leaves(cols(t, in)); got != want {
			t.Errorf("%s has %d leaves, want %d", in, got, want)
		}
	}
}

func TestMarshal(t *testing.T) {
	in := cols(t, "a:int,`b:<&>`:array<struct<`x,y`:decimal(4,2)>>,ü:map<string,binary>")
	b, err := Marshal(in)
	want := "[{\"Name\":\"a\",\"Type\":\"int\"},{\"Name\":\"b:<&>\",\"Type\":\"array<struct<`x,y`:decimal(4,2)>>\"},{\"Name\":\"ü\",\"Type\":\"map<string,binary>\"}]"
	if err != nil || string(b) != want {
		t.Fatalf("%s, %v", b, err)
	}
	out, err := Unmarshal(b)
	if err != nil || !Equal(in, out) {
		t.Fatalf("%v, %v", out, err)
	}
	if b, err := Marshal(nil); err != nil || string(b) != "[]" {
		t.Errorf("no columns: %s, %v", b, err)
	}
	for _, bad := range []string{"", "{}", `[{"Name":"a"}]`, `[{"Name":"a","Type":"nope"}]`, `[{"Name":"a","Type":"int","X":1}]`, `[] []`,
		`[{"Name":"","Type":"int"}]`, `[{"Name":"a","Type":"int"},{"Name":"a","Type":"int"}]`} {
		if got, err := Unmarshal([]byte(bad)); err == nil {
			t.Errorf("%s: got %v, want an error", bad, got)
		}
	}
}

func TestCheck(t *testing.T) {
	if err := Check(cols(t, "a:int,b:struct<a:int,A:int>"), true); err != nil {
		t.Error(err)
	}
	for want, in := range map[string][]Column{
		"at least one column":       nil,
		`"b.A" stands there twice`:  cols(t, "a:int,b:struct<a:int,A:int>"),
		`"A" stands there twice`:    cols(t, "a:int,A:int"),
		`"m{}.A" stands there`:      cols(t, "m:map<string,struct<a:int,A:int>>"),
		`"l[].A" stands there`:      cols(t, "l:array<struct<a:int,A:int>>"),
		"has no name":               {{Type: &Type{Kind: Int}}},
		"has no type":               {{Name: "a"}},
		"not valid UTF-8":           {{Name: "\xff", Type: &Type{Kind: Int}}},
		"has 256 bytes, 255 are al": {{Name: strings.Repeat("n", 256), Type: &Type{Kind: Int}}},
	} {
		if err := Check(in, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestFromNames(t *testing.T) {
	got, err := FromNames([]Named{{"b", "int"}, {"a", "ARRAY<string>"}}, false)
	if err != nil || table(got) != "b:int,a:array<string>" {
		t.Errorf("%v, %v", got, err)
	}
	for want, in := range map[string][]Named{
		`column "b": type "strin", at byte 0`: {{"a", "int"}, {"b", "strin"}},
		`"B" stands there twice`:              {{"b", "int"}, {"B", "int"}},
		"at least one":                        nil,
	} {
		if _, err := FromNames(in, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %s", in, err, want)
		}
	}
	if _, err := FromNames([]Named{{"b", "int"}, {"B", "int"}}, true); err != nil {
		t.Error(err)
	}
}
