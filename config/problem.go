package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one error of a configuration file. Line and Col count from 1; 0 means unknown.
type Problem struct {
	File      string
	Line, Col int
	Path      string // of the field, "" for the file
	Message   string
}

// Error is `file.yml:12:5: streams[0].buffer.size: what is wrong and what to write`.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
		if p.Col > 0 {
			fmt.Fprintf(&b, ":%d", p.Col)
		}
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	return b.String() + p.Message
}

// Problems are all errors of a file, in the file's order.
type Problems []*Problem

// maxShown bounds what Error prints.
const maxShown = 100

// Error has one problem a line.
func (p Problems) Error() string {
	var lines []string
	for i, one := range p {
		if i == maxShown {
			lines = append(lines, fmt.Sprintf("and %d more", len(p)-i))
			break
		}
		lines = append(lines, one.Error())
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the problems one by one.
func (p Problems) Unwrap() []error {
	errs := make([]error, len(p))
	for i, one := range p {
		errs[i] = one
	}
	return errs
}

func (p Problems) sort() {
	slices.SortStableFunc(p, func(a, b *Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}
