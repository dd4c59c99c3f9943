package opensearch

import "sync"

const (
	minBytes  = 64 << 10 // that a refusal for size leaves at least
	calmAfter = 32       // requests that are taken before a limit grows again
)

// pace is how much the cluster is given: halved when it says that it is too much, and a step more whenever it has taken calmAfter
// requests since. Safe for concurrent use.
type pace struct {
	mu            sync.Mutex
	maxConcurrent int
	concurrent    int
	maxBytes      int64
	bytes         int64
	halvings      int // of concurrent
	calm, large   int // requests that were taken since a limit changed; large ones are near the limit in bytes
}

func (p *pace) init(maxBytes int64, maxConcurrent int) {
	p.maxBytes, p.bytes, p.maxConcurrent, p.concurrent = maxBytes, maxBytes, maxConcurrent, maxConcurrent
}

func (p *pace) limits() (bytes int64, concurrent int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes, p.concurrent
}

// begin marks the start of a request; what it returns goes to busy.
func (p *pace) begin() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.halvings
}

// busy halves the requests at once. Several that were under way together and all learn the same count once.
func (p *pace) busy(began int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if began == p.halvings {
		p.halvings++
		p.concurrent = max(1, p.concurrent/2)
	}
	p.calm = 0
}

// tooLarge halves the bytes of a request, as one of this size was refused. It says whether that changes anything: a single record may be
// larger than the limit, and says nothing about it.
func (p *pace) tooLarge(size int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.large = 0
	if size > p.bytes {
		return false
	}
	was := p.bytes
	p.bytes = max(min(minBytes, p.maxBytes), size/2)
	return p.bytes < was
}

// taken counts a request of this size that went through.
func (p *pace) taken(size int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calm++; p.calm >= calmAfter {
		p.calm = 0
		p.concurrent = min(p.maxConcurrent, p.concurrent+1)
	}
	if size >= p.bytes/2 {
		p.large++
	}
	if p.large >= calmAfter {
		p.large = 0
		p.bytes = min(p.maxBytes, p.bytes+max(minBytes, p.maxBytes/64))
	}
}
