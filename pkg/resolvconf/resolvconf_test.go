package resolvconf

import (
	"slices"
	"testing"
)

func TestLines(t *testing.T) {
	text := "\ufeff nameserver  ::1 # why\r\n\r\n\t\n;nameserver ::2\n\ufeffsearch a b"
	var got []string
	for words, line := range Lines([]byte(text)) {
		got = append(got, line)
		got = append(got, words...)
	}
	want := []string{
		"nameserver  ::1 # why", "nameserver", "::1", "#", "why",
		";nameserver ::2", ";nameserver", "::2",
		"\ufeffsearch a b", "\ufeffsearch", "a", "b",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for range Lines([]byte(text)) {
		break
	}
}
