package strictjson

// Skip checks the value that starts at or after i (white space before it is skipped) and returns the
// index behind it. outer is the number of arrays and objects the value already stands in.
func Skip(b []byte, i, outer int) (int, error) {
	w := walk{b: b, i: i, outer: outer}
	err := w.run()
	return w.i, err
}

// walk is one pass over one value. The stack is of fixed size, so that hostile nesting costs nothing.
type walk struct {
	b     []byte
	i     int
	outer int
	depth int
	stack [MaxDepth]byte // '{' or '['
}

func (w *walk) run() error {
	for {
		opened, err := w.value()
		if err != nil {
			return err
		}
		if opened {
			continue
		}
		more, err := w.after()
		if err != nil || !more {
			return err
		}
	}
}

// value reads a scalar or an empty container, or opens a container and stands before its first value.
func (w *walk) value() (opened bool, err error) {
	w.i = Space(w.b, w.i)
	if w.i >= len(w.b) {
		return false, Unexpected(w.b, w.i)
	}
	switch c := w.b[w.i]; c {
	case '{', '[':
		return w.open(c)
	case '"':
		w.i, _, err = String(w.b, w.i)
	case 't':
		err = w.literal("true")
	case 'f':
		err = w.literal("false")
	case 'n':
		err = w.literal("null")
	default:
		err = w.number()
	}
	return false, err
}

func (w *walk) open(c byte) (opened bool, err error) {
	w.i = Space(w.b, w.i+1)
	if w.outer+w.depth >= MaxDepth {
		return false, &Error{w.i, ErrDepth}
	}
	if w.i < len(w.b) && w.b[w.i] == c+2 { // '{'+2 is '}', '['+2 is ']'
		w.i++
		return false, nil
	}
	w.stack[w.depth] = c
	w.depth++
	if c == '{' {
		return true, w.key()
	}
	return true, nil
}

// after reads what follows a finished value: closing brackets, then a comma if there is more to come.
func (w *walk) after() (more bool, err error) {
	for w.depth > 0 {
		w.i = Space(w.b, w.i)
		if w.i >= len(w.b) {
			return false, Unexpected(w.b, w.i)
		}
		top := w.stack[w.depth-1]
		switch w.b[w.i] {
		case ',':
			w.i++
			if top == '{' {
				return true, w.key()
			}
			return true, nil
		case top + 2:
			w.i++
			w.depth--
		default:
			return false, Unexpected(w.b, w.i)
		}
	}
	return false, nil
}

func (w *walk) key() (err error) {
	if w.i, _, err = String(w.b, Space(w.b, w.i)); err != nil {
		return err
	}
	w.i, err = Byte(w.b, w.i, ':')
	return err
}

func (w *walk) literal(s string) error {
	if len(w.b)-w.i < len(s) || string(w.b[w.i:w.i+len(s)]) != s {
		return Unexpected(w.b, w.i)
	}
	w.i += len(s)
	return nil
}

func (w *walk) number() error {
	if w.peek() == '-' {
		w.i++
	}
	if w.peek() == '0' {
		w.i++
	} else if !w.digits() {
		return Unexpected(w.b, w.i)
	}
	if w.peek() == '.' {
		w.i++
		if !w.digits() {
			return Unexpected(w.b, w.i)
		}
	}
	if c := w.peek(); c == 'e' || c == 'E' {
		w.i++
		if c := w.peek(); c == '+' || c == '-' {
			w.i++
		}
		if !w.digits() {
			return Unexpected(w.b, w.i)
		}
	}
	return nil
}

func (w *walk) peek() byte {
	if w.i < len(w.b) {
		return w.b[w.i]
	}
	return 0
}

func (w *walk) digits() bool {
	from := w.i
	for c := w.peek(); c >= '0' && c <= '9'; c = w.peek() {
		w.i++
	}
	return w.i > from
}
