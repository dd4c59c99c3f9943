package main

import (
	"context"
	"fmt"
	"time"
)

// killPhase kills the daemon at random moments while S3 fails at random, until there were enough of both.
func killPhase(ctx context.Context, o *options, dir string, n int) (*world, error) {
	w, err := newWorld(ctx, o, dir, "s3")
	if err != nil {
		return w, err
	}
	if err := w.begin(); err != nil {
		return w, err
	}
	began := time.Now()
	deadline := began.Add(o.duration + 10*time.Minute + time.Duration(n)*o.pace*4)
	for kills := 0; ; {
		if err := w.sleep(ctx, w.interval()); err != nil {
			return w, err
		}
		if kills >= n && time.Since(began) >= o.duration && w.proxy.counted(storedError) >= o.afterStore {
			fmt.Printf("%d kills in %v\n", kills, time.Since(began).Round(time.Second))
			return w, w.drain()
		}
		if time.Now().After(deadline) {
			return w, fmt.Errorf("only %d kills and %d answers of 500 after store before the deadline", kills, w.proxy.counted(storedError))
		}
		if w.rnd.IntN(8) == 0 {
			w.proxy.breakFor(time.Duration(w.rnd.IntN(3000)) * time.Millisecond)
		}
		w.daemon.kill()
		kills++
		if w.rnd.IntN(4) == 0 { // sometimes it stays down for a while
			time.Sleep(time.Duration(w.rnd.IntN(1500)) * time.Millisecond)
		}
		if err := w.edit(); err != nil {
			return w, err
		}
		if err := w.daemon.start(); err != nil {
			return w, fmt.Errorf("start after kill %d: %w", kills, err)
		}
	}
}
