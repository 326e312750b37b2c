package lograte

import (
	"testing"
	"time"
)

func TestLimiter(t *testing.T) {
	var l Limiter
	for i, step := range []struct {
		at         time.Duration
		suppressed uint64
		ok         bool
	}{
		{0, 0, true},
		{time.Second, 0, false},
		{Every - 1, 0, false},
		{Every, 2, true},
		{Every + 1, 0, false},
		{5 * Every, 1, true},
		{6 * Every, 0, true},
	} {
		if n, ok := l.Allow(int64(step.at)); n != step.suppressed || ok != step.ok {
			t.Errorf("step %d at %v: %d, %v; want %d, %v", i, step.at, n, ok, step.suppressed, step.ok)
		}
	}
}
