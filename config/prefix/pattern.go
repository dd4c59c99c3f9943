package prefix

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Pattern is a compiled date pattern in the letters of Java's DateTimeFormatter, English (US).
// It never changes and is safe for concurrent use.
type Pattern []item

// item prints one literal or field.
type item struct {
	text string // literal, when field is nil
	fieldSpec
	pad int // spaces are put in front up to this width; 0: none
}

// fieldSpec is what one run of letters prints; max is the most characters it can give.
type fieldSpec struct {
	print printer
	max   int
}

func (p Pattern) maxChars() int {
	n := 0
	for _, it := range p {
		if it.print == nil {
			n += utf8.RuneCountInString(it.text)
		} else {
			n += max(it.max, it.pad)
		}
	}
	return n
}

func (p Pattern) maxBytes() int {
	n := 0
	for _, it := range p {
		if it.print == nil {
			n += len(it.text)
		} else {
			n += max(it.max, it.pad)
		}
	}
	return n
}

// ParsePattern compiles a pattern. Whatever could fail when a date is printed is refused here,
// so that no delivery ever fails on a pattern.
func ParsePattern(s string) (Pattern, error) {
	p := patternParser{rest: s}
	for p.rest != "" {
		if err := p.next(); err != nil {
			return nil, err
		}
	}
	return p.out, nil
}

type patternParser struct {
	rest  string
	out   Pattern
	depth int // of [ ], which always print: a full date and time has every field
}

func (p *patternParser) next() error {
	c := p.rest[0]
	switch {
	case isLetter(c):
		return p.field()
	case c == '\'':
		return p.quoted()
	case c == '[':
		p.depth++
	case c == ']':
		if p.depth == 0 {
			return errors.New("] has no [ before it")
		}
		p.depth--
	case c == '{' || c == '}' || c == '#':
		return fmt.Errorf("%q is reserved; put it in single quotes", string(c))
	default:
		n := strings.IndexFunc(p.rest, func(r rune) bool {
			return r < utf8.RuneSelf && (isLetter(byte(r)) || strings.ContainsRune("'[]{}#", r))
		})
		if n < 0 {
			n = len(p.rest)
		}
		p.out = append(p.out, item{text: p.rest[:n]})
		p.rest = p.rest[n:]
		return nil
	}
	p.rest = p.rest[1:]
	return nil
}

// quoted reads text in single quotes; two of them in a row stand for one, inside and alone.
func (p *patternParser) quoted() error {
	var b strings.Builder
	s := p.rest[1:]
	for {
		i := strings.IndexByte(s, '\'')
		if i < 0 {
			return errors.New("a single quote is not closed")
		}
		b.WriteString(s[:i])
		s = s[i+1:]
		if s == "" || s[0] != '\'' {
			break
		}
		b.WriteByte('\'')
		s = s[1:]
	}
	text := b.String()
	if text == "" {
		text = "'"
	}
	p.rest = s
	p.out = append(p.out, item{text: text})
	return nil
}

// field reads a run of one letter, with a pad in front when the letter is p.
func (p *patternParser) field() error {
	letter, count := p.run()
	pad := 0
	if letter == 'p' {
		pad = count
		if p.rest == "" || !isLetter(p.rest[0]) {
			return errors.New("the pad letter p must be followed by the letters it pads")
		}
		letter, count = p.run()
	}
	spec, err := field(letter, count)
	if err != nil {
		return err
	}
	if pad > 0 && pad < spec.max {
		return fmt.Errorf("the pad width %d is too small: %q prints up to %d characters", pad, strings.Repeat(string(letter), count), spec.max)
	}
	p.out = append(p.out, item{fieldSpec: spec, pad: pad})
	return nil
}

func (p *patternParser) run() (letter byte, count int) {
	letter = p.rest[0]
	for count < len(p.rest) && p.rest[count] == letter {
		count++
	}
	p.rest = p.rest[count:]
	return letter, count
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// Append appends what t is in the pattern's letters, in t's own zone.
func (p Pattern) Append(dst []byte, t time.Time) []byte {
	for _, it := range p {
		if it.print == nil {
			dst = append(dst, it.text...)
			continue
		}
		start := len(dst)
		dst = it.print(dst, t)
		for n := it.pad - (len(dst) - start); n > 0; n-- {
			dst = slices.Insert(dst, start, ' ')
		}
	}
	return dst
}
