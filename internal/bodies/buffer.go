package bodies

import "context"

// classes are the sizes of pooled buffers. A body moves up a class when it has filled one, so that
// it never holds much more than eight times what arrived. The largest has room to notice an excess byte.
var classes = [...]int{8 << 10, 64 << 10, 512 << 10, 2 << 20, 6 << 20, 16<<20 + 4096}

// grow moves the body into a larger buffer.
func (b *Body) grow(ctx context.Context, from fillFrom) error {
	class := nextClass(len(b.data), from.declared)
	waited, err := b.owner.budget.acquire(ctx, b.acct, int64(classes[class]))
	if err != nil {
		return err
	}
	if from.guard != nil {
		from.guard.pause(waited)
	}
	data := append(b.owner.take(class), b.data...)
	b.drop()
	b.class, b.data = class, data
	return nil
}

// drop gives the buffer and its share of the budget back.
func (b *Body) drop() {
	if b.class < 0 {
		return
	}
	b.owner.give(b.class, b.data)
	b.owner.budget.release(b.acct, int64(classes[b.class]))
	b.class, b.data = -1, nil
}

// nextClass is the buffer for a body of which n bytes are there: four times as much,
// or less where the declared length (-1: unknown) says that less will do.
func nextClass(n int, declared int64) int {
	want := max(4*n, n+1)
	if declared >= int64(n) && int64(want) > declared+1 {
		want = int(declared) + 1
	}
	for i, size := range classes {
		if size >= want {
			return i
		}
	}
	return len(classes) - 1
}

// pooled wraps a buffer so that putting it into a pool does not allocate a slice header each time it is taken.
type pooled struct{ buf []byte }

func (r *Reader) take(class int) []byte {
	if p, ok := r.pools[class].Get().(*pooled); ok {
		return p.buf[:0]
	}
	return make([]byte, 0, classes[class])
}

func (r *Reader) give(class int, buf []byte) {
	if class >= 0 {
		r.pools[class].Put(&pooled{buf})
	}
}
