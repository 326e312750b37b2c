// Package logging makes the loggers of all programs alike, and changes their level while
// they run.
//
// Make a [Control] with the level of the command line, a logger with [New], and serve the
// Control on a port of the program.
package logging

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Formats of a log.
const (
	Text = "text" // for people
	JSON = "json" // one JSON object on each line
)

// CheckFormat returns an error if the format is unknown.
func CheckFormat(format string) error {
	if format != Text && format != JSON {
		return fmt.Errorf("%q is not a format; use text or json", format)
	}
	return nil
}

// New returns a logger that writes to w. Both formats have the same keys, time, level and
// msg first. level may change while it is used.
func New(w io.Writer, format string, level slog.Leveler) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == JSON {
		// Times read as in text: 1.5ms, not a number of nanoseconds.
		options.ReplaceAttr = func(_ []string, a slog.Attr) slog.Attr {
			if a.Value.Kind() == slog.KindDuration {
				a.Value = slog.StringValue(a.Value.Duration().String())
			}
			return a
		}
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// parseLevel reads a level by its name.
func parseLevel(text string) (slog.Level, error) {
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if levelText(level) == text {
			return level, nil
		}
	}
	return 0, fmt.Errorf("level=%q: want debug, info, warn or error", text)
}

func levelText(level slog.Level) string { return strings.ToLower(level.String()) }
