package logging

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"time"
)

// SplitLevel returns the level that the first word of a message stands for, as dnsmasq
// writes it, and the rest: "warning: " and "error: " are such words, and a message that
// begins with "FAILED " is an error as a whole.
func SplitLevel(text string) (slog.Level, string) {
	if rest, ok := strings.CutPrefix(text, "warning: "); ok {
		return slog.LevelWarn, rest
	}
	if rest, ok := strings.CutPrefix(text, "error: "); ok {
		return slog.LevelError, rest
	}
	if strings.HasPrefix(text, "FAILED ") {
		return slog.LevelError, text
	}
	return slog.LevelInfo, text
}

// AppendJSON appends one line of a JSON log to dst.
func AppendJSON(dst []byte, at time.Time, level slog.Level, message string) []byte {
	var b bytes.Buffer
	//nolint:forbidigo // the handler ignores the context
	_ = New(&b, JSON, level).Handler().Handle(context.Background(), slog.NewRecord(at, level, message, 0)) // memory takes it
	return append(dst, b.Bytes()...)
}
