package kubewatch

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"k8s.io/klog/v2"
)

// TestClientLog: below --v=4 client-go's messages are heard from warnings on
// only. The logger is that of the process, so nothing else may log meanwhile.
func TestClientLog(t *testing.T) {
	t.Cleanup(klog.ClearLogger)
	for verbosity, want := range map[int]bool{0: false, 2: false, 3: false, 4: true, 6: true} {
		var out bytes.Buffer
		level := min(slog.LevelDebug, slog.Level(-verbosity))
		SetClientLog(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})), verbosity)
		klog.TODO().V(1).Info("Feature gate default state")
		klog.TODO().WithName("x").WithValues("a", 1).V(1).Info("another")
		klog.V(2).InfoS("a third")
		klog.ErrorS(errors.New("reason"), "broken")
		for _, text := range []string{"Feature gate", "another", "a third"} {
			if got := strings.Contains(out.String(), text); got != want {
				t.Errorf("--v=%d: %q logged: %v, want %v", verbosity, text, got, want)
			}
		}
		if !strings.Contains(out.String(), "broken") || !strings.Contains(out.String(), "component=client-go") {
			t.Errorf("--v=%d: the error is not logged:\n%s", verbosity, out.String())
		}
	}
}
