package redshift

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
)

// maxKept bounds the submissions that are remembered. One that is forgotten gets a new token, and the ledger decides.
const maxKept = 1024

// submission is what was sent, to the letter: the same token with other statements is refused.
type submission struct {
	token string
	sqls  []string
}

// submissions gives each submission a token of its own, and the old one to those whose answer was lost.
type submissions struct {
	salt [16]byte // of this process, so that no token meets one of an earlier life

	mu   sync.Mutex
	next map[string]submission // by batch: to be repeated
	n    uint64
}

func newSubmissions() *submissions {
	s := &submissions{next: map[string]submission{}}
	_, _ = rand.Read(s.salt[:]) // never fails
	return s
}

// take says what to send for a batch, and whether that is a repetition.
func (s *submissions) take(id string, sqls []string) (sub submission, again bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sub, again = s.next[id]; again {
		delete(s.next, id)
		return sub, true
	}
	s.n++
	return submission{s.token(id, s.n), sqls}, false
}

// keep remembers one whose answer was lost.
func (s *submissions) keep(id string, sub submission) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != "" && len(s.next) < maxKept {
		s.next[id] = sub
	}
}

// token has the shape of a UUID.
func (s *submissions) token(id string, n uint64) string {
	h := sha256.Sum256(append(binary.BigEndian.AppendUint64(s.salt[:len(s.salt):len(s.salt)], n), id...))
	h[6], h[8] = h[6]&0x0f|0x80, h[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}
