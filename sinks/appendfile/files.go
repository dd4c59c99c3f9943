package appendfile

import (
	"context"
	"errors"
	"sync"
)

// files gives one caller at a time a file's turn, and keeps the sidecars of those used last.
type files struct {
	mu     sync.Mutex
	m      map[string]*entry // those in use and up to maxFiles others
	clock  uint64            // counts turns
	closed bool
	// clean are sidecars that this process put away in good order: they need not be written anew when they are opened again. Forgetting costs just that.
	clean map[string]struct{}
}

const maxClean = 1 << 16

// entry is a file that is, or was lately, in use.
type entry struct {
	file    string
	held    chan struct{} // of capacity 1; who could send has the turn
	users   int           // who has the turn or waits for it; guarded by files.mu
	used    uint64        // files.clock when its last turn ended; guarded by files.mu
	sidecar *sidecar      // nil: not open; belongs to who has the turn, without users to files.mu
}

// lock waits for the file's turn, or for the end of ctx.
func (f *files) lock(ctx context.Context, file string) (*entry, error) {
	f.mu.Lock()
	e := f.m[file]
	if e == nil {
		e = &entry{file: file, held: make(chan struct{}, 1)}
		f.m[file] = e
	}
	e.users++
	f.mu.Unlock()
	select {
	case e.held <- struct{}{}:
	case <-ctx.Done():
		f.leave(e)
		return nil, ctx.Err()
	}
	f.mu.Lock()
	closed := f.closed
	f.mu.Unlock()
	if closed {
		f.unlock(e)
		return nil, errClosed
	}
	return e, nil
}

func (f *files) unlock(e *entry) {
	<-e.held
	f.leave(e)
}

func (f *files) leave(e *entry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock++
	e.used = f.clock
	e.users--
	if e.users == 0 && e.sidecar == nil {
		delete(f.m, e.file)
	}
	for len(f.m) > maxFiles && f.evict() {
	}
}

// evict puts away the file that was used least recently. False: all are in use.
func (f *files) evict() bool {
	var oldest *entry
	for _, e := range f.m {
		if e.users == 0 && (oldest == nil || e.used < oldest.used) {
			oldest = e
		}
	}
	if oldest == nil {
		return false
	}
	delete(f.m, oldest.file)
	if len(f.clean) >= maxClean {
		clear(f.clean)
	}
	f.clean[oldest.file] = struct{}{}
	_ = oldest.sidecar.h.Close() // all that matters in it is synced
	oldest.sidecar = nil
	return true
}

// wasClean says whether a sidecar was put away in good order, once.
func (f *files) wasClean(file string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.clean[file]
	delete(f.clean, file)
	return ok
}

// unused keeps a file from being taken while do runs, and says false without running it when the file is in use.
func (f *files) unused(file string, do func() error) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m[file] != nil {
		return false, nil
	}
	delete(f.clean, file)
	return true, do()
}

func (f *files) close() error {
	f.mu.Lock()
	f.closed = true
	var all []*entry
	for _, e := range f.m {
		e.users++
		all = append(all, e)
	}
	f.mu.Unlock()
	var errs []error
	for _, e := range all {
		e.held <- struct{}{}
		if e.sidecar != nil {
			errs = append(errs, e.sidecar.h.Close())
			e.sidecar = nil
		}
		f.unlock(e)
	}
	return errors.Join(errs...)
}

// forget drops a sidecar of which it is not known what is durable. The next turn reads it again and writes it anew.
func (e *entry) forget() {
	if e.sidecar.h != nil {
		_ = e.sidecar.h.Close()
	}
	e.sidecar = nil
}
