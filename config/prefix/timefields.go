package prefix

import "time"

// timeFields is what was read so far.
type timeFields struct {
	year, month, day, yearDay  int
	hour, minute, second, nano int
	offsetSeconds              int
	hasYear, hasOffset, pm     bool
}

// readOps reads s from at on, and gives where it ended; false: it does not fit.
func readOps[T ~string | ~[]byte](ops []timeOp, s T, at int, f *timeFields) (end int, ok bool) {
	for i := 0; i < len(ops); i++ {
		op := &ops[i]
		if op.kind == opOptional {
			before := *f
			if end, ok := readOps(ops[i+1:i+1+op.max], s, at, f); ok {
				at = end
			} else {
				*f = before
			}
			i += op.max
			continue
		}
		n := readOp(op, s[at:], f)
		if n <= 0 {
			return at, false
		}
		at += n
	}
	return at, true
}

// readOp gives how many bytes of s were read; 0: it does not fit.
func readOp[T ~string | ~[]byte](op *timeOp, s T, f *timeFields) int {
	switch op.kind {
	case opLiteral:
		if hasFold(s, op.text) {
			return len(op.text)
		}
		return 0
	case opMonthName:
		month, n := readName(s, "JanuaryFebruaryMarchAprilMayJuneJulyAugustSeptemberOctoberNovemberDecember")
		f.month = month
		return n
	case opWeekday:
		_, n := readName(s, "MondayTuesdayWednesdayThursdayFridaySaturdaySunday")
		return n
	case opHalf:
		if f.pm = hasFold(s, "pm"); f.pm || hasFold(s, "am") {
			return 2
		}
		return 0
	case opOffset:
		return readOffset(s, f)
	}
	v, n := readNumber(s, op.max)
	if n < op.min || !f.set(op.kind, v, n) {
		return 0
	}
	return n
}

// readNumber reads at most most digits, which are 9 or fewer.
func readNumber[T ~string | ~[]byte](s T, most int) (v, n int) {
	for n < len(s) && n < most && s[n] >= '0' && s[n] <= '9' {
		v = v*10 + int(s[n]-'0')
		n++
	}
	return v, n
}

// set keeps a number of n digits, when it is in its field's range.
func (f *timeFields) set(kind opKind, v, n int) bool {
	in := func(field *int, low, high int) bool {
		*field = v
		return v >= low && v <= high
	}
	switch kind {
	case opYear, opYear2:
		f.year, f.hasYear = v, true
		if kind == opYear2 {
			f.year += 2000
		}
		return true
	case opMonth:
		return in(&f.month, 1, 12)
	case opDay:
		return in(&f.day, 1, 31)
	case opYearDay:
		return in(&f.yearDay, 1, 366)
	case opHour, opHour12, opHour24, opHour11:
		return f.setHour(kind, v)
	case opMinute:
		return in(&f.minute, 0, 59)
	case opSecond:
		return in(&f.second, 0, 59)
	case opFraction:
		for ; n < 9; n++ {
			v *= 10
		}
		return in(&f.nano, 0, 999_999_999)
	}
	return in(&f.nano, 0, 999_999_999) // opNano
}

// setHour keeps an hour from 0; the other half of the day is added at the end.
func (f *timeFields) setHour(kind opKind, v int) bool {
	f.hour = v
	switch kind {
	case opHour:
		return v <= 23
	case opHour11:
		return v <= 11
	case opHour12:
		f.hour = v % 12
		return v >= 1 && v <= 12
	}
	f.hour = v % 24
	return v >= 1 && v <= 24
}

// time puts the fields together; false: there is no such day, or no year was read.
func (f *timeFields) time(zone *time.Location) (time.Time, bool) {
	if !f.hasYear {
		return time.Time{}, false
	}
	if f.pm {
		f.hour += 12
	}
	if zone == nil || f.hasOffset {
		zone = time.UTC
	}
	month, day := time.Month(f.month), f.day
	if f.yearDay > 0 {
		month, day = time.January, f.yearDay
	}
	if f.yearDay > 365 && !leap(f.year) || f.yearDay == 0 && day > daysIn(month, f.year) {
		return time.Time{}, false
	}
	t := time.Date(f.year, month, day, f.hour, f.minute, f.second-f.offsetSeconds, f.nano, zone)
	return t, true
}

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

func daysIn(m time.Month, year int) int {
	switch m {
	case time.April, time.June, time.September, time.November:
		return 30
	case time.February:
		if leap(year) {
			return 29
		}
		return 28
	}
	return 31
}

// readOffset reads Z, UTC, GMT, UT, +hh, +hhmm or +hh:mm, or a name and an offset.
func readOffset[T ~string | ~[]byte](s T, f *timeFields) int {
	named := 0
	switch {
	case hasFold(s, "UTC"), hasFold(s, "GMT"):
		named = 3
	case hasFold(s, "UT"):
		named = 2
	case hasFold(s, "Z"):
		f.offsetSeconds, f.hasOffset = 0, true
		return 1
	}
	seconds, n := readSigned(s[named:])
	if named+n > 0 {
		f.offsetSeconds, f.hasOffset = seconds, true
	}
	return named + n
}

// readSigned reads +hh, +hhmm or +hh:mm, up to 18 hours; 0 bytes: there is none.
func readSigned[T ~string | ~[]byte](s T) (seconds, n int) {
	if len(s) < 3 || s[0] != '+' && s[0] != '-' {
		return 0, 0
	}
	h, digits := readNumber(s[1:], 2)
	if digits != 2 {
		return 0, 0
	}
	n = 3
	rest := s[3:]
	if len(rest) > 0 && rest[0] == ':' {
		rest = rest[1:]
	}
	m, digits := readNumber(rest, 2)
	if digits == 2 && m <= 59 {
		n = len(s) - len(rest) + 2
	} else {
		m = 0
	}
	if seconds = h*3600 + m*60; seconds > 18*3600 {
		return 0, 0
	}
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, n
}

// readName reads a name of the list, in which each begins with a capital, or its first three letters. It gives
// the name's number from 1 and its length.
func readName[T ~string | ~[]byte](s T, list string) (index, n int) {
	if len(s) < 3 {
		return 0, 0
	}
	for i := 0; i < len(list); {
		end := i + 1
		for end < len(list) && list[end] >= 'a' {
			end++
		}
		index++
		if name := list[i:end]; hasFold(s, name) {
			return index, len(name)
		} else if hasFold(s, name[:3]) {
			return index, 3
		}
		i = end
	}
	return 0, 0
}

// hasFold says whether s begins with text; ASCII letters match in either case.
func hasFold[T ~string | ~[]byte](s T, text string) bool {
	if len(s) < len(text) {
		return false
	}
	for i := 0; i < len(text); i++ {
		a, b := s[i], text[i]
		if a != b && (a|0x20 != b|0x20 || !isLetter(a) || !isLetter(b)) {
			return false
		}
	}
	return true
}
