package opensearch

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"

	"hydrant/record"
)

// names makes the names of indices and documents. It is not changed once made.
type names struct {
	index    string // without suffix
	rotation string
	iso      bool
	ids      bool

	open string // of an action line, up to the end of the index's name without suffix
	mid  string // from there to the id, or to the end of the line
}

// newNames writes once what all action lines share.
func newNames(o *Options) names {
	n := names{index: o.Index, rotation: o.Rotation, iso: o.WeekRule == "iso", ids: o.DocumentID != "none"}
	n.open = `{"create":{"_index":"` + inside(o.Index)
	n.mid = `"`
	if o.TypeName != "" {
		n.mid += `,"_type":"` + inside(o.TypeName) + `"`
	}
	if n.ids {
		n.mid += `,"_id":"`
	} else {
		n.mid += "}}\n"
	}
	return n
}

// inside is a string as it stands between the quotes of JSON.
func inside(s string) string {
	b, _ := json.Marshal(s) // a string always has a JSON form
	return string(b[1 : len(b)-1])
}

// appendAction writes the action line of an item, its newline included. suffix is that of its index.
func (n *names) appendAction(dst, suffix []byte, item *record.Item) []byte {
	dst = append(dst, n.open...)
	dst = append(dst, suffix...)
	dst = append(dst, n.mid...)
	if n.ids {
		dst = appendID(dst, item)
		dst = append(dst, "\"}}\n"...)
	}
	return dst
}

// appendID writes what names the item and no other: its epoch in base64url, its position, and its number where that is above 0.
func appendID(dst []byte, item *record.Item) []byte {
	id, sub := item.Name()
	dst = base64.RawURLEncoding.AppendEncode(dst, id.Epoch[:])
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, uint64(id.Pos), 10)
	if sub > 0 {
		dst = append(dst, '-')
		dst = strconv.AppendUint(dst, uint64(sub), 10)
	}
	return dst
}

// appendSuffix writes what rotation adds to the index's name for records that arrived in this millisecond: Firehose's forms.
func (n *names) appendSuffix(dst []byte, arrivalMillis int64) []byte {
	t := time.UnixMilli(arrivalMillis).UTC()
	switch n.rotation {
	case "hour":
		return t.AppendFormat(dst, "-2006-01-02-15")
	case "day":
		return t.AppendFormat(dst, "-2006-01-02")
	case "month":
		return t.AppendFormat(dst, "-2006-01")
	case "week":
		year, week := n.week(t)
		dst = append(dst, '-')
		dst = appendPadded(dst, year, 1000)
		dst = append(dst, "-w"...)
		return appendPadded(dst, week, 10)
	}
	return dst
}

// week is the week's number and the year that numbers it. Under the us rule a week begins on Sunday, and the year of its Saturday
// numbers it: week 1 is the first one that holds a Saturday of that year.
func (n *names) week(t time.Time) (year, week int) {
	if n.iso {
		return t.ISOWeek()
	}
	saturday := t.AddDate(0, 0, int(time.Saturday-t.Weekday()))
	return saturday.Year(), (saturday.YearDay()-1)/7 + 1
}

// appendPadded writes n with a zero in front for each digit that it has less than limit.
func appendPadded(dst []byte, n, limit int) []byte {
	for ; n < limit && limit > 1; limit /= 10 {
		dst = append(dst, '0')
	}
	return strconv.AppendInt(dst, int64(n), 10)
}
