package loadgen

import (
	"math/bits"
	"time"
)

const (
	subBits    = 7
	subBuckets = 1 << subBits
	maxShift   = 28
)

// Histogram counts durations up to 9 hours in microseconds, each within 1 % of its value, in a fixed amount of memory.
// The zero value is empty. Not for concurrent use.
type Histogram struct {
	counts [(maxShift + 2) * subBuckets]int64
	total  int64
	max    time.Duration
}

// Add counts one duration.
func (h *Histogram) Add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
	h.max = max(h.max, d)
}

// Merge adds what another one counted.
func (h *Histogram) Merge(o *Histogram) {
	for i, n := range o.counts {
		h.counts[i] += n
	}
	h.total += o.total
	h.max = max(h.max, o.max)
}

// Count is how many durations there are.
func (h *Histogram) Count() int64 { return h.total }

// Max is the longest, exactly; 0 when there is none.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is the duration that a share q (0 to 1) of all did not exceed; 0 when there is none.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := int64(q*float64(h.total-1)) + 1
	seen := int64(0)
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= rank {
			if i == len(h.counts)-1 {
				break // all that is longer than the buckets reach
			}
			return min(upperBound(i), h.max)
		}
	}
	return h.max
}

func bucketOf(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < subBuckets {
		return int(us)
	}
	shift := bits.Len64(us) - subBits - 1
	if shift > maxShift {
		return (maxShift+2)*subBuckets - 1
	}
	return (shift+1)*subBuckets + int(us>>shift) - subBuckets
}

// upperBound is the longest duration of a bucket.
func upperBound(i int) time.Duration {
	if i < subBuckets {
		return time.Duration(i+1)*time.Microsecond - 1
	}
	shift := i/subBuckets - 1
	return time.Duration(uint64(i%subBuckets+subBuckets+1)<<shift)*time.Microsecond - 1
}
