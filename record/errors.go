package record

import (
	"errors"
	"time"
)

// Why a put was not accepted. Nothing of the put is in the log's readable part in any of these cases.
var (
	ErrStreamNotFound = errors.New("stream not found")
	ErrStreamDeleting = errors.New("stream is being deleted")
	ErrStopping       = errors.New("the daemon is shutting down")
	ErrReplayFull     = errors.New("the stream remembers no more records that came back")
)

// Unavailable is the refusal that a client should retry: the backlog or the disk is full,
// or the log cannot be written at the moment.
type Unavailable struct {
	Reason     string        // for people: what is full or broken
	RetryAfter time.Duration // a hint for the client
}

func (u *Unavailable) Error() string { return u.Reason }
