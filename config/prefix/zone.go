package prefix

import "time"

// zone gives the letters that print a time zone or an offset.
func zone(letter byte, count int) fieldSpec {
	switch letter {
	case 'V':
		if count == 2 {
			return fieldSpec{max: maxZoneChars, print: func(b []byte, t time.Time) []byte {
				return append(b, t.Location().String()...)
			}}
		}
	case 'z':
		// Long names need language data; abbreviations are those of the time zone database.
		if count <= 3 {
			return fieldSpec{max: 6, print: func(b []byte, t time.Time) []byte {
				name, _ := t.Zone()
				return append(b, name...)
			}}
		}
	case 'O':
		switch count {
		case 1:
			return gmt(false)
		case 4:
			return gmt(true)
		}
	case 'X', 'x':
		if count <= 5 {
			return offset(count, letter == 'X')
		}
	case 'Z':
		switch {
		case count <= 3:
			return offset(2, false)
		case count == 4:
			return gmt(true)
		case count == 5:
			return offset(5, true)
		}
	}
	return fieldSpec{}
}

// offset prints +09 (style 1, minutes only when needed), +0900 (2, 4) or +09:00 (3, 5).
func offset(style int, z bool) fieldSpec {
	return fieldSpec{max: 6, print: func(b []byte, t time.Time) []byte {
		sign, h, m := split(t)
		if z && h == 0 && m == 0 {
			return append(b, 'Z')
		}
		b = appendPadded(append(b, sign), h, 2)
		if style == 1 && m == 0 {
			return b
		}
		if style == 3 || style == 5 {
			b = append(b, ':')
		}
		return appendPadded(b, m, 2)
	}}
}

// gmt prints GMT, GMT+9, GMT+5:30, or with all digits GMT+09:00.
func gmt(long bool) fieldSpec {
	return fieldSpec{max: 9, print: func(b []byte, t time.Time) []byte {
		sign, h, m := split(t)
		b = append(b, "GMT"...)
		if h == 0 && m == 0 {
			return b
		}
		width := 1
		if long {
			width = 2
		}
		b = appendPadded(append(b, sign), h, width)
		if m == 0 && !long {
			return b
		}
		return appendPadded(append(b, ':'), m, 2)
	}}
}

func split(t time.Time) (sign byte, hours, minutes int64) {
	_, sec := t.Zone()
	sign = '+'
	if sec < 0 {
		sign, sec = '-', -sec
	}
	return sign, int64(sec / 3600), int64(sec / 60 % 60)
}
