package staged

import (
	"reflect"
	"strings"
	"testing"

	"hydrant/record"
)

func TestEnvelope(t *testing.T) {
	raw := []byte(`{"a":1}`)
	for name, d := range map[string]record.Derived{
		"as it came":  {Data: raw, Raw: raw, ArrivalMillis: 50},
		"made":        {Data: []byte("new"), Raw: raw, ArrivalMillis: 47},
		"empty":       {Data: []byte{}, Raw: raw, ArrivalMillis: 50},
		"with values": {Data: raw, Raw: raw, Values: [][]byte{[]byte("x"), nil, {}}, ArrivalMillis: 50},
		"failed":      {Data: raw, Raw: raw, Failure: &record.Failure{Type: "t", Code: "c", Message: "m", Attempts: 4, Fields: []record.Field{{Name: "lambdaArn", Value: "a"}}}},
		"of many":     {Data: raw, Raw: raw},
	} {
		if name != "of many" {
			d.Origin = &record.Origin{ID: record.ID{Epoch: record.Epoch{1, 2}, Pos: 7}, Sub: 3}
		}
		if name == "empty" {
			d.Origin = &record.Origin{ID: record.ID{Epoch: record.Epoch{9}, Pos: 1 << 60}, Sub: 65535}
		}
		rec := record.Record{ArrivalMillis: 48, Data: Append(nil, &d, 48)}
		if err := Read(&rec); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := record.Derived{Data: rec.Data, Raw: rec.Made.Raw, Values: rec.Made.Values, Failure: rec.Made.Failure, Origin: rec.Origin, ArrivalMillis: rec.ArrivalMillis}
		if got.Raw == nil {
			got.Raw = got.Data
		}
		if !reflect.DeepEqual(got, d) {
			t.Errorf("%s: %+v, want %+v", name, got, d)
		}
	}
	rec := record.Record{Data: AppendNothing(nil)}
	if err := Read(&rec); err != nil || !rec.Made.Nothing {
		t.Errorf("%v, %+v", err, rec)
	}
}

// FuzzEnvelope: whatever stands there, an error or a record.
func FuzzEnvelope(f *testing.F) {
	d := record.Derived{Data: []byte("x"), Raw: []byte("y"), Values: [][]byte{[]byte("x"), nil}, Origin: &record.Origin{Sub: 9},
		Failure: &record.Failure{Type: "t", Code: "c", Message: "m", Fields: []record.Field{{Name: "n"}}}}
	f.Add(Append(nil, &d, 3))
	f.Add([]byte{})
	f.Add([]byte{hasValues, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add([]byte(strings.Repeat("\xff", 40)))
	f.Fuzz(func(t *testing.T, b []byte) {
		rec := record.Record{Data: b}
		if Read(&rec) == nil && len(rec.Data) > len(b) {
			t.Error("it grew")
		}
	})
}
