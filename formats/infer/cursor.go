package infer

import (
	"math/bits"
	"strconv"

	"hydrant/config/schema"
	"hydrant/internal/bodies/strictjson"
)

// cursor is a place in JSON text that is known to be well formed. Between its calls it never stands on white space.
type cursor struct {
	b []byte
	i int
}

func (c *cursor) at() byte { return c.b[c.i] }

func (c *cursor) space() { c.i = strictjson.Space(c.b, c.i) }

// open steps over a bracket, to the first element or the closing bracket.
func (c *cursor) open() {
	c.i++
	c.space()
}

// comma steps from behind an element to the next one or to the closing bracket.
func (c *cursor) comma() {
	if c.space(); c.at() == ',' {
		c.i++
		c.space()
	}
}

// skip steps behind a value.
func (c *cursor) skip() { c.i, _ = strictjson.Skip(c.b, c.i, 0) }

// skipScalars steps behind a value, and says whether there is a scalar other than null in it.
func (c *cursor) skipScalars() (found bool) {
	from := c.i
	c.skip()
	for i := from; i < c.i && !found; i++ {
		switch b := c.b[i]; {
		case b == '"':
			end, _, _ := strictjson.String(c.b, i)
			next := strictjson.Space(c.b, end)
			found = next >= len(c.b) || c.b[next] != ':' // else it is a key
			i = end - 1
		case b == 't' || b == 'f' || b == '-' || '0' <= b && b <= '9':
			found = true
		}
	}
	return found
}

// saysNothing says whether null, {} or [] stands here.
func (c *cursor) saysNothing() bool {
	switch c.at() {
	case 'n':
		return true
	case '{', '[':
		return c.b[strictjson.Space(c.b, c.i+1)] == c.at()+2 // '{'+2 is '}', '['+2 is ']'
	}
	return false
}

// key reads a key and steps to its value. The bytes are valid until the next call.
func (c *cursor) key(scratch *[]byte) []byte {
	from := c.i + 1
	end, escaped, _ := strictjson.String(c.b, c.i)
	key := c.b[from : end-1]
	if escaped {
		*scratch = strictjson.Unquote((*scratch)[:0], key)
		key = *scratch
	}
	c.i = strictjson.Space(c.b, end) + 1 // the colon
	c.space()
	return key
}

// number reads a number.
func (c *cursor) number() []byte {
	from := c.i
	for c.i < len(c.b) && inNumber(c.b[c.i]) {
		c.i++
	}
	return c.b[from:c.i]
}

func inNumber(b byte) bool {
	return '0' <= b && b <= '9' || b == '-' || b == '.' || b == '+' || b == 'e' || b == 'E'
}

// classify is the type that a number alone gives; wide says of a bigint that a double would not hold it exactly.
func classify(number []byte) (kind schema.Kind, wide bool) {
	for _, b := range number {
		switch b {
		case 'e', 'E':
			return classifyFloat(number), false
		case '.':
			kind = schema.Double
		}
	}
	switch {
	case kind == schema.Double && len(number) > 300:
		return classifyFloat(number), false
	case kind == schema.Double:
		return kind, false
	case len(number) <= 15:
		return schema.BigInt, false
	}
	v, err := strconv.ParseInt(string(number), 10, 64)
	if err != nil {
		return schema.String, false
	}
	return schema.BigInt, !Exact(v)
}

func classifyFloat(number []byte) schema.Kind {
	if _, err := strconv.ParseFloat(string(number), 64); err != nil {
		return schema.String
	}
	return schema.Double
}

// Exact says whether a double holds v exactly. An inferred column that is a double takes only such integers; others make it a
// string.
func Exact(v int64) bool {
	abs := uint64(v)
	if v < 0 {
		abs = -abs
	}
	return abs == 0 || bits.Len64(abs)-bits.TrailingZeros64(abs) <= 53
}
