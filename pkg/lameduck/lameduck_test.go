package lameduck

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		duck := Timer{Duration: 5 * time.Second}
		if duck.Begin(syscall.SIGINT) || duck.Begin(syscall.SIGHUP) || duck.Over() != nil {
			t.Error("a signal other than SIGTERM begins it")
		}
		if !duck.Begin(syscall.SIGTERM) {
			t.Error("SIGTERM does not begin it")
		}
		time.Sleep(time.Second)
		if duck.Begin(syscall.SIGTERM) {
			t.Error("a second SIGTERM begins it again")
		}
		<-duck.Over()
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("over after %v", took)
		}
	})
	none := Timer{}
	if none.Begin(syscall.SIGTERM) {
		t.Error("SIGTERM begins a lame-duck time of 0")
	}
}
