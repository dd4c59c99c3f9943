package filestore

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"strings"
	"sync"

	"hydrant/internal/vfs"
)

// folders makes folders and knows which ones are durable, so that each is synced once in a process's life and
// not with every object. An earlier process may have made a folder without living to sync it; that is why
// folders that are there already are synced once, too.
type folders struct {
	fs   vfs.FS
	base string // exists and is durable

	mu    sync.Mutex
	known map[string]struct{}
}

// maxKnown bounds the memory; forgetting costs some syncs.
const maxKnown = 4096

// ensure makes a folder below base and everything between, durably.
func (f *folders) ensure(dir string) error {
	err := f.walk(dir)
	if errors.Is(err, fs.ErrNotExist) { // somebody removed what we knew
		f.forget()
		err = f.walk(dir)
	}
	return err
}

func (f *folders) walk(dir string) error {
	if f.has(dir) {
		return nil
	}
	at := f.base
	for name := range strings.SplitSeq(strings.TrimPrefix(strings.TrimPrefix(dir, f.base), "/"), "/") {
		next := path.Join(at, name)
		if !f.has(next) {
			if err := f.fs.Mkdir(next); err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			if err := f.fs.SyncDir(at); err != nil {
				return err
			}
			f.add(next)
		}
		at = next
	}
	return nil
}

func (f *folders) has(dir string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.known[dir]
	return ok
}

func (f *folders) add(dir string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.known) >= maxKnown {
		clear(f.known)
	}
	f.known[dir] = struct{}{}
}

func (f *folders) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.known)
}

// keyLocks serialise the work on one key and nothing else.
type keyLocks struct {
	mu sync.Mutex
	m  map[string]*keyLock
}

type keyLock struct {
	held  chan struct{}
	users int // guarded by keyLocks.mu
}

// lock waits for the key, or for the end of ctx.
func (k *keyLocks) lock(ctx context.Context, key string) (unlock func(), err error) {
	k.mu.Lock()
	l := k.m[key]
	if l == nil {
		l = &keyLock{held: make(chan struct{}, 1)}
		k.m[key] = l
	}
	l.users++
	k.mu.Unlock()
	select {
	case l.held <- struct{}{}:
		return func() { <-l.held; k.leave(key, l) }, nil
	case <-ctx.Done():
		k.leave(key, l)
		return nil, ctx.Err()
	}
}

func (k *keyLocks) leave(key string, l *keyLock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(k.m, key)
	}
}
