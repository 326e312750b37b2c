package kubewatch

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// However often the faults of objects change, the log grows slowly, and says what it leaves out.
func TestProblemsAreLoggedSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		p := newProblems(slog.New(slog.NewTextHandler(&log, nil)), kindService)
		for i := range 60_000 {
			k := key{"default", fmt.Sprintf("s%d", i%7)}
			p.note(k, []string{fmt.Sprint(i)})
			if i%2 == 0 {
				p.note(k, nil)
			}
			time.Sleep(10 * time.Millisecond)
		}
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) < 9*maxMessages || len(lines) > 11*maxMessages {
			t.Errorf("%d messages in 10 minutes", len(lines))
		}
		if !strings.Contains(lines[maxMessages], "suppressed=5900") || strings.Contains(lines[maxMessages+1], "suppressed") {
			t.Errorf("the first message of the second minute: %s, the next: %s", lines[maxMessages], lines[maxMessages+1])
		}
	})
}
