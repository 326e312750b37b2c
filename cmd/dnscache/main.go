// Command dnscache is a caching DNS forwarder with the command line of dnsmasq:
//
//	dnscache -k --cache-size=1000 --log-facility=- --server=/cluster.local/127.0.0.1#10053
//
// Arguments before a "--" are flags of dnsmasq-nanny, which ran dnsmasq in older
// kube-dns Pods. If --node-local is one of them, they are the flags of the cache of a
// node (docs/node-local.md). docs/dnscache-options.md lists the dnsmasq options that are
// implemented.
package main

import (
	"context"
	"os"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/nodelocal"
	"github.com/kube-dns/kube-dns/pkg/signalwatch"
)

func main() {
	node, code, done := nodelocal.Main(context.Background(), os.Args[1:], os.Stderr)
	if done {
		os.Exit(code)
	}
	signals := signalwatch.Channel(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	os.Exit(run(context.Background(), os.Args[1:], env{
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		signals: signals,
		node:    node,
	}))
}
