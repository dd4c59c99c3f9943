package parquet

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
)

var jsonSeeds = []string{
	`null`, ` true `, `false`, `0`, `-0.5e+10`, `1E9`, `""`, `"a\u00e9\ud83d\ude00\n\/"`, `[]`, `{}`, ` [ 1 , {"a":[ ]} ] `, `{"a":{"b":[1,2,{"c":null}]},"d":"e"}`,
	`01`, `1.`, `.5`, `-`, `+1`, `1e`, `nul`, `"a`, `"\x"`, `"\u12g4"`, "\"\n\"", `[1,]`, `{,}`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1 2]`, `[`, `]`, `{]`, `[}`, ``, ` `, `1 2`, `{"a":1}}`,
	`'a'`, `{a:1}`, "\ufeff1", `"\ud83d"`, `"12345678\"12345678"`, "\"1234567\x1f\"", `{"a":1}{"b":2}`, `{"a":1}}{`, `[[],[{}],{"":[]}]`, `-`, `1e+`, `"\`, `"\u`,
}

// whether a text is one value of JSON, by our scanner.
func valid(b []byte) bool {
	s := skipper{}
	i := s.skip(b, 0, 0)
	return i != broken && skipSpace(b, i) == len(b)
}

func TestSkipAgreesWithEncodingJSON(t *testing.T) {
	for _, s := range jsonSeeds {
		if got, want := valid([]byte(s)), json.Valid([]byte(s)); got != want {
			t.Errorf("%q: %v, encoding/json %v", s, got, want)
		}
	}
}

func TestSkipSaysWhatItFound(t *testing.T) {
	for in, found := range map[string]bool{`null`: false, `[]`: false, `{"a":[null,{}]}`: false, `[[1]]`: true, `{"a":""}`: true, `false`: true, `0`: true} {
		s := skipper{}
		if end := s.skip([]byte(in+"x"), 0, 0); end != len(in) || s.found != found {
			t.Errorf("%s: ends at %d, found %v", in, end, s.found)
		}
	}
}

func FuzzSkip(f *testing.F) {
	for _, s := range jsonSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := skipper{}
		end := s.skip(b, 0, 0)
		if s.deep {
			return // encoding/json allows more
		}
		got := end != broken && skipSpace(b, end) == len(b)
		if want := json.Valid(b); got != want {
			t.Fatalf("%q: %v, encoding/json says %v", b, got, want)
		}
		if i := skipSpace(b, 0); got && b[i] == '"' {
			checkString(t, b, i)
		}
	})
}

// checkString compares strings that are UTF-8; encoding/json replaces what is not.
func checkString(t *testing.T, b []byte, i int) {
	var want string
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	end, escaped := scanString(b, i)
	inner := b[i+1 : end]
	if strings.ToValidUTF8(string(inner), "") != string(inner) {
		return
	}
	if got := string(unescape(nil, inner)); got != want || !escaped && string(inner) != want {
		t.Fatalf("%q: got %q, want %q", b, got, want)
	}
}

func TestPlainEndAtEveryOffset(t *testing.T) {
	for n := range 40 {
		for _, c := range []byte{'"', '\\', 0, 0x1f} {
			for at := range n {
				b := []byte(strings.Repeat("é~ \x7f", 10)[:n])
				b[at] = c
				if got := plainEnd(b, 0); got != at {
					t.Fatalf("%q: %d, want %d", b, got, at)
				}
			}
		}
		if b := []byte(strings.Repeat("!#[]", 10)[:n]); plainEnd(b, 0) != n {
			t.Fatalf("%q has no end", b)
		}
	}
}

// FuzzNumbers: integers, doubles and decimals agree with the standard library's on every text.
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"0", "-0", "1.5", "1e3", "12345678901234567", "123456789012345678", "1234567890123456789", "9223372036854775807", "-9223372036854775808", "0.1", "-0.000000000000001",
		"123456.789012345", "1e-5", "100e-2", "+5", ".5", "5.", "007", "1e22", "9007199254740993", "0.30000000000000004", "1" + strings.Repeat("0", 50), strings.Repeat("9", 49), "0x1F"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := []byte(s)
		end, integer := scanNumber(b, 0)
		isJSON := end == len(b)
		if want := s != "" && s == strings.TrimSpace(s) && json.Valid(b) && (s[0] == '-' || s[0] >= '0' && s[0] <= '9'); isJSON != want {
			t.Fatalf("%q is a number: %v", s, isJSON)
		}
		if v, end := scanInt(b, 0); isJSON && end == len(b) {
			if want, err := strconv.ParseInt(s, 10, 64); err != nil || v != want || !integer {
				t.Fatalf("%q: %d, want %d", s, v, want)
			}
		}
		if v, end := scanFloat(b, 0); isJSON && end == len(b) {
			if want, err := strconv.ParseFloat(s, 64); err != nil || math.Float64bits(v) != math.Float64bits(want) {
				t.Fatalf("%q: %v, want %v", s, v, want)
			}
		}
		if isJSON && !numeric(b) {
			t.Fatalf("%q is JSON and not numeric", s)
		}
		if numeric(b) {
			checkDecimal(t, b)
		}
	})
}

func checkDecimal(t *testing.T, b []byte) {
	want, ok := rational(string(b))
	if !ok {
		return // an exponent that takes a lot of memory
	}
	d, ok := decimalOf(b)
	if !ok {
		if want.IsInt() && want.Num().IsInt64() {
			t.Fatalf("%q was not taken apart", b)
		}
		return
	}
	v, fits := d.int64()
	if isInt := want.IsInt() && want.Num().IsInt64(); fits != isInt || fits && v != want.Num().Int64() {
		t.Fatalf("%q: %d %v, want %v", b, v, fits, want)
	}
	hi, lo, fits := d.unscaled(38, 10)
	scaled := new(big.Rat).Mul(want, new(big.Rat).SetInt64(1e10))
	limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(38), nil)
	if can := scaled.IsInt() && scaled.Num().CmpAbs(limit) < 0; can != fits {
		t.Fatalf("%q as a decimal: %v, want %v", b, fits, can)
	}
	if got := new(big.Int).Add(new(big.Int).Lsh(big.NewInt(int64(hi)), 64), new(big.Int).SetUint64(lo)); fits && got.Cmp(scaled.Num()) != 0 {
		t.Fatalf("%q as a decimal: %v, want %v", b, got, scaled)
	}
}

func TestEscapesInLongText(t *testing.T) {
	in := strings.Repeat(`plain text \" \u00fc\t`, 100)
	var want string
	if err := json.Unmarshal([]byte(`"`+in+`"`), &want); err != nil {
		t.Fatal(err)
	}
	if got := string(unescape(nil, []byte(in))); got != want {
		t.Errorf("got %q", got)
	}
}
