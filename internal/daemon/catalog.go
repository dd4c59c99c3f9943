package daemon

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"crypto/rand"

	"hydrant/buffer/wal"
	"hydrant/config"
	"hydrant/internal/vfs"
	"hydrant/record"
)

// Who made a stream decides who may change it.
const (
	ownerYAML = "yaml"
	ownerAPI  = "api"
)

// The states of a stream. A dropped one is on its way out, discarded: only its files are left.
const (
	statusActive   = "ACTIVE"
	statusDeleting = "DELETING"
	statusDropped  = "DROPPED"
)

// meta is what the data directory knows of a stream: its file stream.json. Every version that a journal entry may need is kept.
type meta struct {
	Name     string
	ID       string // 32 hexadecimal digits, drawn once: the log's id
	Owner    string
	Status   string
	Created  time.Time
	Updated  time.Time
	Current  int
	Versions map[int]config.Stream
	// BackupFrom is where a backup of all records that was turned off had come to: turned on again, it goes on there.
	BackupFrom record.Position `json:",omitempty"`
}

func (m *meta) spec() config.Stream { return m.Versions[m.Current] }

func (m *meta) logID() (id wal.LogID, err error) {
	b, err := hex.DecodeString(m.ID)
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("stream id %q is damaged", m.ID)
	}
	copy(id[:], b)
	return id, nil
}

func newMeta(s config.Stream, owner string, now time.Time) *meta {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return &meta{Name: s.Name, ID: hex.EncodeToString(id[:]), Owner: owner, Status: statusActive, Created: now.UTC(),
		Current: 1, Versions: map[int]config.Stream{1: s}}
}

// catalog keeps one folder a stream under DATA_DIR/streams. Safe for concurrent use.
type catalog struct {
	fs  vfs.FS
	dir string
	mu  sync.Mutex
}

const metaFile = "stream.json"

// maxMeta bounds stream.json: a stream's spec is a few KB, and old versions go when nothing needs them.
const maxMeta = 16 << 20

func (c *catalog) folder(m *meta) string { return filepath.Join(c.dir, m.Name+"~"+m.ID[:8]) }

// save makes the stream's description durable, and its folder too when it is new.
func (c *catalog) save(m *meta) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	dir := c.folder(m)
	if err := vfs.MkdirAll(c.fs, dir); err != nil {
		return fmt.Errorf("stream folder: %w", err)
	}
	if err := vfs.WriteFileAtomic(c.fs, filepath.Join(dir, metaFile), b); err != nil {
		return fmt.Errorf("stream description: %w", err)
	}
	// A former life may have made the folder and ended before its name was durable.
	if err := c.fs.SyncDir(c.dir); err != nil {
		return fmt.Errorf("stream folder: %w", err)
	}
	return nil
}

// load reads all streams. A folder that cannot be understood is reported and left alone; it never prevents a start.
func (c *catalog) load(report func(folder string, err error)) ([]*meta, error) {
	names, err := c.fs.ReadDir(c.dir)
	if err != nil {
		return nil, err
	}
	var all []*meta
	for _, n := range names {
		name, isDir := strings.CutSuffix(n, "/")
		if !isDir {
			continue
		}
		m, err := c.read(filepath.Join(c.dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			c.unfinished(filepath.Join(c.dir, name), report)
		case err != nil:
			report(name, err)
		case c.folder(m) != filepath.Join(c.dir, name):
			report(name, fmt.Errorf("the folder holds the description of %s", filepath.Base(c.folder(m))))
		default:
			all = append(all, m)
		}
	}
	return all, nil
}

// unique leaves one folder for each name. A creation that failed and was repeated leaves two: the one that was never acknowledged took no
// records, and goes.
func (c *catalog) unique(all []*meta, report func(folder string, err error)) []*meta {
	kept := map[string]*meta{}
	var out []*meta
	for _, m := range all {
		first := kept[m.Name]
		if m.Status == statusDropped || first == nil {
			if m.Status != statusDropped {
				kept[m.Name] = m
			}
			out = append(out, m)
			continue
		}
		spare := m
		if c.tookRecords(m) && !c.tookRecords(first) {
			*first, *m = *m, *first // first stands in out already
		}
		if c.tookRecords(spare) {
			report(filepath.Base(c.folder(spare)), fmt.Errorf("%s holds another stream of that name", filepath.Base(c.folder(kept[m.Name]))))
			continue
		}
		if err := c.remove(spare); err != nil {
			report(filepath.Base(c.folder(spare)), err)
		}
	}
	return out
}

// tookRecords says whether a stream was ever made ready for records. When in doubt it was.
func (c *catalog) tookRecords(m *meta) bool {
	ok, err := c.fs.Exists(filepath.Join(c.folder(m), logFolder))
	return ok || err != nil
}

func (c *catalog) read(dir string) (*meta, error) {
	b, err := vfs.ReadFile(c.fs, filepath.Join(dir, metaFile), maxMeta)
	if err != nil {
		return nil, err
	}
	var m meta
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, fmt.Errorf("%s: %w", metaFile, err)
	}
	if _, err := m.logID(); err != nil {
		return nil, err
	}
	if _, ok := m.Versions[m.Current]; !ok {
		return nil, fmt.Errorf("%s: version %d is missing", metaFile, m.Current)
	}
	return &m, nil
}

// unfinished removes a folder whose making was never acknowledged, or whose removal was cut. Any other is reported and left alone: it
// holds records, or it is not ours.
func (c *catalog) unfinished(dir string, report func(string, error)) {
	names, err := c.begun(dir)
	for _, n := range names {
		if err == nil {
			err = c.fs.Remove(filepath.Join(dir, n))
		}
	}
	if err == nil {
		err = c.fs.Remove(dir)
	}
	if err != nil {
		report(filepath.Base(dir), err)
	}
}

// begun lists what is in a stream's folder that holds nothing of value. An error says why this is no such folder.
func (c *catalog) begun(dir string) ([]string, error) {
	if !isStreamFolder(filepath.Base(dir)) {
		return nil, errors.New("not a stream's folder: it has no " + metaFile + ", and no name as those have")
	}
	names, err := c.fs.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		if n == logFolder+"/" {
			inside, err := c.fs.ReadDir(filepath.Join(dir, logFolder))
			if err != nil {
				return nil, err
			}
			if len(inside) > 0 {
				return nil, errors.New("the folder holds records but no " + metaFile + ": restore that file, or read the records with `hydrant log dump`")
			}
			continue
		}
		if !strings.HasSuffix(n, ".journal") && !strings.HasSuffix(n, ".tmp") {
			return nil, fmt.Errorf("the folder has no %s, but holds %s: restore that file, or remove the folder yourself", metaFile, n)
		}
	}
	return names, nil
}

// isStreamFolder says whether a name is such as folder makes: NAME~ and eight digits of the id.
func isStreamFolder(name string) bool {
	stream, id, ok := strings.Cut(name, "~")
	if !ok || stream == "" || len(id) != 8 || strings.ToLower(id) != id {
		return false
	}
	_, err := hex.DecodeString(id)
	return err == nil
}

// remove forgets a stream whose records are all delivered or to be discarded. The description says so first, durably: a
// crash on the way leaves a folder that the next start removes.
func (c *catalog) remove(m *meta) error {
	m.Status = statusDropped
	if err := c.save(m); err != nil {
		return err
	}
	return c.clear(m)
}

// clear removes a dropped stream's files, its description last: while that is there, the next start goes on.
func (c *catalog) clear(m *meta) error {
	dir := c.folder(m)
	names, err := c.fs.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if n != metaFile && n != damagedFolder+"/" {
			if err := removeTree(c.fs, filepath.Join(dir, strings.TrimSuffix(n, "/"))); err != nil {
				return err
			}
		}
	}
	if slices.Contains(names, damagedFolder+"/") {
		if err := c.keepDamaged(dir); err != nil {
			return err
		}
	}
	if err := c.fs.SyncDir(dir); err != nil {
		return err
	}
	if err := removeTree(c.fs, dir); err != nil {
		return err
	}
	return c.fs.SyncDir(c.dir)
}

// damagedFolder is where a log keeps copies of what it could not read, and below the data directory where they stay
// when their stream goes: they are the last of records that were acknowledged and not delivered.
const damagedFolder = "damaged"

// keepDamaged moves the folder of damaged stretches out of a stream's folder that is being removed, durably, unless it is empty.
func (c *catalog) keepDamaged(dir string) error {
	from, to := filepath.Join(dir, damagedFolder), filepath.Join(filepath.Dir(c.dir), damagedFolder)
	names, err := c.fs.ReadDir(from)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return c.fs.Remove(from)
	}
	if err := vfs.MkdirAll(c.fs, to); err != nil {
		return fmt.Errorf("keep what was damaged: %w", err)
	}
	name := filepath.Join(to, filepath.Base(dir))
	for n := 2; ; n++ { // a move that a power cut half undid has taken the name already
		taken, err := c.fs.Exists(name)
		if err != nil {
			return fmt.Errorf("keep what was damaged: %w", err)
		}
		if !taken {
			break
		}
		name = filepath.Join(to, fmt.Sprintf("%s-%d", filepath.Base(dir), n))
	}
	if err := c.fs.Rename(from, name); err != nil {
		return fmt.Errorf("keep what was damaged: %w", err)
	}
	return c.fs.SyncDir(to) // the caller syncs the old place, after this
}

func removeTree(f vfs.FS, path string) error {
	names, err := f.ReadDir(path)
	if err == nil {
		for _, n := range names {
			if err := removeTree(f, filepath.Join(path, strings.TrimSuffix(n, "/"))); err != nil {
				return err
			}
		}
	}
	if err := f.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
