// Command demo is what `make run` runs: it starts kubedns, dnscache and
// exechealthz on loopback, wired as in their Pod, waits until they are healthy,
// asks a few names and says whether the answers are right. Then it stays up
// until a signal, or ends when ONCE is set.
//
// It needs no cluster: kubedns reads manifests/examples. With KUBECONFIG set it
// serves that cluster. Nothing it started survives it.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	// The kernel kills the programs when the thread that started them ends;
	// this one ends last.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Getenv, os.Stdout)
	stop()
	os.Exit(code)
}
