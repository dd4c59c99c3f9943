// Package tokens knows who may send: by secrets that senders show as they are, in a header. It looks the secrets up again while the
// daemon runs, so that a file or a variable that changed is followed. What a token allows is its owner's business.
package tokens

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io/fs"
	"log/slog"
	"sync"
	"time"
)

// Every is how long a secret that was looked up is used before it is looked up again.
const Every = 5 * time.Second

// Token is a secret and what it is good for.
type Token struct {
	Name   string                           // of the sender; "" when it has none
	Reveal func() (string, error)           // looks the secret up
	Allows func(action, stream string) bool // safe for concurrent use
}

// What Check answers.
var (
	ErrNone      = errors.New("no token was shown")
	ErrUnknown   = errors.New("the token is not known")
	ErrForbidden = errors.New("the token does not allow this")
)

// Set is safe for concurrent use.
type Set struct {
	tokens []Token
	logger *slog.Logger

	mu     sync.Mutex
	sums   []sum
	looked time.Time
}

// sum is what is kept of a secret. Sums are of one length, so that comparing them tells nothing of the secrets'.
type sum struct {
	of    [sha256.Size]byte
	there bool
	told  bool // that it cannot be looked up
}

// New makes a set; logger may be nil. No secret is looked up before the first Check.
func New(tokens []Token, logger *slog.Logger) *Set {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Set{tokens: tokens, logger: logger, sums: make([]sum, len(tokens))}
}

// Check says whether whoever shows this secret may do that, and the token's name. Two tokens with one secret allow what any of them does.
func (s *Set) Check(secret, action, stream string) (name string, err error) {
	if secret == "" {
		return "", ErrNone
	}
	shown := sha256.Sum256([]byte(secret))
	err = ErrUnknown
	for i, is := range s.same(shown) {
		if !is || err == nil {
			continue
		}
		if s.tokens[i].Allows(action, stream) {
			name, err = s.tokens[i].Name, nil
		} else {
			err = ErrForbidden
		}
	}
	return name, err
}

// same says of each token whether its secret has this sum. How long it takes does not depend on which.
func (s *Set) same(shown [sha256.Size]byte) []bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.looked.IsZero() || now.Sub(s.looked) >= Every {
		s.looked = now
		for i := range s.sums {
			s.look(i)
		}
	}
	out := make([]bool, len(s.sums))
	for i := range s.sums {
		out[i] = subtle.ConstantTimeCompare(shown[:], s.sums[i].of[:]) == 1 && s.sums[i].there
	}
	return out
}

// look reads a secret. One that is gone is good no more; one that cannot be read for another reason, such as too many open files, is
// good as it was.
func (s *Set) look(i int) {
	was := s.sums[i]
	secret, err := s.tokens[i].Reveal()
	switch {
	case err == nil && secret != "":
		s.sums[i] = sum{of: sha256.Sum256([]byte(secret)), there: true}
		if was.told {
			s.logger.Info("a token can be looked up again", slog.String("token", s.tokens[i].Name), slog.Int("number", i))
		}
		return
	case err == nil:
		err = errors.New("it is empty")
		s.sums[i] = sum{}
	case errors.Is(err, fs.ErrNotExist):
		s.sums[i] = sum{}
	}
	if s.sums[i].told = true; !was.told {
		s.logger.Error("a token cannot be looked up", slog.String("token", s.tokens[i].Name), slog.Int("number", i),
			slog.Bool("still_good", s.sums[i].there), slog.Any("err", err))
	}
}
