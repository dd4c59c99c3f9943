package opensearch

import (
	"strings"
	"testing"
	"time"

	"hydrant/record"
)

func millis(t *testing.T, s string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at.UnixMilli()
}

func TestSuffix(t *testing.T) {
	for _, c := range []struct{ rotation, rule, at, want string }{
		{"", "", "2016-02-25T13:59:59Z", ""},
		{"none", "", "2016-02-25T13:59:59Z", ""},
		{"hour", "", "2016-02-25T13:59:59Z", "-2016-02-25-13"},
		{"hour", "", "2016-02-25T23:59:59-01:00", "-2016-02-26-00"},
		{"day", "", "2016-02-25T13:59:59Z", "-2016-02-25"},
		{"month", "", "2016-02-25T13:59:59Z", "-2016-02"},
		{"week", "", "2016-02-25T13:59:59Z", "-2016-w09"},
		{"week", "us", "2016-02-25T13:59:59Z", "-2016-w09"},
		{"week", "iso", "2016-02-25T13:59:59Z", "-2016-w08"},

		// 2 January 2016 is a Saturday: it makes the week from 27 December week 1 of 2016, which ISO calls week 53 of 2015.
		{"week", "us", "2015-12-26T23:59:59Z", "-2015-w52"},
		{"week", "us", "2015-12-27T00:00:00Z", "-2016-w01"},
		{"week", "us", "2015-12-31T23:59:59Z", "-2016-w01"},
		{"week", "us", "2016-01-02T23:59:59Z", "-2016-w01"},
		{"week", "us", "2016-01-03T00:00:00Z", "-2016-w02"},
		{"week", "iso", "2015-12-31T23:59:59Z", "-2015-w53"},
		{"week", "iso", "2016-01-03T23:59:59Z", "-2015-w53"},
		{"week", "iso", "2016-01-04T00:00:00Z", "-2016-w01"},

		// 2022 ends with a Saturday, its 53rd.
		{"week", "us", "2022-01-01T00:00:00Z", "-2022-w01"},
		{"week", "us", "2022-12-31T00:00:00Z", "-2022-w53"},
		{"week", "us", "2023-01-01T00:00:00Z", "-2023-w01"},
		{"week", "iso", "2024-12-30T00:00:00Z", "-2025-w01"},
	} {
		n := newNames(&Options{Index: "i", Rotation: c.rotation, WeekRule: c.rule})
		if got := string(n.appendSuffix(nil, millis(t, c.at))); got != c.want {
			t.Errorf("%s %s %s: %q, want %q", c.rotation, c.rule, c.at, got, c.want)
		}
	}
}

// Each day is in the week of the Sunday before it, and weeks have seven days.
func TestWeeksHaveSevenDays(t *testing.T) {
	n := newNames(&Options{Index: "i", Rotation: "week"})
	count := map[string]int{}
	for day := time.Date(2000, 1, 2, 12, 0, 0, 0, time.UTC); day.Year() < 2041 || day.Weekday() != time.Sunday; day = day.AddDate(0, 0, 1) {
		count[string(n.appendSuffix(nil, day.UnixMilli()))]++
	}
	for week, days := range count {
		if days != 7 {
			t.Errorf("%s has %d days", week, days)
		}
	}
}

func TestPadded(t *testing.T) {
	for n, want := range map[int]string{0: "0000", 7: "0007", 42: "0042", 999: "0999", 2016: "2016", 12345: "12345"} {
		if got := string(appendPadded(nil, n, 1000)); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

func TestActionLine(t *testing.T) {
	item := &record.Item{ID: record.ID{Pos: 18446744073709551615}, Sub: 65535}
	stable := newNames(&Options{Index: "i"})
	if got := string(stable.appendAction(nil, []byte("-2016"), item)); got != `{"create":{"_index":"i-2016","_id":"AAAAAAAAAAAAAAAAAAAAAA-18446744073709551615-65535"}}`+"\n" {
		t.Error(got)
	}
	bare := newNames(&Options{Index: `q"`, TypeName: "doc", DocumentID: "none"})
	if got := string(bare.appendAction(nil, nil, item)); got != `{"create":{"_index":"q\"","_type":"doc"}}`+"\n" {
		t.Error(got)
	}
}

func TestIDsDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, epoch := range []record.Epoch{{}, {1}, {15: 1}} {
		for _, pos := range []record.Position{0, 1, 11} {
			for _, sub := range []uint16{0, 1, 11} {
				id := string(appendID(nil, &record.Item{ID: record.ID{Epoch: epoch, Pos: pos}, Sub: sub}))
				if seen[id] || len(id) > 512 || strings.ContainsAny(id, "/+= ") {
					t.Errorf("id %q", id)
				}
				seen[id] = true
			}
		}
	}
}
