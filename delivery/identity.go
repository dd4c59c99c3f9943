package delivery

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"hydrant/delivery/journal"
	"hydrant/record"
)

// identity gathers what says which records an object holds: from their positions and from what was accepted, never from what the
// processors or the encoder made of it.
type identity struct {
	scattered bool // the object holds derived records one by one, not the records of a range
	kept      bool // it holds refused records, in whatever order they were refused: their digest is a sum
	total     uint64
	h         xxhash.Digest
	begun     bool
	count     int
	at        record.Position // of the last one
}

// add counts a record that is written. What else is written of the same accepted record counts only where partitions divide it.
func (i *identity) add(src source, x *record.Derived) {
	if i.kept {
		i.keep(x.Pos, x.Sub, digest(x.Raw))
		return
	}
	if !i.begun {
		i.h.Reset()
		i.begun = true
	} else if !i.scattered && i.at == x.Pos {
		return
	}
	i.at = x.Pos
	i.count++
	if i.scattered {
		i.derived(src, x)
		return
	}
	var head [12]byte
	binary.LittleEndian.PutUint64(head[:], uint64(x.Pos))
	binary.LittleEndian.PutUint32(head[8:], uint32(len(src.rec.Data)))
	_, _ = i.h.Write(head[:])
	_, _ = i.h.Write(src.rec.Data)
}

func (i *identity) derived(src source, x *record.Derived) {
	var head [18]byte
	binary.LittleEndian.PutUint64(head[:], uint64(x.Pos))
	binary.LittleEndian.PutUint16(head[8:], x.Sub)
	binary.LittleEndian.PutUint64(head[10:], src.sum)
	_, _ = i.h.Write(head[:])
}

// keep counts a refused record.
func (i *identity) keep(pos record.Position, sub uint16, sum uint64) {
	var b [18]byte
	binary.LittleEndian.PutUint64(b[:], uint64(pos))
	binary.LittleEndian.PutUint16(b[8:], sub)
	binary.LittleEndian.PutUint64(b[10:], sum)
	i.total += xxhash.Sum64(b[:])
	i.count++
}

// digest stands for a record's bytes where they are not kept.
func digest(data []byte) uint64 { return xxhash.Sum64(data) }

func (i *identity) sum() uint64 {
	if i.kept {
		return i.total
	}
	if !i.begun {
		i.h.Reset()
	}
	return i.h.Sum64()
}

func (i *identity) of(r *Runner, e *journal.Entry) record.Identity {
	return record.Identity{
		Stream: r.opt.Stream, Role: role(e), Version: e.Version, Partition: partitionName(e),
		First: e.Batch.First, Last: e.Batch.Last, Count: i.count, Digest: i.sum(),
	}
}

// maxPartitionName keeps an object's metadata within what stores take.
const maxPartitionName = 256

// partitionName is how an object's identity names its partition. A long one is named by its digest.
func partitionName(e *journal.Entry) string {
	if len(e.Partition) <= maxPartitionName {
		return e.Partition
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], xxhash.Sum64String(e.Partition))
	return e.Partition[:64] + "~" + record.Epoch{b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]}.String()[:16]
}
