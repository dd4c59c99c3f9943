package wal

import (
	"errors"
	"math/rand"

	"hydrant/internal/vfs"
)

// randomCrash keeps what was not synced by chance.
func randomCrash(seed int64, keep float64) vfs.CrashOptions {
	return vfs.CrashOptions{Rand: rand.New(rand.NewSource(seed)), KeepUnsynced: keep}
}

var errInjected = errors.New("injected")
