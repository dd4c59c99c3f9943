package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"hydrant/config"
	"hydrant/record"
	"hydrant/transform"
)

// TestDocsProcessors: each processor of the page's tables makes of a record what stands there.
func TestDocsProcessors(t *testing.T) {
	t.Parallel()
	cell, n := regexp.MustCompile("`([^`]*)`"), 0
	for line := range strings.Lines(readFile(t, filepath.Join(docsDir, "processors.md"))) {
		cells := strings.Split(strings.TrimSpace(line), " |")
		if len(cells) < 3 || !strings.HasPrefix(cells[0], "| `") || !strings.Contains(cells[0], ": ") {
			continue
		}
		n++
		step := cell.FindStringSubmatch(cells[0])[1]
		in := cell.FindStringSubmatch(cells[1])[1]
		var want []string
		for _, m := range cell.FindAllStringSubmatch(cells[2], -1) {
			want = append(want, m[1])
		}
		text := "streams:\n  - name: a\n    processors:\n      - " + step + "\n    destination: {s3: {bucket: lake}}\n"
		c, err := config.Parse([]byte(text), "processors.md", func(string) (string, bool) { return "", false })
		if err != nil {
			t.Errorf("%s: %v", step, err)
			continue
		}
		chain, err := transform.New(c.Streams[0], nil, nil)
		if err != nil {
			t.Errorf("%s: %v", step, err)
			continue
		}
		var got []string
		_ = chain.Derive(record.Record{Data: []byte(in)}, func(d *record.Derived) error {
			got = append(got, string(d.Data))
			return nil
		})
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s makes of %s %q, want %q", step, in, got, want)
		}
	}
	if n < 10 {
		t.Errorf("only %d rows were found", n)
	}
}
