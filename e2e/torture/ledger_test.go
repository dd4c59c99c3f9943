package main

import (
	"fmt"
	"strings"
	"testing"
)

// sent puts n records on a lane and acknowledges those before ackedTo.
func sent(l *ledger, k lane, n, ackedTo int) (records []string) {
	o := l.lane(k)
	first := o.reserve(n)
	for i := range n {
		records = append(records, encode(k, first+i, "payload"))
	}
	l.acknowledged(o, first, ackedTo)
	return records
}

// stored is an object of a stream with an identity that says how many records it holds.
func stored(key string, records int, body string) object {
	p := placeOf(key)
	return object{key, fmt.Sprintf("v1;stream=%s;role=main;version=%d;partition=%s;first=00/%s;count=%d", p.stream, p.version, p.partition, key, records), []byte(body)}
}

func TestTallyCountsEachKindOfFailure(t *testing.T) {
	k := lane{"y0.1", 3}
	for _, c := range []struct {
		name                               string
		object                             func(r []string) string
		lost, dup, disorder, foreign, have int
	}{
		{"all there, separated or not", func(r []string) string { return r[0] + "\n" + r[1] + r[2] + r[3] + "\n" }, 0, 0, 0, 0, 4},
		{"unacknowledged may be missing", func(r []string) string { return r[0] + r[1] + r[2] }, 0, 0, 0, 0, 3},
		{"acknowledged missing", func(r []string) string { return r[0] + r[2] }, 1, 0, 0, 0, 2},
		{"acknowledged twice", func(r []string) string { return r[0] + r[1] + r[2] + r[1] }, 0, 1, 1, 0, 4},
		{"unacknowledged twice", func(r []string) string { return r[0] + r[1] + r[2] + r[3] + r[3] }, 0, 1, 0, 0, 5},
		{"three times is one duplicate record", func(r []string) string { return r[0] + r[1] + r[2] + r[2] + r[2] }, 0, 1, 0, 0, 5},
		{"out of order", func(r []string) string { return r[1] + r[0] + r[2] }, 0, 0, 1, 0, 3},
		{"flipped byte", func(r []string) string { return r[0] + strings.Replace(r[1], "payload", "paYload", 1) + r[2] }, 1, 0, 0, 1, 2},
		{"cut off", func(r []string) string { return r[0] + r[1] + r[2][:5] }, 1, 0, 0, 1, 2},
		{"strange bytes", func(r []string) string { return r[0] + r[1] + r[2] + "\x00\x00" }, 0, 0, 0, 1, 3},
		{"record of nobody", func(r []string) string { return r[0] + r[1] + r[2] + encode(lane{"z.1", 0}, 0, "") }, 0, 0, 0, 1, 3},
		{"number never sent", func(r []string) string { return r[0] + r[1] + r[2] + encode(k, 4, "") }, 0, 0, 0, 1, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLedger()
			r := sent(l, k, 4, 3)
			y := l.tally()
			y.object(stored("y0/y0-1-2026", c.have+c.foreign, c.object(r)))
			y.finish()
			if y.lost != c.lost || y.duplicates != c.dup || y.disordered != c.disorder || y.foreign != c.foreign || y.delivered != c.have {
				t.Errorf("got %v, want lost %d duplicates %d out of order %d foreign %d delivered %d", y, c.lost, c.dup, c.disorder, c.foreign, c.have)
			}
			if good := c.lost+c.dup+c.disorder+c.foreign == 0; y.ok() != good {
				t.Errorf("ok is %v", y.ok())
			}
		})
	}
}

func TestNothingAcknowledgedIsNoSuccess(t *testing.T) {
	l := newLedger()
	sent(l, lane{"y0.1", 0}, 4, 0)
	y := l.tally()
	y.finish()
	if y.ok() {
		t.Error("a run in which nothing was acknowledged counts as passed")
	}
}

func TestAnswersAfterAPowerCutDoNotCount(t *testing.T) {
	l, k := newLedger(), lane{"y0.1", 0}
	o := l.lane(k)
	first := o.reserve(2)
	l.cut(true)
	if l.acknowledged(o, first, 2) || l.begun(k.life) {
		t.Error("acknowledged during a cut")
	}
	l.cut(false)
	if o.state[0] != unknown || !l.acknowledged(o, first, 2) || o.state[1] != acked {
		t.Errorf("states %v", o.state)
	}
	if !l.begun(k.life) || l.begun("y1.1") {
		t.Error("which lives have begun is not known")
	}
}

func TestRecordsRoundTrip(t *testing.T) {
	k := lane{"a1.2", 7}
	rec := encode(k, 42, "00ff")
	got, seq, err := decode([]byte(rec[1 : len(rec)-1]))
	if err != nil || got != k || seq != 42 {
		t.Errorf("%v %d %v", got, seq, err)
	}
}
