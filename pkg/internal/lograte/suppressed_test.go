package lograte

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestSuppressed: a message that stands for itself alone says nothing of others.
func TestSuppressed(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	log.Warn("one", Suppressed(0), slog.Int("a", 1))
	log.Warn("two", Suppressed(7), slog.Int("a", 1))
	text := out.String()
	if strings.Count(text, "suppressed") != 1 || !strings.Contains(text, "suppressed=7") || strings.Contains(text, "!BADKEY") {
		t.Error(text)
	}
}
