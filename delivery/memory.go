package delivery

import "sync"

// Memory is what the requests under way may take together, of all streams. Nobody waits for it, so that destinations that hang slow nobody
// else: the less is left, the smaller requests become, down to a size that everybody is granted. Safe for concurrent use.
type Memory struct {
	mu          sync.Mutex
	left, least int64
}

// NewMemory grants total bytes, and least to whoever comes when less is left.
func NewMemory(total, least int64) *Memory { return &Memory{left: total, least: least} }

// take grants at most want bytes, never more than half of what is left.
func (m *Memory) take(want int64) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := min(want, max(m.least, m.left/2))
	m.left -= n
	return n
}

func (m *Memory) give(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left += n
}
