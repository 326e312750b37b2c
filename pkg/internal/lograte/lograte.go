// Package lograte limits how often a message is logged, so that a client cannot
// fill the log.
//
// Ask a [Limiter] before each message, and add the number that it returns to the
// message.
package lograte

import (
	"log/slog"
	"sync"
	"time"
)

// Every is the least time between two messages of one Limiter.
const Every = 10 * time.Second

// Limiter lets one message through per [Every]. The zero value is ready. It is
// safe for concurrent use.
type Limiter struct {
	mu         sync.Mutex // guards the rest
	began      bool       // a message was let through
	last       int64      // when, in nanoseconds
	suppressed uint64     // messages since
}

// Suppressed is the attribute that tells the number, nothing if it is 0.
func Suppressed(n uint64) slog.Attr {
	if n == 0 {
		return slog.Attr{} // handlers leave it out
	}
	return slog.Uint64("suppressed", n)
}

// Allow reports whether to log now, and how many messages were suppressed since
// the last one. now is in nanoseconds from any fixed moment.
func (l *Limiter) Allow(now int64) (suppressed uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.began && now-l.last < int64(Every) {
		l.suppressed++
		return 0, false
	}
	l.began, l.last = true, now
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}
