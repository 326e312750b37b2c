// Command kubedns answers DNS queries about the Services of a Kubernetes
// cluster. It watches the API server, or reads files, and keeps every answer in
// memory.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/cgroup"
	"github.com/kube-dns/kube-dns/pkg/kubewatch"
)

// gcPercent makes the garbage collector run more often than by default. A
// query leaves no garbage, so that costs next to nothing, and the memory of a
// cluster's objects is what counts here. The variable GOGC overrides it.
const gcPercent = 50

// gcPercentAtStart lets the first collection wait for 24 MiB of heap (the
// runtime's least, 4 MiB at 100 %, scales with it). What the first lists bring
// is nearly all kept, so collections while they come in find nothing: that was a
// fifth of the processor time of a start in a large cluster. The peak of memory
// is that of the whole cluster, or 24 MiB for a moment in a small one.
const gcPercentAtStart = 600

func main() {
	cgroup.LimitMemory()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercentAtStart)
		// What nothing refers to is gone with the first collection.
		runtime.AddCleanup(&struct{ _ [64]byte }{}, func(percent int) { debug.SetGCPercent(percent) }, gcPercent)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(context.Background(), os.Args[1:], environment{
		getenv: os.Getenv, stdout: os.Stdout, stderr: os.Stderr,
		signals: signals, resolvConf: "/etc/resolv.conf", clientLog: kubewatch.SetClientLog,
	}))
}
