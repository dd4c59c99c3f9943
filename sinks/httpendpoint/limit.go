package httpendpoint

import "sync"

const (
	minLimitBytes = 4 << 10 // a lower limit would make more requests than it saves
	growAfter     = 128     // requests taken in a row, after which twice the bytes are tried
)

// limit is how many bytes of record data the endpoint is believed to take at once. It falls when a request is refused for its size and
// comes back slowly, so that a server's short-lived mistake is not remembered for ever.
type limit struct {
	max int64

	mu     sync.Mutex
	now    int64
	lowest int64 // that was reported
	taken  int   // requests since it changed
}

func newLimit(maxBytes int64) *limit { return &limit{max: maxBytes, now: maxBytes, lowest: maxBytes} }

func (l *limit) bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

// refused notes that a request with so many bytes of data was too large. It returns the limit from now on, and whether it is lower than
// ever before.
func (l *limit) refused(bytes int64) (now int64, news bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = min(l.now, max(bytes/2, min(minLimitBytes, l.max)))
	l.taken = 0
	news = l.now < l.lowest
	l.lowest = min(l.lowest, l.now)
	return l.now, news
}

func (l *limit) accepted() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now == l.max {
		return
	}
	if l.taken++; l.taken >= growAfter {
		l.now, l.taken = min(2*l.now, l.max), 0
	}
}
