package explain

import (
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"web", "web", 0},
		{"web", "wbe", 1},
		{"namespace", "namesapce", 1},
		{"", "ab", 2},
		{"web", "we", 1},
		{"kitten", "sitting", 3},
		{strings.Repeat("a", 63), strings.Repeat("a", 61) + "b", 2},
		{strings.Repeat("a", 300), "a", 99},
		{strings.Repeat("a", 40), "a", 99},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		if got := distance(tt.b, tt.a); got != tt.want {
			t.Errorf("%q, %q: %d, want %d", tt.b, tt.a, got, tt.want)
		}
	}
}
