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
	Former    *Former `json:",omitempty"` // how its records were offered before, newest first
}

// Former is an object that was offered and not seen to arrive, and whose records are now on their way in another one.
// The attempt may still be under way between here and the store. Never changed once made.
type Former struct {
	Bucket, Key string
	Version     int
	Role        record.Role // of the object
	First, Last record.ID
	Next        *Former `json:",omitempty"`
}
