package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"gopkg.in/yaml.v3"

	"hydrant/config"
)

// The pages of docs/ are tested here: their configurations load, and the example of the partitioning guide gives what the guide shows.

const docsDir = "../../docs"

// fence is a block of a page: the language, the name that the line in front of it gives (`name`:), the text.
type fence struct{ lang, name, text string }

func fences(t *testing.T, page string) (all []fence) {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("^`([^`]+)`:$")
	var before string
	var open *fence
	for line := range strings.Lines(string(data)) {
		text := strings.TrimRight(line, "\n")
		lang, mark := strings.CutPrefix(text, "```")
		switch {
		case mark && open == nil:
			open = &fence{lang: lang}
			if m := named.FindStringSubmatch(before); m != nil {
				open.name = m[1]
			}
		case mark:
			all = append(all, *open)
			open, before = nil, ""
		case open != nil:
			open.text += line
		case text != "":
			before = text
		}
	}
	if open != nil {
		t.Errorf("%s: a block is not closed", page)
	}
	return all
}

func pages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(docsDir, "*.md"))
	if err != nil || len(all) < 5 {
		t.Fatalf("%d pages, %v", len(all), err)
	}
	return append(all, "../../README.md")
}

// secretFiles has the files that a configuration of the pages names in docsSecrets.
func secretFiles(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for _, m := range regexp.MustCompile(docsSecrets+`([a-z]+)`).FindAllStringSubmatch(text, -1) {
		if err := os.WriteFile(filepath.Join(dir, m[1]), []byte("postgres://loader@db.example.com/app\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return strings.ReplaceAll(text, docsSecrets, dir+"/")
}

const docsSecrets = "/run/secrets/"

// TestDocsConfigurationsLoad: every YAML block is a whole configuration that loads.
func TestDocsConfigurationsLoad(t *testing.T) {
	t.Parallel()
	n := 0
	for _, page := range pages(t) {
		for _, f := range fences(t, page) {
			if f.lang != "yaml" {
				continue
			}
			n++
			if _, err := config.Parse([]byte(secretFiles(t, f.text)), filepath.Base(page), func(string) (string, bool) { return "", false }); err != nil {
				t.Errorf("%s\n%s", err, f.text)
			}
		}
	}
	if n < 4 {
		t.Errorf("only %d configurations were found", n)
	}
}

// TestDocsLinksLeadSomewhere: to a page of the tree, and to a heading of it.
func TestDocsLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, page := range pages(t) {
		data, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(data), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			if !hasAnchor(t, target, anchor) {
				t.Errorf("%s: %s leads nowhere", page, m[1])
			}
		}
	}
}

func hasAnchor(t *testing.T, file, anchor string) bool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	if anchor == "" {
		return true
	}
	drop := regexp.MustCompile("[^a-z0-9 _-]")
	for line := range strings.Lines(string(data)) {
		if title := strings.TrimLeft(line, "#"); title != line {
			id := strings.ReplaceAll(drop.ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), ""), " ", "-")
			if id == anchor {
				return true
			}
		}
	}
	return false
}

// guide is the example of docs/partitioning.md, taken apart.
type guide struct{ config, records, tree, failures, answer string }

func readGuide(t *testing.T) (g guide) {
	t.Helper()
	for _, f := range fences(t, filepath.Join(docsDir, "partitioning.md")) {
		switch {
		case f.name == "orders.yml":
			g.config = f.text
		case f.name == "orders.ndjson":
			g.records = f.text
		case g.tree == "" && f.lang == "text":
			g.tree = f.text
		case g.failures == "" && f.lang == "json":
			g.failures = f.text
		case g.answer == "" && f.lang == "text":
			g.answer = f.text
		}
	}
	if g.config == "" || g.records == "" || g.tree == "" || g.failures == "" || g.answer == "" {
		t.Fatalf("a part of the example is missing: %+v", g)
	}
	return g
}

// TestPartitioningGuide runs the example of the guide with the command, and looks for what the guide shows: the tree of objects, the
// reasons of the records that were set aside, and the answer to its query.
func TestPartitioningGuide(t *testing.T) {
	t.Parallel()
	g := readGuide(t)
	dir := t.TempDir()
	c := startChild(t, g.config, dir)
	cli(t, "", "put", "orders", writeFile(t, "orders.ndjson", g.records), "--endpoint", c.url).want(t, 0, "6 records accepted by stream orders")
	c.signal()
	if code := c.ended(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, c.log.String())
	}
	bucket := filepath.Join(dir, "s3", "lake")
	tree, files := walk(t, bucket)
	if tree != g.tree {
		t.Errorf("the tree is\n%s\nthe guide says\n%s", tree, g.tree)
	}
	checkFailures(t, files, g)
	if got, want := answer(t, bucket, files), lines(g.answer)[1:]; !slices.Equal(got, want) {
		t.Errorf("the query answers\n%s\nthe guide says\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// walk lists the objects as the guide does, without what differs from run to run.
func walk(t *testing.T, bucket string) (tree string, files []string) {
	t.Helper()
	name := regexp.MustCompile(`(/orders-1-)\d{4}(-\d\d){5}(-[0-9a-f]+){5}`)
	err := filepath.WalkDir(bucket, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files = append(files, path)
		rel, err := filepath.Rel(bucket, path)
		tree += name.ReplaceAllString(filepath.ToSlash(rel), "$1…") + "\n"
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree, files
}

// checkFailures: the error records are those of the guide, each with one of the records that were sent.
func checkFailures(t *testing.T, files []string, g guide) {
	t.Helper()
	var got []string
	for _, f := range files {
		if filepath.Ext(f) == ".parquet" {
			continue
		}
		for _, line := range lines(readFile(t, f)) {
			var e struct{ ErrorCode, ErrorMessage, RawData string }
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			raw, err := base64.StdEncoding.DecodeString(e.RawData)
			if err != nil || !strings.Contains(g.records, string(bytes.TrimSpace(raw))) {
				t.Errorf("rawData %q is none of the records: %v", e.RawData, err)
			}
			got = append(got, e.ErrorCode+": "+e.ErrorMessage)
		}
	}
	var want []string
	for _, line := range lines(g.failures) {
		var e struct{ ErrorCode, ErrorMessage string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		want = append(want, e.ErrorCode+": "+e.ErrorMessage)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("set aside: %q\nthe guide says %q", got, want)
	}
}

// answer is what the guide's query gives, with another reader than the program's own: partition values from the folders, sums from the files.
func answer(t *testing.T, bucket string, files []string) (rows []string) {
	t.Helper()
	for _, f := range files {
		if filepath.Ext(f) != ".parquet" {
			continue
		}
		rel, _ := filepath.Rel(bucket, f)
		parts := strings.Split(filepath.ToSlash(rel), "/")
		count, cents := sums(t, f, "amount")
		rows = append(rows, fmt.Sprintf("%-8s  %s  %6d  %2d.%02d", hive(t, parts[1], "customer"), hive(t, parts[2], "dt"), count, cents/100, cents%100))
	}
	slices.Sort(rows)
	return rows
}

func hive(t *testing.T, part, key string) string {
	t.Helper()
	v, ok := strings.CutPrefix(part, key+"=")
	value, err := url.PathUnescape(v)
	if !ok || err != nil {
		t.Fatalf("%q: %v", part, err)
	}
	return value
}

// sums counts a file's rows and adds up the unscaled values of a decimal column.
func sums(t *testing.T, file, column string) (rows, sum int64) {
	t.Helper()
	data := []byte(readFile(t, file))
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	leaf, ok := f.Schema().Lookup(column)
	if !ok {
		t.Fatalf("%s has no column %s", file, column)
	}
	r := parquet.NewReader(f)
	defer r.Close()
	buf := make([]parquet.Row, 1)
	for {
		n, err := r.ReadRows(buf)
		for _, v := range buf[:n][:min(n, 1)] {
			for _, cell := range v {
				if cell.Column() == leaf.ColumnIndex && !cell.IsNull() {
					sum += twosComplement(cell.ByteArray())
				}
			}
			rows++
		}
		if err != nil {
			break
		}
	}
	if want := f.NumRows(); rows != want {
		t.Fatalf("%s: %d rows were read of %d", file, rows, want)
	}
	return rows, sum
}

func twosComplement(b []byte) int64 {
	v := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		v.Sub(v, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return v.Int64()
}

func lines(s string) []string { return strings.Split(strings.TrimRight(s, "\n"), "\n") }

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestDocsNameEveryKey: each key of the configurations that load as they should stands in docs/configuration.md.
func TestDocsNameEveryKey(t *testing.T) {
	t.Parallel()
	page := readFile(t, filepath.Join(docsDir, "configuration.md"))
	files, err := filepath.Glob("../../config/testdata/*.good.yml")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	keys := map[string]bool{}
	for _, f := range files {
		var root yaml.Node
		if err := yaml.Unmarshal([]byte(readFile(t, f)), &root); err != nil {
			t.Fatal(err)
		}
		collectKeys(&root, keys)
	}
	if len(keys) < 60 {
		t.Errorf("only %d keys were found", len(keys))
	}
	for k := range keys {
		if !regexp.MustCompile("[`.{ ]" + regexp.QuoteMeta(k) + "[`:.,]").MatchString(page) {
			t.Errorf("docs/configuration.md does not name the key %s", k)
		}
	}
}

// collectKeys gathers the keys that the configuration gives, not those that a user makes up.
func collectKeys(n *yaml.Node, keys map[string]bool) {
	free := []string{"columns", "keys", "defaults", "partition", "tags", "env", "headers"}
	for i, c := range n.Content {
		if n.Kind != yaml.MappingNode {
			collectKeys(c, keys)
		} else if i%2 == 1 {
			k := n.Content[i-1].Value
			if k == "<<" || strings.HasPrefix(k, "x-") || strings.HasPrefix(k, ".") { // the last: a path of somebody's fields
				continue
			}
			keys[k] = true
			if !slices.Contains(free, k) {
				collectKeys(c, keys)
			}
		}
	}
}

// TestDocsNameEveryMetric: docs/metrics.md has each metric of the program, and no other.
func TestDocsNameEveryMetric(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`hydrant_[a-z_]*[a-z]`)
	documented, declared := map[string]bool{}, map[string]bool{}
	for _, m := range name.FindAllString(readFile(t, filepath.Join(docsDir, "metrics.md")), -1) {
		documented[m] = true
	}
	quoted := regexp.MustCompile(`"(hydrant_[a-z_]+)"`)
	for _, dir := range []string{"buffer", "delivery", "ingest", "internal/daemon"} {
		err := filepath.WalkDir("../../"+dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			for _, m := range quoted.FindAllStringSubmatch(readFile(t, path), -1) {
				declared[m[1]] = true
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for m := range declared {
		if !documented[m] {
			t.Errorf("docs/metrics.md does not name %s", m)
		}
	}
	for m := range documented {
		if !declared[m] {
			t.Errorf("docs/metrics.md names %s, which no package declares", m)
		}
	}
}
