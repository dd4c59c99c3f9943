package record

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// MaxNoteBytes is the largest note of a put, encoded.
const MaxNoteBytes = 128 << 10

// RequestKey names a request that must be taken once, however often it is sent: it is a hash over who sent it, the sender's name for it
// and what it holds. The zero key names none.
type RequestKey [16]byte

// Note is what a put carries beside its records. It is stored with them.
type Note struct {
	Request    RequestKey
	Attributes map[string]string // what the sender said of all records; Firehose's common attributes
	Origins    []Origin          // nil, or of each record what it was when it was first accepted
	Staged     *Staged           // nil, or what was staged by this put
}

// Staged says how far the records of another log have come into this one, where processors have made of them what is delivered.
type Staged struct {
	Upto    Position // the last record of the other log that is settled by this put
	Offset  int64    // where the put of that record ends in the other log
	Version int      // of the stream's spec, whose processors made this put's records
	Delta   []byte   // what changed in the processors' state
}

// Empty says that there is nothing to store.
func (n *Note) Empty() bool {
	return n == nil || n.Request == RequestKey{} && len(n.Attributes) == 0 && len(n.Origins) == 0 && n.Staged == nil
}

// storedNote is a note as it stands in the log.
type storedNote struct {
	Request    string            `json:"request,omitempty"` // 32 hexadecimal digits
	Attributes map[string]string `json:"attributes,omitempty"`
	Origins    []string          `json:"origins,omitempty"` // EPOCH.POSITION.SUB@MILLIS
	Staged     *storedStaged     `json:"staged,omitempty"`
}

type storedStaged struct {
	Upto    Position `json:"upto"`
	Offset  int64    `json:"offset"`
	Version int      `json:"version"`
	Delta   []byte   `json:"delta,omitempty"` // base64
}

// Encode gives the note's bytes in the log: JSON.
func (n *Note) Encode() ([]byte, error) {
	s := storedNote{Attributes: n.Attributes}
	if n.Request != (RequestKey{}) {
		s.Request = hex.EncodeToString(n.Request[:])
	}
	for _, o := range n.Origins {
		s.Origins = append(s.Origins, o.String())
	}
	if n.Staged != nil {
		staged := storedStaged(*n.Staged)
		s.Staged = &staged
	}
	b, err := json.Marshal(s)
	if err == nil && len(b) > MaxNoteBytes {
		err = fmt.Errorf("what is said of the records has %d bytes, above the limit %d", len(b), MaxNoteBytes)
	}
	return b, err
}

// ParseNote reads what Encode wrote.
func ParseNote(b []byte) (*Note, error) {
	var s storedNote
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("note of a put: %w", err)
	}
	n := &Note{Attributes: s.Attributes}
	if s.Staged != nil {
		staged := Staged(*s.Staged)
		n.Staged = &staged
	}
	if s.Request != "" {
		k, err := hex.DecodeString(s.Request)
		if err != nil || len(k) != len(n.Request) {
			return nil, fmt.Errorf("note of a put: %q names no request", s.Request)
		}
		copy(n.Request[:], k)
	}
	for _, text := range s.Origins {
		o, err := ParseOrigin(text)
		if err != nil {
			return nil, fmt.Errorf("note of a put: %w", err)
		}
		n.Origins = append(n.Origins, o)
	}
	return n, nil
}

// String is EPOCH.POSITION.SUB, as error records carry it, and behind an @ the arrival of the record that failed, when that is known.
func (o Origin) String() string {
	s := fmt.Sprintf("%s.%d.%d", o.Epoch, o.Pos, o.Sub)
	if o.FailedMillis != 0 {
		s += "@" + strconv.FormatInt(o.FailedMillis, 10)
	}
	return s
}

// Key names this coming back, and no other.
func (o Origin) Key() (k [16]byte) {
	sum := sha256.Sum256([]byte(o.String()))
	copy(k[:], sum[:])
	return k
}

// ParseOrigin reads what String wrote.
func ParseOrigin(s string) (Origin, error) {
	var o Origin
	name, failed, known := strings.Cut(s, "@")
	if known {
		ms, err := strconv.ParseInt(failed, 10, 64)
		if err != nil {
			return o, fmt.Errorf("record id: time of the failure: %w", err)
		}
		o.FailedMillis = ms
	}
	parts := strings.Split(name, ".")
	if len(parts) != 3 {
		return o, fmt.Errorf("record id %.80q: want EPOCH.POSITION.SUB", s)
	}
	epoch, err := ParseEpoch(parts[0])
	if err != nil {
		return o, fmt.Errorf("record id: %w", err)
	}
	pos, err := strconv.ParseUint(parts[1], 10, 64)
	if err != nil {
		return o, fmt.Errorf("record id: position: %w", err)
	}
	sub, err := strconv.ParseUint(parts[2], 10, 16)
	if err != nil {
		return o, fmt.Errorf("record id: number within the record: %w", err)
	}
	o.ID, o.Sub = ID{Epoch: epoch, Pos: Position(pos)}, uint16(sub)
	return o, nil
}
