// Command kubedns answers DNS queries about the Services of a Kubernetes
// cluster. It watches the API server, or reads files, and keeps every answer in
// memory.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(context.Background(), os.Args[1:], environment{
		getenv: os.Getenv, stdout: os.Stdout, stderr: os.Stderr,
		signals: signals, resolvConf: "/etc/resolv.conf", clientLog: setClientLog,
	}))
}
