package opensearch

import (
	"errors"
	"fmt"
	"sync"
)

// errPassword: nobody told us the password. No request was made.
var errPassword = errors.New("the password cannot be had")

// password remembers what ask said until a server refuses it. Safe for concurrent use; ask is called by one at a time.
type password struct {
	ask func() (string, error)

	mu    sync.Mutex
	known bool
	value string
}

func (p *password) get() (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known {
		return p.value, nil
	}
	v, err := p.ask()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errPassword, err)
	}
	p.value, p.known = v, true
	return v, nil
}

// refused forgets a password that a server did not accept, unless a newer one is known by now.
func (p *password) refused(v string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.value == v {
		p.value, p.known = "", false
	}
}
