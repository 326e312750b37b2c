package dnstest

import (
	"os"
	"testing"
)

// Replace replaces a file atomically, as a ConfigMap volume or a careful editor does: a
// reader sees either the old content or the new one.
func Replace(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}
