package schema

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{
		"string": "string", " BigInt\t": "bigint", "INTEGER": "int", "int": "int", "tinyint": "tinyint", "smallint": "smallint",
		"boolean": "boolean", "float": "float", "double": "double", "double precision": "double", "binary": "binary", "date": "date",
		"timestamp": "timestamp", "decimal": "decimal(10,0)", "decimal(5)": "decimal(5,0)", "Decimal ( 38 , 38 )": "decimal(38,38)",
		"numeric(3,1)": "decimal(3,1)", "dec": "decimal(10,0)", "varchar(65535)": "string", "char( 1 )": "string",
		"array<int>": "array<int>", "ARRAY < array<INT> >": "array<array<int>>", "map<string,double>": "map<string,double>",
		"map<bigint , varchar(3)>":                          "map<bigint,string>",
		"array<struct<a:int,b:map<string,array<double>>>>":  "array<struct<a:int,b:map<string,array<double>>>>",
		"struct< a b : int , Über:string, @timestamp:date>": "struct<a b:int,Über:string,@timestamp:date>",
		"struct<`a:b<,>`:int,``````:int>":                   "struct<`a:b<,>`:int,``````:int>",
		"struct<`plain`:int, `` : int >":                    "",
		"struct<` a `:int,`plain`:date,b`c:int>":            "struct<` a `:int,plain:date,`b``c`:int>",
		"struct<a:struct<a:struct<a:int>>,A:decimal(4,2)>":  "struct<a:struct<a:struct<a:int>>,A:decimal(4,2)>",
	} {
		got, err := Parse(in)
		if want == "" {
			if err == nil {
				t.Errorf("%q: got %s, want an error", in, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", in, err)
			continue
		}
		if got.String() != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
		again, err := Parse(want)
		if err != nil || !again.Equal(got) {
			t.Errorf("%q does not parse back as itself: %s, %v", want, again, err)
		}
	}
}

func TestParseErrorsSayWhereAndWhat(t *testing.T) {
	deep := strings.Repeat("array<", MaxDepth+1) + "int" + strings.Repeat(">", MaxDepth+1)
	for _, tc := range []struct {
		in     string
		offset int
		want   string
	}{
		{"", 0, "a type is wanted"},
		{"  ", 2, "the end stands where a type is wanted"},
		{"arry<int>", 0, "unknown type \"arry\"; there are boolean"},
		{"long", 0, "write bigint"},
		{"map<text,int>", 4, "write string"},
		{"object", 0, "write struct<name:type,...>"},
		{"uniontype<int,string>", 0, "not supported"},
		{"void", 0, "not supported"},
		{"interval", 0, "not supported"},
		{"array<timestamp with local time zone>", 6, "write timestamp, which holds UTC"},
		{"timestamptz", 0, "write timestamp"},
		{"int int", 4, "\"int\" follows the type \"int\""},
		{"int(3)", 3, "takes no parameters"},
		{"timestamp(3)", 9, "takes no parameters"},
		{"decimal(39,1)", 8, "from 1 to 38, not 39"},
		{"decimal(0)", 8, "from 1 to 38"},
		{"decimal(4,5)", 10, "from 0 to 4, not 5"},
		{"decimal(-1)", 8, "from 1 to 38, not"},
		{"decimal(99999999999999999999)", 8, "from 1 to 38"},
		{"decimal(4", 9, `the end stands where ')' is wanted`},
		{"varchar", 0, "varchar(20)"},
		{"varchar(65536)", 8, "from 1 to 65535"},
		{"char(256)", 5, "from 1 to 255"},
		{"array", 5, `'<' is wanted behind array`},
		{"array<>", 6, "a type is wanted"},
		{"array<int", 9, "'>' is wanted to end array"},
		{"array<int,int>", 9, "'>' is wanted"},
		{"map<string>", 10, "',' is wanted between"},
		{"map<double,int>", 4, "not double"},
		{"map<array<int>,int>", 4, "not array"},
		{"struct<>", 7, "the name of a field is wanted"},
		{"struct<:int>", 7, "the name of a field is wanted"},
		{"struct<a>", 8, "':' is wanted between"},
		{"struct<a:int,>", 13, "the name of a field is wanted"},
		{"struct<a:int,`a`:int>", 13, "two fields named"},
		{"struct<`a:int>", 7, "not closed"},
		{"struct<`a`b:int>", 10, "':' is wanted"},
		{"struct<" + strings.Repeat("n", MaxNameBytes+1) + ":int>", 7, "255 bytes long, this one has 256"},
		{"int\xff", 0, "not valid UTF-8"},
		{"é", 0, `"é" stands where a type`},
		{deep, MaxDepth * 6, "32 deep"},
		{strings.Repeat("array<", 600_000), MaxDepth * 6, "32 deep"},
		{strings.Repeat(" ", MaxTypeBytes+1), 0, "bytes long"},
	} {
		_, err := Parse(tc.in)
		var pe *ParseError
		if !errors.As(err, &pe) {
			t.Errorf("%.40q: got %v, want a *ParseError", tc.in, err)
			continue
		}
		if pe.Offset != tc.offset || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 400 {
			t.Errorf("%.40q: got %v; want offset %d and %q", tc.in, err, tc.offset, tc.want)
		}
	}
	if _, err := Parse(deep[6 : len(deep)-1]); err != nil {
		t.Errorf("%d deep: %v", MaxDepth, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"int", "decimal(10,2)", "array<struct<a:int,`b``:`:map<string,array<double>>>>", "struct<a", "varchar(3)", "map<int,>",
		"timestamp with local time zone", "double precision", "struct<`` `:int>", "struct< a\u00a0:int>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		typ, err := Parse(s)
		if err != nil {
			var pe *ParseError
			if !errors.As(err, &pe) || pe.Offset < 0 || pe.Offset > len(s) {
				t.Fatalf("%q: %#v", s, err)
			}
			return
		}
		canonical := typ.String()
		again, err := Parse(canonical)
		if err != nil || !again.Equal(typ) || again.String() != canonical {
			t.Fatalf("%q printed as %q, which reads as %s, %v", s, canonical, again, err)
		}
		if typ.Leaves() < 1 {
			t.Fatalf("%q has no leaves", s)
		}
	})
}
