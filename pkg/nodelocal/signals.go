package nodelocal

import (
	"os"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/signalwatch"
)

// signals are the signals sent to the supervisor.
type signals struct {
	term, interrupt <-chan os.Signal
	forCache        <-chan os.Signal // those that dnscache knows
}

// watchSignals begins to receive the signals.
func watchSignals() signals {
	return signals{
		term:      signalwatch.Channel(syscall.SIGTERM),
		interrupt: signalwatch.Channel(syscall.SIGINT),
		forCache:  signalwatch.Channel(syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2),
	}
}
