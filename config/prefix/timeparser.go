package prefix

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// TimeParser reads dates and times in a pattern of Java's date formatters. It never changes and is safe for
// concurrent use; parsing allocates nothing.
//
// The letters are those that java.time and Joda share: y u (year), M L (month, 3 letters and more: its English name), d, D (day
// of the year), E (weekday, read and not compared), H k h K, a, m, s, S (fraction), X x Z z (offset, or Z, UTC, GMT), quoted text
// and [optional parts]. n (nanosecond) and u are of java.time alone. Where the two differ:
//   - a number may have fewer digits than letters, as in Joda, and a fraction 1 to 9 whatever the letters, except where
//     another number follows without anything between: then the letters count, as in both;
//   - yyyy wants four digits, as java.time does, and yy is a year from 2000 to 2099 (Joda's lies around the current year);
//   - Y is the year, as in Joda; java.time's week-based year cannot make a date with months;
//   - every letter for an offset takes +hh, +hhmm, +hh:mm and Z; names and literals match in any case;
//   - x is an offset and [ ] are optional parts, as in java.time; Joda's week years are not read.
//
// What is missing below the year is its lowest value, as in Joda.
type TimeParser struct {
	ops      []timeOp
	mismatch error
}

// timeOp reads one thing.
type timeOp struct {
	kind     opKind
	text     string // of a literal
	min, max int    // digits of a number; for an optional part, max is how many ops it has
}

type opKind uint8

const (
	opLiteral opKind = iota
	opOptional
	opMonthName
	opWeekday
	opHalf // AM or PM
	opOffset
	opNumbers // what follows is a number
	opYear
	opYear2
	opMonth
	opDay
	opYearDay
	opHour
	opHour24
	opHour12
	opHour11
	opMinute
	opSecond
	opNano
	opFraction
)

// MaxPatternBytes bounds a pattern for reading.
const MaxPatternBytes = 256

// maxOptional is how deep [ ] may be nested.
const maxOptional = 8

// NewTimeParser compiles a pattern, or says what in it cannot be read.
func NewTimeParser(pattern string) (*TimeParser, error) {
	if pattern == "" || len(pattern) > MaxPatternBytes {
		return nil, fmt.Errorf("a pattern has 1 to %d bytes", MaxPatternBytes)
	}
	c := timeCompiler{patternParser: patternParser{rest: pattern}}
	for c.rest != "" {
		if err := c.next(); err != nil {
			return nil, err
		}
	}
	if len(c.open) > 0 {
		return nil, errors.New("[ is not closed")
	}
	if err := c.finish(); err != nil {
		return nil, err
	}
	return &TimeParser{ops: c.ops, mismatch: fmt.Errorf("is no time in the pattern %s", pattern)}, nil
}

// timeCompiler turns a pattern into ops; literals are scanned as for printing.
type timeCompiler struct {
	patternParser
	ops  []timeOp
	open []int // ops of the [ that are not closed
}

func (c *timeCompiler) next() error {
	b := c.rest[0]
	switch {
	case isLetter(b):
		return c.letters()
	case b == '[':
		if len(c.open) == maxOptional {
			return fmt.Errorf("[ ] are nested deeper than %d", maxOptional)
		}
		c.open = append(c.open, len(c.ops))
		c.ops = append(c.ops, timeOp{kind: opOptional})
		c.rest = c.rest[1:]
		return nil
	case b == ']':
		if len(c.open) == 0 {
			return errors.New("] has no [ before it")
		}
		at := c.open[len(c.open)-1]
		c.open = c.open[:len(c.open)-1]
		c.ops[at].max = len(c.ops) - at - 1
		c.rest = c.rest[1:]
		return nil
	}
	if err := c.patternParser.next(); err != nil { // a literal
		return err
	}
	for _, it := range c.out {
		c.ops = append(c.ops, timeOp{kind: opLiteral, text: it.text})
	}
	c.out = c.out[:0]
	return nil
}

func (c *timeCompiler) letters() error {
	letter, n := c.run()
	op, err := timeLetter(letter, n)
	if err != nil {
		return err
	}
	c.ops = append(c.ops, op)
	return nil
}

// timeLetter is what n times the letter reads.
func timeLetter(letter byte, n int) (timeOp, error) {
	number := func(kind opKind, digits int) (timeOp, error) {
		if n > digits {
			return timeOp{}, fmt.Errorf("%d times the letter %c is not allowed", n, letter)
		}
		return timeOp{kind: kind, min: n, max: digits}, nil
	}
	switch letter {
	case 'y', 'u', 'Y':
		if n == 2 {
			return timeOp{kind: opYear2, min: 2, max: 2}, nil
		}
		return number(opYear, 4)
	case 'M', 'L':
		if n == 3 || n == 4 {
			return timeOp{kind: opMonthName}, nil
		}
		return number(opMonth, 2)
	case 'E':
		if n > 4 {
			break
		}
		return timeOp{kind: opWeekday}, nil
	case 'd':
		return number(opDay, 2)
	case 'D':
		return number(opYearDay, 3)
	case 'H':
		return number(opHour, 2)
	case 'k':
		return number(opHour24, 2)
	case 'h':
		return number(opHour12, 2)
	case 'K':
		return number(opHour11, 2)
	case 'm':
		return number(opMinute, 2)
	case 's':
		return number(opSecond, 2)
	case 'S':
		return number(opFraction, 9)
	case 'n':
		return number(opNano, 9)
	}
	return otherLetter(letter, n)
}

// otherLetter is timeLetter for what is no number.
func otherLetter(letter byte, n int) (timeOp, error) {
	switch letter {
	case 'a':
		if n == 1 {
			return timeOp{kind: opHalf}, nil
		}
	case 'X', 'x', 'Z':
		if n <= 5 {
			return timeOp{kind: opOffset}, nil
		}
	case 'z':
		if n <= 3 {
			return timeOp{kind: opOffset}, nil
		}
	case 'y', 'u', 'Y', 'M', 'L', 'E':
	case 'V', 'v', 'O':
		return timeOp{}, fmt.Errorf("the letter %c: names of time zones cannot be read; use X, x, Z or z for offsets, Z, UTC and GMT", letter)
	case 'w', 'W', 'e', 'c', 'F', 'Q', 'q', 'G', 'A', 'N', 'g', 'B', 'p', 'C':
		return timeOp{}, fmt.Errorf("the letter %c cannot be read; use years, months, days, hours, minutes, seconds and fractions", letter)
	default:
		return timeOp{}, fmt.Errorf("%q is no pattern letter; text stands in single quotes, as in yyyy-MM-dd'T'HH:mm:ss", string(letter))
	}
	return timeOp{}, fmt.Errorf("%d times the letter %c is not allowed", n, letter)
}

// finish fixes the widths of numbers that stand side by side, and refuses patterns that name no time.
func (c *timeCompiler) finish() error {
	var has [opFraction + 1]bool
	for i := range c.ops {
		op := &c.ops[i]
		has[op.kind] = true
		if op.kind < opNumbers {
			continue
		}
		if c.numberFollows(i) {
			if op.min == 1 && op.kind != opFraction && op.max > 1 {
				return errors.New("two numbers stand side by side and the first has no width; write as many letters as it has digits")
			}
			op.max = op.min
			continue
		}
		if op.kind != opYear || op.min < 4 {
			op.min = 1
		}
		if op.kind == opYear2 {
			op.min = 2
		}
	}
	if has[opYearDay] && (has[opMonth] || has[opMonthName] || has[opDay]) {
		return errors.New("the letter D is the day of the year and needs no month; write dd for the day of the month")
	}
	half := has[opHour12] || has[opHour11]
	switch {
	case !has[opYear] && !has[opYear2]:
		return errors.New("it has no year; write one with yyyy")
	case has[opDay] && !has[opMonth] && !has[opMonthName]:
		return errors.New("it has a day and no month; write D for the day of the year, MM for a month (mm is minutes)")
	case half && !has[opHalf]:
		return errors.New("h is an hour of half a day and needs a (AM or PM); write H for the hours of a day")
	case has[opHalf] && !half:
		return errors.New("a (AM or PM) needs h, an hour of half a day, in place of H")
	}
	return nil
}

// numberFollows says whether the next thing after op i may be a number.
func (c *timeCompiler) numberFollows(i int) bool {
	for _, op := range c.ops[i+1:] {
		switch op.kind {
		case opOptional:
		case opLiteral:
			return strings.IndexByte("0123456789", op.text[0]) >= 0
		default:
			return op.kind > opNumbers
		}
	}
	return false
}

// Parse reads all of s. Without an offset in s the time is in zone, nil for UTC; with one, the result is in UTC.
// The error does not hold s.
func (p *TimeParser) Parse(s []byte, zone *time.Location) (time.Time, error) {
	return parseTime(p, s, zone)
}

// ParseString is Parse for a string.
func (p *TimeParser) ParseString(s string, zone *time.Location) (time.Time, error) {
	return parseTime(p, s, zone)
}

func parseTime[T ~string | ~[]byte](p *TimeParser, s T, zone *time.Location) (time.Time, error) {
	f := timeFields{month: 1, day: 1}
	at, ok := readOps(p.ops, s, 0, &f)
	if !ok || at != len(s) {
		return time.Time{}, p.mismatch
	}
	t, ok := f.time(zone)
	if !ok {
		return time.Time{}, p.mismatch
	}
	return t, nil
}
