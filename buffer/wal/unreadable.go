package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"

	"hydrant/internal/vfs"
)

// readStep is the piece in which a stretch is read again that the disk could not read at once: a page, which fails as a whole.
const readStep = 4 << 10

// readAround fills b from off, but for what the disk cannot read (EIO): there it goes on in pages, and those that stay unreadable
// become zeros and are added to lost. So one bad sector is damage as any other: checksums tell of it, and its neighbours are read.
// It returns less than len(b) at the end of the file only. Other errors are returned.
func readAround(f vfs.File, b []byte, off int64, lost *holes) (int, error) {
	if _, bad := lost.within(off, int64(len(b))); bad == 0 { // else a disk that tries for long would do so again
		got, err := f.ReadAt(b, off)
		if err == nil || errors.Is(err, io.EOF) {
			return got, nil
		}
		if !errors.Is(err, syscall.EIO) {
			return 0, err
		}
	}
	for done := 0; done < len(b); {
		at := off + int64(done)
		part := b[done:min(len(b), done+int(readStep-at%readStep))]
		got, err := 0, error(syscall.EIO)
		if !lost.hold(at, int64(len(part))) {
			got, err = f.ReadAt(part, at)
		}
		switch {
		case errors.Is(err, syscall.EIO):
			clear(part)
			lost.add(at, int64(len(part)))
		case errors.Is(err, io.EOF):
			return done + got, nil
		case err != nil:
			return 0, err
		}
		done += len(part)
	}
	return len(b), nil
}

// stretch is a part of a file.
type stretch struct{ off, end int64 }

// holes are stretches of a file that the disk could not read, in order; they neither overlap nor touch.
type holes []stretch

func (h *holes) add(off, n int64) {
	all := append(*h, stretch{off, off + n})
	slices.SortFunc(all, func(a, b stretch) int { return int(min(max(a.off-b.off, -1), 1)) })
	merged := all[:1]
	for _, s := range all[1:] {
		if last := &merged[len(merged)-1]; s.off <= last.end {
			last.end = max(last.end, s.end)
		} else {
			merged = append(merged, s)
		}
	}
	*h = merged
}

// within returns the first hole that takes something of a stretch, and how many there are.
func (h holes) within(off, n int64) (first stretch, count int) {
	for _, s := range h {
		if s.off < off+n && s.end > off {
			if count == 0 {
				first = s
			}
			count++
		}
	}
	return first, count
}

// hold says that the whole stretch is a hole.
func (h holes) hold(off, n int64) bool {
	s, count := h.within(off, n)
	return count == 1 && s.off <= off && s.end >= off+n
}

// why adds to a damage's reason what the disk could not read of it.
func (h holes) why(reason string, off, n int64) string {
	first, count := h.within(off, n)
	switch count {
	case 0:
		return reason
	case 1:
		return fmt.Sprintf("%s: the disk could not read bytes %d to %d of the file", reason, first.off, first.end-1)
	}
	return fmt.Sprintf("%s: the disk could not read bytes %d to %d of the file, and %d more stretches", reason, first.off, first.end-1, count-1)
}

// gone says that a copy could not be kept because the disk does not write either. Then it has failed as a whole, or was taken away: what
// it cannot read now may come back, and must not be given up. A full disk is not gone.
func gone(copying error) bool { return copying != nil && !errors.Is(copying, syscall.ENOSPC) }
