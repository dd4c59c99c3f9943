package journal

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"hydrant/record"
)

// Set is a compressed set of derived records, by position and number among those that were made of one record.
// Not safe for concurrent use while it changes.
type Set struct{ b *roaring64.Bitmap }

// subShift leaves 2^48 positions: at a million records a second, nine years of one log.
const subShift = 48

// MaxPosition is the highest position that a Set can hold.
const MaxPosition record.Position = 1<<subShift - 1

// place puts the records numbered 0, which are nearly all, side by side.
func place(pos record.Position, sub uint16) uint64 { return uint64(sub)<<subShift | uint64(pos) }

// NewSet returns an empty set.
func NewSet() *Set { return &Set{roaring64.New()} }

// Add puts one in.
func (s *Set) Add(pos record.Position, sub uint16) { s.b.Add(place(pos, sub)) }

// Has says whether it is in. A nil Set is empty.
func (s *Set) Has(pos record.Position, sub uint16) bool {
	return s != nil && s.b.Contains(place(pos, sub))
}

// HasAny says whether anything that was made of the record is in.
func (s *Set) HasAny(pos record.Position) bool {
	if s.Empty() {
		return false
	}
	for sub := uint64(0); ; sub++ { // only as far as there are any
		next := sub << subShift
		if s.b.Contains(next | uint64(pos)) {
			return true
		}
		if s.b.Maximum() < next+1<<subShift {
			return false
		}
	}
}

// Or adds all of another set, which may be nil.
func (s *Set) Or(o *Set) {
	if o != nil {
		s.b.Or(o.b)
	}
}

// Minus returns what is in s and not in o.
func (s *Set) Minus(o *Set) *Set { return &Set{roaring64.AndNot(s.b, o.b)} }

// Clone returns a copy; of nil an empty one.
func (s *Set) Clone() *Set {
	if s == nil {
		return NewSet()
	}
	return &Set{s.b.Clone()}
}

// RemoveBelow takes out everything that was made of records below pos.
func (s *Set) RemoveBelow(pos record.Position) {
	if s.Empty() {
		return
	}
	for sub := range s.b.Maximum()>>subShift + 1 {
		s.b.RemoveRange(sub<<subShift, sub<<subShift|uint64(pos))
	}
}

// Between returns the part that was made of records from first to last.
func (s *Set) Between(first, last record.Position) *Set {
	c := s.Clone()
	c.RemoveBelow(first)
	if c.Empty() {
		return c
	}
	for sub := range c.b.Maximum()>>subShift + 1 {
		c.b.RemoveRange(sub<<subShift|uint64(last+1), (sub+1)<<subShift)
	}
	return c
}

// FirstBelow is how many of those numbered 0 were made of records below pos.
func (s *Set) FirstBelow(pos record.Position) int {
	if s.Empty() || pos == 0 {
		return 0
	}
	return int(s.b.Rank(place(pos-1, 0)))
}

// Empty says whether nothing is in. A nil Set is empty.
func (s *Set) Empty() bool { return s == nil || s.b.IsEmpty() }

// Len is how many are in.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return int(min(s.b.GetCardinality(), math.MaxInt))
}

// Pack makes the set small. From then on it may be read by many.
func (s *Set) Pack() *Set {
	s.b.RunOptimize()
	return s
}

// MarshalJSON writes the portable form of Roaring bitmaps in base64.
func (s *Set) MarshalJSON() ([]byte, error) {
	b, err := s.b.ToBytes()
	if err != nil {
		return nil, fmt.Errorf("set of positions: %w", err)
	}
	return json.Marshal(b)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *Set) UnmarshalJSON(text []byte) error {
	var b []byte
	if err := json.Unmarshal(text, &b); err != nil {
		return fmt.Errorf("set of positions: %w", err)
	}
	s.b = roaring64.New()
	if err := s.b.UnmarshalBinary(b); err != nil {
		return fmt.Errorf("set of positions: %w", err)
	}
	return nil
}
