package prefix

import (
	"os"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"
)

// TestPatterns compares with what Java prints, letter by letter and count by count.
func TestPatterns(t *testing.T) {
	data, err := os.ReadFile("testdata/patterns.tsv")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			if n == 0 {
				continue // the heading
			}
			t.Fatalf("bad line %q", line)
		}
		n++
		checkPattern(t, f[0], f[1], f[2], f[3])
	}
	if n < 1000 {
		t.Fatalf("only %d cases", n)
	}
}

func checkPattern(t *testing.T, text, zone, instant, want string) {
	t.Helper()
	p, err := ParsePattern(text)
	if want == "refused" {
		if err == nil {
			t.Errorf("%q: not refused", text)
		}
		return
	}
	if err != nil {
		t.Errorf("%q: %v", text, err)
		return
	}
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339Nano, instant)
	if err != nil {
		t.Fatal(err)
	}
	got := string(p.Append(nil, at.In(loc)))
	if got != want {
		t.Errorf("%q at %s in %s: got %q, want %q", text, instant, zone, got, want)
	}
	if len(got) > p.maxBytes() {
		t.Errorf("%q printed %d bytes, above its bound %d", text, len(got), p.maxBytes())
	}
}

// TestYearEnds walks through the days where week-based and calendar years differ.
func TestYearEnds(t *testing.T) {
	for _, c := range []struct{ day, want string }{
		{"2023-12-30", "2023-12-30 2023-52 364"},
		{"2023-12-31", "2023-12-31 2024-01 365"}, // a Sunday: its week holds January 1
		{"2024-01-01", "2024-01-01 2024-01 001"},
		{"2024-12-28", "2024-12-28 2024-52 363"},
		{"2024-12-29", "2024-12-29 2025-01 364"},
		{"2024-12-31", "2024-12-31 2025-01 366"},
		{"2027-01-01", "2027-01-01 2027-01 001"},
		{"2026-12-26", "2026-12-26 2026-52 360"},
	} {
		at, err := time.Parse("2006-01-02", c.day)
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParsePattern("yyyy-MM-dd YYYY-ww DDD")
		if err != nil {
			t.Fatal(err)
		}
		if got := string(p.Append(nil, at)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.day, got, c.want)
		}
	}
}
