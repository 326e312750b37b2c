// Command demo is what `make run` runs. It starts kubedns, dnscache and exechealthz on
// loopback, connected as in their Pod, waits until they are healthy, looks up a few
// names, and says whether the answers are right. It then keeps running until it gets a
// signal, or exits if ONCE is set.
//
// It needs no cluster: kubedns reads manifests/examples. If KUBECONFIG is set, kubedns
// serves that cluster. All programs that it started end with it.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

func main() {
	// The kernel kills the programs when the thread that started them ends. The main thread
	// ends last.
	runtime.LockOSThread()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Getenv, os.Stdout)
	stop()
	os.Exit(code)
}
