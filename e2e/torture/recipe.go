package main

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// recipe is what a stream makes of its records. It is the first letter of the stream's name, so that a name tells it.
type recipe byte

const (
	lines    recipe = 'j' // JSON lines by partition
	columns  recipe = 'p' // Parquet by partition, with declared columns
	inferred recipe = 'i' // Parquet with a learned schema, without partitions
)

func recipes() []recipe { return []recipe{lines, columns, inferred} }

// recipeOf tells the recipe of a stream or of a life of one; 0 for those that deliver bytes as they came.
func recipeOf(name string) recipe {
	switch r := recipe(name[0]); r {
	case lines, columns, inferred:
		return r
	}
	return 0
}

func (r recipe) partitioned() bool { return r == lines || r == columns }

// fate is what must become of a record.
type fate int

const (
	good    fate = iota
	keyless      // has no value for the partition key: set aside
	broken       // is no JSON: set aside
	misfit       // has a value that its column cannot hold: set aside
	either       // has a list where others have a text: the first one to come decides which of them fits
)

// Error types, as in the error prefix.
const (
	processingFailed = "processing-failed"
	metadataFailed   = "metadata-extraction-failed"
	conversionFailed = "format-conversion-failed"
	processKilled    = "process-killed" // its object ended processes again and again: here they end for other reasons
)

// belongs says whether a record of this fate may stand among the data (errorType "") or under an error type.
func (f fate) belongs(r recipe, errorType string) bool {
	switch errorType {
	case processKilled:
		return true
	case "":
		return f == good || f == either
	case metadataFailed:
		return f == keyless
	case processingFailed:
		return f == broken && r.partitioned()
	case conversionFailed:
		return f == misfit || f == either || f == broken && !r.partitioned()
	}
	return false
}

// draw is a number that a record's content derives from: whoever reads the record knows what it must look like.
func draw(k lane, seq int) uint64 {
	h := uint64(crc32.ChecksumIEEE(fmt.Appendf(nil, "%s|%d|%d", k.life, k.producer, seq)))<<32 | uint64(seq)
	h = (h ^ h>>31) * 0x9E3779B97F4A7C15
	h = (h ^ h>>29) * 0xBF58476D1CE4E5B9
	return h ^ h>>32
}

// fateOf: few records are misfits, so that some objects have none.
func fateOf(k lane, seq int) fate {
	n := draw(k, seq) % 1000
	if recipeOf(k.life) == inferred {
		switch {
		case n < 3:
			return broken
		case n < 6:
			return misfit
		case n < 8:
			return either
		}
		return good
	}
	switch {
	case n < 30:
		return keyless
	case n < 50:
		return broken
	case n < 54 && recipeOf(k.life) == columns:
		return misfit
	}
	return good
}

// value is a member of a record: its text, which stands between quotes when it is a string.
type value struct {
	name, text string
	quoted     bool
}

// queries find the value of the partition key: of odd versions of a stream and of even ones.
const (
	oddQuery  = ".k"
	evenQuery = "if .alt == null then null else .alt % 3 end"
)

// partitionOf is what the query of a version finds in a good record.
func partitionOf(k lane, seq, version int) string {
	h := draw(k, seq)
	if version%2 == 1 {
		return keyOf(h)
	}
	return fmt.Sprint(altOf(h) % 3)
}

func keyOf(h uint64) string { return fmt.Sprintf("k%d", h>>10%5) }
func altOf(h uint64) uint64 { return h >> 14 % 9 }

// valuesOf are the members of a record, in their order.
func valuesOf(k lane, seq int, token string) []value {
	h := draw(k, seq)
	v := []value{{"rec", token, true}}
	if fateOf(k, seq) != keyless {
		v = append(v, value{"k", keyOf(h), true}, value{"alt", fmt.Sprint(altOf(h)), false})
	} else if h>>20%2 == 0 {
		v = append(v, value{"k", "", true}, value{"alt", "null", false})
	}
	v = append(v, number(k, seq), value{"x", fmt.Sprintf("%d.25", h>>8%1000), false}, value{"ok", strconv.FormatBool(h>>9%2 == 0), false})
	if recipeOf(k.life) == inferred && h>>24%16 == 0 { // new columns now and then
		v = append(v, value{fmt.Sprintf("c%d", min(seq/150, 8)), fmt.Sprint(seq), false})
	}
	return v
}

// number is the member n. Where the schema is learned, its type widens with time.
func number(k lane, seq int) value {
	h := draw(k, seq)
	v := value{"n", fmt.Sprint(h >> 12 % 100_000), false}
	switch {
	case recipeOf(k.life) != inferred:
	case seq > 300 && h>>30%64 == 0:
		v.text += ".5"
	case seq > 1500 && h>>30%64 == 1:
		v.text, v.quoted = "s"+v.text, true
	}
	if recipeOf(k.life) == columns && fateOf(k, seq) == misfit {
		return []value{{"n", "twelve", true}, {"n", "1e30", false}, {"n", `{"a":1}`, false}}[h>>40%3]
	}
	return v
}

// compose makes the bytes of a record of a stream with a recipe.
func compose(k lane, seq int, payload string) string {
	rec := encode(k, seq, payload)
	token := "~" + rec[1:len(rec)-1] + "~"
	h, f := draw(k, seq), fateOf(k, seq)
	if f == broken && h>>20%2 == 0 {
		return "no JSON: " + token
	}
	var b strings.Builder
	for i, v := range valuesOf(k, seq, token) {
		b.WriteByte("{,"[min(i, 1)])
		fmt.Fprintf(&b, `"%s":`, v.name)
		if v.quoted {
			b.WriteString(`"` + v.text + `"`)
		} else {
			b.WriteString(v.text)
		}
	}
	switch f {
	case broken:
		return b.String() // its end is missing
	case misfit:
		if recipeOf(k.life) == inferred {
			b.WriteString(`,"n":7`) // once more
		}
	case either:
		b.WriteString([]string{`,"odd":[1,2]`, `,"odd":"text"`}[h>>20%2])
	}
	return b.String() + "}"
}

// dissect finds whose record the bytes are. They are as they were sent if compose makes the same of the answer.
func dissect(b []byte) (k lane, seq int, payload string, err error) {
	from, to := bytes.IndexByte(b, '~'), bytes.LastIndexByte(b, '~')
	if from < 0 || from == to {
		return k, 0, "", fmt.Errorf("no record: %.80q", b)
	}
	rec := b[from+1 : to]
	if k, seq, err = decode(rec); err != nil {
		return k, 0, "", err
	}
	if recipeOf(k.life) == 0 {
		return k, 0, "", fmt.Errorf("a record of %s", k.life)
	}
	last := strings.SplitN(string(rec), "|", 4)[3]
	return k, seq, last[:strings.LastIndexByte(last, '|')], nil
}

// pack makes of records what is sent: where records are taken apart again, some share one. more(): does the next join the one before?
func pack(k lane, first int, records []string, more func() bool) []string {
	if !recipeOf(k.life).partitioned() {
		return records
	}
	var out []string
	joins := false
	for i, r := range records {
		whole := fateOf(k, first+i) != broken
		if joins && whole && more() {
			out[len(out)-1] += r
		} else {
			out = append(out, r)
		}
		joins = whole
	}
	return out
}
