package main

import "runtime/debug"

// Memory defaults. The daemon's heap is small and turns over quickly: request bodies and encoders. The limit is soft: above
// it the collector works harder, so that a burst of large bodies does not become a large process.
const (
	defaultGCPercent   = 50
	defaultMemoryLimit = 104 << 20
)

// tuneMemory sets the collector's defaults where the environment does not decide.
func tuneMemory(env func(string) (string, bool)) {
	if _, set := env("GOGC"); !set {
		debug.SetGCPercent(defaultGCPercent)
	}
	if _, set := env("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(defaultMemoryLimit)
	}
}
