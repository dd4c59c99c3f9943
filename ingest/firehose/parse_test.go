package firehose

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"hydrant/internal/bodies/strictjson"
	"hydrant/record"
)

// batchBody is what an SDK sends for records of the given sizes.
func batchBody(name string, data ...[]byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"DeliveryStreamName": %q, "Records": [`, name)
	for i, d := range data {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, `{"Data": "%s"}`, base64.StdEncoding.EncodeToString(d))
	}
	b.WriteString("]}")
	return b.Bytes()
}

var parseSeeds = []string{
	`{"DeliveryStreamName":"s","Records":[{"Data":"YQo="},{"Data":""}]}`,
	`{"Records":[{"Data":"YQo="}],"DeliveryStreamName":"s"}`,
	"\n{ \"DeliveryStreamName\" : \"s\" ,\t\"Records\" : [ { \"Data\" : \"YQo=\" } ] }\r\n ",
	`{"Delivery\u0053treamName":"\u0073","Rec\u006frds":[{"D\u0061ta":"YWI\u003d"},{"Data":"\/\/\/\/"},{"Data":"\u002b\u002B++"}]}`,
	`{"X":{"Records":[{"Data":"!"}]},"DeliveryStreamName":"s","Records":[{"Data":"YQ==","Y":[1,{"Data":3}]}]}`,
	`{"DeliveryStreamName":null,"Records":null}`, `{"DeliveryStreamName":"s","Records":[null,{"Data":null},{}]}`,
	`{"DeliveryStreamName":"s","Records":[]}`, `{}`, `{"DeliveryStreamName":"s","Records":[{"Data":"YQ==","Data":"YQ=="}]}`,
	`{"DeliveryStreamName":"s","DeliveryStreamName":"s","Records":[]}`, `{"DeliveryStreamName":"s","Records":[],"Records":[]}`,
	`{"DeliveryStreamName":"s","Records":[{"Data":"YQ="}]}`, `{"DeliveryStreamName":"s","Records":[{"Data":"Y Q="}]}`,
	`{"DeliveryStreamName":"s","Records":[{"Data":"YQo\n"}]}`, `{"DeliveryStreamName":"s","Records":[{"Data":12}]}`,
	`{"DeliveryStreamName":"s","Records":[{"Data":"YQ=="},]}`, `{"DeliveryStreamName":"s","Records":[{"Data":"YQ=="}]} x`,
	`{"DeliveryStreamName":7,"Records":{}}`, `{"DeliveryStreamName":"s","Records":["YQ=="]}`, `[]`, `null`, ``, `"`, `{"DeliveryStreamName":"s"`,
	"{\"DeliveryStreamName\":\"\xff\",\"Records\":[]}", `{"DeliveryStreamName":"s","Record":{"Data":"YQ=="}}`, `{"Record":{"Data":"YQ=="},"Record":null}`,
	`{"Record":null,"DeliveryStreamName":"é\ud83d\ude00"}`, `{"DeliveryStreamName":"s","Record":{}}`, `{"DeliveryStreamName":"s","Records":[{"Data":"\u00zz"}]}`,
	`{"DeliveryStreamName":"s","Records":[{"Data":"YQ==","X":nul}]}`, `{"DeliveryStreamName":"s","Records":[{"Data":"YWJj` + "\x01" + `"}]}`,
}

// oracle reads a body with encoding/json. It returns ok false for what must be refused as not readable.
type oracle struct {
	name    *string
	has     bool
	records []oracleRecord
}

type oracleRecord struct {
	isNull bool
	data   []byte // nil when absent
}

func oracleParse(b []byte, single bool) (o oracle, ok bool) {
	key := "Records"
	if single {
		key = "Record"
	}
	top, ok := members(b, "DeliveryStreamName", key)
	if !ok {
		return o, false
	}
	if raw, is := top["DeliveryStreamName"]; is && string(raw) != "null" {
		var s string
		if json.Unmarshal(raw, &s) != nil || !utf8.Valid(raw) {
			return o, false
		}
		o.name = &s
	}
	raw, is := top[key]
	if !is || string(raw) == "null" {
		return o, true
	}
	o.has = true
	list := []json.RawMessage{raw}
	if !single && (raw[0] != '[' || json.Unmarshal(raw, &list) != nil) {
		return o, false
	}
	for _, r := range list {
		rec, ok := oracleOne(r)
		if !ok {
			return o, false
		}
		o.records = append(o.records, rec)
	}
	return o, true
}

func oracleOne(raw []byte) (oracleRecord, bool) {
	if string(raw) == "null" {
		return oracleRecord{isNull: true}, true
	}
	m, ok := members(raw, "Data")
	if !ok {
		return oracleRecord{}, false
	}
	data, is := m["Data"]
	if !is || string(data) == "null" {
		return oracleRecord{}, true
	}
	var s string
	if json.Unmarshal(data, &s) != nil || strings.ContainsAny(s, "\r\n") {
		return oracleRecord{}, false
	}
	dec, err := base64.StdEncoding.DecodeString(s)
	if dec == nil {
		dec = []byte{}
	}
	return oracleRecord{data: dec}, err == nil
}

// members splits an object into its members by exact name; one of the known names twice is not ok.
func members(b []byte, known ...string) (map[string]json.RawMessage, bool) {
	d := json.NewDecoder(bytes.NewReader(b))
	if !json.Valid(b) {
		return nil, false
	}
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, false
	}
	m := map[string]json.RawMessage{}
	for d.More() {
		k, err := d.Token()
		if err != nil {
			return nil, false
		}
		var v json.RawMessage
		if d.Decode(&v) != nil {
			return nil, false
		}
		if _, twice := m[k.(string)]; twice && slices.Contains(known, k.(string)) {
			return nil, false
		}
		m[k.(string)] = v
	}
	return m, true
}

// compare parses b both ways. Differences that are meant: depth, and more than 500 records (not looked into).
func compare(t *testing.T, b []byte, single bool) {
	t.Helper()
	put := record.NewPut()
	defer put.Release()
	p, err := parsePut(b, single, put)
	if errors.Is(err, strictjson.ErrDepth) {
		return
	}
	o, ok := oracleParse(b, single)
	if p != nil && err == nil && p.count > maxRecords {
		return
	}
	if (err == nil) != ok {
		t.Fatalf("%q: parser says %v, encoding/json accepts: %v", b, err, ok)
	}
	if err != nil {
		return
	}
	var want, got [][]byte
	var flaws []flaw
	for i, r := range o.records {
		switch {
		case r.isNull && single:
		case r.isNull:
			flaws = append(flaws, flaw{i, nullRecord})
		case r.data == nil:
			flaws = append(flaws, flaw{i, noData})
		default:
			want = append(want, r.data)
		}
	}
	for i := range put.Count() {
		got = append(got, append([]byte{}, put.Record(i)...))
	}
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(p.wrong, flaws) || p.hasData != o.has || p.hasName != (o.name != nil) {
		t.Fatalf("%q: got %q %v, want %q %v", b, got, p.wrong, want, flaws)
	}
	if o.name != nil && p.name != *o.name {
		t.Fatalf("%q: name %q, want %q", b, p.name, *o.name)
	}
}

func TestParseAgreesWithEncodingJSON(t *testing.T) {
	for _, s := range parseSeeds {
		compare(t, []byte(s), false)
		compare(t, []byte(s), true)
	}
	for n := range 70 { // every length of data, so every tail of the decoder
		compare(t, batchBody("s", bytes.Repeat([]byte{0xfb}, n), []byte("x")), false)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range parseSeeds {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, single bool) { compare(t, b, single) })
}

func TestParseBounds(t *testing.T) {
	big := bytes.Repeat([]byte("x"), maxRecordBytes)
	over := append(bytes.Clone(big), 'x')
	many := make([][]byte, 501)
	for _, tc := range []struct {
		name string
		body []byte
		want string
	}{
		{"largest record", batchBody("s", big), ""},
		{"four largest records", batchBody("s", big, big, big, big), ""},
		{"exactly 4 MiB", batchBody("s", big, big, big, big, make([]byte, 4<<20-4*maxRecordBytes)), ""},
		{"over 4 MiB", batchBody("s", big, big, big, big, make([]byte, 4<<20-4*maxRecordBytes+1)), "InvalidArgumentException: Records size exceeds 4 MB limit"},
		{"record too long", batchBody("s", []byte("a"), over), "ValidationException: 1 validation error detected: Value at 'records.2.member.data' failed to satisfy constraint: Member must have length less than or equal to 1024000"},
		{"two too long", batchBody("s", over, nil, over), "ValidationException: 2 validation errors detected: Value at 'records.1.member.data' failed to satisfy constraint: Member must have length less than or equal to 1024000; Value at 'records.3.member.data' failed to satisfy constraint: Member must have length less than or equal to 1024000"},
		{"500 records", batchBody("s", many[:500]...), ""},
		{"501 records", batchBody("s", many...), "ValidationException: 1 validation error detected: Value at 'records' failed to satisfy constraint: Member must have length less than or equal to 500"},
		{"no records", batchBody("s"), "ValidationException: 1 validation error detected: Value '[]' at 'records' failed to satisfy constraint: Member must have length greater than or equal to 1"},
		{"nothing", []byte("{}"), "ValidationException: 2 validation errors detected: Value null at 'deliveryStreamName' failed to satisfy constraint: Member must not be null; Value null at 'records' failed to satisfy constraint: Member must not be null"},
		{"null record", []byte(`{"DeliveryStreamName":"s","Records":[null,{}]}`), "ValidationException: 2 validation errors detected: Value null at 'records.1.member' failed to satisfy constraint: Member must not be null; Value null at 'records.2.member.data' failed to satisfy constraint: Member must not be null"},
		{"name of 64", batchBody(strings.Repeat("n", 64), nil), ""},
		{"name of 65", batchBody(strings.Repeat("n", 65), nil), "ValidationException: 1 validation error detected: Value '" + strings.Repeat("n", 64) + "...' at 'deliveryStreamName' failed to satisfy constraint: Member must have length less than or equal to 64"},
		{"name with a slash", batchBody("a/b", nil), "ValidationException: 1 validation error detected: Value 'a/b' at 'deliveryStreamName' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"},
	} {
		put := record.NewPut()
		p, err := parsePut(tc.body, false, put)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		got := ""
		if e := p.check(); e != nil {
			got = e.Error()
		}
		if got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
		if put.Bytes() > maxBatchBytes {
			t.Errorf("%s: the put holds %d bytes", tc.name, put.Bytes())
		}
	}
}

func TestParseDepth(t *testing.T) {
	deep := []byte(`{"X":` + strings.Repeat("[", 5_000_000))
	if _, err := parsePut(deep, false, record.NewPut()); !errors.Is(err, strictjson.ErrDepth) {
		t.Errorf("got %v", err)
	}
}

func TestParseDoesNotAllocatePerRecord(t *testing.T) {
	data := make([][]byte, 500)
	for i := range data {
		data[i] = bytes.Repeat([]byte("x"), 100)
	}
	body := batchBody("s", data...)
	put := record.NewPut()
	allocs := testing.AllocsPerRun(20, func() {
		put.Reset()
		if _, err := parsePut(body, false, put); err != nil {
			t.Fatal(err)
		}
	})
	if allocs > 5 {
		t.Errorf("%v allocations for 500 records", allocs)
	}
}

func BenchmarkParse(b *testing.B) {
	for _, size := range []int{1024, 670, 100} {
		data := make([][]byte, 500)
		for i := range data {
			data[i] = bytes.Repeat([]byte("x"), size)
		}
		body := batchBody("weblogs", data...)
		b.Run(fmt.Sprintf("500x%d", size), func(b *testing.B) {
			b.SetBytes(int64(500 * size)) // of records, not of their base64 form
			b.ReportAllocs()
			put := record.NewPut()
			for b.Loop() {
				put.Reset()
				if _, err := parsePut(body, false, put); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
