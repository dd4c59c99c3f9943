package parquet

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"hydrant/config/prefix"
)

// timeUnit is how timestamp columns are stored.
type timeUnit uint8

const (
	unitMillis timeUnit = iota
	unitMicros
	unitNanos
	unitInt96
)

func timeUnitOf(word string) (timeUnit, error) {
	switch word {
	case "", "millis":
		return unitMillis, nil
	case "micros":
		return unitMicros, nil
	case "nanos":
		return unitNanos, nil
	case "int96":
		return unitInt96, nil
	}
	return 0, fmt.Errorf("timestamps %q: want millis, micros, nanos or int96", word)
}

// column annotates a timestamp: Hive's has no time zone, and holds the time in UTC. Readers that know only the older
// annotation get that too.
func (u timeUnit) column(c *column, el *format.SchemaElement) {
	if u == unitInt96 {
		c.physical, c.width, c.order = format.Int96, 12, orderNone
		return
	}
	c.physical, c.width, c.order = format.Int64, 8, orderInt64
	t := &format.TimestampType{}
	switch u {
	case unitMillis:
		t.Unit.Value = new(format.MilliSeconds)
		el.ConvertedType = thrift.New(deprecated.TimestampMillis)
	case unitMicros:
		t.Unit.Value = new(format.MicroSeconds)
		el.ConvertedType = thrift.New(deprecated.TimestampMicros)
	default:
		t.Unit.Value = new(format.NanoSeconds)
	}
	el.LogicalType = format.LogicalType{Value: t}
}

// moment is a time in UTC: seconds since 1970, and nanoseconds after that second.
type moment struct {
	sec int64
	ns  int64
}

// The years 1 to 9999.
const (
	minSecond = -62135596800
	maxSecond = 253402300799
)

// put stores m in the column; false when the unit cannot hold it. Digits finer than the unit are dropped.
func (u timeUnit) put(c *column, m moment) bool {
	if m.sec < minSecond || m.sec > maxSecond {
		return false
	}
	switch u {
	case unitMillis:
		c.putInt64(m.sec*1000 + m.ns/1e6)
	case unitMicros:
		c.putInt64(m.sec*1e6 + m.ns/1e3)
	case unitNanos:
		const last = math.MaxInt64 / 1_000_000_000
		if m.sec < -last || m.sec > last || m.sec == last && m.ns > math.MaxInt64%1_000_000_000 {
			return false
		}
		c.putInt64(m.sec*1e9 + m.ns)
	default:
		days := floorDiv(m.sec, 86400)
		c.vals = binary.LittleEndian.AppendUint64(c.vals, uint64((m.sec-days*86400)*1e9+m.ns))
		c.vals = binary.LittleEndian.AppendUint32(c.vals, uint32(days+2440588)) // the Julian day of 1970-01-01
	}
	return true
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// textMoment reads what OpenX takes for a timestamp in a string: a date and a time, or a number as numberMoment does.
func textMoment(s []byte) (moment, bool) {
	if len(s) > 10 {
		if m, ok := clockMoment(s); ok {
			return m, true
		}
	}
	if !numeric(s) {
		return moment{}, false
	}
	return numberMoment(s)
}

// numberMoment reads a number: seconds since 1970, or milliseconds when it is whole and has 13 digits or more.
func numberMoment(lit []byte) (moment, bool) {
	d, ok := decimalOf(lit)
	if !ok {
		return moment{}, false
	}
	if whole(lit) && digitCount(lit) >= 13 {
		d.exp -= 3
	}
	return d.moment()
}

func whole(lit []byte) bool {
	for _, c := range lit {
		if c == '.' || c|0x20 == 'e' {
			return false
		}
	}
	return true
}

func digitCount(lit []byte) (n int) {
	for _, c := range lit {
		if c-'0' <= 9 {
			n++
		}
	}
	return n
}

// millisMoment reads a whole number of milliseconds since 1970.
func millisMoment(s []byte) (moment, bool) {
	if !numeric(s) || !whole(s) {
		return moment{}, false
	}
	d, ok := decimalOf(s)
	d.exp -= 3
	m, fits := d.moment()
	return m, ok && fits
}

// clockMoment reads yyyy-[M]M-[d]d, T or a space, HH:mm:ss, an optional fraction of up to nine digits, and an optional
// Z or offset such as +01:00 or +0100.
func clockMoment(s []byte) (m moment, ok bool) {
	days, i := dateAt(s, 1)
	if i == broken || i >= len(s) || s[i] != 'T' && s[i] != ' ' {
		return m, false
	}
	i++
	if len(s)-i < 8 || s[i+2] != ':' || s[i+5] != ':' {
		return m, false
	}
	h, mi, sec := two(s[i:]), two(s[i+3:]), two(s[i+6:])
	if h < 0 || h > 23 || mi < 0 || mi > 59 || sec < 0 || sec > 59 {
		return m, false
	}
	m.sec = days*86400 + int64(h*3600+mi*60+sec)
	i += 8
	if i < len(s) && s[i] == '.' {
		end := digits(s, i+1)
		n := end - i - 1
		if n < 1 || n > 9 {
			return m, false
		}
		for _, c := range s[i+1 : end] {
			m.ns = m.ns*10 + int64(c-'0')
		}
		for ; n < 9; n++ {
			m.ns *= 10
		}
		i = end
	}
	offset, ok := offsetOf(s[i:])
	m.sec -= offset
	return m, ok
}

// offsetOf reads nothing, Z, or an offset from UTC, in seconds.
func offsetOf(s []byte) (int64, bool) {
	if len(s) == 0 || len(s) == 1 && s[0] == 'Z' {
		return 0, true
	}
	if s[0] != '+' && s[0] != '-' || len(s) != 5 && (len(s) != 6 || s[3] != ':') {
		return 0, false
	}
	h, m := two(s[1:]), two(s[len(s)-2:])
	if h < 0 || h > 18 || m < 0 || m > 59 {
		return 0, false
	}
	n := int64(h*3600 + m*60)
	if s[0] == '-' {
		n = -n
	}
	return n, true
}

// two reads two digits, -1 when there are none.
func two(s []byte) int {
	if len(s) < 2 || s[0]-'0' > 9 || s[1]-'0' > 9 {
		return -1
	}
	return int(s[0]-'0')*10 + int(s[1]-'0')
}

// dateAt reads the date that s begins with, its month and day of at least the given number of digits. It returns the
// days since 1970 and the index behind it.
func dateAt(s []byte, least int) (days int64, end int) {
	if len(s) < 8 || s[4] != '-' || digits(s[:4], 0) != 4 {
		return 0, broken
	}
	year := two(s)*100 + two(s[2:])
	month, i := upToTwo(s, 5, least)
	if i == broken || i >= len(s) || s[i] != '-' {
		return 0, broken
	}
	day, i := upToTwo(s, i+1, least)
	if i == broken || year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, broken
	}
	return daysSince1970(year, month, day), i
}

func upToTwo(s []byte, i, least int) (n, end int) {
	end = digits(s[:min(len(s), i+2)], i)
	if end-i < least || end == i {
		return 0, broken
	}
	for _, c := range s[i:end] {
		n = n*10 + int(c-'0')
	}
	return n, end
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts in eras of 400 years that begin in March, so that the leap day is a year's last.
func daysSince1970(y, m, d int) int64 {
	if m <= 2 {
		y--
		m += 12
	}
	era := y / 400
	inEra := y - era*400
	inYear := (153*(m-3)+2)/5 + d - 1
	return int64(era)*146097 + int64(inEra*365+inEra/4-inEra/100+inYear) - 719468
}

// timeParsers are the formats of the configuration, tried in their order. None: OpenX's inputs.
type timeParsers []func(text []byte) (moment, bool)

func newTimeParsers(formats []string) (timeParsers, error) {
	var out timeParsers
	for _, f := range formats {
		if f == "millis" {
			out = append(out, millisMoment)
			continue
		}
		p, err := prefix.NewTimeParser(f)
		if err != nil {
			return nil, fmt.Errorf("timestamp format %q: %w", f, err)
		}
		out = append(out, func(s []byte) (moment, bool) {
			t, err := p.Parse(s, time.UTC)
			return moment{t.Unix(), int64(t.Nanosecond())}, err == nil
		})
	}
	return out, nil
}

func (p timeParsers) text(s []byte) (moment, bool) {
	if len(p) == 0 {
		return textMoment(s)
	}
	for _, parse := range p {
		if m, ok := parse(s); ok {
			return m, true
		}
	}
	return moment{}, false
}

func (p timeParsers) number(lit []byte) (moment, bool) {
	if len(p) == 0 {
		return numberMoment(lit)
	}
	return p.text(lit)
}
