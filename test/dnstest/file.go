package dnstest

import (
	"os"
	"testing"
)

// Replace writes a file as a ConfigMap volume or a careful editor does: whoever reads it sees
// the old content or the new one.
func Replace(tb testing.TB, path, text string) {
	tb.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}
