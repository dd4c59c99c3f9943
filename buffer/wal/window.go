package wal

import "hydrant/internal/vfs"

// window is a stretch of a file in memory, read ahead so that small frames do not cost a call each.
type window struct {
	buf  []byte
	off  int64
	lost holes // what the disk could not read, wherever this window was
}

const (
	aheadSmall = 128 << 10 // behind small frames
	aheadLarge = 4 << 10   // behind frames that are larger than what reading ahead would bring
)

// at returns n bytes of f from off, reading up to ahead more but nothing at or behind end.
// It returns fewer when the file is shorter; what the disk cannot read is zeros. The bytes are valid until the next call.
func (w *window) at(f vfs.File, off int64, n, ahead int, end int64) ([]byte, error) {
	if off >= w.off && off+int64(n) <= w.off+int64(len(w.buf)) {
		from := off - w.off
		return w.buf[from : from+int64(n)], nil
	}
	want := int(min(int64(max(n, ahead)), end-off))
	if want < n {
		return nil, nil
	}
	if cap(w.buf) < want {
		w.buf = make([]byte, want, want+want/8) // the next frame may be a little larger
	}
	w.buf = w.buf[:want]
	w.off = off
	got, err := readAround(f, w.buf, off, &w.lost)
	if err != nil {
		w.buf = w.buf[:0]
		return nil, err
	}
	w.buf = w.buf[:got]
	return w.buf[:min(n, got)], nil
}

func (w *window) forget() { w.buf = w.buf[:0] }
