package parquet

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"hydrant/config"
	"hydrant/config/schema"
)

// The oracle is the same conversion written the obvious way: encoding/json, maps, big.Rat and package time.

var errRefused = errors.New("refused")

// oracleRows is what a record becomes, or an error.
func oracleRows(columns []schema.Column, data []byte) (rows [][]any, err error) {
	if !utf8.Valid(data) {
		return nil, errRefused
	}
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		var raw json.RawMessage
		if err := d.Decode(&raw); err == io.EOF {
			break
		} else if err != nil || depthOf(raw) > maxDepth {
			return nil, errRefused
		}
		objects := []json.RawMessage{raw}
		if raw[0] == '[' {
			objects = nil
			_ = json.Unmarshal(raw, &objects)
		}
		for _, o := range objects {
			if o[0] != '{' {
				return nil, errRefused
			}
			v, err := oracle(&schema.Type{Kind: schema.Struct, Fields: columns}, o)
			if err != nil {
				return nil, err
			}
			rows = append(rows, v.([]any))
		}
	}
	if len(rows) == 0 {
		return nil, errRefused
	}
	return rows, nil
}

func depthOf(raw []byte) (deepest int) {
	depth, inString := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == '{' || c == '['):
			depth++
			deepest = max(deepest, depth)
		case !inString && (c == '}' || c == ']'):
			depth--
		}
	}
	return deepest
}

func oracle(t *schema.Type, raw json.RawMessage) (any, error) {
	if string(raw) == "null" {
		return nil, nil
	}
	switch t.Kind {
	case schema.Struct:
		return oracleStruct(t, raw)
	case schema.Array:
		return oracleArray(t, raw)
	case schema.Map:
		return oracleMap(t, raw)
	case schema.String:
		if raw[0] != '"' {
			return string(raw), nil
		}
	}
	return oracleScalar(t, raw)
}

func oracleStruct(t *schema.Type, raw json.RawMessage) (any, error) {
	out := make([]any, len(t.Fields))
	var list []json.RawMessage
	switch {
	case string(raw) == `""` || raw[0] == '[' && json.Unmarshal(raw, &list) == nil && len(list) == 0:
		return nil, nil
	case raw[0] == '[':
		if len(list) > len(out) {
			return nil, errRefused
		}
	case raw[0] != '{':
		return nil, errRefused
	default:
		m, err := members(raw, strings.ToLower)
		if err != nil {
			return nil, err
		}
		for _, f := range t.Fields {
			list = append(list, m[strings.ToLower(f.Name)])
		}
	}
	for i, v := range list {
		if v == nil {
			continue
		}
		var err error
		if out[i], err = oracle(t.Fields[i].Type, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// members reads an object. The generators make no unknown keys that stand there twice, so that all that are twice count.
func members(raw json.RawMessage, fold func(string) string) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	_, _ = d.Token()
	m := make(map[string]json.RawMessage)
	for d.More() {
		key, _ := d.Token()
		var v json.RawMessage
		_ = d.Decode(&v)
		k := fold(key.(string))
		if _, twice := m[k]; twice {
			return nil, errRefused
		}
		m[k] = v
	}
	return m, nil
}

func oracleArray(t *schema.Type, raw json.RawMessage) (any, error) {
	switch {
	case string(raw) == `""`:
		return nil, nil
	case raw[0] == '{':
		return nil, errRefused
	case raw[0] != '[':
		v, err := oracle(t.Elem, raw)
		return []any{v}, err
	}
	var list []json.RawMessage
	_ = json.Unmarshal(raw, &list)
	out := []any{}
	for _, e := range list {
		v, err := oracle(t.Elem, e)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

func oracleMap(t *schema.Type, raw json.RawMessage) (any, error) {
	if string(raw) == `""` {
		return nil, nil
	}
	if raw[0] != '{' {
		return nil, errRefused
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	_, _ = d.Token()
	out, seen := []entry{}, make(map[any]bool)
	for d.More() {
		token, _ := d.Token()
		var raw json.RawMessage
		_ = d.Decode(&raw)
		text, _ := json.Marshal(token)
		key, err := oracleScalar(t.Key, text)
		if err != nil || seen[key] {
			return nil, errRefused
		}
		seen[key] = true
		v, err := oracle(t.Elem, raw)
		if err != nil {
			return nil, err
		}
		out = append(out, entry{key, v})
	}
	return out, nil
}

func oracleScalar(t *schema.Type, raw json.RawMessage) (any, error) {
	text, isString := string(raw), raw[0] == '"'
	if isString {
		_ = json.Unmarshal(raw, &text)
	}
	if raw[0] == '{' || raw[0] == '[' {
		return nil, errRefused
	}
	switch t.Kind {
	case schema.String, schema.Binary:
		if !isString {
			return nil, errRefused
		}
		return text, nil
	case schema.Boolean:
		if f := strings.ToLower(text); (f == "true" || f == "false") && (isString || raw[0] == 't' || raw[0] == 'f') {
			return f == "true", nil
		}
		return nil, errRefused
	case schema.Date:
		d, err := time.Parse("2006-01-02", text)
		if err != nil || !isString || d.Year() < 1 {
			return nil, errRefused
		}
		return floorDiv(d.Unix(), 86400), nil
	}
	if raw[0] == 't' || raw[0] == 'f' {
		return nil, errRefused
	}
	if t.Kind == schema.Timestamp {
		return oracleTime(text, isString)
	}
	return oracleNumber(t, text, isString)
}

func oracleNumber(t *schema.Type, text string, isString bool) (any, error) {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	switch t.Kind {
	case schema.Float, schema.Double:
		bits := map[schema.Kind]int{schema.Float: 32, schema.Double: 64}[t.Kind]
		f, err := strconv.ParseFloat(text, bits)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || strings.ContainsAny(text, "xX_pP") {
			return nil, errRefused
		}
		return f, nil
	case schema.Decimal:
		r, ok := rational(text)
		if !ok {
			return nil, errRefused
		}
		r.Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Scale)), nil)))
		limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Precision)), nil)
		if !r.IsInt() || new(big.Int).Abs(r.Num()).Cmp(limit) >= 0 {
			return nil, errRefused
		}
		return r.Num().String(), nil
	case schema.TinyInt:
		low, high = -1<<7, 1<<7-1
	case schema.SmallInt:
		low, high = -1<<15, 1<<15-1
	case schema.Int:
		low, high = -1<<31, 1<<31-1
	}
	r, ok := rational(text)
	if isString && (strings.HasPrefix(text, "0x") || strings.HasPrefix(text, "0X")) {
		n, err := strconv.ParseInt(text[2:], 16, 64)
		r, ok = new(big.Rat).SetInt64(n), err == nil && text[2] != '-' && text[2] != '+'
	}
	if !ok || !r.IsInt() || !r.Num().IsInt64() || r.Num().Int64() < low || r.Num().Int64() > high {
		return nil, errRefused
	}
	return r.Num().Int64(), nil
}

func rational(text string) (*big.Rat, bool) {
	if strings.ContainsAny(text, "/_xXpPbBoO") || text == "" {
		return nil, false
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		if n, err := strconv.Atoi(text[i+1:]); err == nil && (n > 1000 || n < -1000) {
			mantissa, ok := rational(text[:i])
			return mantissa, ok && mantissa.Sign() == 0
		}
	}
	return new(big.Rat).SetString(text)
}

// clock is what package time would take too much of: hours of one digit, commas.
var clock = regexp.MustCompile(`^\d{4}-\d{1,2}-\d{1,2}[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?$`)

func oracleTime(text string, isString bool) (any, error) {
	if isString && strings.ContainsRune(text, ':') {
		if !clock.MatchString(text) {
			return nil, errRefused
		}
		for _, zone := range []string{"", "Z", "-07:00", "-0700"} {
			at, err := time.Parse("2006-1-2 15:04:05"+zone, strings.Replace(text, "T", " ", 1))
			if err != nil {
				continue
			}
			if _, offset := at.Zone(); max(offset, -offset) < 19*3600 && at.UTC().Year() >= 1 && at.UTC().Year() <= 9999 {
				return at.UnixMilli(), nil
			}
		}
		return nil, errRefused
	}
	r, ok := rational(text)
	if !ok {
		return nil, errRefused
	}
	digits := 0
	for _, c := range text {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	if digits < 13 || strings.ContainsAny(text, ".eE") {
		r.Mul(r, big.NewRat(1000, 1))
	}
	ms := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean: towards minus infinity
	if !ms.IsInt64() || ms.Int64() < minSecond*1000 || ms.Int64() >= (maxSecond+1)*1000 {
		return nil, errRefused
	}
	return ms.Int64(), nil
}

// TestAgreesWithTheOracle writes random records in random schemas and reads them back.
func TestAgreesWithTheOracle(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	taken, set := 0, 0
	for round := range 400 {
		g := generator{rand.New(rand.NewPCG(seed, uint64(round)))}
		cols := g.columns()
		records := make([]string, 1+g.IntN(60))
		for i := range records {
			records[i] = g.record(cols)
		}
		o := Options{Columns: cols, Config: config.Parquet{
			Compression: pick(g.Rand, "snappy", "gzip", "zstd", "none"), Writer: pick(g.Rand, "v1", "v2"), Dictionary: pick(g.Rand, "auto", "on", "off")}}
		n, refusals := compareWithOracle(t, o, records)
		if t.Failed() {
			t.Fatalf("round %d", round)
		}
		taken, set = taken+n, set+refusals
	}
	if taken < set || set == 0 {
		t.Errorf("%d records were taken, %d refused: the generator is useless", taken, set)
	}
}

func compareWithOracle(t *testing.T, o Options, records []string) (taken, refusals int) {
	t.Helper()
	w := write(t, o, records...)
	var want [][]any
	var from []int
	for i, r := range records {
		rows, err := oracleRows(o.Columns, []byte(r))
		if (err == nil) != (w.errs[i] == nil) {
			t.Errorf("%s\n%v\noracle: %v %v", r, w.errs[i], rows, err)
			return
		}
		if err != nil {
			refusals++
			continue
		}
		taken++
		for _, row := range rows {
			want, from = append(want, row), append(from, i)
		}
	}
	got := read(t, w.data, o.Columns)
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
		return
	}
	for i := range got {
		if !same(got[i], want[i]) {
			t.Errorf("%s\n got %v\nwant %v", records[from[i]], got[i], want[i])
		}
	}
	return taken, refusals
}

// fuzzColumns have one of everything.
func fuzzColumns() []schema.Column {
	all := []schema.Column{col("s", tString), col("l", tBigInt), col("i", tInt), col("d", tDouble), col("b", tBool), col("t", tTime), col("y", tDate), col("n", tBinary), col("f", tFloat), col("p", decimalType(9, 2))}
	return append(all, col("o", structOf(all...)), col("a", arrayOf(tBigInt)), col("m", mapOf(tString, arrayOf(tString))), col("ao", arrayOf(structOf(col("x", tInt), col("as", arrayOf(tString))))))
}

var fuzzSeeds = []string{
	`{"s":"x","l":1,"i":2,"d":1.5,"b":true,"t":"2020-01-01T00:00:00Z","y":"2020-01-01","n":"b","f":1,"p":1.25}`, `{"o":{"s":1},"a":[1,null],"m":{"k":["v"]},"ao":[{"x":1,"as":["y"]},null]}`,
	`{"l":"0x10"}{"l":1e2}`, `[{"a":1},{"o":[1,2]}]`, `{"s":{"raw":[1]}}`, `{"t":1582979696.789}`, `{"t":"1582979696789"}`, `{"t":"0010-1-1 00:00:00Z"}`, `{"t":"9999-12-31T23:59:59.9-18:59"}`, `{"t":"0001-01-01T00:00:00+00:01"}`, `{"unknown":[[[]]]}`, `{"a":[[1]]}`, `{"m":{"a":[],"a":[]}}`, `{"S":1,"s":2}`, `{"d":1e999}`, "{\"s\":\"\xff\"}",
}

// FuzzEncoder: whatever the record, encoder and oracle agree on taking it and on the values, and the record before it and the
// one behind it stay as they are.
func FuzzEncoder(f *testing.F) {
	for _, s := range fuzzSeeds {
		f.Add([]byte(s))
	}
	cols := fuzzColumns()
	f.Fuzz(func(t *testing.T, data []byte) {
		good := fuzzSeeds[1]
		w := write(t, Options{Columns: cols}, good, string(data), good)
		want, err := oracleRows(cols, data)
		if (err == nil) != (w.errs[1] == nil) && !hasTwice(data) {
			t.Fatalf("%q: %v, oracle %v", data, w.errs[1], err)
		}
		got := read(t, w.data, cols)
		neighbour, _ := oracleRows(cols, []byte(good))
		if !same(got[0], neighbour[0]) || !same(got[len(got)-1], neighbour[0]) {
			t.Fatalf("%q changed its neighbours: %v", data, got)
		}
		if err == nil && w.errs[1] == nil && !same(got[1:len(got)-1], want) {
			t.Fatalf("%q:\n got %v\nwant %v", data, got[1:len(got)-1], want)
		}
	})
}

// hasTwice reports whether an object of the record has a key twice, in any case: the oracle counts unknown keys too.
func hasTwice(data []byte) bool {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	type level struct {
		keys   map[string]bool
		object bool
		value  bool // the next token is a value
	}
	var stack []level
	for {
		token, err := d.Token()
		if err != nil {
			return false
		}
		top := len(stack) - 1
		if delim, ok := token.(json.Delim); ok && (delim == '}' || delim == ']') {
			stack = stack[:top]
			continue
		}
		if top >= 0 && stack[top].object {
			if key, ok := token.(string); ok && !stack[top].value {
				if key = strings.ToLower(key); stack[top].keys[key] {
					return true
				}
				stack[top].keys[key], stack[top].value = true, true
				continue
			}
			stack[top].value = false
		}
		if delim, ok := token.(json.Delim); ok {
			stack = append(stack, level{keys: map[string]bool{}, object: delim == '{'})
		}
	}
}
