package infer_test

import (
	"errors"
	"io"
	"math/rand"
	"strings"
	"testing"

	"hydrant/config"
	"hydrant/config/schema"
	"hydrant/formats/infer"
	"hydrant/formats/parquet"
	"hydrant/record"
)

// What is learned and what the encoder takes must agree: a record that was learned from is written, and a record for which the encoder
// asks for a wider schema gets one or is set aside, but never asks again.

type world struct {
	t      *testing.T
	limits infer.Limits
	// neverKeys: there are keys that never become columns. An object that holds nothing else says nothing to the Learner, and the encoder
	// sets the record aside.
	neverKeys bool
}

func (w world) write(cols []schema.Column, rec string, growing bool) error {
	w.t.Helper()
	o := parquet.Options{Columns: cols, Inferred: true, Growing: growing}
	o.Config.JSON = config.JSONReading{CaseSensitive: w.limits.CaseSensitive, DotsToUnderscores: w.limits.DotsToUnderscores, Keys: w.limits.Keys}
	if w.limits.FirstOfDuplicates {
		o.Config.Duplicates = "first"
	}
	e, err := parquet.New(io.Discard, o)
	if err != nil {
		w.t.Fatalf("%s: %v", text(cols), err)
	}
	return e.Write([]byte(rec))
}

func (w world) learn(cols []schema.Column, rec string) (next []schema.Column, taken, changed bool) {
	l := infer.NewLearner(cols, w.limits)
	taken = l.Add([]byte(rec))
	next, added, retyped := l.Columns()
	return next, taken, added || retyped
}

// step feeds one record and returns the columns afterwards.
func (w world) step(cols []schema.Column, rec string) []schema.Column {
	w.t.Helper()
	next, taken, changed := w.learn(cols, rec)
	if len(next) == 0 {
		return nil
	}
	var failure *record.Failure
	if len(cols) > 0 {
		err := w.write(cols, rec, true)
		switch {
		case err == nil && (!taken || changed):
			w.t.Errorf("%s with %s: written, but taken %v and learned %s", rec, text(cols), taken, text(next))
		case err != nil && taken && !changed && !errors.As(w.write(cols, rec, false), &failure):
			w.t.Errorf("%s with %s: %v, but nothing is to be learned", rec, text(cols), err)
		}
	}
	err := w.write(next, rec, true)
	switch {
	case taken && changed && errors.Is(err, parquet.ErrGrow) && !w.neverKeys:
		w.t.Errorf("%s learned as %s asks for more", rec, text(next))
	case err != nil && !errors.Is(err, parquet.ErrGrow) && !errors.As(err, &failure):
		w.t.Errorf("%s with %s: %v", rec, text(next), err)
	}
	return next
}

func text(cols []schema.Column) string {
	b, _ := schema.Marshal(cols)
	return string(b)
}

func TestLearnedRecordsAreWritten(t *testing.T) {
	for _, rec := range []string{
		`{"a":1}`, `{"a":9007199254740993}`, `{"a":9223372036854775808}`, `{"a":1.0}`, `{"a":-0}`, `{"a":-0.0}`, `{"a":1e400}`, `{"a":1e-400}`, `{"a":12345678901234567890.5}`,
		`{"a":[1,2.5,null,9007199254740992]}`, `{"a":[9007199254740993,0.5]}`, `{"a":[true,1]}`, `{"a":["x",{"b":1},[2]]}`, `{"a":"\ud83d","\u0062":"\n"}`,
		`{"a":{"b":{"c":[[],[{"d":1},{}]]}}}`, `{"a":1,"b":null,"c":{},"d":[],"e":[null],"f":{"g":null}}`, `{"a":1}{"a":0.5} [{"b":"x"},{}]`, `[{"a":1}]`,
		`{"a":{"b":{"c":{"d":{"e":1}}}},"l":[[[[[1]]]]]}`, `{"A":1,"b.c":2,"Ä":3}`, `{"a":{"TS":"x","b":1},"TS":"y"}`,
		strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60),
	} {
		for _, limits := range []infer.Limits{{}, {MaxDepth: 1}, {MaxDepth: 3, CaseSensitive: true, DotsToUnderscores: true}, {Keys: map[string]string{"time": "Ts"}}} {
			w := world{t: t, limits: limits}
			cols, taken, changed := w.learn(nil, rec)
			if !taken || !changed {
				t.Errorf("%s: taken %v, changed %v", rec, taken, changed)
				continue
			}
			if err := w.write(cols, rec, true); err != nil {
				t.Errorf("%s learned as %s: %v", rec, text(cols), err)
			}
			if again := w.step(cols, rec); !schema.Equal(again, cols) {
				t.Errorf("%s learned as %s, then as %s", rec, text(cols), text(again))
			}
		}
	}
}

func TestEncoderAndLearnerAgree(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewSource(seed))
	for range 400 {
		w := world{t: t, limits: infer.Limits{MaxColumns: 1 + rng.Intn(12), MaxDepth: 1 + rng.Intn(4), CaseSensitive: rng.Intn(2) == 0, DotsToUnderscores: rng.Intn(2) == 0,
			FirstOfDuplicates: rng.Intn(2) == 0}}
		if rng.Intn(2) == 0 {
			w.limits.Keys = map[string]string{"a": "B", "x": "c"}
			w.neverKeys = true
		}
		var cols []schema.Column
		for range 12 {
			rec := object(rng, 4)
			w.neverKeys = w.neverKeys || strings.Contains(rec, `"" :`)
			cols = w.step(cols, rec)
		}
		if t.Failed() {
			t.Fatalf("limits %+v", w.limits)
		}
	}
}

func value(rng *rand.Rand, depth int) string {
	scalars := []string{"null", "1", "0.5", "true", `"x"`, "-7", "9007199254740993", "92233720368547758080", "{}", "[]", "1e999", "1.0", `"1"`, "9007199254740992.0"}
	k := rng.Intn(10)
	if depth == 0 || k < 6 {
		return scalars[min(rng.Intn(len(scalars)), rng.Intn(len(scalars)))]
	}
	if k < 8 {
		return object(rng, depth-1)
	}
	var parts []string
	for range rng.Intn(4) {
		parts = append(parts, value(rng, depth-1))
	}
	return "[" + strings.Join(parts, ",") + "]"
}

func object(rng *rand.Rand, depth int) string {
	keys := []string{"a", "b", "c", "d", "x", "A", "a.b", "a_b", `\u0061`, "Ä", ""}
	var parts []string
	for range rng.Intn(5) {
		parts = append(parts, `"`+keys[min(rng.Intn(len(keys)), rng.Intn(len(keys)))]+`" : `+value(rng, depth))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
