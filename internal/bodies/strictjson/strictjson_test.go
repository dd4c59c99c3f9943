package strictjson

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func valid(b []byte) error {
	end, err := Skip(b, 0, 0)
	if err != nil {
		return err
	}
	return End(b, end)
}

var seeds = []string{
	`null`, ` true `, `false`, `0`, `-0.5e+10`, `1E9`, `""`, `"a\u00e9\ud83d\ude00\n\/"`, `[]`, `{}`, ` [ 1 , {"a":[ ]} ] `,
	`{"a":{"b":[1,2,{"c":null}]},"d":"e"}`, `01`, `1.`, `.5`, `-`, `+1`, `1e`, `nul`, `"a`, `"\x"`, `"\u12g4"`, "\"\n\"", `[1,]`, `{,}`,
	`{"a"}`, `{"a":}`, `{"a":1,}`, `[1 2]`, `[`, `]`, `{]`, `[}`, ``, ` `, `1 2`, `{"a":1}}`, `'a'`, `{a:1}`, "\ufeff1", `"\ud83d"`, `"\ud83dx\ude00"`,
}

func TestSkipAgreesWithEncodingJSON(t *testing.T) {
	for _, s := range seeds {
		if got, want := valid([]byte(s)) == nil, json.Valid([]byte(s)); got != want {
			t.Errorf("%q: accepted %v, encoding/json %v", s, got, want)
		}
	}
}

func TestSkipLimitsDepth(t *testing.T) {
	for _, tc := range []struct {
		open, shut string
	}{{"[", "]"}, {`{"a":`, "}"}} {
		at := strings.Repeat(tc.open, MaxDepth) + "1" + strings.Repeat(tc.shut, MaxDepth)
		if err := valid([]byte(at)); err != nil {
			t.Errorf("depth %d: %v", MaxDepth, err)
		}
		over := tc.open + at + tc.shut
		if err := valid([]byte(over)); !errors.Is(err, ErrDepth) {
			t.Errorf("depth %d: got %v, want ErrDepth", MaxDepth+1, err)
		}
		if _, err := Skip([]byte(at), 0, 1); !errors.Is(err, ErrDepth) {
			t.Errorf("depth %d inside one: got %v, want ErrDepth", MaxDepth, err)
		}
	}
	if err := valid([]byte(strings.Repeat("[", 10_000_000))); !errors.Is(err, ErrDepth) {
		t.Errorf("ten million brackets: got %v", err)
	}
}

func TestSkipStopsBehindTheValue(t *testing.T) {
	b := []byte(` {"a":[1]} , 2`)
	end, err := Skip(b, 0, 0)
	if err != nil || string(b[:end]) != ` {"a":[1]}` {
		t.Fatalf("end %d, %v", end, err)
	}
}

func FuzzSkip(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := valid(b)
		if errors.Is(err, ErrDepth) {
			return // encoding/json allows ten thousand levels
		}
		if want := json.Valid(b); (err == nil) != want {
			t.Fatalf("%q: %v, encoding/json says %v", b, err, want)
		}
		if err == nil {
			checkUnquote(t, b)
		}
	})
}

// checkUnquote compares Unquote with encoding/json on a text that is one ASCII string
// (encoding/json replaces bytes that are no UTF-8; Unquote leaves them).
func checkUnquote(t *testing.T, b []byte) {
	i := Space(b, 0)
	if b[i] != '"' {
		return
	}
	for _, c := range b {
		if c >= 0x80 {
			return
		}
	}
	end, escaped, err := String(b, i)
	if err != nil {
		t.Fatal(err)
	}
	inner := b[i+1 : end-1]
	var want string
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if got := string(Unquote(nil, inner)); got != want {
		t.Fatalf("%q: got %q, want %q", b, got, want)
	}
	if !escaped && string(inner) != want {
		t.Fatalf("%q: escapes overlooked", b)
	}
}
