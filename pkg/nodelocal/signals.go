package nodelocal

import (
	"os"
	"os/signal"
	"syscall"
)

// signals are the signals sent to the supervisor. Each has a channel of its own, because a
// signal whose channel is full is lost: a burst of SIGHUP must not hide SIGTERM.
type signals struct {
	term, interrupt <-chan os.Signal
	forCache        <-chan os.Signal // those that dnscache knows
}

// watchSignals begins to receive the signals.
func watchSignals() signals {
	watch := func(size int, list ...os.Signal) <-chan os.Signal {
		c := make(chan os.Signal, size)
		signal.Notify(c, list...)
		return c
	}
	return signals{
		term: watch(1, syscall.SIGTERM), interrupt: watch(1, syscall.SIGINT),
		forCache: watch(4, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2),
	}
}
