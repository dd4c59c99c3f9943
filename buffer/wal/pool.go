package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"hydrant/internal/vfs"
)

// Pool keeps full-size segment files that no log uses at the moment. Overwriting their blocks is cheaper to sync than
// growing a file. One per data directory; safe for concurrent use.
type Pool struct {
	fs     vfs.FS
	dir    string
	guard  *Guard
	keep   int // spares kept at most
	logger *slog.Logger

	mu      sync.Mutex
	spares  []string
	filling bool
	closed  bool
	wg      sync.WaitGroup
}

const (
	spareSuffix = ".free"
	fillSuffix  = ".filling"
)

// OpenPool takes over the spares in dir, which exists.
func OpenPool(fsys vfs.FS, dir string, guard *Guard, keep int, logger *slog.Logger) (*Pool, error) {
	p := &Pool{fs: fsys, dir: dir, guard: guard, keep: keep, logger: logger}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("segment pool: %w", err)
	}
	for _, n := range names {
		path := filepath.Join(dir, n)
		switch {
		case strings.HasSuffix(n, spareSuffix) && len(p.spares) < keep && p.whole(path):
			p.spares = append(p.spares, path)
		case strings.HasSuffix(n, spareSuffix), strings.HasSuffix(n, fillSuffix):
			if err := fsys.Remove(path); err != nil {
				return nil, fmt.Errorf("segment pool: %w", err)
			}
		}
	}
	return p, nil
}

func (p *Pool) whole(path string) bool {
	f, err := p.fs.OpenRead(path)
	if err != nil {
		return false
	}
	defer f.Close()
	n, err := f.Size()
	return err == nil && n == SegmentBytes
}

// take moves a spare to path and opens it; nil without an error when there is none: then one is prepared for the next caller.
func (p *Pool) take(path string) (vfs.File, error) {
	p.mu.Lock()
	n := len(p.spares)
	if n == 0 {
		p.fill()
		p.mu.Unlock()
		return nil, nil
	}
	spare := p.spares[n-1]
	p.spares = p.spares[:n-1]
	p.mu.Unlock()
	if err := p.fs.Rename(spare, path); err != nil {
		return nil, err
	}
	return p.fs.Open(path)
}

// give takes a closed segment file, or removes it when there are spares enough or space is short.
// When it returns the name is gone from the log's folder, durably.
func (p *Pool) give(path string) error {
	p.mu.Lock()
	room := !p.closed && len(p.spares) < p.keep && !p.guard.Low()
	p.mu.Unlock()
	if !room || !p.whole(path) {
		if err := p.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return p.fs.SyncDir(filepath.Dir(path))
	}
	spare := filepath.Join(p.dir, fmt.Sprintf("%016x%s", random64(), spareSuffix))
	if err := p.fs.Rename(path, spare); err != nil {
		return err
	}
	if err := p.fs.SyncDir(p.dir); err != nil {
		return err
	}
	if err := p.fs.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	p.mu.Lock()
	p.spares = append(p.spares, spare)
	p.mu.Unlock()
	return nil
}

// fill starts writing one spare in the background, unless one is on its way. The caller holds mu.
func (p *Pool) fill() {
	if p.filling || p.closed || p.guard.Low() {
		return
	}
	p.filling = true
	p.wg.Go(func() {
		path, err := p.writeSpare()
		p.mu.Lock()
		defer p.mu.Unlock()
		p.filling = false
		if err != nil {
			p.logger.Warn("no spare segment could be prepared; the log grows its files instead", "err", err)
			return
		}
		p.spares = append(p.spares, path)
	})
}

func (p *Pool) writeSpare() (string, error) {
	name := fmt.Sprintf("%016x", random64())
	tmp, path := filepath.Join(p.dir, name+fillSuffix), filepath.Join(p.dir, name+spareSuffix)
	f, err := p.fs.Create(tmp)
	if err != nil {
		return "", err
	}
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < SegmentBytes && err == nil; at += int64(len(zeros)) {
		_, err = f.WriteAt(zeros, at)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = p.fs.Rename(tmp, path)
	}
	if err != nil {
		_ = p.fs.Remove(tmp)
		return "", err
	}
	return path, p.fs.SyncDir(p.dir)
}

// Release removes the spares, to give their space back.
func (p *Pool) Release() {
	p.mu.Lock()
	spares := p.spares
	p.spares = nil
	p.mu.Unlock()
	for _, s := range spares {
		if err := p.fs.Remove(s); err != nil {
			p.logger.Warn("a spare segment could not be removed", "err", err)
		}
	}
}

// Close waits for a spare that is being written.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.wg.Wait()
}
