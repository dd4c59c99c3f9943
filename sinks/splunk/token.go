package splunk

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// errToken: there is no token to send with.
var errToken = errors.New("no token")

// tokens keeps the token until it is refused. Whoever finds none asks for it; the others wait.
type tokens struct {
	ask func() (string, error)

	mu    sync.Mutex
	value string // "" when it must be asked for
}

func (t *tokens) get() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value != "" {
		return t.value, nil
	}
	v, err := t.ask()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errToken, err)
	}
	v = strings.TrimSpace(v) // files end with a newline
	if v == "" || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", fmt.Errorf("%w: it is empty or holds control characters", errToken)
	}
	t.value = v
	return v, nil
}

// refused forgets a token, unless a newer one has taken its place.
func (t *tokens) refused(used string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.value == used {
		t.value = ""
	}
}
