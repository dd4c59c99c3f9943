package daemon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"sync"

	"hydrant/config"
	"hydrant/delivery"
	"hydrant/formats/infer"
	"hydrant/record"
	"hydrant/transform"
)

// specs gives delivery the versions of a stream's spec for one role.
type specs struct {
	stream *stream
	reader *reader
	role   record.Role

	mu    sync.Mutex
	built map[int]*delivery.Spec
}

// Current is the version under which batches close now.
func (s *specs) Current() int {
	st := s.stream.stage
	switch {
	case st == nil || s.role != record.RoleMain:
		return s.stream.snapshot().Current
	case s.reader.staged:
		return st.runner.Version()
	}
	return st.before
}

// Spec returns a version. Versions never change, so each is built once.
func (s *specs) Spec(version int) (*delivery.Spec, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if spec := s.built[version]; spec != nil {
		return spec, nil
	}
	c, ok := s.stream.version(version)
	if !ok {
		return nil, fmt.Errorf("version %d of the stream is not stored", version)
	}
	spec, err := buildSpec(c, version, s.role, s.stream.learned)
	if err != nil {
		return nil, err
	}
	if s.reader.staged && spec.NewStage == nil {
		spec.NewStage = func() (delivery.Stage, error) { return transform.New(config.Stream{}, nil, spec.Zone) }
	}
	if around, inner := s.stream.env.around, spec.NewStage; around != nil && inner != nil {
		spec.NewStage = func() (delivery.Stage, error) {
			st, err := inner()
			return around(st), err
		}
	}
	s.built[version] = spec
	return spec, nil
}

func (s *stream) version(v int) (config.Stream, bool) {
	s.metaMu.RLock()
	defer s.metaMu.RUnlock()
	c, ok := s.meta.Versions[v]
	return c, ok
}

// reconfigure takes over a changed spec: a new version when it writes other bytes or other keys, else in place of the current one.
// It runs before the stream is opened; versions that nothing needs go later, with prune.
func (s *stream) reconfigure(c config.Stream) error {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	m := *s.meta
	m.Versions = maps.Clone(s.meta.Versions)
	if !m.spec().SameOutput(c) {
		m.Current++
		m.Updated = s.env.now().UTC()
	}
	m.Versions[m.Current] = c
	m.Status = statusActive
	m.Owner = ownerYAML
	if !sameMeta(&m, s.meta) { // a start with nothing changed writes nothing
		if err := s.env.catalog.save(&m); err != nil {
			return err
		}
		s.meta = &m
	}
	s.share.Resize(int64(c.Buffer.MaxBacklog), s.env.guaranteed(int64(c.Buffer.Guaranteed)))
	return nil
}

// prune forgets versions that no unfinished entry was closed under. A failure is no harm: the next start tries again.
func (s *stream) prune() {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	m := *s.meta
	m.Versions = maps.Clone(s.meta.Versions)
	for v := range s.meta.Versions {
		if v != m.Current && !s.needs(v) {
			delete(m.Versions, v)
		}
	}
	s.pruneSchemas(math.MaxInt)
	if len(m.Versions) == len(s.meta.Versions) {
		return
	}
	if err := s.env.catalog.save(&m); err != nil {
		s.env.logger.Warn("versions that nobody needs could not be removed", "stream", s.name, "err", err)
		return
	}
	s.meta = &m
}

// pruneSchemas forgets learned schemas that no unfinished entry is written under.
func (s *stream) pruneSchemas(below int) {
	needed := map[int]bool{}
	for _, r := range s.readers {
		if err := r.journal.Sync(); err != nil {
			return
		}
		maps.Copy(needed, r.journal.Schemas())
	}
	if ok, err := s.env.fs.Exists(s.schemaPath()); err != nil || !ok {
		return
	}
	store, err := s.schemas()
	if err == nil {
		err = store.Prune(func(n int) bool { return n >= below || needed[n] })
	}
	if err != nil {
		s.env.logger.Warn("schemas that nobody needs could not be removed", "stream", s.name, "err", err)
	}
}

func (s *stream) schemaPath() string { return filepath.Join(s.dir, "schemas.json") }

// schemas opens what the stream has learned.
func (s *stream) schemas() (*infer.Store, error) {
	s.schemaMu.Lock()
	defer s.schemaMu.Unlock()
	if s.schemaStore != nil {
		return s.schemaStore, nil
	}
	store, err := infer.OpenStore(s.env.fs, s.schemaPath())
	if err == nil {
		s.schemaStore = store
	}
	return store, err
}

func (s *stream) learned(c config.Parquet) *learnedSchemas {
	return &learnedSchemas{open: s.schemas, config: c, region: s.env.region, now: s.env.now, logger: s.env.logger.With("stream", s.name),
		prune: s.pruneSchemas}
}

func sameMeta(a, b *meta) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// needs says whether an unfinished entry was closed under version v. Before the journals are open, everything is needed.
func (s *stream) needs(v int) bool {
	if s.log == nil {
		return true
	}
	if st := s.stage; st != nil && (v == st.runner.Version() || v == st.before && st.isOpenBefore()) {
		return true
	}
	for _, r := range s.readers {
		// Durably: an entry whose end a power cut takes back is open again, and needs its version.
		if err := r.journal.Sync(); err != nil || r.journal.Versions()[v] {
			return true
		}
	}
	return false
}

// assume changes the state in memory alone, when the disk takes nothing.
func (s *stream) assume(status string) {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	m := *s.meta
	m.Status = status
	s.meta = &m
}

// setStatus changes the state, durably.
func (s *stream) setStatus(status string) error {
	s.metaMu.Lock()
	defer s.metaMu.Unlock()
	m := *s.meta
	m.Status, m.Updated = status, s.env.now().UTC()
	if err := s.env.catalog.save(&m); err != nil {
		return err
	}
	s.meta = &m
	return nil
}
