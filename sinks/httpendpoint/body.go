package httpendpoint

import (
	"errors"
	"io"
	"sync"
)

var errEnded = errors.New("the attempt is over")

// body hands a buffer to the transport, which may go on reading it in a goroutine of its own after the attempt is over. From end on
// it gets nothing more, so that the buffer can be used again.
type body struct {
	mu    sync.Mutex
	data  []byte
	at    int
	ended bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended {
		return 0, errEnded
	}
	n := copy(p, b.data[b.at:])
	b.at += n
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Close implements io.Closer. The transport calls it at any time; end is what counts.
func (b *body) Close() error { return nil }

// whole says whether everything was handed out: who has not been sent everything cannot have taken it, whatever he answers.
func (b *body) whole() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at == len(b.data)
}

func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended, b.data, b.at = true, nil, 0
}
