// Command exechealthz runs commands on a period and serves the outcome of each
// as an HTTP health check, with the command line of exechealthz 1.2:
//
//	exechealthz --cmd='nslookup kubernetes.default.svc.cluster.local 127.0.0.1 >/dev/null' --url=/healthz-dnsmasq \
//	            --cmd='nslookup kubernetes.default.svc.cluster.local 127.0.0.1:10053 >/dev/null' --url=/healthz-kubedns
//
// It carries its own shell and its own nslookup, so that it needs no other file
// in its image. Called by the name nslookup, it is that.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/cgroup"
)

func main() {
	cgroup.LimitMemory()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	// From then on a second signal has its default effect: the end, at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}
