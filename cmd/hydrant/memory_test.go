package main

import (
	"math"
	"runtime/debug"
	"testing"
)

func TestMemoryDefaultsLeaveTheEnvironmentItsWord(t *testing.T) {
	percent, limit := debug.SetGCPercent(77), debug.SetMemoryLimit(math.MaxInt64)
	t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })
	tuneMemory(func(string) (string, bool) { return "", true })
	if got := debug.SetGCPercent(77); got != 77 || debug.SetMemoryLimit(-1) != math.MaxInt64 {
		t.Errorf("the environment was overridden: %d", got)
	}
	tuneMemory(func(string) (string, bool) { return "", false })
	if got := debug.SetGCPercent(77); got != defaultGCPercent || debug.SetMemoryLimit(-1) != defaultMemoryLimit {
		t.Errorf("no defaults were set: %d", got)
	}
}
