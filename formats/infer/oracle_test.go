package infer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"hydrant/config/schema"
)

// oracle learns by the same rules in the plainest way: with a tree of values for each record, and types that never change.
type oracle struct {
	limits Limits
	root   *shape
}

// shape is a type, or nil for what is not known.
type shape struct {
	kind  schema.Kind
	wide  bool
	elem  *shape
	names []string
	parts map[string]*shape
}

type object struct {
	keys   []string
	values []any
}

func (o *oracle) add(rec []byte) bool {
	var objects []object
	d := json.NewDecoder(bytes.NewReader(rec))
	d.UseNumber()
	for n := 0; ; n++ {
		v, err := decodeValue(d, 0)
		if v == nil && err == io.EOF && n > 0 {
			break
		}
		switch v := v.(type) {
		case object:
			objects = append(objects, v)
		case []any:
			for _, e := range v {
				ob, ok := e.(object)
				if !ok {
					return false
				}
				objects = append(objects, ob)
			}
		default:
			return false
		}
		if err != nil {
			return false
		}
	}
	if len(objects) == 0 {
		return false
	}
	root := o.root
	for _, ob := range objects {
		next, ok := o.fields(root, ob, 0)
		if !ok {
			return false
		}
		root = next
	}
	if root.leaves() > max(o.limits.MaxColumns, o.root.leaves()) {
		return false
	}
	o.root = root
	return true
}

func decodeValue(d *json.Decoder, depth int) (any, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch tok {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, fmt.Errorf("not JSON: %w", err)
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	case json.Delim('{'):
		ob := object{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, fmt.Errorf("not JSON: %w", err)
			}
			v, err := decodeValue(d, depth+1)
			if err != nil {
				return nil, fmt.Errorf("not JSON: %w", err)
			}
			ob.keys, ob.values = append(ob.keys, key.(string)), append(ob.values, v)
		}
		_, err = d.Token()
		return ob, err
	}
	return tok, nil
}

func hasScalar(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case []any:
		return slices.ContainsFunc(v, hasScalar)
	case object:
		return slices.ContainsFunc(v.values, hasScalar)
	}
	return true
}

func (o *oracle) value(t *shape, v any, depth int) (*shape, bool) {
	_, isList := v.([]any)
	_, isObject := v.(object)
	same := t != nil && (isList && t.kind == schema.Array || isObject && t.kind == schema.Struct)
	switch {
	case !hasScalar(v) && !same:
		return t, true
	case !isList && !isObject:
		return o.scalar(t, v)
	case t != nil && t.kind == schema.String:
		return t, true
	case depth+1 > o.limits.MaxDepth && t == nil:
		return o.scalar(t, "text")
	case t == nil && isList:
		t = &shape{kind: schema.Array}
	case t == nil:
		t = &shape{kind: schema.Struct}
	case !same:
		return nil, false
	}
	if isObject {
		got, ok := o.fields(t, v.(object), depth+1)
		if ok && len(got.names) == 0 {
			got = nil
		}
		return got, ok
	}
	got := *t
	for _, e := range v.([]any) {
		elem, ok := o.value(got.elem, e, depth+1)
		if !ok {
			return nil, false
		}
		got.elem = elem
	}
	if got.elem == nil {
		return nil, true
	}
	return &got, true
}

func (o *oracle) fields(t *shape, ob object, depth int) (*shape, bool) {
	got := &shape{kind: schema.Struct, names: slices.Clone(t.names), parts: maps.Clone(t.parts)}
	if got.parts == nil {
		got.parts = make(map[string]*shape)
	}
	counted := make(map[string]bool)
	for i, key := range ob.keys {
		name := key
		if !o.limits.CaseSensitive {
			name = strings.ToLower(name)
		}
		if o.limits.DotsToUnderscores {
			name = strings.ReplaceAll(name, ".", "_")
		}
		if name == "" || len(name) > schema.MaxNameBytes {
			continue
		}
		if counted[name] {
			if o.limits.FirstOfDuplicates {
				continue
			}
			return nil, false
		}
		p, ok := o.value(got.parts[name], ob.values[i], depth)
		if !ok {
			return nil, false
		}
		if p == nil {
			continue
		}
		if _, known := got.parts[name]; !known {
			got.names = append(got.names, name)
		}
		got.parts[name], counted[name] = p, true
	}
	return got, true
}

func (o *oracle) scalar(t *shape, v any) (*shape, bool) {
	s := shape{kind: schema.String}
	switch v := v.(type) {
	case bool:
		s.kind = schema.Boolean
	case json.Number:
		n, err := strconv.ParseInt(v.String(), 10, 64)
		f, ferr := strconv.ParseFloat(v.String(), 64)
		switch {
		case err == nil:
			s.kind = schema.BigInt
			s.wide = strconv.FormatFloat(f, 'f', 0, 64) != strconv.FormatInt(n, 10)
		case strings.ContainsAny(v.String(), ".eE") && ferr == nil:
			s.kind = schema.Double
		}
	}
	if t == nil {
		return &s, true
	}
	s.wide = s.wide || t.wide
	numbers := map[schema.Kind]bool{schema.BigInt: true, schema.Double: true}
	switch {
	case t.kind.Nested():
		return nil, false
	case t.kind == s.kind:
	case numbers[t.kind] && numbers[s.kind] && !s.wide:
		s.kind = schema.Double
	default:
		s.kind = schema.String
	}
	return &s, true
}

func (s *shape) leaves() int {
	switch s.kind {
	case schema.Array:
		return s.elem.leaves()
	case schema.Struct:
		n := 0
		for _, p := range s.parts {
			n += p.leaves()
		}
		return n
	}
	return 1
}

func (s *shape) typ() *schema.Type {
	t := &schema.Type{Kind: s.kind}
	if s.kind == schema.Array {
		t.Elem = s.elem.typ()
	}
	for _, name := range s.names {
		t.Fields = append(t.Fields, schema.Column{Name: name, Type: s.parts[name].typ()})
	}
	return t
}

// compare feeds the same records to a Learner and the oracle, and begins anew from what was learned now and then.
func compare(t testing.TB, limits Limits, records [][]byte, restart int) {
	l := NewLearner(nil, limits)
	o := &oracle{limits: limits.withDefaults(), root: &shape{kind: schema.Struct}}
	for i, rec := range records {
		before := learned(l)
		got, want := l.Add(rec), o.add(rec)
		after := learned(l)
		if got != want || after != body(o.root.typ().Fields) {
			t.Fatalf("%q after %s:\n got %v, %s\nwant %v, %s", rec, before, got, after, want, body(o.root.typ().Fields))
		}
		if !got && before != after {
			t.Fatalf("%q was refused and changed %s to %s", rec, before, after)
		}
		if l.Add(rec); learned(l) != after {
			t.Fatalf("%q again: %s, then %s", rec, after, learned(l))
		}
		cols, _, _ := l.Columns()
		if l.leaves != schema.Leaves(cols) {
			t.Fatalf("%q: counts %d leaves of %s", rec, l.leaves, after)
		}
		if restart > 0 && i%restart == restart-1 {
			o.root.forgetWide()
			l = NewLearner(cols, limits)
			if again, added, retyped := l.Columns(); added || retyped || !schema.Equal(again, cols) {
				t.Fatalf("%s as a base: %s", body(cols), body(again))
			}
		}
	}
}

func (s *shape) forgetWide() {
	if s.wide = false; s.elem != nil {
		s.elem.forgetWide()
	}
	for _, p := range s.parts {
		p.forgetWide()
	}
}

// randomJSON writes a random value; the names and kinds are few, so that they meet.
func randomJSON(rng *rand.Rand, depth int) string {
	scalars := []string{"null", "true", "1", "-7", "2.5", "1e3", `"x"`, "9007199254740993", "92233720368547758080", "{}", "[]", `"\ud83d\ude00"`, "1e999"}
	n := rng.Intn(4)
	switch k := rng.Intn(10); {
	case depth == 0 || k < 6:
		return scalars[min(rng.Intn(len(scalars)), rng.Intn(len(scalars)))]
	case k < 8:
		parts := make([]string, n)
		for i := range parts {
			parts[i] = randomJSON(rng, depth-1)
		}
		return "[" + strings.Join(parts, " , ") + "]"
	}
	return randomObject(rng, n, depth-1)
}

func randomObject(rng *rand.Rand, n, depth int) string {
	keys := []string{"a", "b", "c", "d", "e", "f", "A", "a.b", "a_b", `\u0061`, "Ä", ""}
	var parts []string
	for range n {
		parts = append(parts, `"`+keys[min(rng.Intn(len(keys)), rng.Intn(len(keys)))]+`": `+randomJSON(rng, depth))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func TestAgreesWithTheOracle(t *testing.T) {
	seed := rand.Int63()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewSource(seed))
	for range 600 {
		limits := Limits{MaxColumns: rng.Intn(12), MaxDepth: rng.Intn(4), CaseSensitive: rng.Intn(2) == 0, DotsToUnderscores: rng.Intn(2) == 0,
			FirstOfDuplicates: rng.Intn(2) == 0}
		records := make([][]byte, 30)
		for i := range records {
			rec := randomObject(rng, rng.Intn(5), 4)
			switch rng.Intn(12) {
			case 0:
				rec += " " + randomObject(rng, 2, 2)
			case 1:
				rec = "[" + rec + "," + randomJSON(rng, 3) + "]"
			case 2:
				rec = rec[:rng.Intn(len(rec))]
			}
			records[i] = []byte(rec)
		}
		compare(t, limits, records, rng.Intn(10))
	}
}

func FuzzLearner(f *testing.F) {
	for _, s := range []string{`{"a":1}` + "\n" + `{"a":0.5,"b":[{}]}`, `[{"a":null},{"A":[[1]]}]`, `{"a":{"b":{"c":{"d":1}}}}`, "{\"a\":1}{\"a\":\"x\"}\n{\"a\":[1]}",
		`{"a":1e400}`, `{"\u00e4":-0,"a":9223372036854775808}`, "[]", "\n", `{"a":[1,"x",{"b":2}]}`} {
		f.Add([]byte(s), uint8(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, options uint8) {
		if !utf8.Valid(b) { // the oracle's decoder replaces what is not UTF-8
			if NewLearner(nil, Limits{}).Add(b) {
				t.Fatalf("%q was taken", b)
			}
			return
		}
		limits := Limits{MaxColumns: 1 + int(options&7), MaxDepth: 1 + int(options>>3&3), CaseSensitive: options&32 != 0, DotsToUnderscores: options&64 != 0,
			FirstOfDuplicates: options&128 != 0}
		records := bytes.Split(b, []byte("\n"))
		if len(records) > 50 || bytes.Count(b, []byte("["))+bytes.Count(b, []byte("{")) > maxJSONDepth {
			return
		}
		compare(t, limits, records, 3)
	})
}

func BenchmarkLearner(b *testing.B) {
	rec := []byte(`{"timestamp":"2026-11-22T02:00:00.123Z","level":"INFO","service":"checkout","host":"ip-10-0-12-7","pid":4711,"thread":"worker-12",` +
		`"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","span_id":"00f067aa0ba902b7","method":"GET","path":"/api/v1/orders/81723/items","status":200,"bytes":5123,` +
		`"latency_ms":12.75,"client_ip":"203.0.113.9","user_agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",` +
		`"referer":"https://example.com/cart","cached":false,"region":"eu-central-1","message":"request finished","retries":0}`)
	b.SetBytes(int64(len(rec)))
	b.ReportAllocs()
	l := NewLearner(nil, Limits{})
	for b.Loop() {
		if !l.Add(rec) {
			b.Fatal("refused")
		}
	}
}
