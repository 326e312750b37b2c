// Package signalwatch receives signals of several kinds without losing a kind.
//
// Call [Channel] once, and receive from the channel that it returns.
package signalwatch

import (
	"os"
	"os/signal"
)

// Channel begins to receive signals of the kinds in list. A channel that all kinds share loses
// those that come when it is full: a burst of SIGHUP while the program is busy would hide SIGTERM.
// Here each kind waits for itself, and a burst of one kind becomes two signals at most.
func Channel(list ...os.Signal) <-chan os.Signal {
	all := make(chan os.Signal)
	for _, kind := range list {
		one := make(chan os.Signal, 1)
		signal.Notify(one, kind)
		go func() {
			for sig := range one {
				all <- sig
			}
		}()
	}
	return all
}
