package wal

import (
	"encoding/binary"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// scan walks the frames of one file by their headers.
type scan struct {
	file vfs.File
	salt uint64
	// anySalt takes frames of any segment and use.
	anySalt bool
	end     int64 // nothing at or behind it is looked at
	win     window
	last    int64 // size of the last frame, to choose how far to read ahead
}

func (s *scan) ahead() int {
	if s.last == 0 || s.last > aheadSmall/4 {
		return aheadLarge
	}
	return aheadSmall
}

// header reads the frame header at off; false when there is no whole frame of this segment.
func (s *scan) header(off int64) (h frameHeader, ok bool, err error) {
	if off+frameHeaderBytes > s.end {
		return h, false, nil
	}
	b, err := s.win.at(s.file, off, frameHeaderBytes, s.ahead(), s.end)
	if err != nil || len(b) < frameHeaderBytes {
		return h, false, err
	}
	if !h.decode(b, s.salt) || off+h.size() > s.end {
		return h, false, nil
	}
	s.last = h.size()
	return h, true, nil
}

// find looks for the next frame header at or behind off whose commit is later than after.
func (s *scan) find(off int64, after uint64) (at int64, h frameHeader, ok bool, err error) {
	const step = 1 << 20
	off = (off + frameAlign - 1) &^ (frameAlign - 1)
	for ; off+frameHeaderBytes <= s.end; off += step {
		n := int(min(step+frameHeaderBytes, s.end-off))
		b, err := s.win.at(s.file, off, n, 0, s.end)
		if err != nil {
			return 0, h, false, err
		}
		for i := 0; i+frameHeaderBytes <= len(b) && i < step; i += frameAlign {
			if binary.LittleEndian.Uint32(b[i:]) != frameMagic {
				continue
			}
			salt := s.salt
			if s.anySalt {
				salt = binary.LittleEndian.Uint64(b[i+8:])
			}
			if h.decode(b[i:], salt) && h.commit > after && off+int64(i)+h.size() <= s.end {
				return off + int64(i), h, true, nil
			}
		}
		if len(b) < n {
			break
		}
	}
	return 0, h, false, nil
}

// intact reads a frame whole and checks its tail and every block.
func (s *scan) intact(off int64, h *frameHeader) (bool, error) {
	b, err := s.win.at(s.file, off, int(h.size()), 0, s.end)
	if err != nil || int64(len(b)) < h.size() {
		return false, err
	}
	payload, tail := splitFrame(b, h)
	if !checkTail(tail, h) {
		return false, nil
	}
	return firstBadBlock(payload, tail) < 0, nil
}

// splitFrame returns payload and tail of a whole frame.
func splitFrame(b []byte, h *frameHeader) (payload, tail []byte) {
	at := frameHeaderBytes + int(h.payload)
	return b[frameHeaderBytes:at], b[at : at+h.tail()]
}

// firstBadBlock returns the first block that does not fit its checksum, -1 when all do.
func firstBadBlock(payload, tail []byte) int {
	for i := range blocksOf(len(payload)) {
		if !blockOK(payload, tail, i) {
			return i
		}
	}
	return -1
}

func blockOK(payload, tail []byte, i int) bool {
	from := i * blockBytes
	return checksum(payload[from:min(from+blockBytes, len(payload))]) == binary.LittleEndian.Uint32(tail[4*i:])
}

// tailState is what recovery learns of a segment that no successor describes.
type tailState struct {
	end int64 // behind the last complete commit
	// doubtful is where the commits begin that nothing behind proves durable: end, or where the last one begins.
	doubtful int64
	lastPos  record.Position
	arrival  int64
	commit   uint64
	sealed   bool // a clean stop wrote the seal
	torn     bool // something stood behind the end
	// unread is what follows the end and could not be read by the disk, so that nobody knows whether it was acknowledged.
	unread stretch
	lost   holes
}

// findEnd walks a segment up to its end: only an incomplete last commit is cut; an invalid stretch that a
// later commit follows is kept for the reader to report.
func findEnd(file vfs.File, h *segHeader, size int64) (tailState, error) {
	t := tailState{end: headerBytes, doubtful: headerBytes, lastPos: h.basePos - 1, arrival: h.baseArrival, commit: h.baseCommit}
	s := &scan{file: file, salt: h.salt, end: size}
	w := commitWalk{t: &t, start: headerBytes}
	for off := int64(headerBytes); ; {
		fh, ok, err := s.header(off)
		if err != nil {
			return t, err
		}
		if ok && fh.commit >= t.commit {
			if fh.flags&flagSeal != 0 {
				// All before it was acknowledged; what cannot be read of it is damage, for the reader to report.
				t.sealed = true
				t.end, t.doubtful = off, off
				t.lastPos, t.arrival = fh.firstPos-1, fh.arrival
				return t, nil
			}
			w.frame(off, fh)
			off += fh.size()
			continue
		}
		at, found, err := laterCommit(s, off, t.end, w.seen())
		if err != nil {
			return t, err
		}
		if !found {
			t.torn = w.open
			if err := w.unread(s, off, frameHeaderBytes); err != nil {
				return t, err
			}
			if w.open {
				t.doubtful = t.end // a commit is begun only after the sync of the one before
				return t, nil
			}
			return t, w.checkLast(s)
		}
		off = at
	}
}

// laterCommit finds where valid frames go on behind an invalid stretch at off, if that stretch was ever acknowledged:
// a later commit must exist than the one that the stretch belongs to.
func laterCommit(s *scan, off, commitEnd int64, commit uint64) (int64, bool, error) {
	at, h, ok, err := s.find(off+1, commit-1)
	if err != nil || !ok {
		return 0, false, err
	}
	if int64(h.prevCommit) > commitEnd {
		return at, true, nil // the stretch holds whole commits
	}
	for next := at; ; { // same commit as the stretch: it counts only if another came after it
		n, nh, ok, err := s.find(next+1, h.commit)
		if err != nil || !ok {
			return 0, false, err
		}
		if nh.commit > h.commit {
			return at, true, nil
		}
		next = n
	}
}

// commitWalk follows which frames of a commit were seen.
type commitWalk struct {
	t      *tailState
	start  int64 // of the last complete commit
	begin  int64 // of the commit that is open
	number uint64
	open   bool
	before tailState // the state before the last complete commit
}

func (w *commitWalk) seen() uint64 {
	if w.open {
		return w.number
	}
	return w.t.commit + 1
}

func (w *commitWalk) frame(off int64, h frameHeader) {
	if !w.open || h.commit != w.number {
		w.open, w.number, w.begin = true, h.commit, off
	}
	if h.index+1 < h.of {
		return
	}
	w.before = *w.t
	w.start = w.begin
	w.open = false
	w.t.end, w.t.commit, w.t.doubtful = off+h.size(), h.commit, w.start
	w.t.lastPos, w.t.arrival = h.lastPos(), h.arrival
}

// checkLast reads the payload of the last complete commit: it is the only one whose sync may never have returned.
func (w *commitWalk) checkLast(s *scan) error {
	if w.t.end == headerBytes {
		return nil
	}
	s.win.forget()
	for off := w.start; off < w.t.end; {
		h, ok, err := s.header(off)
		if err != nil {
			return err
		}
		good := ok
		if ok {
			s.win.forget()
			if good, err = s.intact(off, &h); err != nil {
				return err
			}
		}
		if !good {
			*w.t = w.before
			w.t.torn = true
			w.t.doubtful = w.t.end
			return w.unread(s, off, max(h.size(), frameHeaderBytes))
		}
		off += h.size()
	}
	return nil
}

// unread notes that the walk ended because the disk could not read the n bytes at off. What may have stood there reaches to the last frame
// behind it, or is one put.
func (w *commitWalk) unread(s *scan, off, n int64) error {
	hole, count := s.win.lost.within(off, n)
	if count == 0 {
		return nil
	}
	w.t.unread = stretch{w.t.end, min(hole.end+record.MaxPutBytes, s.end)}
	for {
		at, h, ok, err := s.find(off+1, 0)
		if err != nil || !ok {
			w.t.lost = s.win.lost
			return err
		}
		for off = at; ok && err == nil; h, ok, err = s.header(off) {
			off += h.size()
		}
		if err != nil {
			return err
		}
		w.t.unread.end = max(w.t.unread.end, off)
	}
}
