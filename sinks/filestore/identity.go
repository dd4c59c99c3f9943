package filestore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"syscall"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// place is where a key's object is, and whose.
type place struct {
	path     string // below DATA/s3
	exists   bool
	identity *record.Identity // nil when not known
}

// idHeader opens the file that describes an object; a line each for key, path, size and batch follow, strings
// quoted as in Go.
const (
	idHeader   = "hydrant object 1\n"
	idMaxBytes = 64 << 10
)

func (s *Store) idFile(bucket, key string) string {
	sum := sha256.Sum256([]byte(key))
	hash := hex.EncodeToString(sum[:])
	return path.Join(s.ids, path.Join(split(strings.ReplaceAll(escape(bucket), "/", "%2F"))...), hash[:2], hash+".id")
}

// find looks an object up by its identity file, and by its plain name, where people or a restored backup may have put a file.
func (s *Store) find(bucket, key string) (place, error) {
	plain := Path(bucket, key)
	at, size, err := s.readID(bucket, key)
	if err != nil {
		return place{path: plain}, err
	}
	if at.path != "" {
		got, exists, err := s.size(at.path)
		if err != nil {
			return at, err
		}
		if at.exists = exists; exists {
			if got != size {
				at.identity = nil // not the file that we wrote
			}
			return at, nil
		}
	}
	if at.path != plain {
		_, exists, err := s.size(plain)
		return place{path: plain, exists: exists}, err
	}
	return place{path: plain}, nil
}

// size of an object's file; a folder is no object.
func (s *Store) size(rel string) (size int64, exists bool, err error) {
	full := path.Join(s.objects, rel)
	exists, err = s.fs.Exists(full)
	if errors.Is(err, syscall.ENOTDIR) || err == nil && !exists {
		return 0, false, nil
	}
	if err != nil || !s.isFile(rel) {
		return 0, false, err
	}
	h, err := s.fs.OpenRead(full)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer h.Close()
	size, err = h.Size()
	return size, true, err
}

func (s *Store) writeID(o *record.Object, rel string) error {
	name := s.idFile(o.Bucket, o.Key)
	if err := s.folders.ensure(path.Dir(name)); err != nil {
		return err
	}
	text := fmt.Sprintf("%skey %q\npath %q\nsize %d\nbatch %q\n", idHeader, o.Key, rel, o.Size, o.Identity.String())
	return vfs.WriteFileAtomic(s.fs, name, []byte(text))
}

// readID gives an empty place when nothing usable is noted for the key: an object that stands there all the same is
// then nobody's we know.
func (s *Store) readID(bucket, key string) (at place, size int64, err error) {
	b, err := vfs.ReadFile(s.fs, s.idFile(bucket, key), idMaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return place{}, 0, nil
	}
	if err != nil {
		return place{}, 0, err
	}
	at, size, ok := parseID(string(b), key)
	if !ok {
		return place{}, 0, nil
	}
	return at, size, nil
}

func parseID(text, key string) (at place, size int64, ok bool) {
	text, ok = strings.CutPrefix(text, idHeader)
	if !ok {
		return at, 0, false
	}
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		k, v, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		fields[k] = v
	}
	if got, err := strconv.Unquote(fields["key"]); err != nil || got != key {
		return at, 0, false
	}
	rel, err := strconv.Unquote(fields["path"])
	if err != nil || !safe(rel) {
		return at, 0, false
	}
	if size, err = strconv.ParseInt(fields["size"], 10, 64); err != nil {
		return at, 0, false
	}
	at.path = rel
	batch, err := strconv.Unquote(fields["batch"])
	if err != nil {
		return at, size, true
	}
	if id, err := record.ParseIdentity(batch); err == nil {
		at.identity = &id
	}
	return at, size, true
}

// safe refuses what Path would never make, so that a damaged file cannot point elsewhere.
func safe(rel string) bool {
	_, _, err := Key(rel)
	return err == nil && path.Clean("/"+rel) == "/"+rel
}
