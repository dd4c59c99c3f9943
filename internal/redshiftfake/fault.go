package redshiftfake

import (
	"context"
	"sync"
)

// Fault is something that goes wrong once.
type Fault string

// The faults.
const (
	HangInCopy     Fault = "hang-in-copy"     // COPY loads its rows, then waits for Release or to be cancelled
	CutAfterCopy   Fault = "cut-after-copy"   // the connection ends in place of COPY's answer; over the wire only
	CutAfterCommit Fault = "cut-after-commit" // the same for COMMIT
	LockConflict   Fault = "lock-conflict"    // LOCK fails
	DiskFull       Fault = "disk-full"        // COPY fails
	WrongPassword  Fault = "wrong-password"   // the next login is refused

	SubmitNotAnswered Fault = "submit-not-answered" // the Data API takes a batch and ends the connection in place of the answer
	FailAfterCommit   Fault = "fail-after-commit"   // the Data API commits a batch and says that it failed
	Throttled         Fault = "throttled"           // the Data API refuses the next request of any kind
	IgnoreCancel      Fault = "ignore-cancel"       // the next request to cancel is answered and not heeded
)

// AllFaults lists the names.
func AllFaults() []Fault {
	return []Fault{HangInCopy, CutAfterCopy, CutAfterCommit, LockConflict, DiskFull, WrongPassword, SubmitNotAnswered, FailAfterCommit, Throttled, IgnoreCancel}
}

// Faults are those that are to come. The zero value has none. Safe for concurrent use.
type Faults struct {
	mu      sync.Mutex
	armed   map[Fault]int
	release chan struct{} // closed by Release
	hanging chan struct{} // one for each COPY that began to hang
}

// Arm makes a fault come the next n times it can.
func (f *Faults) Arm(fault Fault, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.armed == nil {
		f.armed = map[Fault]int{}
	}
	f.armed[fault] += n
}

// Left says how often each fault is still to come.
func (f *Faults) Left() map[Fault]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := map[Fault]int{}
	for fault, n := range f.armed {
		if n > 0 {
			left[fault] = n
		}
	}
	return left
}

// Hanging gives a value for each COPY that began to hang.
func (f *Faults) Hanging() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.signal()
}

// Release lets what hangs go on.
func (f *Faults) Release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.release != nil {
		close(f.release)
		f.release = nil
	}
}

func (f *Faults) take(fault Fault) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.armed[fault] == 0 {
		return false
	}
	f.armed[fault]--
	return true
}

// hang waits for Release; an error when ctx ends first.
func (f *Faults) hang(ctx context.Context) error {
	f.mu.Lock()
	if f.release == nil {
		f.release = make(chan struct{})
	}
	release := f.release
	select {
	case f.signal() <- struct{}{}:
	default: // nobody looks
	}
	f.mu.Unlock()
	select {
	case <-release:
		return nil
	case <-ctx.Done():
		return errCancelled
	}
}

func (f *Faults) signal() chan struct{} {
	if f.hanging == nil {
		f.hanging = make(chan struct{}, 64)
	}
	return f.hanging
}

var errCancelled error = &Error{Code: "57014", Message: "Query cancelled on user's request"}
