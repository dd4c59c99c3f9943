package journal

import "hydrant/record"

// Entry is one batch, or a part of one, on its way: what is written, under which name. It is settled before the first attempt
// and repeated exactly after a restart.
type Entry struct {
	N         uint64 // number of the entry in its journal
	Batch     record.Batch
	Role      record.Role
	Version   int // of the spec it is written under
	Partition string
	Bucket    string
	Key       string
	Ordinal   int    // 0, or how many keys were found taken by somebody else
	Salt      string `json:",omitempty"` // part of the name where nobody may read whose object stands under a key
	Attempts  int    // process lives that worked on it, this one included
	Bisecting bool   // part of a batch that ended processes
	SetAside  string // not "": the records go to the error prefix, as this error type
	Code      string // why, in Firehose's form
	Message   string
	// Derived is the version whose processors made the records, 0 for Version: what a record becomes is settled when its batch is.
	Derived int `json:",omitempty"`
	Schema  int `json:",omitempty"` // number of the learned schema it is written under, 0 before that is known
	// Only, when not nil, are the records of the range that are meant; Except are records of the range that go elsewhere.
	Only, Except *Set `json:",omitempty"`
	// Whole: the record was set aside as it came, before anything was made of it.
	Whole bool `json:",omitempty"`
	// Scattered: records between First and Last that are not in Only belong to other entries, or to none yet.
	Scattered bool    `json:",omitempty"`
	Former    *Former `json:",omitempty"` // how its records were offered before, newest first

	// Of a destination that takes records in requests:
	Sent         *Set  `json:",omitempty"` // records that it has taken; lazily noted
	PackRecords  int   `json:",omitempty"` // how its records are packed: requests that are repeated must be the same
	PackBytes    int64 `json:",omitempty"`
	WaitedMillis int64 `json:",omitempty"` // spent on its retries in all lives; lazily noted
	// Answers names the file with the finished error records; without one they are made of Code and Message.
	Answers string `json:",omitempty"`
	// Loaded is the object that a warehouse could not take in, of an entry that writes its manifest.
	Loaded *Stored `json:",omitempty"`
}

// Stored is an object in the store.
type Stored struct {
	Bucket, Key string
	Bytes       int64
}

// Processors is the version whose processors made the entry's records.
func (e *Entry) Processors() int {
	if e.Derived > 0 {
		return e.Derived
	}
	return e.Version
}

// Has says whether a record that was derived from the entry's range is one of the entry's.
func (e *Entry) Has(pos record.Position, sub uint16) bool {
	return (e.Only == nil || e.Only.Has(pos, sub)) && !e.Except.Has(pos, sub)
}

// HasAny says whether anything that was made of the record is one of the entry's.
func (e *Entry) HasAny(pos record.Position) bool {
	if e.Only != nil {
		return e.Only.HasAny(pos)
	}
	return true
}

// Former is an object that was offered and not seen to arrive, and whose records are now on their way in another one.
// The attempt may still be under way between here and the store. Never changed once made.
type Former struct {
	Bucket, Key string
	Version     int
	Role        record.Role // of the object
	Partition   string      `json:",omitempty"`
	First, Last record.ID
	Next        *Former `json:",omitempty"`
}
