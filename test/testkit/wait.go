package testkit

import (
	"testing"
	"time"
)

// Hang bounds every wait of a test. It is reached only when the test fails.
const Hang = 30 * time.Second

// Eventually waits until ok returns true; what says what that means.
func Eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(Hang); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("not within %v: %s", Hang, what)
		}
	}
}
