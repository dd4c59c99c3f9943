package record

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Identity says which records an object holds. It is derived from the log alone, never from
// the encoded bytes, and travels with the object (x-amz-meta-hydrant-batch).
type Identity struct {
	Stream    string
	Role      Role
	Version   int // of the stream's spec
	Partition string
	First     ID
	Last      ID
	Count     int
	Digest    uint64 // xxHash64 over (position, length, bytes) of each source record
}

// String is the documented form `v1;k=v;…`.
func (i Identity) String() string {
	return fmt.Sprintf("v1;stream=%s;role=%s;version=%d;partition=%s;first=%s/%d;last=%s/%d;count=%d;digest=%016x",
		i.Stream, i.Role, i.Version, escape(i.Partition), i.First.Epoch, i.First.Pos, i.Last.Epoch, i.Last.Pos, i.Count, i.Digest)
}

func escape(s string) string {
	return strings.NewReplacer("%", "%25", ";", "%3B", "=", "%3D").Replace(s)
}

func unescape(s string) string {
	return strings.NewReplacer("%3B", ";", "%3D", "=", "%25", "%").Replace(s)
}

// ParseIdentity reads what String wrote. An unknown version or a missing key is an error: such an object is not ours.
func ParseIdentity(s string) (Identity, error) {
	var id Identity
	parts := strings.Split(s, ";")
	if parts[0] != "v1" {
		return id, fmt.Errorf("batch identity %q: unknown version", s)
	}
	seen := 0
	for _, p := range parts[1:] {
		k, v, _ := strings.Cut(p, "=")
		known, err := id.set(k, v)
		if err != nil {
			return id, fmt.Errorf("batch identity %q: %w", s, err)
		}
		if known {
			seen++
		}
	}
	if seen != 8 {
		return id, fmt.Errorf("batch identity %q: incomplete", s)
	}
	return id, nil
}

func (i *Identity) set(k, v string) (known bool, err error) {
	switch k {
	case "stream":
		i.Stream = v
	case "role":
		i.Role = Role(v)
	case "version":
		i.Version, err = strconv.Atoi(v)
	case "partition":
		i.Partition = unescape(v)
	case "first":
		i.First, err = parseID(v)
	case "last":
		i.Last, err = parseID(v)
	case "count":
		i.Count, err = strconv.Atoi(v)
	case "digest":
		i.Digest, err = strconv.ParseUint(v, 16, 64)
	default:
		return false, nil
	}
	return true, err
}

func parseID(s string) (ID, error) {
	e, p, _ := strings.Cut(s, "/")
	epoch, err := ParseEpoch(e)
	if err != nil {
		return ID{}, err
	}
	pos, err := strconv.ParseUint(p, 10, 64)
	return ID{epoch, Position(pos)}, err
}

// Object is one finished object on its way to an object store.
type Object struct {
	Bucket, Key     string
	Body            io.ReadSeeker // read from its start; an attempt may read it more than once
	Size            int64         // bytes in Body
	ContentType     string
	ContentEncoding string // "" when none
	Identity        Identity
}

// OutcomeKind classifies what one attempt did.
type OutcomeKind int

const (
	// Delivered: the destination has it, durably.
	Delivered OutcomeKind = iota + 1
	// Retry: not delivered, or not known to be; the same attempt may work later (access, existence, load, network).
	Retry
	// Rejected: the destination will never take this payload (key too long, too large, invalid).
	Rejected
	// Exists: there is an object under this key already; Found says whose, when it could be read.
	Exists
)

// Outcome is what one attempt of a sink did. A sink never retries; delivery decides.
type Outcome struct {
	Kind       OutcomeKind
	Code       string        // the destination's error code in Firehose's form, such as S3.AccessDenied
	Err        error         // the cause, for Retry and Rejected
	RetryAfter time.Duration // at least this long, when the destination said so
	Found      *Identity     // for Exists: the identity at the key, nil when unreadable or not ours
	Unreadable bool          // for Exists: the key's identity may not be read (no permission)
	TooLarge   bool          // for Rejected: a smaller object may be taken
	Unsent     bool          // for Retry: this attempt stored nothing, and nothing of it is under way
}
