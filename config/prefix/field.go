package prefix

import (
	"fmt"
	"strconv"
	"time"
)

// printer appends one field of t.
type printer func(b []byte, t time.Time) []byte

// maxZoneChars bounds the names of time zones.
const maxZoneChars = 40

// field gives what count times the letter prints, or why that is no field.
func field(letter byte, count int) (fieldSpec, error) {
	var s fieldSpec
	switch letter {
	case 'y', 'u':
		s = year(count, func(t time.Time) int { return t.Year() })
	case 'Y':
		s = year(count, func(t time.Time) int { return weekYear(t) })
	case 'A', 'n', 'N', 'g':
		s = wide(count, wideLetter(letter))
	case 'S':
		s = fraction(count)
	case 'V', 'z', 'O', 'X', 'x', 'Z':
		s = zone(letter, count)
	case 'v', 'B':
		return s, fmt.Errorf("the letter %c is not supported: its text depends on language data", letter)
	default:
		var known bool
		if s, known = small(letter, count); !known {
			return s, fmt.Errorf("%q is no pattern letter", string(letter))
		}
	}
	if s.print == nil {
		return s, fmt.Errorf("%d times the letter %c is not allowed", count, letter)
	}
	return s, nil
}

// number is a field of few digits: it may be written with counts from 1 to maxCount.
type number struct {
	maxCount, digits int
	value            func(time.Time) int
	text             *names // for counts 3 to 5
}

// names are a field's texts in English; index is counted from the field's value.
type names struct {
	short, full, narrow []string
	base                int // value of the first
}

func english(full []string, base, short, narrow int) *names {
	n := &names{full: full, base: base}
	for _, f := range full {
		n.short = append(n.short, f[:short])
		n.narrow = append(n.narrow, f[:narrow])
	}
	return n
}

func months() *names {
	var full []string
	for m := time.January; m <= time.December; m++ {
		full = append(full, m.String())
	}
	return english(full, 1, 3, 1)
}

func weekdays() *names {
	var full []string
	for d := time.Sunday; d <= time.Saturday; d++ {
		full = append(full, d.String())
	}
	return english(full, 1, 3, 1)
}

func quarters() *names {
	return &names{base: 1, short: []string{"Q1", "Q2", "Q3", "Q4"}, narrow: []string{"1", "2", "3", "4"},
		full: []string{"1st quarter", "2nd quarter", "3rd quarter", "4th quarter"}}
}

func eras() *names {
	return &names{base: 1, short: []string{"AD"}, full: []string{"Anno Domini"}, narrow: []string{"A"}}
}

// small gives the letters that print a small number or an English text.
func small(letter byte, count int) (fieldSpec, bool) {
	if letter == 'E' || letter == 'G' {
		return textOnly(letter, count), true
	}
	n, known := number{}, true
	switch letter {
	case 'M', 'L':
		n = number{2, 2, func(t time.Time) int { return int(t.Month()) }, months()}
	case 'Q', 'q':
		n = number{2, 1, func(t time.Time) int { return (int(t.Month()) + 2) / 3 }, quarters()}
	case 'e':
		n = number{2, 1, weekday, weekdays()}
	case 'c':
		n = number{1, 1, weekday, weekdays()}
	case 'w':
		n = number{2, 2, weekOfYear, nil}
	case 'W':
		n = number{1, 1, weekOfMonth, nil}
	case 'F':
		n = number{1, 1, func(t time.Time) int { return (t.Day()-1)%7 + 1 }, nil}
	case 'd':
		n = number{2, 2, func(t time.Time) int { return t.Day() }, nil}
	case 'D':
		n = number{3, 3, func(t time.Time) int { return t.YearDay() }, nil}
	default:
		if letter == 'a' {
			return ampm(count), true
		}
		n, known = clock(letter)
	}
	return n.spec(count), known
}

// clock gives the letters of the time of day.
func clock(letter byte) (number, bool) {
	n := number{maxCount: 2, digits: 2}
	switch letter {
	case 'H':
		n.value = func(t time.Time) int { return t.Hour() }
	case 'h':
		n.value = func(t time.Time) int { return (t.Hour()+11)%12 + 1 }
	case 'K':
		n.value = func(t time.Time) int { return t.Hour() % 12 }
	case 'k':
		n.value = func(t time.Time) int { return (t.Hour()+23)%24 + 1 }
	case 'm':
		n.value = func(t time.Time) int { return t.Minute() }
	case 's':
		n.value = func(t time.Time) int { return t.Second() }
	default:
		return n, false
	}
	return n, true
}

func (n number) spec(count int) fieldSpec {
	switch {
	case n.value == nil:
		return fieldSpec{}
	case count <= n.maxCount:
		return fieldSpec{max: max(count, n.digits), print: func(b []byte, t time.Time) []byte {
			return appendPadded(b, int64(n.value(t)), count)
		}}
	case n.text != nil && count >= 3:
		return n.text.spec(count, n.value)
	}
	return fieldSpec{}
}

func (n *names) spec(count int, value func(time.Time) int) fieldSpec {
	list := n.short
	switch {
	case count == 4:
		list = n.full
	case count == 5:
		list = n.narrow
	case count > 5:
		return fieldSpec{}
	}
	s := fieldSpec{print: func(b []byte, t time.Time) []byte { return append(b, list[value(t)-n.base]...) }}
	for _, text := range list {
		s.max = max(s.max, len(text))
	}
	return s
}

func textOnly(letter byte, count int) fieldSpec {
	if letter == 'G' {
		return eras().spec(count, func(time.Time) int { return 1 })
	}
	return weekdays().spec(count, weekday)
}

func ampm(count int) fieldSpec {
	if count != 1 {
		return fieldSpec{}
	}
	return fieldSpec{max: 2, print: func(b []byte, t time.Time) []byte {
		if t.Hour() < 12 {
			return append(b, "AM"...)
		}
		return append(b, "PM"...)
	}}
}

// year prints two digits for a count of two, else all digits with zeros up to count.
func year(count int, value func(time.Time) int) fieldSpec {
	if count > 10 { // wider ones cannot be printed reliably
		return fieldSpec{}
	}
	if count == 2 {
		return fieldSpec{max: 2, print: func(b []byte, t time.Time) []byte {
			return appendPadded(b, int64(value(t)%100), 2)
		}}
	}
	return fieldSpec{max: max(count, 4), print: func(b []byte, t time.Time) []byte {
		return appendPadded(b, int64(value(t)), count)
	}}
}

// wideField is a count of something since the start of the day, the second, or of days.
type wideField struct {
	digits int
	value  func(time.Time) int64
}

func nanoOfDay(t time.Time) int64 {
	h, m, s := t.Clock()
	return int64(h*3600+m*60+s)*1e9 + int64(t.Nanosecond())
}

func wideLetter(letter byte) wideField {
	switch letter {
	case 'A':
		return wideField{8, func(t time.Time) int64 { return nanoOfDay(t) / 1e6 }}
	case 'N':
		return wideField{14, nanoOfDay}
	case 'n':
		return wideField{9, func(t time.Time) int64 { return int64(t.Nanosecond()) }}
	}
	return wideField{5, func(t time.Time) int64 { return civilDays(t) + 40587 }} // g: modified Julian day
}

func wide(count int, f wideField) fieldSpec {
	if count > 19 {
		return fieldSpec{}
	}
	return fieldSpec{max: max(count, f.digits), print: func(b []byte, t time.Time) []byte {
		return appendPadded(b, f.value(t), count)
	}}
}

// fraction prints the first count digits of the second's fraction, not rounded.
func fraction(count int) fieldSpec {
	if count > 9 {
		return fieldSpec{}
	}
	return fieldSpec{max: count, print: func(b []byte, t time.Time) []byte {
		return appendPadded(b, int64(t.Nanosecond()), 9)[:len(b)+count]
	}}
}

// civilDays counts days from 1970-01-01 to t's date in its own zone.
func civilDays(t time.Time) int64 {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// Weeks are those of the US: they begin on Sunday, and the week that holds January 1 is the first.

func weekday(t time.Time) int { return int(t.Weekday()) + 1 }

// saturday is the last day of t's week; its year is the week's year.
func saturday(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d+6-int(t.Weekday()), 0, 0, 0, 0, time.UTC)
}

func weekYear(t time.Time) int { return saturday(t).Year() }

func weekOfYear(t time.Time) int { return (saturday(t).YearDay()-1)/7 + 1 }

func weekOfMonth(t time.Time) int {
	first := (int(t.Weekday()) - (t.Day() - 1)) % 7
	if first < 0 {
		first += 7
	}
	return (t.Day()-1+first)/7 + 1
}

func appendPadded(b []byte, v int64, width int) []byte {
	var digits [20]byte
	s := strconv.AppendInt(digits[:0], v, 10)
	for n := width - len(s); n > 0; n-- {
		b = append(b, '0')
	}
	return append(b, s...)
}
