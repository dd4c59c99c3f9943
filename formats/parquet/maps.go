package parquet

// mapping fits the keys and values of the object at i.
func (e *Encoder) mapping(n *node, b []byte, i int, rep uint8, depth int) int {
	if depth++; depth > maxDepth {
		return e.fail.set(failDepth, n, i)
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == '}' {
		e.empty(n, rep)
		return i + 1
	}
	keys := mapKeys{}
	for more := true; more; {
		key, next := e.mapKey(n, b, i, &keys)
		if key == keyBroken {
			return broken
		}
		i = next
		if key == keyAgain {
			i = e.skip(b, i, depth)
		} else {
			n.key.col.level(e, rep, n.key.def)
			i = e.value(n.elem, b, i, rep, depth)
			rep = n.rep
		}
		if i == broken {
			return broken
		}
		if i, more = e.comma(b, i, '}'); i == broken {
			return broken
		}
	}
	return i
}

// mapKeys finds keys that stand in a map twice: by comparing with each before it, and by a set when there are many.
type mapKeys struct {
	start, n int // where in the column they begin, and how many there are
	set      map[string]struct{}
}

const manyKeys = 16

type keyResult uint8

const (
	keyBroken keyResult = iota
	keyNew
	keyAgain
)

// mapKey adds the value, not yet the levels, of the key at i, and returns the index behind the colon.
func (e *Encoder) mapKey(n *node, b []byte, i int, keys *mapKeys) (keyResult, int) {
	if i >= len(b) || b[i] != '"' {
		return keyBroken, e.fail.set(failSyntax, n, i)
	}
	c := n.key.col
	if c.rows <= e.row {
		c.begin(e)
	}
	if keys.n == 0 {
		keys.start = len(c.vals)
	}
	at := len(c.vals)
	end, escaped := scanString(b, i)
	if end == broken {
		return keyBroken, e.fail.set(failSyntax, n, i)
	}
	if !e.putText(n.key, b[i+1:end], escaped) {
		return keyBroken, e.fail.set(failMisfit, n.key, i)
	}
	result := keyNew
	if keys.has(c, at) {
		if !e.opts.firstWins {
			return keyBroken, e.fail.set(failTwice, n.key, i)
		}
		c.vals = c.vals[:at]
		result = keyAgain
	} else {
		keys.n++
	}
	if i = colon(b, end+1); i == broken {
		return keyBroken, e.fail.set(failSyntax, n, end)
	}
	return result, i
}

// has reports whether the value at the end of the column, which begins at the given index, is among those before it.
func (k *mapKeys) has(c *column, at int) bool {
	last := c.vals[at:]
	if k.n < manyKeys {
		for i := k.start; i < at; {
			from := i
			if _, i = c.next(i); string(c.vals[from:i]) == string(last) {
				return true
			}
		}
		return false
	}
	if k.set == nil {
		k.set = make(map[string]struct{}, 4*manyKeys)
		for i := k.start; i < at; {
			from := i
			_, i = c.next(i)
			k.set[string(c.vals[from:i])] = struct{}{}
		}
	}
	if _, ok := k.set[string(last)]; ok {
		return true
	}
	k.set[string(last)] = struct{}{}
	return false
}
