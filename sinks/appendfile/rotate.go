package appendfile

import (
	"fmt"
	"io"
	"path"
	"strconv"

	"hydrant/internal/vfs"
)

// full says that so many bytes more would make the file too large.
func (t *turn) full(more int64) bool {
	limit := t.r.Size
	return limit > 0 && t.size > 0 && t.size+more > limit
}

// rotated is the name of the n-th rotated file; 0 is the file itself.
func (t *turn) rotated(n int) string {
	if n == 0 {
		return t.c.file
	}
	return t.c.file + "." + strconv.Itoa(n)
}

// rotate moves the file out of the way and opens a new one. No batch may be open.
func (t *turn) rotate() error {
	t.close()
	free, err := t.makeRoom()
	if err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	if err := t.moveAll(free - 1); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	return t.openOrMake()
}

// moveAll gives the rotated files from..0 the next number each.
func (t *turn) moveAll(from int) error {
	for n := from; n >= 0; n-- {
		if err := t.c.note(t.c.moveLine(n), true); err != nil {
			return err
		}
		if err := t.move(n); err != nil {
			return err
		}
	}
	return t.c.note(lineMoved, true) // before a new file takes the name: it must never be taken for one that was about to be moved
}

// move renames one file to the next number, which is free. After a power cut a disk may show a file under both names, so that the sidecar
// must say which renames may be under way: that is always one.
func (t *turn) move(n int) error {
	from, to := t.rotated(n), t.rotated(n+1)
	taken, err := t.s.fs.Exists(to)
	if err != nil {
		return err
	}
	if taken {
		return errInWay
	}
	if err := t.s.fs.Rename(from, to); err != nil {
		return err
	}
	return t.s.fs.SyncDir(path.Dir(t.c.file))
}

// makeRoom finds the lowest number that is free, and removes what is not to be kept.
func (t *turn) makeRoom() (free int, err error) {
	keep := t.r.Keep
	for free = 1; keep == 0 || free <= keep; free++ {
		there, err := t.s.fs.Exists(t.rotated(free))
		if err != nil {
			return 0, err
		}
		if !there {
			break
		}
	}
	if keep == 0 {
		return free, nil
	}
	first := keep + 1
	if free > keep {
		first, free = keep, keep
	}
	return free, t.removeFrom(first)
}

// removeFrom removes the rotated files of this number and those that follow it, the oldest first, so that none is left behind a gap.
func (t *turn) removeFrom(first int) error {
	last := first
	for ; ; last++ {
		there, err := t.s.fs.Exists(t.rotated(last))
		if err != nil {
			return err
		}
		if !there {
			break
		}
	}
	if last == first {
		return nil
	}
	for n := last - 1; n >= first; n-- {
		if err := t.s.fs.Remove(t.rotated(n)); err != nil {
			return err
		}
	}
	return t.s.fs.SyncDir(path.Dir(t.c.file))
}

// finishRotation ends a rotation that was interrupted.
func (t *turn) finishRotation() error {
	n := t.c.moving
	if n < 0 {
		return nil
	}
	given, err := t.finishMove(n)
	if err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	if !given {
		return t.c.note(lineMoved, true) // whether another rotation is needed is seen anew
	}
	if err := t.moveAll(n - 1); err != nil {
		return fmt.Errorf("rotate: %w", err)
	}
	return nil
}

// finishMove ends the one rename that may be half done, and says whether the file has its new name. It has not when somebody else removed files or
// made some under these names meanwhile.
func (t *turn) finishMove(n int) (given bool, err error) {
	from, to := t.rotated(n), t.rotated(n+1)
	old, err := t.s.fs.Exists(from)
	if err != nil {
		return false, err
	}
	done, err := t.s.fs.Exists(to)
	switch {
	case err != nil:
		return false, err
	case !old && !done:
		return false, nil
	case !done:
		return true, t.move(n)
	case old:
		same, err := t.same(from, to)
		if err != nil || !same {
			return false, err
		}
		if err := t.s.fs.Remove(from); err != nil { // the second name of a file that has its new one
			return false, err
		}
	}
	return true, t.s.fs.SyncDir(path.Dir(t.c.file))
}

// same says whether two names lead to the same bytes.
func (t *turn) same(a, b string) (bool, error) {
	x, err := t.s.fs.OpenRead(a)
	if err != nil {
		return false, err
	}
	defer x.Close()
	y, err := t.s.fs.OpenRead(b)
	if err != nil {
		return false, err
	}
	defer y.Close()
	size, err := x.Size()
	if err != nil {
		return false, err
	}
	if other, err := y.Size(); err != nil || other != size {
		return false, err
	}
	return sameBytes(x, y, size)
}

func sameBytes(x, y vfs.File, size int64) (bool, error) {
	p, q := make([]byte, chunkBytes), make([]byte, chunkBytes)
	for off := int64(0); off < size; off += chunkBytes {
		n := min(size-off, chunkBytes)
		if got, err := x.ReadAt(p[:n], off); int64(got) < n {
			return false, unexpected(err)
		}
		if got, err := y.ReadAt(q[:n], off); int64(got) < n {
			return false, unexpected(err)
		}
		if string(p[:n]) != string(q[:n]) {
			return false, nil
		}
	}
	return true, nil
}

// unexpected: a file got shorter while it was read.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
