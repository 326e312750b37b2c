package signalwatch

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// TestBurstHidesNothing sends a burst of one kind, then another kind, to a program that does not
// receive meanwhile.
func TestBurstHidesNothing(t *testing.T) {
	all := Channel(syscall.SIGUSR1, syscall.SIGUSR2)
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(arrived)
	send := func(sig syscall.Signal) {
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
		<-arrived
	}
	for range 100 {
		send(syscall.SIGUSR1)
	}
	send(syscall.SIGUSR2)
	got := map[os.Signal]int{}
	for got[syscall.SIGUSR2] == 0 {
		got[<-all]++
	}
	if got[syscall.SIGUSR1] > 3 {
		t.Errorf("%d of a burst of 100 signals were kept", got[syscall.SIGUSR1])
	}
}
