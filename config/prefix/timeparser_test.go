package prefix

import (
	"os"
	"strings"
	"testing"
	"time"
)

// TestTimesLikeJava compares with what java.time reads.
func TestTimesLikeJava(t *testing.T) {
	data, err := os.ReadFile("testdata/times.tsv")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	if len(lines) < 300 {
		t.Fatalf("only %d lines", len(lines))
	}
	for _, line := range lines[1:] {
		f := strings.Split(line, "\t")
		if len(f) != 3 {
			t.Fatalf("bad line %q", line)
		}
		checkTime(t, f[0], f[1], f[2])
	}
}

// checkTime reads text with the pattern; want is the instant, or refused.
func checkTime(t *testing.T, pattern, text, want string) {
	t.Helper()
	p, err := NewTimeParser(pattern)
	if err != nil {
		t.Errorf("%q: %v", pattern, err)
		return
	}
	at, err := p.Parse([]byte(text), nil)
	got := "refused"
	if err == nil {
		got = at.UTC().Format(time.RFC3339Nano)
	}
	if want != "refused" {
		exact, err := time.Parse(time.RFC3339Nano, want)
		if err != nil {
			t.Fatal(err)
		}
		want = exact.Format(time.RFC3339Nano)
	}
	if got != want {
		t.Errorf("%q %q: got %s, want %s", pattern, text, got, want)
	}
	same, err2 := p.ParseString(text, nil)
	if !same.Equal(at) || (err == nil) != (err2 == nil) {
		t.Errorf("%q %q: a string gives %v, %v", pattern, text, same, err2)
	}
}

// TestTimesBeyondJava: where java.time is not followed; Joda's way wherever it reads more, and no day that does not exist.
func TestTimesBeyondJava(t *testing.T) {
	for _, c := range []struct{ pattern, text, want string }{
		{"uuuu-MM-dd", "2021-04-31", "refused"}, // java.time makes it April 30
		{"uuuu-MM-dd", "2023-02-29", "refused"},
		{"yyyy-MM-dd HH:mm", "2021-01-01 24:00", "refused"},
		{"yyyy-MM-dd hh:mm a", "2021-01-01 00:00 AM", "refused"},
		{"yyyy-MM-dd kk:mm", "2021-01-01 00:10", "refused"},
		{"yyyy-DDD", "2023-366", "refused"},
		{"yyyy-MM-dd HH:mm:ss", "2021-1-2 3:4:5", "2021-01-02T03:04:05Z"}, // fewer digits than letters
		{"yyyy-MM-dd HH:mm:ss.SSS", "2021-01-02 03:04:05.5", "2021-01-02T03:04:05.5Z"},
		{"yyyy-MM-dd HH:mm:ss.SSS", "2021-01-02 03:04:05.123456789", "2021-01-02T03:04:05.123456789Z"},
		{"yyyy-MM-dd HH:mm:ss.SSS", "2021-01-02 03:04:05.1234567890", "refused"},
		{"YYYY-MM-dd", "2024-12-30", "2024-12-30T00:00:00Z"}, // the year, as in Joda
		{"yyyy-MM", "2021-05", "2021-05-01T00:00:00Z"},
		{"yyyy", "2021", "2021-01-01T00:00:00Z"},
		{"yy", "70", "2070-01-01T00:00:00Z"},
		{"yyyy-MM-dd'T'HH:mm:ssX", "2021-01-02t03:04:05z", "2021-01-02T03:04:05Z"},
		{"yyyy-MM-dd HH:mm X", "2021-01-02 03:04 +05:30", "2021-01-01T21:34:00Z"},
		{"yyyy-MM-dd HH:mm z", "2021-01-02 03:04 GMT+2", "refused"},
		{"yyyy-MM-dd HH:mm z", "2021-01-02 03:04 GMT+02", "2021-01-02T01:04:00Z"},
		{"yyyy-MM-dd HH:mm z", "2021-01-02 03:04 UT", "2021-01-02T03:04:00Z"},
		{"yyyy-MM-dd HH:mm z", "2021-01-02 03:04 Z", "2021-01-02T03:04:00Z"},
		{"yyyy-MM-dd HH:mm z", "2021-01-02 03:04 CET", "refused"},
		{"yyyy-MM-dd HH:mmX", "2021-01-02 03:04+", "refused"},
		{"yyyy-MM-dd HH:mmX", "2021-01-02 03:04+1", "refused"},
		{"yyyy-MM-dd HH:mmX':'", "2021-01-02 03:04+01:", "2021-01-02T02:04:00Z"},
		{"EEE, dd MMM yyyy", "Monday, 02 january 2021", "2021-01-02T00:00:00Z"}, // the weekday is not compared
		{"HH 'o''clock' yyyy", "12 o'clock 2021", "2021-01-01T12:00:00Z"},
		{"[yyyy-MM-dd'T'HH:mm[:ss]X][yyyy-MM-dd hh:mm a]", "2021-01-02 03:04 pm", "2021-01-02T15:04:00Z"},
		{"[yyyy]", "", "refused"},
		{"yyyyMMdd[HHmm]", "202101020304", "2021-01-02T03:04:00Z"},
		{"yyyyMMdd[HHmm]", "2021010203", "refused"},
	} {
		checkTime(t, c.pattern, c.text, c.want)
	}
}

func TestTimePatternsRefused(t *testing.T) {
	for _, c := range []struct{ pattern, want string }{
		{"", "1 to 256 bytes"},
		{strings.Repeat("y", 257), "1 to 256 bytes"},
		{"yyyyy", "5 times the letter y"},
		{"yyyy-MMMMM-dd", "5 times the letter M"},
		{"yyyy-ddd", "3 times the letter d"},
		{"yyyy-MM-dd HHH", "3 times the letter H"},
		{"yyyy SSSSSSSSSS", "10 times the letter S"},
		{"EEEEE yyyy", "5 times the letter E"},
		{"yyyy aa h", "2 times the letter a"},
		{"yyyy XXXXXX", "6 times the letter X"},
		{"yyyy zzzz", "4 times the letter z"},
		{"yyyy-MM-dd VV", "names of time zones"},
		{"YYYY-'W'ww-e", "letter w cannot be read"},
		{"yyyy-MM-ddTHH", `"T" is no pattern letter; text stands in single quotes`},
		{"yyyy 'x", "not closed"},
		{"yyyy [MM", "[ is not closed"},
		{"yyyy MM]", "no [ before it"},
		{"yyyy" + strings.Repeat("[", 9) + strings.Repeat("]", 9), "deeper than 8"},
		{"yyyy{}", "reserved"},
		{"HH:mm", "has no year"},
		{"yyyy-dd", "a day and no month"},
		{"yyyy-mm-dd", "mm is minutes"},
		{"yyyy-MM-dd hh:mm", "needs a (AM or PM)"},
		{"yyyy-MM-dd HH:mm a", "needs h"},
		{"yMMdd", "side by side"},
		{"yyyyMd", "side by side"},
	} {
		if _, err := NewTimeParser(c.pattern); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: got %v, want %q", c.pattern, err, c.want)
		}
	}
}

// TestTimeZones: the zone is for texts without an offset alone.
func TestTimeZones(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewTimeParser("yyyy-MM-dd HH:mm[ X]")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"2026-07-13 14:05":     "2026-07-13T14:05:00+02:00",
		"2026-01-13 14:05":     "2026-01-13T14:05:00+01:00",
		"2026-07-13 14:05 Z":   "2026-07-13T14:05:00Z",
		"2026-07-13 14:05 -07": "2026-07-13T21:05:00Z",
	} {
		if got, err := p.ParseString(text, berlin); err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("%s: %s, %v; want %s", text, got.Format(time.RFC3339), err, want)
		}
	}
}

// TestTimesAllocateNothing: not when a text is read, and not when another format must be tried.
func TestTimesAllocateNothing(t *testing.T) {
	p, err := NewTimeParser("EEE, dd MMM yyyy HH:mm:ss[.SSS][' or so'] Z")
	if err != nil {
		t.Fatal(err)
	}
	good, bad := []byte("Mon, 13 Jul 2026 14:05:09.123 +0200"), []byte("Mon, 13 Jul 2026 14:05:09.123 +02000")
	n := testing.AllocsPerRun(100, func() {
		if _, err := p.Parse(good, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Parse(bad, nil); err == nil {
			t.Fatal("too long, and taken")
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
	pattern, err := ParsePattern("yyyy/MM/dd/HH.SSSSppppdXXX'x'")
	if err != nil {
		t.Fatal(err)
	}
	dst, at := make([]byte, 0, 128), time.Unix(1e9, 1)
	if n := testing.AllocsPerRun(100, func() { dst = pattern.Append(dst[:0], at) }); n > 0 {
		t.Errorf("printing: %v allocations", n)
	}
}

// fullPatterns say a time to the nanosecond.
var fullPatterns = []string{
	"yyyy-MM-dd'T'HH:mm:ss.SSSSSSSSSXXX", "uuuuMMddHHmmssSSSSSSSSSX", "EEEE, d MMMM yyyy h:mm:ss.SSSSSSSSS a Z", "yyyy-DDD kk:mm:ss n xx",
	"d/M/y H:m:s,SSSSSSSSS ZZZZZ", "[yyyy-MM-dd][ ][K:m:s.SSSSSSSSS a]XXX", "'it''s 'dd MMM yyyy, 'at' HH-mm-ss-n' 'xxx",
}

// FuzzTimes: what a full pattern prints, it reads back; and no pattern and no text panic.
func FuzzTimes(f *testing.F) {
	for i, p := range fullPatterns {
		f.Add(p, "2026-07-13 14:05:09", int64(i)*1e17+123456789, i*37)
	}
	f.Add("yyyy-MM-dd[ HH:mm[:ss]]", "2026-07-13 14:05", int64(-1), -90)
	f.Fuzz(func(t *testing.T, pattern, text string, nanos int64, zone int) {
		if p, err := NewTimeParser(pattern); err == nil {
			a, errA := p.ParseString(text, time.UTC)
			b, errB := p.Parse([]byte(text), time.UTC)
			if (errA == nil) != (errB == nil) || !a.Equal(b) || errA == nil && (a.Year() < -1 || a.Year() > 10000) {
				t.Fatalf("%q %q: %v %v, %v %v", pattern, text, a, errA, b, errB)
			}
		}
		at := time.Unix(0, nanos).In(time.FixedZone("", zone%1080*60)) // of the years 1677 to 2262
		for _, full := range fullPatterns {
			roundTrip(t, full, at)
		}
	})
}

func roundTrip(t *testing.T, pattern string, at time.Time) {
	t.Helper()
	print, err := ParsePattern(pattern)
	if err != nil {
		t.Fatalf("%q: %v", pattern, err)
	}
	read, err := NewTimeParser(pattern)
	if err != nil {
		t.Fatalf("%q: %v", pattern, err)
	}
	text := print.Append(nil, at)
	if back, err := read.Parse(text, nil); err != nil || !back.Equal(at) {
		t.Fatalf("%q printed %q for %v, and read %v, %v", pattern, text, at, back, err)
	}
}

func BenchmarkTimeParser(b *testing.B) {
	p, err := NewTimeParser("yyyy-MM-dd'T'HH:mm:ss.SSSX")
	if err != nil {
		b.Fatal(err)
	}
	text := []byte("2026-07-13T14:05:09.123Z")
	for b.Loop() {
		if _, err := p.Parse(text, nil); err != nil {
			b.Fatal(err)
		}
	}
}
