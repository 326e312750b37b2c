// Package lameduck tells a DNS server when to end after SIGTERM.
//
// Use a [Timer]: pass each signal to [Timer.Begin], and end the program when the channel of
// [Timer.Over] delivers. If Begin returns false, the signal has its usual effect.
//
// Clients go on using the address of a server for a while after they have been told to stop. The
// first SIGTERM therefore only begins the lame-duck time, in which the server still answers.
package lameduck

import (
	"os"
	"syscall"
	"time"
)

// Timer measures the lame-duck time of one program. It must not be used from two goroutines at
// once.
type Timer struct {
	// Duration is the length of the lame-duck time. If it is 0, there is none, and SIGTERM has
	// its usual effect.
	Duration time.Duration
	over     <-chan time.Time // nil before Begin
}

// Begin begins the lame-duck time if sig is the first SIGTERM, and reports whether it did.
func (t *Timer) Begin(sig os.Signal) bool {
	if sig != syscall.SIGTERM || t.over != nil || t.Duration <= 0 {
		return false
	}
	t.over = time.After(t.Duration)
	return true
}

// Over returns a channel that delivers once, when the lame-duck time is over. It is nil, and so
// never delivers, until Begin has returned true.
func (t *Timer) Over() <-chan time.Time { return t.over }
