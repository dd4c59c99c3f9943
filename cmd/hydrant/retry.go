package main

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// retryAfter is how long an answer asks to wait, within 50 ms and 30 s; without such a wish it doubles from 200 ms to 5 s.
func retryAfter(h http.Header, attempt int) time.Duration {
	wait := min(200*time.Millisecond<<min(attempt, 10), 5*time.Second)
	if ms, err := strconv.ParseInt(h.Get("X-Amz-Retry-After"), 10, 64); err == nil {
		wait = time.Duration(min(ms, 30_000)) * time.Millisecond
	} else if s, err := strconv.ParseInt(h.Get("Retry-After"), 10, 64); err == nil {
		wait = time.Duration(min(s, 30)) * time.Second
	}
	return max(wait, 50*time.Millisecond)
}

// notSent says whether a call failed before anything reached the daemon.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
