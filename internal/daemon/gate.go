package daemon

import "sync"

// gate lets puts in until it is closed, and tells when the last one has left. Safe for concurrent use.
type gate struct {
	mu     sync.Mutex
	closed bool
	inside int
	empty  chan struct{} // made by close, closed when nobody is inside any more
}

// enter is false behind a closed gate; else leave must follow.
func (g *gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside++
	return true
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside--; g.inside == 0 && g.closed {
		close(g.empty)
	}
}

// close lets nobody in from now on. The channel is closed when those inside have left.
func (g *gate) close() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed {
		g.closed, g.empty = true, make(chan struct{})
		if g.inside == 0 {
			close(g.empty)
		}
	}
	return g.empty
}
