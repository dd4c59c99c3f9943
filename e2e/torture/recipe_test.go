package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestRecordsOfALakeRoundTrip(t *testing.T) {
	for _, r := range recipes() {
		k, fates := life(r), map[fate]int{}
		for seq := range perLane {
			text, f := compose(k, seq, "00ff"), fateOf(k, seq)
			fates[f]++
			got, n, payload, err := dissect([]byte(text))
			if err != nil || got != k || n != seq || payload != "00ff" {
				t.Fatalf("%s: %v %d %q %v", text, got, n, payload, err)
			}
			if json.Valid([]byte(text)) == (f == broken) {
				t.Errorf("fate %d: %s", f, text)
			}
		}
		if fates[broken] == 0 || fates[good] < perLane*9/10 || r.partitioned() == (fates[keyless] == 0) || (r == lines) != (fates[misfit] == 0) {
			t.Errorf("%c: %v", r, fates)
		}
	}
}

// TestPackLosesNothing: what shares a record is taken apart at the same places; what is no JSON stays alone.
func TestPackLosesNothing(t *testing.T) {
	for _, r := range recipes() {
		var records []string
		for seq := range 200 {
			records = append(records, compose(life(r), seq, ""))
		}
		packed := pack(life(r), 0, records, func() bool { return true })
		if strings.Join(packed, "") != strings.Join(records, "") || r.partitioned() == (len(packed) == len(records)) {
			t.Errorf("%c: %d of %d", r, len(packed), len(records))
		}
		for _, p := range packed {
			if _, _, _, err := dissect([]byte(p)); strings.HasPrefix(p, "no JSON") && err != nil {
				t.Errorf("%.100s shares its record: %v", p, err)
			}
		}
	}
}
