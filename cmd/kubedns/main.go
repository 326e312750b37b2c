// Command kubedns answers DNS queries about the Services of a Kubernetes
// cluster. It watches the API server, or reads files, and keeps every answer in
// memory.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/cgroup"
)

// gcPercent makes the garbage collector run more often than by default. A
// query leaves no garbage, so that costs next to nothing, and the memory of a
// cluster's objects is what counts here. The variable GOGC overrides it.
const gcPercent = 50

func main() {
	if limit, limited := cgroup.MemoryLimit(os.DirFS("/")); limited && os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(cgroup.Share(limit))
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(context.Background(), os.Args[1:], environment{
		getenv: os.Getenv, stdout: os.Stdout, stderr: os.Stderr,
		signals: signals, resolvConf: "/etc/resolv.conf", clientLog: setClientLog,
	}))
}
