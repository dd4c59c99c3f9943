package vfs

import "golang.org/x/sys/unix"

// dataSync makes data and size durable, without the times of the inode.
func dataSync(fd int) error { return unix.Fdatasync(fd) }
