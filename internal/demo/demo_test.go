package demo

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func store(t *testing.T, dir, name string, lines ...string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// events are the lines of events 1 to n.
func events(t *testing.T, s *Source, n int) []string {
	t.Helper()
	lines, err := s.Lines(n, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	out := make([]string, n)
	for i, l := range lines {
		var e Event
		if err := json.Unmarshal(l, &e); err != nil || e.Run != s.Run() || e.Seq != i+1 || e.User == "" || e.Status == 0 {
			t.Fatalf("%s: %+v, %v", l, e, err)
		}
		out[i] = string(l)
	}
	return out
}

func TestWatcher(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		deliver func(lines []string) [][]string // files
		want    string
	}{
		"all, in two objects": {func(l []string) [][]string { return [][]string{l[:3], l[3:]} }, ""},
		"with what others sent": {func(l []string) [][]string {
			return [][]string{append(l[:6:6], `{"hello":1}`, "no JSON", `{"run":"other","seq":1}`)}
		}, ""},
		"one is missing":  {func(l []string) [][]string { return [][]string{l[1:]} }, "of 6 events sent, 1 are missing and 0"},
		"one twice":       {func(l []string) [][]string { return [][]string{l, l[2:3]} }, "0 are missing and 1 were"},
		"one for another": {func(l []string) [][]string { return [][]string{l[:5], l[:1]} }, "1 are missing and 1 were"},
		"none":            {func([]string) [][]string { return nil }, "6 are missing"},
		"one never sent": {func(l []string) [][]string {
			return [][]string{append(l[:6:6], strings.Replace(l[0], `"seq":1,`, `"seq":7,`, 1))}
		}, "1 were delivered too often"},
		"a line cut short": {func(l []string) [][]string { return [][]string{append(l[:5:5], l[5][:20])} }, "1 are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "made later")
			s := NewSource()
			lines := events(t, s, 6)
			w, err := NewWatcher(dir, s.Run())
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range c.deliver(lines) {
				store(t, dir, filepath.Join("a", string(rune('a'+i))), f...)
			}
			for range 2 { // the second time there is nothing new
				if _, err := w.Scan(); err != nil {
					t.Fatal(err)
				}
			}
			switch err := w.Check(s.Sent()); {
			case c.want == "" && err != nil, c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want %q", err, c.want)
			case w.Complete(s.Sent()) != (w.Missing(s.Sent()) == 0):
				t.Error("Complete and Missing disagree")
			}
		})
	}
}

func TestWatcherShowsOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := NewSource()
	lines := events(t, s, 5)
	store(t, dir, "old", lines...)
	w, err := NewWatcher(dir, s.Run())
	if err != nil {
		t.Fatal(err)
	}
	store(t, dir, "others", "x")
	store(t, dir, "new", lines...)
	got, err := w.Scan()
	if err != nil || len(got) != 1 || got[0].Events != 5 || len(got[0].Lines) != shownLines || string(got[0].Lines[0]) != lines[0] {
		t.Fatalf("%+v, %v", got, err)
	}
	if st, err := os.Stat(got[0].Path); err != nil || st.Size() != got[0].Bytes {
		t.Errorf("size %d, %v", got[0].Bytes, err)
	}
	if got, err := w.Scan(); len(got) != 0 || err != nil {
		t.Errorf("again: %v, %v", got, err)
	}
}
