package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// segmentWith is the file in a data directory's logs that holds the text, and where.
func segmentWith(t *testing.T, dir, text string) (string, int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "streams", "*", "log", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if at := bytes.Index(b, []byte(text)); at >= 0 {
			return f, at
		}
	}
	t.Fatalf("%q is in none of %v", text, files)
	return "", 0
}

func TestLogCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	endpoint, stop := startDaemon(t, dir)
	for _, body := range []string{"first\n", "second \"<&>\"\n", "third \xff\n"} { // a frame each
		cli(t, body, "put", "web", "--endpoint", endpoint).want(t, 0)
	}
	cli(t, "", "log", "verify", dir).want(t, 0, "is in use: held by pid", "may look torn")
	cli(t, "", "log", "repair", dir).want(t, 1, "stop that Hydrant first")
	stop()
	log, err := filepath.Glob(filepath.Join(dir, "streams", "web~*", "log"))
	if err != nil || len(log) != 1 {
		t.Fatal(log, err)
	}
	for _, d := range []string{dir, filepath.Dir(log[0]), log[0]} {
		cli(t, "", "log", "verify", d).want(t, 0, "3 records", "0 stretches damaged")
	}
	if r := cli(t, "", "log", "dump", "--raw", "--from", "2", "--limit", "1", dir); r.out != "second \"<&>\"\n" {
		t.Errorf("dump: %q %s", r.out, r.err)
	}
	if r := cli(t, "", "log", "dump", "--from", "99", dir); r.code != 0 || r.out != "" || r.err != "note: there is no record at position 99 or behind it in "+dir+"\n" {
		t.Errorf("dump from behind the end: %d, %q, %q", r.code, r.out, r.err)
	}
	checkDump(t, cli(t, "", "log", "dump", dir))

	segment, at := segmentWith(t, dir, "second")
	f, err := os.OpenFile(segment, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("S"), int64(at)); err != nil {
		t.Fatal(err)
	}
	cli(t, "", "log", "verify", dir).want(t, 1, filepath.Base(segment)+": damage: offset ", "record 2", "1 stretch damaged", "`hydrant log repair")
	r := cli(t, "", "log", "repair", dir)
	r.want(t, 0, "; copied to ")
	_, name, _ := strings.Cut(strings.SplitN(r.out, "\n", 2)[0], "; copied to ")
	if b, err := os.ReadFile(name); err != nil || !bytes.Contains(b, []byte("Second")) {
		t.Errorf("the copy %s: %q, %v", name, b, err)
	}
	if r := cli(t, "", "log", "dump", "--raw", dir); r.out != "first\nthird \xff\n" {
		t.Errorf("dump around the damage: %q %s", r.out, r.err)
	}
}

// checkDump checks the JSON of TestLogCommands' records.
func checkDump(t *testing.T, r result) {
	t.Helper()
	r.want(t, 0)
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines: %s", len(lines), r.out)
	}
	var all [3]dumped
	for i, l := range lines {
		if err := json.Unmarshal([]byte(l), &all[i]); err != nil {
			t.Fatal(err)
		}
		if d := all[i]; int(d.Position) != i+1 || len(d.Epoch) != 32 || d.Arrival.IsZero() || d.Offset <= 0 {
			t.Errorf("%+v", d)
		}
	}
	if *all[1].Text != "second \"<&>\"\n" || all[2].Text != nil || string(all[2].Bytes) != "third \xff\n" {
		t.Errorf("%s", r.out)
	}
}
