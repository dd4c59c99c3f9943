package json

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"hydrant/record"
)

func TestArrayFraming(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		want string
	}{
		{"none", nil, "[]\n"},
		{"one", []string{`{"a":1}`}, "[{\"a\":1}]\n"},
		{"three", []string{`{"a":1}`, `[]`, `"x"`}, "[{\"a\":1},\n[],\n\"x\"]\n"},
		{"white space around goes", []string{" {}\r\n", "\t5 \n"}, "[{},\n5]\n"},
		{"white space within stays", []string{"{ \"a\" :\n1 }\n"}, "[{ \"a\" :\n1 }]\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			a := NewArray(&out)
			for _, s := range c.in {
				if err := a.Write([]byte(s)); err != nil {
					t.Fatal(err)
				}
			}
			if err := a.Close(); err != nil || out.String() != c.want {
				t.Errorf("%q %v", out.String(), err)
			}
		})
	}
}

// A record that is not one JSON value fails alone; the array holds its neighbours and nothing of it.
func TestArraySetsAside(t *testing.T) {
	const parse, empty = "DataFormatConversion.ParseError", "DataFormatConversion.MalformedData"
	for in, code := range map[string]string{
		"": empty, " \n": empty, "hello": parse, `{"a":1}{"b":2}`: parse, `{"a":1},{"b":2}`: parse, `{"a":1}]`: parse, `{"a":`: parse, `{"a":01}`: parse, "{\"a\":\"\n\"}": parse,
		"nul": parse, ",": parse, "]": parse, strings.Repeat("[", 1_000_000): parse, "\xef\xbb\xbf{}": parse,
	} {
		for at := range 3 {
			var out bytes.Buffer
			a := NewArray(&out)
			for i := range 3 {
				data := []byte(`{"ok":true}`)
				if i == at {
					data = []byte(in)
				}
				err := a.Write(data)
				if i != at {
					if err != nil {
						t.Fatal(err)
					}
					continue
				}
				var f *record.Failure
				if !errors.As(err, &f) || f.Type != record.ConversionFailed || f.Code != code || f.Message == "" {
					t.Fatalf("%.20q: %v", in, err)
				}
			}
			if err := a.Close(); err != nil || out.String() != "[{\"ok\":true},\n{\"ok\":true}]\n" {
				t.Fatalf("%.20q: %q %v", in, out.String(), err)
			}
		}
	}
}

// Records of sizes around the buffer's must come out whole and in order.
func TestArraySizesAroundTheBuffer(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	var sizes []int
	for n := bufferBytes - 6; n <= bufferBytes+3; n++ {
		sizes = append(sizes, n, n-bufferBytes/2, bufferBytes/2)
	}
	rnd.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	var out bytes.Buffer
	a := NewArray(&out)
	var want []string
	for _, n := range sizes {
		s := strings.Repeat("x", n)
		want = append(want, s)
		if err := a.Write([]byte(`"` + s + `"`)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	var got []string
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got) != len(want) {
		t.Fatal(len(got), err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("record %d differs", i)
		}
	}
}

func TestArrayErrorIsFinal(t *testing.T) {
	a := NewArray(&failing{after: 0})
	big := []byte(`"` + strings.Repeat("x", bufferBytes) + `"`)
	if err := a.Write(big); !errors.Is(err, errDisk) {
		t.Fatalf("got %v", err)
	}
	if err := a.Write([]byte("1")); !errors.Is(err, errDisk) {
		t.Errorf("write after an error: %v", err)
	}
	if err := a.Close(); !errors.Is(err, errDisk) {
		t.Errorf("close after an error: %v", err)
	}
}

func TestArrayAllocatesNothing(t *testing.T) {
	a := NewArray(io.Discard)
	rec := []byte(`{"a":"` + strings.Repeat("x", 650) + `","b":[1,{}]}`)
	if n := testing.AllocsPerRun(5000, func() { _ = a.Write(rec) }); n != 0 {
		t.Errorf("%v allocations a record", n)
	}
}

// Whatever the records are, the object is one JSON array that holds exactly those that were taken.
func FuzzArray(f *testing.F) {
	f.Add([]byte(`{"a":1}`), []byte("x"), []byte(" [] "))
	f.Add([]byte(`1,2`), []byte(`]`), []byte(`"`))
	f.Fuzz(func(t *testing.T, x, y, z []byte) {
		var out bytes.Buffer
		a := NewArray(&out)
		taken := 0
		for _, data := range [][]byte{x, y, z} {
			err := a.Write(data)
			if err == nil {
				taken++
			}
			if deep := bytes.Count(data, []byte("["))+bytes.Count(data, []byte("{")) > 100; !deep && json.Valid(data) != (err == nil) {
				t.Fatalf("%q: %v", data, err)
			}
		}
		var list []json.RawMessage
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out.Bytes(), &list); err != nil || len(list) != taken || list == nil {
			t.Fatalf("%q: %d values, %d records: %v", out.String(), len(list), taken, err)
		}
	})
}

func BenchmarkArray(b *testing.B) {
	a := NewArray(io.Discard)
	rec := []byte(`{"timestamp":"2026-01-02T03:04:05Z","level":"info","status":200,"duration_ms":12.345,"message":"` + strings.Repeat("x", 100) +
		`","host":"node-001.example.internal","path":"/api/v1/orders/123456","labels":{"team":"core","tier":"gold","canary":false},"session":"` + strings.Repeat("ab", 20) + `"}`)
	b.SetBytes(int64(len(rec)))
	b.ReportAllocs()
	for b.Loop() {
		if err := a.Write(rec); err != nil {
			b.Fatal(err)
		}
	}
}
