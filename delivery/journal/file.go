package journal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"

	"hydrant/internal/vfs"
)

const (
	magic       = "HYDRJRN1"
	headBytes   = 32 // magic, generation, snapshot length, checksums
	lineHead    = 8  // length, checksum
	startBytes  = 8 << 10
	maxFileSize = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// load returns the generation (0: nothing usable) and the lines of one file.
func (j *Journal) load(i int) (gen uint64, lines [][]byte, err error) {
	b, err := vfs.ReadFile(j.fs, j.path[i], maxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	gen, n, ok := header(b)
	if !ok {
		if !blank(b) {
			j.damaged(i, errHeader)
		}
		return 0, nil, nil
	}
	lines, end := linesFrom(b, headBytes, gen)
	if end >= headBytes+n {
		return gen, lines, nil
	}
	// The snapshot itself is torn: the other file still holds everything, unless this one had been in use.
	if used, _ := linesFrom(b, headBytes+n, gen); len(used) > 0 {
		j.damaged(i, errSnapshot)
	}
	return 0, nil, nil
}

// header reads a file's generation and the length of its snapshot. It lies in one sector, which is written whole or not at all.
func header(b []byte) (gen uint64, snapshotBytes int, ok bool) {
	if len(b) < headBytes || string(b[:8]) != magic {
		return 0, 0, false
	}
	le := binary.LittleEndian
	gen, snapshotBytes = le.Uint64(b[8:]), int(le.Uint32(b[16:]))
	ok = crc32.Checksum(b[:20], castagnoli) == le.Uint32(b[20:]) && snapshotBytes >= lineHead && headBytes+snapshotBytes <= len(b)
	return gen, snapshotBytes, ok
}

// blank says whether a file was prepared and never written.
func blank(b []byte) bool {
	for _, c := range b[:min(headBytes, len(b))] {
		if c != 0 {
			return false
		}
	}
	return true
}

// linesFrom reads intact lines of a generation, and says where they end.
func linesFrom(b []byte, at int, gen uint64) (lines [][]byte, end int) {
	le := binary.LittleEndian
	for at+lineHead <= len(b) {
		size := int(le.Uint32(b[at:]))
		if size == 0 || at+lineHead+size > len(b) || sum(gen, b[at+lineHead:at+lineHead+size]) != le.Uint32(b[at+4:]) {
			break
		}
		lines = append(lines, bytes.Clone(b[at+lineHead:at+lineHead+size]))
		at += lineHead + size
	}
	return lines, at
}

var (
	errHeader   = errors.New("the header is damaged; what was noted there is lost")
	errSnapshot = errors.New("the snapshot is damaged; what was noted there is lost")
)

func (j *Journal) damaged(i int, err error) {
	j.damage = errors.Join(j.damage, fmt.Errorf("journal %s: %w", j.path[i], err))
}

// sum makes lines of an earlier generation, still in the file, no lines of this one.
func sum(gen uint64, b []byte) uint32 {
	var g [8]byte
	binary.LittleEndian.PutUint64(g[:], gen)
	return crc32.Update(crc32.Checksum(g[:], castagnoli), castagnoli, b)
}

func appendLine(to []byte, gen uint64, line []byte) []byte {
	to = binary.LittleEndian.AppendUint32(to, uint32(len(line)))
	to = binary.LittleEndian.AppendUint32(to, sum(gen, line))
	return append(to, line...)
}

// turn writes what still matters to the other file, under the next generation, and goes on there. When it fails, the file in use
// is not appended to either: the other one may be on disk with the next generation, and would hide what is appended.
func (j *Journal) turn() error {
	err := j.tryTurn()
	if err != nil {
		j.broken[j.cur] = true
	}
	return err
}

func (j *Journal) tryTurn() error {
	other := 1 - j.cur
	s := snapshot{Closed: j.closed, LastN: j.lastN, Scatter: j.scatter}
	for _, e := range j.open {
		s.Open = append(s.Open, e)
	}
	if j.scatter != nil {
		j.scatter.Done.Pack()
	}
	b, err := json.Marshal(op{Snapshot: &s})
	if err != nil {
		return err
	}
	gen := j.gen + 1
	body := appendLine(nil, gen, b)
	image := make([]byte, headBytes, headBytes+len(body))
	le := binary.LittleEndian
	copy(image, magic)
	le.PutUint64(image[8:], gen)
	le.PutUint32(image[16:], uint32(len(body)))
	le.PutUint32(image[20:], crc32.Checksum(image[:20], castagnoli))
	image = append(image, body...)
	if err := j.prepare(other, int64(len(image))); err != nil {
		j.broken[other] = true
		return err
	}
	if _, err := j.file[other].WriteAt(image, 0); err != nil {
		j.broken[other] = true
		return err
	}
	if err := j.file[other].Sync(); err != nil {
		j.broken[other] = true
		return err
	}
	j.cur, j.gen, j.at, j.unsaved = other, gen, int64(len(image)), false
	return nil
}

// prepare makes a file that can take n bytes and some lines more without growing. A file whose sync failed is replaced.
func (j *Journal) prepare(i int, n int64) error {
	want := int64(startBytes)
	for want < 2*n {
		want *= 2
	}
	if j.file[i] == nil && !j.broken[i] {
		f, err := j.fs.Open(j.path[i])
		if err == nil {
			j.file[i] = f
			if j.size[i], err = f.Size(); err != nil {
				return err
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if j.file[i] != nil && !j.broken[i] && j.size[i] >= want {
		return nil
	}
	return j.fresh(i, want)
}

// fresh writes a new file of the given size beside the old one and puts it in its place, name and blocks durable.
func (j *Journal) fresh(i int, size int64) error {
	if j.file[i] != nil {
		_ = j.file[i].Close()
		j.file[i] = nil
	}
	tmp := j.path[i] + ".tmp"
	if err := j.fs.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := j.fs.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(make([]byte, size), 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = j.fs.Rename(tmp, j.path[i])
	}
	if err == nil {
		err = j.fs.SyncDir(filepath.Dir(j.path[i]))
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	j.file[i], j.size[i], j.broken[i] = f, size, false
	return nil
}
