package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// testEnv is the environment of every file in testdata.
func testEnv(name string) (string, bool) {
	v, ok := map[string]string{"BUCKET": "lake", "EMPTY": "", "SIZE": "64MB", "TRICK": "${BUCKET}"}[name]
	return v, ok
}

func corpus(t *testing.T, pattern string, least int) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < least {
		t.Fatalf("%d files %s, want at least %d", len(files), pattern, least)
	}
	return files
}

// parseCorpus reads a file of testdata; its messages name it without the folder.
func parseCorpus(name string, data []byte) (*Config, error) {
	return parse(data, &reader{file: name, dir: "testdata", env: testEnv})
}

func TestGoodFiles(t *testing.T) {
	for _, file := range corpus(t, "*.good.yml", 12) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := parseCorpus(filepath.Base(file), data)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if errs := c.Check(); len(errs) > 0 {
			t.Errorf("%s: the normalized configuration fails its checks: %v", file, errs)
		}
		for _, s := range c.Streams {
			checkStored(t, s)
		}
	}
}

// checkStored: what is stored is what was read.
func checkStored(t *testing.T, s Stream) {
	t.Helper()
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var back Stream
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if errs := back.Check(); len(errs) > 0 || !back.SameOutput(s) || !s.SameOutput(back) {
		t.Errorf("%s was stored as %s, which is not the same: %v", s.Name, data, errs)
	}
	back.Normalize()
	back.Line = s.Line
	if again, err := json.Marshal(back); err != nil || !bytes.Equal(again, data) {
		t.Errorf("%s was stored as %s, and then as %s, %v", s.Name, data, again, err)
	}
}

// TestBadFiles: a file names in its first lines every error that it must give, and gives no other.
func TestBadFiles(t *testing.T) {
	for _, file := range corpus(t, "*.bad.yml", 45) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			checkBad(t, filepath.Base(file), data)
		})
	}
}

func checkBad(t *testing.T, name string, data []byte) {
	t.Helper()
	_, err := parseCorpus(name, data)
	var problems Problems
	if !errors.As(err, &problems) {
		t.Fatalf("not refused: %v", err)
	}
	wants := 0
	for _, line := range strings.Split(string(data), "\n") {
		want, ok := strings.CutPrefix(line, "# want: ")
		if !ok {
			break
		}
		wants++
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got\n%v\nwant\n%s", err, want)
		}
	}
	if wants == 0 || len(problems) != wants {
		t.Errorf("%d errors, %d wanted:\n%v", len(problems), wants, err)
	}
}
