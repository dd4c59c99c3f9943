package bodies

import (
	"errors"
	"net/http"
	"time"
)

// guard cuts clients that stall or drip. It moves the connection's read deadline ahead as bytes arrive.
type guard struct {
	rc     *http.ResponseController
	limits Limits
	end    time.Time // when the body must be there, were it empty
	armed  time.Time // the deadline that stands
	off    bool      // the connection knows no deadlines (tests without a socket); the total still counts
}

func newGuard(w http.ResponseWriter, l Limits) *guard {
	return &guard{rc: http.NewResponseController(w), limits: l, end: time.Now().Add(l.Grace)}
}

// slack is by how much a stall may last longer than it should, to spare calls into the poller.
const slack = 8 // parts of Stall

// arm prepares for one more read after got bytes.
func (g *guard) arm(got int64) error {
	now := time.Now()
	end := g.end.Add(time.Duration(got) * time.Second / time.Duration(g.limits.MinRate))
	if now.After(end) {
		return ErrTimeout
	}
	deadline := now.Add(g.limits.Stall + g.limits.Stall/slack)
	if end.Before(deadline) {
		deadline = end
	}
	if g.off || (!g.armed.IsZero() && deadline.Sub(g.armed) < g.limits.Stall/slack) {
		return nil
	}
	if err := g.rc.SetReadDeadline(deadline); err != nil {
		g.off = errors.Is(err, http.ErrNotSupported)
		if !g.off {
			return readError(err)
		}
	}
	g.armed = deadline
	return nil
}

// pause forgives the client time that it waited for us.
func (g *guard) pause(d time.Duration) {
	g.end = g.end.Add(d)
	if d > 0 {
		g.armed = time.Time{}
	}
}

// done ends the watch. After a success the deadline goes: it would cancel the request's context while the
// log is still syncing. After a failure one stays, because the server reads on to find the next request.
func (g *guard) done(err error) {
	if g.off {
		return
	}
	var deadline time.Time
	if err != nil {
		deadline = time.Now().Add(g.limits.Stall / 2)
	}
	_ = g.rc.SetReadDeadline(deadline) // a connection that refuses it is broken, and reading will say so
}

// The limits of Server.
const (
	headerTimeout  = 10 * time.Second
	bodyTimeout    = 30 * time.Second // for handlers that do not read their body through a Reader
	idleTimeout    = 2 * time.Minute
	answerTimeout  = 6 * time.Minute // longer than the slowest body Limits allow by default, and the append
	maxHeaderBytes = 64 << 10
)

// Server returns a server for addr with the time and size limits that belong to this package's reader:
// 10 s for the header, 64 KB of headers, 2 min of idling. The caller runs and stops it.
func Server(addr string, handler http.Handler) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
}
