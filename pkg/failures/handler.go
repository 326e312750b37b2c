package failures

import (
	"context"
	"log/slog"
	"slices"
	"strings"
)

// handler records messages and passes them on.
type handler struct {
	inner slog.Handler
	log   *Log
	attrs []slog.Attr // the attributes of WithAttrs, with their groups
	group string      // the group of WithGroup with a final dot; "" for none
}

// Handler returns a handler that records messages at the levels WARN and ERROR, and passes all
// messages to inner. It also records messages for which inner is not enabled, because the level
// of the log may change while the program runs.
func (l *Log) Handler(inner slog.Handler) slog.Handler { return &handler{inner: inner, log: l} }

// Enabled implements [slog.Handler].
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn || h.inner.Enabled(ctx, level)
}

// Handle implements [slog.Handler].
func (h *handler) Handle(ctx context.Context, record slog.Record) error {
	if record.Level < slog.LevelWarn {
		return h.inner.Handle(ctx, record)
	}
	h.record(&record)
	if !h.inner.Enabled(ctx, record.Level) {
		return nil
	}
	return h.inner.Handle(ctx, record)
}

// WithAttrs implements [slog.Handler].
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := *h
	next.inner = h.inner.WithAttrs(attrs)
	next.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		a.Key = h.group + a.Key
		next.attrs = append(next.attrs, a)
	}
	return &next
}

// WithGroup implements [slog.Handler].
func (h *handler) WithGroup(name string) slog.Handler {
	next := *h
	next.inner = h.inner.WithGroup(name)
	if name != "" {
		next.group = h.group + name + "."
	}
	return &next
}

// record records a message. Messages with the same text and the same string attributes share an
// entry; their errors, times and numbers may differ.
func (h *handler) record(record *slog.Record) {
	if h.log == nil {
		return
	}
	var text, key strings.Builder
	text.WriteString(record.Message)
	key.WriteString(record.Message)
	write := func(group string, a slog.Attr) {
		if text.Len() > maxText || a.Key == "stack" || a.Key == "packet" {
			return
		}
		value := a.Value.Resolve()
		text.WriteString(" " + group + a.Key + "=" + cut(value.String(), maxText))
		if value.Kind() == slog.KindString {
			key.WriteString(" " + cut(value.String(), maxReason))
		}
	}
	for _, a := range h.attrs {
		write("", a)
	}
	record.Attrs(func(a slog.Attr) bool {
		write(h.group, a)
		return true
	})
	level := "WARN"
	if record.Level >= slog.LevelError {
		level = "ERROR"
	}
	h.log.messages.record(cut(key.String(), maxText), &Message{Level: level, Text: cut(text.String(), maxText)})
}

var _ slog.Handler = (*handler)(nil)
