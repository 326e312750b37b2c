// Package lameduck tells a DNS server when to end after SIGTERM.
//
// Clients keep the address of a server for a while after it is taken from them. So the
// first SIGTERM only begins the lame-duck time, in which the server goes on answering.
// Give each signal to [Timer.Begin]; if that returns false, the signal has its usual
// effect. End when [Timer.Over] delivers.
package lameduck

import (
	"os"
	"syscall"
	"time"
)

// Timer measures the lame-duck time of one program. It is for one goroutine.
type Timer struct {
	// Duration is the length of the lame-duck time; 0 means that there is none.
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

// Over returns the channel that delivers when the lame-duck time is over. It is nil, and so
// never delivers, before Begin returns true.
func (t *Timer) Over() <-chan time.Time { return t.over }
