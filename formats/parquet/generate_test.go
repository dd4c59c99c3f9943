package parquet

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"hydrant/config/schema"
)

// generator makes types and values that fit them, and some that nearly do.
type generator struct{ *rand.Rand }

func (g generator) columns() []schema.Column {
	cols := make([]schema.Column, 1+g.IntN(6))
	for i := range cols {
		cols[i] = col(fmt.Sprint(pick(g.Rand, "a", "b.c", "Größe", "x y", "q\""), i), g.typ(3))
	}
	return cols
}

func (g generator) typ(depth int) *schema.Type {
	scalars := []*schema.Type{tString, tBigInt, tInt, tDouble, tBool, tTime, tDate, tBinary, tFloat, tTinyInt, tSmallInt, decimalType(10, 3), decimalType(38, 18), decimalType(2, 2)}
	if depth == 0 || g.IntN(3) > 0 {
		return scalars[g.IntN(len(scalars))]
	}
	switch g.IntN(3) {
	case 0:
		return arrayOf(g.typ(depth - 1))
	case 1:
		keys := []*schema.Type{tString, tString, tInt, tDate}
		return mapOf(keys[g.IntN(len(keys))], g.typ(depth-1))
	}
	t := structOf()
	for i := range 1 + g.IntN(4) {
		t.Fields = append(t.Fields, col(fmt.Sprint("f", i), g.typ(depth-1)))
	}
	return t
}

func (g generator) record(cols []schema.Column) string {
	var b strings.Builder
	if g.IntN(10) == 0 {
		b.WriteByte('[')
		for i := range 1 + g.IntN(3) {
			if i > 0 {
				b.WriteByte(',')
			}
			g.object(&b, cols)
		}
		b.WriteByte(']')
		return b.String()
	}
	for range 1 + g.IntN(8)/7 {
		g.object(&b, cols)
	}
	return b.String()
}

func (g generator) space() string { return pick(g.Rand, "", "", "", "", " ", "\n", "\t\r ") }

func (g generator) object(b *strings.Builder, fields []schema.Column) {
	b.WriteString("{" + g.space())
	first := true
	for _, i := range g.Perm(len(fields)) {
		if g.IntN(6) == 0 {
			continue
		}
		if !first {
			b.WriteString(g.space() + "," + g.space())
		}
		first = false
		g.key(b, fields[i].Name)
		g.value(b, fields[i].Type)
	}
	if g.IntN(8) == 0 {
		if !first {
			b.WriteByte(',')
		}
		b.WriteString(`"unknown":` + pick(g.Rand, `1`, `null`, `{"a":[1,{"b":"}]"}]}`, `"\"\\"`))
	}
	b.WriteString(g.space() + "}")
}

func (g generator) key(b *strings.Builder, name string) {
	if g.IntN(4) == 0 {
		name = strings.ToUpper(name)
	}
	text, _ := json.Marshal(name)
	if name[0] == 'a' && g.IntN(4) == 0 {
		text = []byte(`"\u0061` + string(text[2:]))
	}
	b.WriteString(string(text) + g.space() + ":" + g.space())
}

func (g generator) value(b *strings.Builder, t *schema.Type) {
	if g.IntN(60) == 0 {
		t = g.typ(1) // most likely one that does not fit
	}
	if g.IntN(10) == 0 {
		b.WriteString("null")
		return
	}
	switch t.Kind {
	case schema.Struct:
		if g.IntN(12) == 0 {
			b.WriteString(pick(g.Rand, `""`, `[]`, `[null]`))
			return
		}
		g.object(b, t.Fields)
	case schema.Array:
		b.WriteString("[")
		for i := range g.IntN(4) {
			if i > 0 {
				b.WriteString("," + g.space())
			}
			g.value(b, t.Elem)
		}
		b.WriteString("]")
	case schema.Map:
		b.WriteString("{")
		for i := range g.IntN(4) {
			if i > 0 {
				b.WriteString(",")
			}
			switch t.Key.Kind {
			case schema.Int:
				fmt.Fprintf(b, `"%d":`, i)
			case schema.Date:
				fmt.Fprintf(b, `"2024-01-%02d":`, i+1)
			default:
				fmt.Fprintf(b, `"k%d":`, i)
			}
			g.value(b, t.Elem)
		}
		b.WriteString("}")
	default:
		b.WriteString(g.scalar(t))
	}
}

func (g generator) scalar(t *schema.Type) string {
	quote := ""
	if g.IntN(5) == 0 {
		quote = `"`
	}
	switch t.Kind {
	case schema.Boolean:
		return pick(g.Rand, "true", "false", `"True"`, `"FALSE"`)
	case schema.TinyInt:
		return quote + fmt.Sprint(g.IntN(258)-129) + quote
	case schema.SmallInt:
		return quote + fmt.Sprint(g.IntN(1<<16)-1<<15) + quote
	case schema.Int:
		return quote + fmt.Sprint(int64(g.Uint32())-1<<31) + quote
	case schema.BigInt:
		return quote + pick(g.Rand, fmt.Sprint(int64(g.Uint64())), fmt.Sprint(g.IntN(100)), fmt.Sprint(g.IntN(100))+".0", "1e"+fmt.Sprint(g.IntN(21)), fmt.Sprint(g.IntN(10))+"00e-2", fmt.Sprint(g.Uint64())) + quote
	case schema.Float, schema.Double:
		return quote + pick(g.Rand, fmt.Sprint(g.NormFloat64()), fmt.Sprint(math.Float32frombits(g.Uint32()&^(1<<30))), fmt.Sprint(g.IntN(1000)), strconv.FormatFloat(g.ExpFloat64(), 'f', g.IntN(25), 64), "-0.0") + quote
	case schema.Decimal:
		return quote + pick(g.Rand, fmt.Sprintf("%d.%d", g.IntN(100), g.IntN(100)), fmt.Sprintf("-0.%02d", g.IntN(100)), fmt.Sprintf("%de%d", g.IntN(1000), g.IntN(12)-6), "0."+strings.Repeat("7", g.IntN(20))+"1") + quote
	case schema.Date:
		return `"` + time.Unix(g.Int64N(1<<34)-1<<33, 0).UTC().Format("2006-01-02") + `"`
	case schema.Timestamp:
		at := time.Unix(g.Int64N(1<<34)-1<<33, g.Int64N(1e9)).UTC()
		return pick(g.Rand, `"`+at.Format("2006-01-02T15:04:05.999999999Z")+`"`, `"`+at.Format("2006-1-2 15:04:05")+`"`, fmt.Sprint(at.Unix()), quote+fmt.Sprint(at.UnixMilli())+quote, fmt.Sprintf("%d.%03d", at.Unix(), g.IntN(1000)),
			`"`+at.In(time.FixedZone("", 3600*(g.IntN(20)-10))).Format("2006-01-02T15:04:05-07:00")+`"`)
	}
	return pick(g.Rand, `"plain"`, `""`, `"with \"escapes\" \u00fc \ud83d\ude00 \\ \/ \n"`, `"lone \ud83d half"`, `"größer als acht"`, `"`+strings.Repeat("long ", g.IntN(40))+`"`)
}
