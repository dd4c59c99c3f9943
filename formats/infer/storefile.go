package infer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"hydrant/config/schema"
	"hydrant/internal/vfs"
)

// fileFormat is the version of the file's layout.
const fileFormat = 1

// maxFileBytes bounds the file. Versions that nothing needs are pruned, and a schema's names and columns are bounded.
const maxFileBytes = 64 << 20

// DamageError says that a stream's schema file cannot be understood. Nothing was changed.
type DamageError struct {
	Path   string
	Offset int64 // near the trouble, in bytes; 0: not known
	Err    error
}

func (e *DamageError) Error() string {
	near := ""
	if e.Offset > 0 {
		near = fmt.Sprintf(" near byte %d", e.Offset)
	}
	return fmt.Sprintf("schema file %s is damaged%s: %v; put back a copy of it, or move it away to let the stream learn anew (its files "+
		"would then begin again at schema version 1: give them another prefix)", e.Path, near, e.Err)
}

// Unwrap gives the cause.
func (e *DamageError) Unwrap() error { return e.Err }

// content is the file: JSON, so that a person can read what the daemon learned.
type content struct {
	Format   int
	Versions []versionJSON
	Seen     []schema.Column `json:",omitempty"` // when it is more than the last version's columns
}

type versionJSON struct {
	Number     int
	Generation int
	Columns    []schema.Column
}

func (s *Store) save(st state) error {
	b, err := encode(st)
	if err == nil && len(b) > s.limit {
		err = fmt.Errorf("%d versions come to %d bytes, %d are the most: too many are needed by batches that were not delivered yet",
			len(st.versions), len(b), s.limit)
	}
	if err == nil {
		// What cannot be read back must not replace what can.
		_, err = decode(b)
	}
	if err != nil {
		return fmt.Errorf("schema file %s: %w", s.path, err)
	}
	if err := vfs.WriteFileAtomic(s.fs, s.path, b); err != nil {
		return fmt.Errorf("schema file: %w", err)
	}
	return nil
}

func encode(st state) ([]byte, error) {
	c := content{Format: fileFormat}
	for _, v := range st.versions {
		c.Versions = append(c.Versions, versionJSON(v))
	}
	if latest, _ := st.latest(); !schema.Equal(st.seen, latest.Columns) {
		c.Seen = st.seen
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(c); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func load(fsys vfs.FS, path string) (state, error) {
	b, err := vfs.ReadFile(fsys, path, maxFileBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	if err != nil {
		return state{}, fmt.Errorf("schema file: %w", err)
	}
	st, err := decode(b)
	if err != nil {
		return state{}, &DamageError{Path: path, Offset: offsetOf(err), Err: err}
	}
	return st, nil
}

func offsetOf(err error) int64 {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return syntax.Offset
	case errors.As(err, &kind):
		return kind.Offset
	}
	return 0
}

func decode(b []byte) (state, error) {
	var c content
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return state{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return state{}, errors.New("text follows the end")
	}
	if c.Format != fileFormat {
		return state{}, fmt.Errorf("format %d is not known; this program writes %d", c.Format, fileFormat)
	}
	st := state{seen: c.Seen}
	for _, v := range c.Versions {
		last, _ := st.latest()
		if v.Number <= last.Number || v.Generation < max(last.Generation, 1) {
			return state{}, fmt.Errorf("version %d of generation %d follows version %d of generation %d", v.Number, v.Generation, last.Number, last.Generation)
		}
		if err := schema.Check(v.Columns, true); err != nil {
			return state{}, fmt.Errorf("version %d: %w", v.Number, err)
		}
		st.versions = append(st.versions, Version(v))
	}
	latest, ok := st.latest()
	if !ok {
		return state{}, errors.New("it holds no version")
	}
	return st, st.checkSeen(latest)
}

// checkSeen fills in what the file leaves out, and checks what it does not.
func (st *state) checkSeen(latest Version) error {
	if st.seen == nil {
		st.seen = latest.Columns
		return nil
	}
	if err := schema.Check(st.seen, true); err != nil {
		return fmt.Errorf("the columns seen: %w", err)
	}
	if _, agree := merge(st.seen, latest.Columns); !agree {
		return errors.New("the columns seen do not agree with the latest version")
	}
	return nil
}
