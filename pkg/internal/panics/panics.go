// Package panics counts and logs the panics that a server survives.
//
// Call [Log.Error] in the deferred function that recovers, with what recover
// returned. The log gets at most one line per [lograte.Every], so that a client that
// knows how to cause a panic cannot fill it.
package panics

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/kube-dns/kube-dns/pkg/internal/lograte"
)

// How many octets of a message and of a stack trace are logged.
const (
	maxPacket = 512
	maxStack  = 4096
)

// Log is where a part of the program reports its panics. The zero value is ready. It
// is safe for concurrent use.
type Log struct {
	count atomic.Uint64
	limit lograte.Limiter
}

// Count returns the number of panics so far.
func (l *Log) Count() uint64 { return l.count.Load() }

// Error counts a panic, and logs it to logger with its cause, packet, which is what was
// read when it happened, or nil, and the stack.
func (l *Log) Error(message string, logger *slog.Logger, cause any, packet []byte, details ...slog.Attr) {
	l.count.Add(1)
	suppressed, ok := l.limit.Allow(time.Now().UnixNano())
	if !ok {
		return
	}
	if len(packet) > 0 {
		logger = logger.With(slog.String("packet", hex.EncodeToString(packet[:min(len(packet), maxPacket)])))
	}
	stack := debug.Stack()
	logger = logger.With(slog.String("error", fmt.Sprint(cause)), slog.String("stack", string(stack[:min(len(stack), maxStack)])), lograte.Suppressed(suppressed))
	logger.LogAttrs(context.Background(), slog.LevelError, message, details...) //nolint:forbidigo,sloglint // handlers ignore the context; the callers' messages are constants
}
