package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Object is a file that appeared, with the events of the run in it.
type Object struct {
	Path   string
	Bytes  int64
	Events int
	Lines  [][]byte // the first lines, at most three
}

const shownLines = 3

// Watcher looks for the events of one run in the files that appear in a folder. Not for concurrent use.
type Watcher struct {
	dir  string
	run  string
	seen map[string]bool // files
	got  map[int]int     // how often each event was found
}

// NewWatcher ignores the files that are in the folder already. The folder may be missing.
func NewWatcher(dir, run string) (*Watcher, error) {
	w := &Watcher{dir: dir, run: run, seen: map[string]bool{}, got: map[int]int{}}
	return w, w.walk(func(path string) error { w.seen[path] = true; return nil })
}

func (w *Watcher) walk(visit func(path string) error) error {
	return filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil || d.IsDir():
			return err
		}
		return visit(path)
	})
}

// Scan reads the files that are new since the last call, in the order of their names. Files without events of the run are
// left out of the answer.
func (w *Watcher) Scan() ([]Object, error) {
	var found []Object
	err := w.walk(func(path string) error {
		if w.seen[path] {
			return nil
		}
		w.seen[path] = true
		o, err := w.read(path)
		if err != nil {
			return err
		}
		if o.Events > 0 {
			found = append(found, o)
		}
		return nil
	})
	return found, err
}

func (w *Watcher) read(path string) (Object, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Object{}, fmt.Errorf("read what was delivered: %w", err)
	}
	o := Object{Path: path, Bytes: int64(len(b))}
	for line := range bytes.Lines(b) {
		line = bytes.TrimSuffix(line, []byte("\n"))
		if len(o.Lines) < shownLines {
			o.Lines = append(o.Lines, line)
		}
		var e struct {
			Run string `json:"run"`
			Seq int    `json:"seq"`
		}
		// Others may send to the stream too, what they like.
		if json.Unmarshal(line, &e) == nil && e.Run == w.run {
			w.got[e.Seq]++
			o.Events++
		}
	}
	return o, nil
}

// Complete says whether events 1 to sent were all found at least once.
func (w *Watcher) Complete(sent int) bool { return w.Missing(sent) == 0 }

// Missing is how many of the events 1 to sent were not found.
func (w *Watcher) Missing(sent int) int {
	n := 0
	for seq := 1; seq <= sent; seq++ {
		if w.got[seq] == 0 {
			n++
		}
	}
	return n
}

// Check is nil when events 1 to sent were found exactly once and no others.
func (w *Watcher) Check(sent int) error {
	extra := 0
	for seq, n := range w.got {
		if seq < 1 || seq > sent {
			extra += n
			continue
		}
		extra += n - 1
	}
	if missing := w.Missing(sent); missing > 0 || extra > 0 {
		return fmt.Errorf("of %d events sent, %d are missing and %d were delivered too often", sent, missing, extra)
	}
	return nil
}
