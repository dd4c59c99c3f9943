package transform

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"hydrant/config"
	"hydrant/config/prefix"
)

// eventTime finds when a record happened and puts it into the names of partitions.
type eventTime struct {
	query   *query
	field   int // in scanner.found; -1: only jq can tell
	formats []timeFormat
	shapes  []shape
	zone    *time.Location
}

// shape is one !{eventTime:...} of the prefix.
type shape struct {
	slot    int
	pattern prefix.Pattern
}

// timeFormat reads a time; false when s is not of its form. zone is for texts that name none.
type timeFormat func(s []byte, zone *time.Location) (time.Time, bool)

func (e *eventTime) configure(c config.EventTime, zone *time.Location) error {
	var err error
	if e.query, err = compile(c.Field); err != nil {
		return err
	}
	e.zone = zone
	for _, name := range c.Formats {
		f, err := namedFormat(name)
		if err != nil {
			return fmt.Errorf("format %q: %w", name, err)
		}
		e.formats = append(e.formats, f)
	}
	if e.formats == nil {
		e.formats = []timeFormat{parseISO, parseEpoch(0)}
	}
	return nil
}

func namedFormat(name string) (timeFormat, error) {
	switch name {
	case "millis":
		return parseEpoch(time.Millisecond), nil
	case "seconds":
		return parseEpoch(time.Second), nil
	}
	p, err := prefix.NewTimeParser(name)
	if err != nil {
		return nil, err
	}
	return func(s []byte, zone *time.Location) (time.Time, bool) {
		t, err := p.Parse(s, zone)
		return t, err == nil
	}, nil
}

var (
	errNoTime    = errors.New("it is missing, null or empty")
	errYearRange = errors.New("the year is not between 1 and 9999")
)

// find fills the values that are made of the event time.
func (e *eventTime) find(d *document, values [][]byte, r *room) error {
	var err error
	from := len(r.buf)
	if r.buf, err = d.lookup(r.buf, e.query, e.field); err != nil {
		return err
	}
	said := r.since(from)
	if len(said) == 0 {
		return errNoTime
	}
	t, err := e.parse(said)
	if err != nil {
		return err
	}
	for _, s := range e.shapes {
		from = len(r.buf)
		r.buf = s.pattern.Append(r.buf, t)
		printed := r.since(from)
		from = len(r.buf)
		r.buf = prefix.AppendEscaped(r.buf, alias(printed))
		values[s.slot] = r.since(from)
	}
	return nil
}

func (e *eventTime) parse(s []byte) (time.Time, error) {
	for _, f := range e.formats {
		t, ok := f(s, e.zone)
		if !ok {
			continue
		}
		t = t.In(e.zone)
		if y := t.Year(); y < 1 || y > 9999 {
			return t, errYearRange
		}
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q is not a time in one of the expected forms", clip(string(s), 40))
}

// maxEpochSeconds is more than a year beyond 9999, little enough to calculate with.
const maxEpochSeconds = 300_000_000_000

// millisFrom tells a number of milliseconds from one of seconds, as timestamp columns do: thirteen digits are milliseconds.
const millisFrom = 1_000_000_000_000

// parseEpoch reads a number of units since 1970, with or without a fraction; unit 0 guesses seconds or milliseconds.
func parseEpoch(unit time.Duration) timeFormat {
	return func(s []byte, _ *time.Location) (time.Time, bool) {
		whole, billionths, ok := decimal(s)
		if !ok {
			return time.Time{}, false
		}
		u := unit
		if u == 0 {
			u = time.Second
			if whole >= millisFrom || whole <= -millisFrom {
				u = time.Millisecond
			}
		}
		perSecond := int64(time.Second / u)
		sec, rest := whole/perSecond, whole%perSecond
		if sec > maxEpochSeconds || sec < -maxEpochSeconds {
			sec, rest, billionths = maxEpochSeconds, 0, 0 // out of any range; the caller says so
		}
		return time.Unix(sec, rest*int64(u)+billionths/perSecond).UTC(), true
	}
}

// decimal reads a JSON number as whole and billionths, both of its sign. What does not fit is taken to the largest that does.
func decimal(s []byte) (whole, billionths int64, ok bool) {
	const limit = 1 << 60
	digits, negative := s, false
	if len(digits) > 0 && digits[0] == '-' {
		digits, negative = digits[1:], true
	}
	c := scanner{b: digits}
	if len(digits) == 0 || len(digits) > 400 || c.number(0) != len(digits) {
		return 0, 0, false
	}
	i := 0
	for ; i < len(digits) && digits[i]-'0' < 10; i++ {
		whole = min(whole*10+int64(digits[i]-'0'), limit)
	}
	if i < len(digits) && digits[i] == '.' {
		i++
		for scale := int64(100_000_000); i < len(digits) && digits[i]-'0' < 10; i++ {
			billionths += scale * int64(digits[i]-'0')
			scale /= 10
		}
	}
	if i < len(digits) { // an exponent: some print large numbers so
		f, err := strconv.ParseFloat(string(digits), 64)
		if err != nil || f >= limit {
			f = limit
		}
		whole = int64(f)
		billionths = int64((f - float64(whole)) * 1e9)
	}
	if negative {
		whole, billionths = -whole, -billionths
	}
	return whole, billionths, true
}

// parseISO reads 2026-01-02, alone or with a time behind T or a space: 03:04, 03:04:05, a fraction of up to nine digits
// behind a point or a comma, and Z or an offset (+02, +0200, +02:00).
func parseISO(s []byte, zone *time.Location) (time.Time, bool) {
	d := clockText{s: s, ok: true}
	year := d.number(4)
	d.expect('-')
	month := d.number(2)
	d.expect('-')
	day := d.number(2)
	if len(d.s) == 0 {
		return d.date(year, month, day, zone)
	}
	if !d.skip('T') && !d.skip('t') {
		d.expect(' ')
	}
	d.hour = d.number(2)
	d.expect(':')
	d.minute = d.number(2)
	if d.skip(':') {
		d.second = d.number(2)
		if d.skip('.') || d.skip(',') {
			d.fraction()
		}
	}
	return d.date(year, month, day, d.offset(zone))
}

// clockText is what is left of a text while it is read.
type clockText struct {
	s                          []byte
	ok                         bool
	hour, minute, second, nano int
	east                       int // seconds
}

func (d *clockText) skip(c byte) bool {
	if len(d.s) > 0 && d.s[0] == c {
		d.s = d.s[1:]
		return true
	}
	return false
}

func (d *clockText) expect(c byte) {
	if !d.skip(c) {
		d.ok = false
	}
}

// number reads exactly n digits.
func (d *clockText) number(n int) int {
	if len(d.s) < n {
		d.ok = false
		return 0
	}
	v := 0
	for _, c := range d.s[:n] {
		if c-'0' > 9 {
			d.ok = false
		}
		v = v*10 + int(c-'0')
	}
	d.s = d.s[n:]
	return v
}

func (d *clockText) fraction() {
	n := 0
	for scale := 100_000_000; len(d.s) > 0 && d.s[0]-'0' < 10 && n < 9; n++ {
		d.nano += int(d.s[0]-'0') * scale
		scale /= 10
		d.s = d.s[1:]
	}
	d.ok = d.ok && n > 0
}

// offset reads the end of the text; the zone is returned when it says nothing.
func (d *clockText) offset(zone *time.Location) *time.Location {
	if d.skip('Z') || d.skip('z') {
		return time.UTC
	}
	if len(d.s) == 0 {
		return zone
	}
	sign := 1
	if d.skip('-') {
		sign = -1
	} else {
		d.expect('+')
	}
	hours, minutes := d.number(2), 0
	if d.skip(':') || len(d.s) > 0 {
		minutes = d.number(2)
	}
	d.ok = d.ok && hours <= 18 && minutes < 60
	d.east = sign * (hours*3600 + minutes*60)
	return time.UTC
}

func (d *clockText) date(year, month, day int, zone *time.Location) (time.Time, bool) {
	if !d.ok || len(d.s) > 0 || month < 1 || month > 12 || day < 1 || day > 31 || d.hour > 23 || d.minute > 59 || d.second > 60 {
		return time.Time{}, false
	}
	if d.second == 60 { // a leap second; calendars here have none
		d.second = 59
	}
	t := time.Date(year, time.Month(month), day, d.hour, d.minute, d.second, d.nano, zone)
	if time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC).Day() != day {
		return time.Time{}, false
	}
	return t.Add(time.Duration(-d.east) * time.Second), true
}
