package opensearch

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/opensearch-project/opensearch-go/v4/opensearchtransport"
)

// restFor is how long a node is passed over that did not answer.
const restFor = 10 * time.Second

// nodes takes the nodes in turn, and passes over those that did not answer lately. Where none did, the one that has rested longest is
// asked. It is the library's router: that is where requests get the URL of their node. Safe for concurrent use.
type nodes struct {
	mu   sync.Mutex
	all  []*node
	next int
}

type node struct {
	conn  *opensearchtransport.Connection
	until time.Time // it rests; zero: it does not
}

// pick returns the next node. One whose rest is over is given to a single request, which will show whether it is back; meanwhile the
// others go on passing it over.
func (n *nodes) pick() *node {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	var best *node
	bestAt := 0
	for i := range n.all {
		at := (n.next + i) % len(n.all)
		x := n.all[at]
		if !x.until.After(now) {
			n.next = at + 1
			if !x.until.IsZero() {
				x.until = now.Add(restFor)
			}
			return x
		}
		if best == nil || x.until.Before(best.until) {
			best, bestAt = x, at
		}
	}
	n.next = bestAt + 1
	best.until = now.Add(restFor)
	return best
}

// answered notes that a node is there, or is not.
func (n *nodes) answered(x *node, yes bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if yes {
		x.until = time.Time{}
	} else {
		x.until = time.Now().Add(restFor)
	}
}

// Route implements opensearchtransport.Router.
func (n *nodes) Route(ctx context.Context, _ *http.Request) (opensearchtransport.NextHop, error) {
	x := n.pick()
	if a := attemptOf(ctx); a != nil {
		a.node = x
	}
	return opensearchtransport.NextHop{Conn: x.conn}, nil
}

// DiscoveryUpdate implements opensearchtransport.Router. It is called once, with the nodes of the configuration.
func (n *nodes) DiscoveryUpdate(added, _, _ []*opensearchtransport.Connection) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range added {
		n.all = append(n.all, &node{conn: c})
	}
	return nil
}

// OnSuccess implements opensearchtransport.Router. It does not know why an attempt ended; the sink calls answered.
func (n *nodes) OnSuccess(*opensearchtransport.Connection) {}

// OnFailure implements opensearchtransport.Router.
func (n *nodes) OnFailure(*opensearchtransport.Connection) error { return nil }

// CheckDead implements opensearchtransport.Router.
func (n *nodes) CheckDead(context.Context, opensearchtransport.HealthCheckFunc) error { return nil }

// RotateStandby implements opensearchtransport.Router.
func (n *nodes) RotateStandby(context.Context, int) (int, error) { return 0, nil }
