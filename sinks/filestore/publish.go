package filestore

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"

	"hydrant/record"
)

// publish lets the object appear. The caller holds the key's lock and has seen that there is no object.
func (s *Store) publish(o *record.Object, tmp string) record.Outcome {
	rel := Path(o.Bucket, o.Key)
	var err error
	for range 4 { // each of the two marks may be needed once, and a folder may vanish once
		if err = s.show(o, tmp, rel); err == nil {
			return record.Outcome{Kind: record.Delivered}
		}
		var next string
		next, err = s.other(rel, err)
		if errors.Is(err, errForeign) {
			_ = s.fs.Remove(s.idFile(o.Bucket, o.Key)) // it would name somebody else's file as ours
			return record.Outcome{Kind: record.Exists}
		}
		if err != nil {
			return failed(err)
		}
		rel = next
	}
	return failed(errInTheWay)
}

// show writes the identity for a place and links the object there, both durably.
func (s *Store) show(o *record.Object, tmp, rel string) error {
	full := path.Join(s.objects, rel)
	dir := path.Dir(full)
	if err := s.folders.ensure(dir); err != nil {
		return err
	}
	if err := s.writeID(o, rel); err != nil {
		return err
	}
	if err := s.link(tmp, full); err != nil {
		return err
	}
	if err := s.fs.SyncDir(dir); err != nil {
		_ = s.fs.Remove(full) // or the next attempt would find it there and take it for durable
		return err
	}
	return nil
}

// link never replaces. On disks without hard links a rename takes its place: the key is locked and the
// directory ours, so that only a person could put a file there in between.
func (s *Store) link(tmp, full string) error {
	err := s.fs.Link(tmp, full)
	if !errors.Is(err, syscall.EPERM) && !errors.Is(err, syscall.ENOTSUP) && !errors.Is(err, syscall.ENOSYS) && !errors.Is(err, syscall.EMLINK) {
		return err
	}
	there, eerr := s.fs.Exists(full)
	switch {
	case eerr != nil:
		return eerr
	case there:
		return &fs.PathError{Op: "link", Path: full, Err: fs.ErrExist}
	}
	return s.fs.Rename(tmp, full)
}

// errForeign: a file appeared under the name that is not ours.
var errForeign = errors.New("file store: a file of that name is there")

// other finds the place to try after a failure: the same one when a folder had vanished, else one with a mark. When the failure
// was about something else it comes back.
func (s *Store) other(rel string, cause error) (string, error) {
	switch {
	case errors.Is(cause, fs.ErrExist) && s.isFile(rel):
		return "", errForeign
	case errors.Is(cause, fs.ErrExist) && !strings.HasSuffix(rel, markObject):
		return rel + markObject, nil
	case errors.Is(cause, syscall.ENOTDIR):
		return s.around(rel, cause)
	case errors.Is(cause, fs.ErrNotExist):
		s.folders.forget()
		return rel, nil
	}
	return "", cause
}

// around marks the first folder of a path whose name an object has.
func (s *Store) around(rel string, cause error) (string, error) {
	names := strings.Split(rel, "/")
	for i := range len(names) - 1 {
		if !s.isFile(path.Join(names[:i+1]...)) {
			continue
		}
		if strings.HasSuffix(names[i], markFolder) {
			break
		}
		names[i] += markFolder
		return path.Join(names...), nil
	}
	return "", cause
}

// isFile tells a file from a folder: only below a file is a name impossible rather than absent.
func (s *Store) isFile(rel string) bool {
	_, err := s.fs.Exists(path.Join(s.objects, rel, "x"))
	return errors.Is(err, syscall.ENOTDIR)
}
