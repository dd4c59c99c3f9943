package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

const maxPathDepth = 32

// FieldPath takes a field's path apart: .user.email or user.email, quotes around a name with other characters (."a.b"), and [] behind an array
// for each of its elements, which is an element "[]" of what is returned.
func FieldPath(text string) (path []string, err error) {
	if text == "" {
		return nil, errors.New("is empty; write a path such as .user.email")
	}
	rest := strings.TrimPrefix(text, ".")
	for rest != "" {
		var name string
		if name, rest, err = pathName(rest); err != nil {
			return nil, fmt.Errorf("%q is no path: %w; write one such as .user.email or .items[].price", clip(text), err)
		}
		path = append(path, name)
		for strings.HasPrefix(rest, "[]") {
			path, rest = append(path, "[]"), rest[2:]
		}
		if rest == "" {
			break
		}
		if rest[0] != '.' || len(rest) == 1 {
			return nil, fmt.Errorf("%q is no path; write one such as .user.email or .items[].price", clip(text))
		}
		rest = rest[1:]
	}
	switch {
	case len(path) == 0:
		return nil, fmt.Errorf("%q is the whole record; name a field, such as .user.email", clip(text))
	case len(path) > maxPathDepth:
		return nil, fmt.Errorf("%q has more than %d parts", clip(text), maxPathDepth)
	}
	return path, nil
}

func pathName(rest string) (name, behind string, err error) {
	if rest[0] == '"' {
		d := json.NewDecoder(strings.NewReader(rest))
		if err := d.Decode(&name); err != nil {
			return "", "", errors.New("a quote is not closed")
		}
		return name, rest[d.InputOffset():], nil
	}
	n := strings.IndexAny(rest, `.["`)
	if n < 0 {
		n = len(rest)
	}
	if n == 0 {
		return "", "", errors.New("a name is missing")
	}
	if strings.ContainsAny(rest[:n], " |()]{},;\\'") {
		return "", "", errors.New("a name with such characters needs quotes")
	}
	return rest[:n], rest[n:], nil
}
