package opensearch

import (
	"log/slog"
	"sync"
	"time"
)

// warnEvery is the least time between two warnings about the same.
const warnEvery = time.Minute

// throttledLog warns about each kind of thing once in warnEvery. Safe for concurrent use.
type throttledLog struct {
	log *slog.Logger

	mu   sync.Mutex
	last map[string]time.Time // by message; they are few and fixed
}

func (l *throttledLog) warn(msg string, args ...any) {
	if l.due(msg) {
		l.log.Warn(msg, args...)
	}
}

func (l *throttledLog) due(msg string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if last, ok := l.last[msg]; ok && now.Sub(last) < warnEvery {
		return false
	}
	if l.last == nil {
		l.last = map[string]time.Time{}
	}
	l.last[msg] = now
	return true
}
