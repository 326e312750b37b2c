package prober

import (
	"strings"
	"sync"
	"testing"
)

func TestOutputKeepsTheBeginning(t *testing.T) {
	tests := []struct {
		name   string
		writes []string
		want   string
	}{
		{"nothing", nil, ""},
		{"little", []string{"a", "", "b\n"}, "ab\n"},
		{"exactly full", []string{strings.Repeat("x", MaxOutput)}, strings.Repeat("x", MaxOutput)},
		{"one too many", []string{strings.Repeat("x", MaxOutput-1), "yz"}, strings.Repeat("x", MaxOutput-1) + "y [1 more bytes cut]"},
		{"long after full", []string{strings.Repeat("x", MaxOutput), "123", "4567"}, strings.Repeat("x", MaxOutput) + " [7 more bytes cut]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var o output
			for _, w := range tt.writes {
				if n, err := o.Write([]byte(w)); n != len(w) || err != nil {
					t.Fatalf("Write(%d bytes) = %d, %v", len(w), n, err)
				}
			}
			if got := o.takeText(); got != tt.want {
				t.Errorf("take() = %d bytes ending %q, want %d bytes", len(got), got[max(0, len(got)-30):], len(tt.want))
			}
		})
	}
}

func TestOutputIgnoresStragglers(t *testing.T) {
	var o output
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				if _, err := o.Write([]byte("0123456789")); err != nil {
					t.Errorf("Write: %v", err)
				}
			}
		})
	}
	first := o.takeText()
	wg.Wait()
	if again := o.takeText(); again != first {
		t.Errorf("output grew from %d to %d bytes after it was taken", len(first), len(again))
	}
}
