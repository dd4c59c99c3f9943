package schema

import (
	"fmt"
	"strings"
	"testing"
)

// table prints columns as the body of a struct.
func table(cols []Column) string {
	s := (&Type{Kind: Struct, Fields: cols}).String()
	return s[len("struct<") : len(s)-1]
}

const orderSchema = `{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "type": "object",
  "required": ["id"],
  "properties": {
    "id": {"type": "integer", "minimum": 0},
    "Zeta": {"type": ["string", "null"], "maxLength": 3},
    "at": {"type": "string", "format": "date-time"},
    "day": {"type": "string", "format": "date"},
    "ok": {"type": "boolean"},
    "price": {"type": ["integer", "number", "null"]},
    "state": {"enum": ["new", "paid", null]},
    "one": {"const": 1},
    "tags": {"type": "array", "items": {"type": "string"}},
    "labels": {"type": "object", "additionalProperties": {"type": "number"}},
    "byday": {"patternProperties": {"^[0-9]+$": {"type": "boolean"}}},
    "to": {"$ref": "#/$defs/address", "description": "ignored"},
    "lines": {"type": "array", "items": {"$ref": "#/definitions/a~1b%20c"}},
    "memo": {"anyOf": [{"type": "null"}, {"type": "string"}]},
    "sum": {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    "limited": {"type": "string", "anyOf": [{"pattern": "a"}, {"pattern": "b"}]}
  },
  "additionalProperties": false,
  "$defs": {"address": {"allOf": [{"properties": {"street": {"type": "string"}, "geo": {"$ref": "#/$defs/geo"}}, "additionalProperties": true}]},
            "geo": {"type": "array", "items": {"type": "number"}}},
  "definitions": {"a/b c": {"type": "object", "properties": {"sku:no": {"type": "string"}, "n": {"type": "integer"}}}}
}`

const orderAvro = `{"type": "record", "name": "Order", "namespace": "shop", "doc": "x", "fields": [
  {"name": "b", "type": "boolean"}, {"name": "i", "type": "int"}, {"name": "l", "type": ["null", "long"], "default": null},
  {"name": "f", "type": "float"}, {"name": "d", "type": ["double", "null"]}, {"name": "raw", "type": "bytes"}, {"name": "s", "type": {"type": "string"}},
  {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
  {"name": "tax", "type": {"type": "fixed", "name": "Tax", "size": 8, "logicalType": "decimal", "precision": 4}},
  {"name": "day", "type": {"type": "int", "logicalType": "date"}}, {"name": "ms", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "us", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]}, {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
  {"name": "odd", "type": {"type": "long", "logicalType": "of-tomorrow"}},
  {"name": "state", "type": {"type": "enum", "name": "State", "symbols": ["A", "B"]}}, {"name": "hash", "type": {"type": "fixed", "name": "Hash", "size": 16}},
  {"name": "tags", "type": {"type": "array", "items": ["null", "string"]}}, {"name": "m", "type": {"type": "map", "values": "State"}},
  {"name": "ship", "type": {"type": "record", "name": "Address", "fields": [{"name": "street", "type": "string"}, {"name": "hash", "type": "shop.Hash"}]}},
  {"name": "bill", "type": ["null", "Address"]},
  {"name": "other", "type": {"type": "record", "name": "x.y.Geo", "fields": [{"name": "p", "type": {"type": "enum", "name": "P", "symbols": ["Q"]}}, {"name": "q", "type": "x.y.P"}]}}
]}`

func TestFromFile(t *testing.T) {
	for name, tc := range map[string]struct{ file, want string }{
		"json schema": {orderSchema, "id:bigint,Zeta:string,at:timestamp,day:date,ok:boolean,price:double,state:string,one:bigint,tags:array<string>," +
			"labels:map<string,double>,byday:map<string,boolean>,to:struct<street:string,geo:array<double>>,lines:array<struct<`sku:no`:string,n:bigint>>,memo:string,sum:double,limited:string"},
		"avro": {orderAvro, "b:boolean,i:int,l:bigint,f:float,d:double,raw:binary,s:string,amount:decimal(10,2),tax:decimal(4,0),day:date,ms:timestamp,us:timestamp," +
			"id:string,odd:bigint,state:string,hash:binary,tags:array<string>,m:map<string,string>,ship:struct<street:string,hash:binary>,bill:struct<street:string,hash:binary>,other:struct<p:string,q:string>"},
		"root reference": {`{"$ref":"#/definitions/E","definitions":{"E":{"type":"object","properties":{"a":{"type":"string"}}}}}`, "a:string"},
		"bom and order":  {"\xef\xbb\xbf" + `{"properties":{"b":{"type":"string"},"a":{"type":"string"}}}`, "b:string,a:string"},
		"same reference twice": {`{"properties":{"a":{"$ref":"#/$defs/x"},"b":{"$ref":"#/$defs/x"}},"$defs":{"x":{"type":"integer"}}}`,
			"a:bigint,b:bigint"},
	} {
		cols, err := FromFile("f", []byte(tc.file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := table(cols); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tc.want)
		}
		if _, err := Parse((&Type{Kind: Struct, Fields: cols}).String()); err != nil {
			t.Errorf("%s: its types do not parse: %v", name, err)
		}
	}
}

// doubling is a schema of n definitions, each of which uses the next one twice.
func doubling(n int) string {
	var defs []string
	for i := range n {
		defs = append(defs, fmt.Sprintf(`"d%d":{"properties":{"a":{"$ref":"#/$defs/d%d"},"b":{"$ref":"#/$defs/d%d"}}}`, i, i+1, i+1))
	}
	return fmt.Sprintf(`{"properties":{"a":{"$ref":"#/$defs/d0"}},"$defs":{%s,"d%d":{"type":"string"}}}`, strings.Join(defs, ","), n)
}

func doublingAvro(n int) string {
	def := `"string"`
	for i := range n {
		def = fmt.Sprintf(`{"type":"record","name":"R%d","fields":[{"name":"a","type":%s},{"name":"b","type":%s}]}`, i, def,
			map[bool]string{true: `"string"`, false: fmt.Sprintf(`"R%d"`, i-1)}[i == 0])
	}
	return def
}

func chain(n int) string {
	var defs []string
	for i := range n {
		defs = append(defs, fmt.Sprintf(`"d%d":{"$ref":"#/$defs/d%d"}`, i, i+1))
	}
	return fmt.Sprintf(`{"properties":{"a":{"$ref":"#/$defs/d0"}},"$defs":{%s,"d%d":{"type":"string"}}}`, strings.Join(defs, ","), n)
}

func props(s string) string { return `{"properties":{"a":{"type":"string"},` + "\n" + s + `}}` }

func field(typ string) string {
	return `{"type":"record","name":"R","fields":[{"name":"x","type":"string"},` + "\n" + `{"name":"f","type":` + typ + `}]}`
}

func TestFromFileRefuses(t *testing.T) {
	for _, tc := range []struct{ file, want string }{
		{"", "f: the file is empty"},
		{"\n\n{\"a\" 1}", "f:3: not JSON"},
		{`{"a":`, "ends in the middle"},
		{`{"properties":{}} {}`, "more text follows"},
		{`[1]`, "holds an array"},
		{"\"\xff\"", "not valid UTF-8"},
		{`{}`, "the schema itself: the schema says no type"},
		{`{"type":"string"}`, "no object with properties"},
		{`{"type":"object"}`, "the schema itself: an object needs properties"},
		{`{"type":"object","additionalProperties":{"type":"string"}}`, "no properties; properties become columns"},
		{`{"properties":{"a":{"type":"string"},"a":{"type":"string"}}}`, `the key "a" twice`},
		{props(`"b":true`), `f:2: column "b": true stands where a schema`},
		{props(`"b":{}`), `column "b": the schema says no type`},
		{props(`"b":{"type":"null"}`), `column "b": the schema allows only null`},
		{props(`"b":{"type":["string","integer","null"]}`), `values of the types string, integer cannot share`},
		{props(`"b":{"type":"strin"}`), `no type "strin"`},
		{props(`"b":{"type":[]}`), `type is an array`},
		{props(`"b":{"type":[3]}`), `type holds the number "3"`},
		{props(`"b":{"enum":["x",1.5]}`), `the types string, number`},
		{props(`"b":{"type":"array"}`), `column "b": an array needs items`},
		{props(`"b":{"type":"array","items":[{"type":"string"}]}`), `an array needs items`},
		{props(`"b":{"items":{"type":"string"},"prefixItems":[]}`), `an array needs items`},
		{props(`"b":{"type":"array","items":{"properties":{"c":{}}}}`), `column "b[].c": the schema says no type`},
		{props(`"b":{"type":"object"}`), `column "b": an object needs properties`},
		{props(`"b":{"type":"object","properties":{"c":{"type":"string"}},"additionalProperties":{"type":"string"}}`), `not both`},
		{props(`"b":{"properties":[]}`), `properties is an array`},
		{props(`"b":{"patternProperties":{"a":{},"b":{}}}`), `share one type`},
		{props(`"b":{"additionalProperties":{"type":"null"}}`), `column "b{}": the schema allows only null`},
		{props(`"b":{"anyOf":[{"type":"string"},{"type":"object","properties":{"c":{"type":"string"}}}]}`), `alternatives "string" and "struct<c:string>" of anyOf`},
		{props(`"b":{"allOf":[{},{}]}`), `allOf of several`},
		{props(`"b":{"anyOf":{}}`), `anyOf is an object`},
		{props(`"b":{"$ref":"other.json#/x"}`), `leads out of this file`},
		{props(`"b":{"$ref":"#anchor"}`), `leads out of this file`},
		{props(`"b":{"$ref":"#/no/where"}`), `leads nowhere`},
		{props(`"b":{"$ref":"#"}`), `is recursive`},
		{props(`"b":{"$ref":"#/properties/b"}`), `is recursive`},
		{`{"properties":{"a":{"$ref":"#/$defs/n"}},"$defs":{"n":{"properties":{"next":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/n"}]}}}}}`, `column "a.next": $ref "#/$defs/n" is recursive`},
		{doubling(30), "more than 50000 types"},
		{chain(500), "references lead from one to the next"},
		{strings.Repeat(`{"properties":{"a":`, 40) + `{"type":"string"}` + strings.Repeat("}}", 40), "nested deeper than 32"},
		{strings.Repeat(`[`, 1_000_000), "nested deeper than 200"},
		{strings.Repeat(" ", maxFileBytes+1), "a schema file may have"},
		{props(`"` + strings.Repeat("n", 300) + `":{"type":"string"}`), "has 300 bytes"},
		{props(`"":{"type":"string"}`), "has no name"},

		{`{"type":"record","name":"R","fields":[]}`, "needs a name and a list of fields"},
		{`{"type":"record","fields":[{"name":"a","type":"int"}]}`, "needs a name and a list of fields"},
		{`{"type":"record","name":"R","fields":[{"type":"int"}]}`, "needs a name and a type"},
		{`{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}`, "twice"},
		{field(`["null","int","string"]`), `f:2: column "f": a union may hold null and one other type, not "int" and "string"`},
		{field(`"null"`), "can only be null"},
		{field(`["null"]`), "can only be null"},
		{field(`"Later"`), `"Later" is not defined`},
		{field(`["null","R"]`), "the record \"R\" contains itself"},
		{field(`7`), "no Avro type"},
		{field(`{"items":"int"}`), "needs a type"},
		{field(`{"type":"array"}`), "an Avro array needs items"},
		{field(`{"type":"map"}`), "an Avro map needs values"},
		{field(`{"type":"array","items":["int","string"]}`), `column "f[]": a union`},
		{field(`{"type":"map","values":"null"}`), `column "f{}": it can only be null`},
		{field(`{"type":"bytes","logicalType":"decimal","precision":39}`), "precision from 1 to 38"},
		{field(`{"type":"bytes","logicalType":"decimal"}`), "precision from 1 to 38"},
		{field(`{"type":"record","name":"S","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}`), `"f.a" stands there twice`},
		{field(strings.Repeat(`{"type":"array","items":`, 33) + `"int"` + strings.Repeat("}", 33)), "nested deeper than 32"},
		{doublingAvro(25), "more than 50000 types"},
	} {
		cols, err := FromFile("f", []byte(tc.file))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%.200s\n got %s, %v\nwant %s", tc.file, table(cols), err, tc.want)
		}
	}
}

func TestFromFileTakesTheGreatestDepth(t *testing.T) {
	nested := func(open, inner, shut string, n int) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	for name, file := range map[string]string{
		"json schema": `{"properties":{"a":` + nested(`{"items":`, `{"type":"string"}`, "}", MaxDepth) + `}}`,
		"avro":        field(nested(`{"type":"array","items":`, `"int"`, "}", MaxDepth)),
	} {
		cols, err := FromFile("f", []byte(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		last := cols[len(cols)-1].Type
		if _, err := Parse(last.String()); err != nil || last.depth() != MaxDepth {
			t.Errorf("%s: depth %d, %v", name, last.depth(), err)
		}
	}
}

func FuzzFromFile(f *testing.F) {
	for _, s := range []string{orderSchema, orderAvro, doubling(3), doublingAvro(3), chain(3), `{"properties":{"a":{"$ref":"#/properties/0"}}}`, `{"type":"record"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		cols, err := FromFile("f", b)
		if err != nil {
			return
		}
		text, err := Marshal(cols)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Unmarshal(text)
		if err != nil || !Equal(cols, again) || Leaves(again) == 0 {
			t.Fatalf("%s does not read back: %v", text, err)
		}
	})
}
