package spool

import (
	"sync"
	"sync/atomic"
)

const (
	chunkBytes       = 32 << 10
	defaultTotal     = 64 << 20
	defaultPerBuffer = 1 << 20
)

type chunk [chunkBytes]byte

// Budget is the memory that Buffers share, and the count of what they have on disk. Safe for concurrent use.
//
// Memory is counted in chunks of 32 KiB. Each open Buffer that went to a file keeps one chunk to gather small writes,
// even when the budget is used up: the bound is the budget and 32 KiB for each open Buffer.
type Budget struct {
	total     int64
	perBuffer int64
	used      atomic.Int64
	disk      atomic.Int64
	pool      sync.Pool // of *chunk
}

// NewBudget returns a budget of total bytes, of which one Buffer takes at most perBuffer before it goes to a file.
// Zero stands for 64 MiB and 1 MiB; below zero for no memory at all.
func NewBudget(total, perBuffer int64) *Budget {
	if total == 0 {
		total = defaultTotal
	}
	if perBuffer == 0 {
		perBuffer = defaultPerBuffer
	}
	b := &Budget{total: total, perBuffer: perBuffer}
	b.pool.New = func() any { return new(chunk) }
	return b
}

// MemoryBytes is the memory that open Buffers hold now.
func (b *Budget) MemoryBytes() int64 { return b.used.Load() }

// DiskBytes is the disk space that open Buffers hold now.
func (b *Budget) DiskBytes() int64 { return b.disk.Load() }

// take returns nil when the budget is used up.
func (b *Budget) take() *chunk {
	for {
		used := b.used.Load()
		if used+chunkBytes > b.total {
			return nil
		}
		if b.used.CompareAndSwap(used, used+chunkBytes) {
			return b.pool.Get().(*chunk)
		}
	}
}

func (b *Budget) takeAnyway() *chunk {
	b.used.Add(chunkBytes)
	return b.pool.Get().(*chunk)
}

func (b *Budget) giveBack(c *chunk) {
	b.used.Add(-chunkBytes)
	b.pool.Put(c)
}
