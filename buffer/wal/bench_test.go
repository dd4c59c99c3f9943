package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"hydrant/internal/vfs"
	"hydrant/record"
)

// benchRig is a log on the disk that holds the temporary folder.
func benchRig(b *testing.B, change ...func(*Options)) *rig {
	b.Helper()
	dir, fs := b.TempDir(), vfs.NewOS()
	return openRig(b, fs, 0, append(change, func(o *Options) {
		for _, d := range []string{dir + "/log", dir + "/pool"} {
			if err := vfs.MkdirAll(fs, d); err != nil {
				b.Fatal(err)
			}
		}
		pool, err := OpenPool(fs, dir+"/pool", NewGuard(fs, dir, 0), 4, o.Pool.logger)
		if err != nil {
			b.Fatal(err)
		}
		o.Dir, o.Pool = dir+"/log", pool
		o.Share = pool.guard.NewShare(0, 0)
	})...)
}

// BenchmarkAppend is what producers see: each connection sends its next put when the last one was acknowledged. What was
// delivered is trimmed on the way, so that segments come back from the pool.
func BenchmarkAppend(b *testing.B) {
	for _, shape := range []struct {
		name    string
		records int
		size    int
	}{{"1KB", 1, 1 << 10}, {"335KB", 335, 1 << 10}} {
		for _, conns := range []int{1, 16, 64} {
			b.Run(fmt.Sprintf("%s/%d", shape.name, conns), func(b *testing.B) {
				appendFrom(b, conns, shape.records, shape.size)
			})
		}
	}
}

func appendFrom(b *testing.B, conns, records, size int) {
	var syncs atomic.Int64
	r := benchRig(b, func(o *Options) { o.Synced = func(time.Duration) { syncs.Add(1) } })
	data := make([]byte, size)
	latency := make([][]time.Duration, conns)
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.SetBytes(int64(records * size))
	b.ResetTimer()
	for c := range conns {
		wg.Go(func() {
			for n := left.Add(-1); n >= 0; n = left.Add(-1) {
				put := record.NewPut()
				put.Grow(records * size)
				for range records {
					put.Add(data)
				}
				began := time.Now()
				if _, err := r.log.Append(context.Background(), put); err != nil {
					b.Error(err)
					return
				}
				latency[c] = append(latency[c], time.Since(began))
				put.Release()
				if n%64 == 0 {
					if err := r.log.Trim(r.log.End(), 1<<62); err != nil {
						b.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(latency...)
	slices.Sort(all)
	b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "recs/s")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(b.N)/float64(max(1, syncs.Load())), "puts/sync")
	r.log.opt.Pool.Close()
	r.close(b)
}

// BenchmarkRead reads a log from its start, every record.
func BenchmarkRead(b *testing.B) {
	for _, size := range []int{100, 1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			r := benchRig(b)
			data := make([]byte, size)
			total, records := 0, 0
			for total < 64<<20 {
				put := record.NewPut()
				for range max(1, 100<<10/size) {
					put.Add(data)
				}
				if _, err := r.log.Append(context.Background(), put); err != nil {
					b.Fatal(err)
				}
				total += put.Bytes()
				records += put.Count()
				put.Release()
			}
			b.SetBytes(int64(total))
			b.ResetTimer()
			for range b.N {
				readWhole(b, r.log, records)
			}
			b.ReportMetric(float64(b.N*records)/b.Elapsed().Seconds(), "recs/s")
			b.StopTimer()
			r.log.opt.Pool.Close()
			r.close(b)
		})
	}
}

func readWhole(b *testing.B, l *Log, want int) {
	rd := l.NewReader(0)
	defer rd.Close()
	n := 0
	for {
		f, err := rd.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Records(0, noPosition, func(record.Record) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	if n != want {
		b.Fatalf("%d records of %d", n, want)
	}
}
