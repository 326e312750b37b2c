// Command dnscache is a caching DNS forwarder with the command line of dnsmasq:
//
//	dnscache -k --cache-size=1000 --log-facility=- --server=/cluster.local/127.0.0.1#10053
//
// Words before a "--" are the flags of dnsmasq-nanny, which ran dnsmasq in
// older kube-dns Pods; with --node-local they are those of a node's cache
// (docs/node-local.md). docs/dnscache-options.md lists what is implemented.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/kube-dns/kube-dns/pkg/nodelocal"
)

func main() {
	node, code, done := nodelocal.Main(context.Background(), os.Args[1:], os.Stderr)
	if done {
		os.Exit(code)
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	os.Exit(run(context.Background(), os.Args[1:], env{
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		signals: signals,
		node:    node,
	}))
}
