package filestore

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Marks in names. A percent sign that belongs to a key stays as it is before two of 0-9A-F, as Hive escapes the values of partitions,
// so that readers of folders find them; any other is written %x25. So none of these marks can come from a key.
const (
	markByte   = "%x" // before two hexadecimal digits: a byte that a name cannot hold
	markObject = "%o" // at the end: an object whose plain name is taken by a folder
	markFolder = "%p" // at the end: a folder whose plain name is taken by an object
	markEmpty  = "%z" // the whole name: an empty part of a key, as in "a//b" or "a/"
	markMore   = "%m" // at the end: the part goes on in the next name
)

// Lengths of names, in bytes. File systems hold 255; the rest is room for marks.
const (
	maxNameBytes = 250
	cutBytes     = 240
)

// Path is where an object is stored, below the store's folder, as long as no other object is in the way; see Key.
func Path(bucket, key string) string {
	names := split(strings.ReplaceAll(escape(bucket), "/", markByte+"2F"))
	for part := range strings.SplitSeq(key, "/") {
		names = append(names, split(escape(part))...)
	}
	return path.Join(names...)
}

// Key is the bucket and key that a path below the store's folder belongs to: the reverse of Path, which understands
// the marks of objects that had to make way, too.
func Key(p string) (bucket, key string, err error) {
	var parts []string
	var open strings.Builder
	for name := range strings.SplitSeq(p, "/") {
		name = strings.TrimSuffix(strings.TrimSuffix(name, markObject), markFolder)
		whole, more := strings.CutSuffix(name, markMore)
		s, err := unescape(whole)
		if err != nil {
			return "", "", fmt.Errorf("path %q: %w", p, err)
		}
		open.WriteString(s)
		if !more {
			parts = append(parts, open.String())
			open.Reset()
		}
	}
	if len(parts) < 2 || open.Len() > 0 {
		return "", "", fmt.Errorf("path %q names no object", p)
	}
	return parts[0], strings.Join(parts[1:], "/"), nil
}

// escape writes one part of a key as names can hold it.
func escape(part string) string {
	switch part {
	case "":
		return markEmpty
	case ".", "..":
		return strings.ReplaceAll(part, ".", markByte+"2E")
	}
	var b strings.Builder
	for i := 0; i < len(part); {
		r, n := utf8.DecodeRuneInString(part[i:])
		if r == '%' && !hexAt(part, i+1) || r < ' ' || r == 0x7f || r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, "%s%02X", markByte, part[i])
		} else {
			b.WriteString(part[i : i+n])
		}
		i += n
	}
	return b.String()
}

func unescape(s string) (string, error) {
	if s == markEmpty {
		return "", nil
	}
	var b strings.Builder
	for {
		at := strings.IndexByte(s, '%')
		if at < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		b.WriteString(s[:at])
		s = s[at:]
		n := step(s)
		switch {
		case strings.HasPrefix(s, markByte) && hexAt(s, len(markByte)):
			c, err := strconv.ParseUint(s[len(markByte):n], 16, 8)
			if err != nil {
				return "", fmt.Errorf("broken escape in %q", s)
			}
			b.WriteByte(byte(c))
		case hexAt(s, 1):
			b.WriteString(s[:n])
		default:
			return "", fmt.Errorf("broken escape in %q", s)
		}
		s = s[n:]
	}
}

// hexAt says whether two upper-case hexadecimal digits stand at a place.
func hexAt(s string, at int) bool {
	const digits = "0123456789ABCDEF"
	return at+2 <= len(s) && strings.IndexByte(digits, s[at]) >= 0 && strings.IndexByte(digits, s[at+1]) >= 0
}

// split cuts an escaped part that is too long for one name, never within an escape or a character.
func split(s string) []string {
	if len(s) <= maxNameBytes {
		return []string{s}
	}
	var names []string
	for len(s) > maxNameBytes {
		at := 0
		for next := step(s); at+next <= cutBytes; next = step(s[at:]) {
			at += next
		}
		names = append(names, s[:at]+markMore)
		s = s[at:]
	}
	return append(names, s)
}

// step is the length of what must stay together at the start of s.
func step(s string) int {
	switch {
	case strings.HasPrefix(s, markByte):
		return min(len(s), len(markByte)+2)
	case s[0] == '%':
		return min(len(s), 3)
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}
