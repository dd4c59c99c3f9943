//go:build unix && !linux

package vfs

import "golang.org/x/sys/unix"

// dataSync is a whole fsync where the system has no fdatasync.
func dataSync(fd int) error { return unix.Fsync(fd) }
