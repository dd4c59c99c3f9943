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
	keep   int   // spares kept at most
	size   int64 // of a spare: SegmentBytes, less in tests
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

// OpenPool empties dir, which exists. Spares of an earlier process are not taken over: a power cut may have undone the half
// of a rename, so that the same file is a log's segment, too.
func OpenPool(fsys vfs.FS, dir string, guard *Guard, keep int, logger *slog.Logger) (*Pool, error) {
	p := &Pool{fs: fsys, dir: dir, guard: guard, keep: keep, size: SegmentBytes, logger: logger}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("segment pool: %w", err)
	}
	for _, n := range names {
		if !strings.HasSuffix(n, spareSuffix) && !strings.HasSuffix(n, fillSuffix) {
			continue
		}
		if err := fsys.Remove(filepath.Join(dir, n)); err != nil {
			return nil, fmt.Errorf("segment pool: %w", err)
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
	return err == nil && n == p.size
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
		_ = p.fs.Remove(spare) // else it takes its space until the next start
		return nil, err
	}
	f, err := p.fs.Open(path)
	if err != nil {
		_ = p.fs.Remove(path)
	}
	return f, err
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
	zeros := make([]byte, min(1<<20, p.size))
	for at := int64(0); at < p.size && err == nil; at += int64(len(zeros)) {
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
