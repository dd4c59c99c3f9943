// Package record holds the words that every other package shares: a record, its
// position and identity, a put, a batch, an object and what became of it.
// It imports only the standard library and knows no files, no network, no configuration.
package record

import (
	"encoding/hex"
	"fmt"
)

// Position is the number of a record in its log: 1 for the first, +1 for each
// accepted record. Positions only grow; gaps are legal.
type Position uint64

// Epoch is the random name of one life of a log. Every opening for writing draws a new one,
// so that a position that is handed out twice (a lost disk, a restored snapshot) still
// names two different records.
type Epoch [16]byte

// String returns the epoch as 32 lower-case hexadecimal digits.
func (e Epoch) String() string { return hex.EncodeToString(e[:]) }

// ParseEpoch reads what String wrote.
func ParseEpoch(s string) (Epoch, error) {
	var e Epoch
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(e) {
		return e, fmt.Errorf("epoch %q: want 32 hexadecimal digits", s)
	}
	copy(e[:], b)
	return e, nil
}

// ID is what makes a record itself and no other: the epoch it was accepted in and its position.
type ID struct {
	Epoch Epoch
	Pos   Position
}

// Record is the unit a producer sends, as it stands in the log.
// Data is only valid until the function it was handed to returns.
type Record struct {
	ID
	ArrivalMillis int64   // when it was accepted, Unix milliseconds; never decreases within a log
	Origin        *Origin // nil but for one that came back from an error prefix, or was staged; never changed
	Data          []byte
	Made          *Made // nil: as it was accepted
}

// Made is what processors made of a record before it came to this log.
type Made struct {
	Raw     []byte   // what an error record keeps; nil: Data
	Values  [][]byte // of partition keys, escaped, by their place in the prefix; nil where none was found yet
	Failure *Failure // not nil: it goes to the error prefix
	Nothing bool     // no record: all of the put's were dropped
}

// Role says what an object is for. It is part of every name a destination may recognise us by,
// so that the same records under two roles never collide.
type Role string

// The roles without a parameter. Errors are "error/TYPE", as ErrorRole makes them.
const (
	RoleMain   Role = "main"
	RoleBackup Role = "backup"
)

// ErrorRole is the role of the error object of the given type, as in the error prefix.
func ErrorRole(errorType string) Role { return Role("error/" + errorType) }

// CloseReason says why a batch ended where it did.
type CloseReason string

// The reasons a batch closes.
const (
	CloseSize     CloseReason = "size"
	CloseInterval CloseReason = "interval"
	CloseFlush    CloseReason = "flush" // shutdown or deletion
	CloseEarly    CloseReason = "early" // a partition: too many are open, the spool is full, or the stream is partitioned no more
)

// Batch is a contiguous range of a log, closed by size or interval: the unit of delivery and retry.
type Batch struct {
	First, Last   ID
	ArrivalMillis int64 // of the first record
	Count         int   // records between First and Last, both included
	Bytes         int64 // record bytes as received
	Reason        CloseReason

	// Where the batch begins and ends in its log, in bytes that only the log understands:
	// how much waits is the difference between two of them.
	StartOffset, EndOffset int64
}
