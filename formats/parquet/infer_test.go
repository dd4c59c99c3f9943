package parquet

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"hydrant/config/schema"
	"hydrant/formats/infer"
	"hydrant/record"
)

// untyped makes JSON of no schema: few keys, so that they meet other types again and again.
func (g generator) untyped(depth int) string {
	switch n := g.IntN(14); {
	case n == 0:
		return "null"
	case n < 3:
		return pick(g.Rand, "true", "false")
	case n < 6:
		return pick(g.Rand, "0", "-7", fmt.Sprint(g.IntN(1e6)), fmt.Sprint(int64(g.Uint64())), fmt.Sprint(g.Uint64()), "9007199254740993", "-0")
	case n < 8:
		return pick(g.Rand, "1.0", "-2.5", "1e3", fmt.Sprint(g.NormFloat64()), "1e400", "0.1")
	case n < 10 || depth == 0:
		return pick(g.Rand, `""`, `"12"`, `"text"`, `"2020-01-01T00:00:00Z"`, `"\u00fc\n"`)
	case n < 12:
		return g.untypedObject(depth)
	}
	elem := make([]string, g.IntN(4))
	for i := range elem {
		elem[i] = g.untyped(depth - 1)
	}
	return "[" + strings.Join(elem, ", ") + "]"
}

func (g generator) untypedObject(depth int) string {
	var members []string
	for _, i := range g.Perm(5)[:g.IntN(4)] {
		members = append(members, fmt.Sprintf(`"%s%d":%s`, pick(g.Rand, "k", "K"), i, g.untyped(depth-1)))
	}
	return "{" + strings.Join(members, " ,") + "}"
}

// TestTakesWhatWasLearned: what a Learner took, the encoder of its columns takes too, and it reads back as it went in. And what does
// not make the encoder grow would not have changed the schema.
func TestTakesWhatWasLearned(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for round := range 400 {
		g := generator{rand.New(rand.NewPCG(seed, uint64(round)))}
		learner := infer.NewLearner(nil, infer.Limits{MaxDepth: 1 + g.IntN(4)})
		var known []schema.Column
		var taken []string
		for range 20 {
			r := g.untypedObject(4)
			if known != nil {
				checkGrowth(t, known, r)
			}
			if learner.Add([]byte(r)) {
				taken = append(taken, r)
			}
			known, _, _ = learner.Columns()
		}
		if len(known) == 0 {
			continue
		}
		w := write(t, Options{Columns: known, Inferred: true}, taken...)
		for i, err := range w.errs {
			if err != nil {
				t.Fatalf("round %d: %s was learned and refused: %v", round, taken[i], err)
			}
		}
		for i, row := range read(t, w.data, known) {
			if got, want := shown(structOf(known...), row), cleaned(t, taken[i]); !equalJSON(got, want) {
				t.Fatalf("round %d: %s\n got %v\nwant %v", round, taken[i], got, want)
			}
		}
	}
}

// checkGrowth: a record that fits, or that no schema takes, teaches nothing; one that makes the schema grow does or is refused.
func checkGrowth(t *testing.T, known []schema.Column, r string) {
	t.Helper()
	if len(known) == 0 {
		return
	}
	err := write(t, Options{Columns: known, Growing: true}, r).errs[0]
	l := infer.NewLearner(known, infer.Limits{MaxDepth: 4})
	took := l.Add([]byte(r))
	_, added, retyped := l.Columns()
	var failure *record.Failure
	switch {
	case err == nil && (added || retyped):
		t.Fatalf("%s was written and would have changed the schema", r)
	case errors.As(err, &failure) && took:
		t.Fatalf("%s was refused (%v) and learned from", r, err)
	case errors.Is(err, ErrGrow) && took && !added && !retyped:
		t.Fatalf("%s makes the schema grow, and does not", r)
	}
}

// shown turns a row into what a decoder of JSON gives, nulls and what says nothing left out.
func shown(typ *schema.Type, v any) any {
	switch typ.Kind {
	case schema.Struct:
		out := map[string]any{}
		list, _ := v.([]any)
		for i, f := range list {
			if s := shown(typ.Fields[i].Type, f); s != nil {
				out[typ.Fields[i].Name] = s
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case schema.Array:
		list, _ := v.([]any)
		out := []any{}
		for _, e := range list {
			out = append(out, shown(typ.Elem, e))
		}
		if allNil(out) {
			return nil
		}
		return out
	case schema.String:
		if s, ok := v.(string); ok {
			return text(s)
		}
	}
	return v
}

// text marks what stands in a column of text: a JSON value of any kind, or what it says as text.
type text string

func allNil(list []any) bool {
	for _, v := range list {
		if v != nil {
			return false
		}
	}
	return true
}

// cleaned decodes a record with what says nothing left out.
func cleaned(t *testing.T, r string) any {
	d := json.NewDecoder(strings.NewReader(r))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return clean(v)
}

func clean(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			if c := clean(e); c != nil {
				out[strings.ToLower(k)] = c
			}
		}
		if len(out) == 0 {
			return nil
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, clean(e))
		}
		if allNil(out) {
			return nil
		}
		return out
	}
	return v
}

// equalJSON compares what was read with what was written.
func equalJSON(got, want any) bool {
	switch g := got.(type) {
	case text:
		return equalText(string(g), want)
	case map[string]any:
		w, ok := want.(map[string]any)
		if !ok && want != nil || len(g) < len(w) {
			return false
		}
		for k, v := range g {
			if !equalJSON(v, w[k]) {
				return false
			}
		}
		return true
	case []any:
		w, ok := want.([]any)
		if want == nil {
			w, ok = make([]any, len(g)), true
		}
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range g {
			if !equalJSON(g[i], w[i]) {
				return false
			}
		}
		return true
	case int64, float64:
		w, ok := want.(json.Number)
		if !ok {
			return false
		}
		a, _ := new(big.Rat).SetString(w.String())
		if i, ok := g.(int64); ok {
			return a.Cmp(new(big.Rat).SetInt64(i)) == 0
		}
		f, _ := w.Float64()
		return f == g.(float64)
	}
	return reflect.DeepEqual(got, want)
}

func equalText(got string, want any) bool {
	switch w := want.(type) {
	case string:
		return got == w
	case json.Number:
		return got == w.String()
	case bool:
		return got == fmt.Sprint(w)
	case nil:
		var v any
		return json.Unmarshal([]byte(got), &v) == nil && clean(v) == nil
	}
	var v any
	d := json.NewDecoder(strings.NewReader(got))
	d.UseNumber()
	return d.Decode(&v) == nil && reflect.DeepEqual(clean(v), want)
}
