package infer

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"hydrant/config/schema"
	"hydrant/internal/vfs"
)

// Version is a state of a stream's schema. It never changes; its columns are not to be written to.
type Version struct {
	Number     int // from 1, without gaps; 0: there is none yet
	Generation int // from 1; files of different generations cannot be read together
	Columns    []schema.Column
}

// Store keeps the versions of one stream's schema in a file. Whoever gets a version from it can rely on finding it again after a
// crash, under the same number. Safe for concurrent use.
type Store struct {
	fs    vfs.FS
	path  string
	limit int // bytes that the file may have

	change sync.Mutex // held by who makes a version
	mu     sync.Mutex // guards state
	state  state
}

// state is what the file holds. A state that was published never changes.
type state struct {
	versions []Version // by number; at least one, once there are any
	// seen are all columns that files of the present generation can have, also those that a version dropped again.
	seen []schema.Column
}

// OpenStore reads the file at path, whose folder must exist. A file that is missing is no error: the stream has no schema yet. A file
// that cannot be read or understood is one (a *DamageError in the second case), because to begin anew would repeat numbers that
// stand in the names of files.
func OpenStore(fsys vfs.FS, path string) (*Store, error) {
	s := &Store{fs: fsys, path: path, limit: maxFileBytes}
	var err error
	if s.state, err = load(fsys, path); err != nil {
		return nil, err
	}
	if len(s.state.versions) > 0 {
		// A process that was killed may have ended between giving the file its name and syncing that: what can be read is not
		// durable for it, and what is handed out must be.
		if err := fsys.SyncDir(filepath.Dir(path)); err != nil {
			return nil, fmt.Errorf("schema file: %w", err)
		}
	}
	return s, nil
}

func (s *Store) current() state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Latest is the newest version; false when there is none yet.
func (s *Store) Latest() (Version, bool) { return s.current().latest() }

func (st state) latest() (Version, bool) {
	if len(st.versions) == 0 {
		return Version{}, false
	}
	return st.versions[len(st.versions)-1], true
}

// Get finds a version by its number.
func (s *Store) Get(number int) (Version, bool) {
	for _, v := range s.current().versions {
		if v.Number == number {
			return v, true
		}
	}
	return Version{}, false
}

// Learn calls learn with the newest columns (none at first) and keeps what it returns, as Learner.Columns returns it: if something was
// added or retyped, as a new version, which is durable when Learn returns. Else, and when no column is known at all, it returns the
// latest version as it is. One call of Learn, Set or Prune at a time; readers do not wait for them. After an error the store is as it
// was, and the call may be repeated.
func (s *Store) Learn(learn func(base []schema.Column) (cols []schema.Column, added, retyped bool)) (Version, error) {
	s.change.Lock()
	defer s.change.Unlock()
	st := s.current()
	latest, _ := st.latest()
	cols, added, retyped := learn(latest.Columns)
	if !added && !retyped {
		return latest, nil
	}
	return s.append(st, cols, retyped)
}

// Set makes cols, which come from elsewhere, the newest version unless they are that already. A column that has another type than
// any that this generation had under its name begins a new generation. It is durable as with Learn.
func (s *Store) Set(cols []schema.Column) (Version, error) {
	s.change.Lock()
	defer s.change.Unlock()
	st := s.current()
	if latest, ok := st.latest(); ok && schema.Equal(latest.Columns, cols) {
		return latest, nil
	}
	return s.append(st, cols, false)
}

func (s *Store) append(st state, cols []schema.Column, retyped bool) (Version, error) {
	if err := schema.Check(cols, true); err != nil {
		return Version{}, fmt.Errorf("schema: %w", err)
	}
	latest, ok := st.latest()
	v := Version{Number: latest.Number + 1, Generation: latest.Generation, Columns: slices.Clone(cols)}
	seen, agree := merge(st.seen, v.Columns)
	if !ok || retyped || !agree {
		v.Generation++
		seen = v.Columns
	}
	next := state{versions: append(slices.Clip(st.versions), v), seen: seen}
	if err := s.publish(next); err != nil {
		return Version{}, err
	}
	return v, nil
}

// Prune forgets the versions that nothing needs any more. The latest is kept in any case.
func (s *Store) Prune(needed func(number int) bool) error {
	s.change.Lock()
	defer s.change.Unlock()
	st := s.current()
	latest, _ := st.latest()
	next := state{seen: st.seen}
	for _, v := range st.versions {
		if v.Number == latest.Number || needed(v.Number) {
			next.versions = append(next.versions, v)
		}
	}
	if len(next.versions) == len(st.versions) {
		return nil
	}
	return s.publish(next)
}

// publish makes a state durable, then visible.
func (s *Store) publish(st state) error {
	if err := s.save(st); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = st
	return nil
}

// merge adds to seen the columns and struct fields of cols that it lacks. agree is false when a column has another type in one than
// in the other.
func merge(seen, cols []schema.Column) (all []schema.Column, agree bool) {
	all = slices.Clone(seen)
	at := make(map[string]int, len(all))
	for i, c := range all {
		at[c.Name] = i
	}
	for _, c := range cols {
		i, ok := at[c.Name]
		if !ok {
			all = append(all, c)
			continue
		}
		t, ok := mergeTypes(all[i].Type, c.Type)
		if !ok {
			return nil, false
		}
		all[i].Type = t
	}
	return all, true
}

func mergeTypes(a, b *schema.Type) (*schema.Type, bool) {
	if a.Equal(b) {
		return a, true
	}
	if a.Kind != b.Kind || !a.Kind.Nested() || !a.Key.Equal(b.Key) {
		return nil, false
	}
	t := &schema.Type{Kind: a.Kind, Key: a.Key}
	var ok bool
	if a.Kind == schema.Struct {
		t.Fields, ok = merge(a.Fields, b.Fields)
	} else {
		t.Elem, ok = mergeTypes(a.Elem, b.Elem)
	}
	return t, ok
}
