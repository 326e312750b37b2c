package kubewatch

import (
	"context"
	"flag"
	"log/slog"
	"strconv"

	"k8s.io/klog/v2"
)

// clientLogVerbosity is the -v from which client-go logs more than warnings and
// errors.
const clientLogVerbosity = 4

// SetClientLog sends client-go's messages to log; verbosity is the program's -v.
// client-go has one logger for the whole process, so only a main package may call
// SetClientLog.
func SetClientLog(log *slog.Logger, verbosity int) {
	handler := log.With("component", "client-go").Handler()
	if verbosity < clientLogVerbosity {
		verbosity = 0
		handler = warningsOnly{handler}
	}
	var flags flag.FlagSet
	klog.InitFlags(&flags)
	_ = flags.Set("v", strconv.Itoa(verbosity)) // a number is always valid
	klog.SetSlogLogger(slog.New(handler))
}

// warningsOnly drops messages below the level of warnings. client-go asks the
// handler, not klog's own level, whether a message is enabled.
type warningsOnly struct{ slog.Handler }

// Enabled implements slog.Handler.
func (h warningsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && h.Handler.Enabled(ctx, level)
}

// WithAttrs implements slog.Handler.
func (h warningsOnly) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warningsOnly{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h warningsOnly) WithGroup(name string) slog.Handler {
	return warningsOnly{h.Handler.WithGroup(name)}
}
