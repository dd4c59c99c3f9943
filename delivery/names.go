package delivery

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"hydrant/config/prefix"
	"hydrant/delivery/journal"
	"hydrant/record"
)

// maxKeyBytes is S3's limit.
const maxKeyBytes = 1024

// errNoName: the prefix gives no name for a partition.
var errNoName = errors.New("the prefix cannot be evaluated")

// key makes the object key of an entry from its first record's identity and arrival, the role, the version and the partition;
// from no clock and no random source but the entry's journaled salt, so that it is the same however often it is made.
func (r *Runner) key(spec *Spec, e *journal.Entry) (string, error) {
	in := r.nameInput(spec, e)
	if e.SetAside == "" && spec.Requests != nil {
		return "", nil // its records have no object
	}
	if e.SetAside == "" {
		dir, err := spec.Prefix.Eval(in)
		if err != nil {
			return "", fmt.Errorf("%w: %w", errNoName, err)
		}
		if spec.Schemas != nil && e.Schema > 0 {
			generation, err := spec.Schemas.Generation(e.Schema)
			if err != nil {
				return "", err
			}
			dir = beside(dir, spec.Prefix.Head(), generation)
		}
		return dir + prefix.ObjectName(r.opt.Stream, e.Version, in.Time, objectUUID(e), spec.Extension), nil
	}
	in.ErrorType = e.SetAside
	errs := spec.ErrorPrefix
	if e.Loaded != nil {
		errs = spec.ManifestPrefix
	}
	dir, err := errs.Eval(in)
	if err != nil {
		return "", fmt.Errorf("error prefix: %w", err)
	}
	name := prefix.ObjectName(r.opt.Stream, e.Version, in.Time, objectUUID(e), "")
	if len(dir)+len(name) > maxKeyBytes {
		dir = e.SetAside + in.Time.Format("/2006/01/02/15/") // a prefix that is too long must not lose what it was to hold
	}
	return dir + name, nil
}

// beside moves a prefix into a folder that stands beside the one that its text names: a reader of that one, however deep it looks, must
// not find files whose types do not agree.
func beside(dir, head, generation string) string {
	if generation == "" {
		return dir
	}
	if i := strings.LastIndexByte(head, '/'); i > 0 {
		return dir[:i] + "-" + generation + dir[i:]
	}
	return generation + "/" + dir
}

func (r *Runner) nameInput(spec *Spec, e *journal.Entry) prefix.Input {
	var values []string
	if e.Partition != "" {
		values = strings.Split(e.Partition, "/") // a slash within a value is escaped
	}
	return prefix.Input{
		Values: values,
		Time:   time.UnixMilli(e.Batch.ArrivalMillis).In(spec.Zone),
		Random: func(n int) string { return randomString(nameHash(e, "random-string "+strconv.Itoa(n))) },
	}
}

// bucket is where the entry's object goes.
func (s *Spec) bucket(e *journal.Entry) string {
	if e.SetAside != "" && e.Loaded == nil && s.ErrorBucket != "" {
		return s.ErrorBucket
	}
	return s.Bucket
}

// role is what an entry's object is for.
func role(e *journal.Entry) record.Role {
	if e.SetAside != "" {
		return record.ErrorRole(e.SetAside)
	}
	return e.Role
}

// nameHash is 64 bits of everything that tells this object from all others of the log.
func nameHash(e *journal.Entry, salt string) uint64 {
	h := xxhash.New()
	_, _ = h.Write(e.Batch.First.Epoch[:])
	_, _ = fmt.Fprintf(h, "|%d|%s|%s|%d|%s|%d|%s", e.Batch.First.Pos, e.Role, role(e), e.Version, e.Partition, e.Ordinal, salt)
	if e.Salt != "" {
		_, _ = h.WriteString("|" + e.Salt)
	}
	return h.Sum64()
}

// objectUUID has the shape of a version 8 UUID: 60 bits of position, so that within a prefix listing order is delivery order,
// then 62 bits of hash.
func objectUUID(e *journal.Entry) string {
	pos := uint64(e.Batch.First.Pos) & (1<<60 - 1)
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], pos>>12<<16|8<<12|pos&0xfff)
	binary.BigEndian.PutUint64(b[8:], 2<<62|nameHash(e, "uuid")>>2)
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

const alphanumerics = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// randomString is 11 characters of a hash, as `!{firehose:random-string}` has.
func randomString(h uint64) string {
	var b [11]byte
	for i := range b {
		b[i] = alphanumerics[h%62]
		h /= 62
		if i == 5 {
			h = h*0x9E3779B97F4A7C15 + 1
		}
	}
	return string(b[:])
}
