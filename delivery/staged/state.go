package staged

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// State is how far the first log has been staged, and what the processors remember.
type State struct {
	Upto    record.Position // of the first log: everything up to it is settled
	Offset  int64           // where the put of that record ends
	Version int             // of the stream's spec whose processors made the newest records
	Last    record.Position // of the staged log: the state is that behind this record
	Memory  []byte          // of the processors
	// From is where the first log's records begin to be staged; those before it are delivered from there, under version Before. 0: all are staged.
	From   record.Position
	Before int
}

// maxStateBytes bounds the file: a processor remembers tens of megabytes at most.
const maxStateBytes = 1 << 30

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Load reads the file; a zero State where there is none.
func Load(fsys vfs.FS, path string) (s State, err error) {
	there, err := fsys.Exists(path)
	if err != nil || !there {
		return s, err
	}
	b, err := vfs.ReadFile(fsys, path, maxStateBytes)
	if err != nil {
		return s, err
	}
	var f stateFile
	if err := json.Unmarshal(b, &f); err != nil || f.Sum != crc32.Checksum(f.State, castagnoli) {
		return s, fmt.Errorf("%s is damaged", path)
	}
	return s, json.Unmarshal(f.State, &s)
}

type stateFile struct {
	Sum   uint32 // CRC-32C of State
	State json.RawMessage
}

// Save makes the file durable.
func (s State) Save(fsys vfs.FS, path string) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	b, err = json.Marshal(stateFile{crc32.Checksum(b, castagnoli), b})
	if err != nil {
		return err
	}
	return vfs.WriteFileAtomic(fsys, path, b)
}

// Frames is the staged log as CatchUp reads it.
type Frames interface {
	// Notes calls visit with the note of each put that has one, from the put with that position on, and where it ends.
	Notes(from record.Position, visit func(n *record.Note, last record.Position)) error
	// Record gives what Append or AppendDelta wrote there; nil when it cannot be read.
	Record(pos record.Position) ([]byte, error)
}

// elsewhere in a note says that its delta is the put's last record.
const elsewhere = "delta"

// Shorten takes a delta out of a note that would be too long with it. AppendDelta wrote the put's last record.
func Shorten(n *record.Note) {
	n.Staged.Delta, n.Attributes = nil, map[string]string{elsewhere: "last"}
}

func deltaOf(log Frames, n *record.Note, last record.Position) ([]byte, error) {
	if n.Attributes[elsewhere] == "" {
		return n.Staged.Delta, nil
	}
	b, err := log.Record(last)
	if err != nil || len(b) == 0 {
		return nil, err
	}
	return b[1:], nil
}

// CatchUp reads what the log holds behind the state: visit is called for each put, in order, with the state as of then.
func (s *State) CatchUp(log Frames, visit func(now State, delta []byte) error) error {
	var failed error
	err := log.Notes(s.Last+1, func(n *record.Note, last record.Position) {
		if n.Staged == nil || failed != nil {
			return
		}
		s.Upto, s.Offset, s.Version, s.Last = n.Staged.Upto, n.Staged.Offset, n.Staged.Version, last
		delta, err := deltaOf(log, n, last)
		if failed = err; err == nil {
			failed = visit(*s, delta)
		}
	})
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return errors.Join(err, failed)
}
