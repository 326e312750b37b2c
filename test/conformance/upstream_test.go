package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/outside"
)

// startUpstream serves the names outside the cluster on a loopback port, over UDP and TCP,
// and returns its address.
func startUpstream(t *testing.T) string {
	t.Helper()
	addr, stop, err := outside.Serve("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return addr
}

// answers returns a function that reports whether any server answers at addr.
func answers(addr string) func(ctx context.Context) bool {
	return func(ctx context.Context) bool {
		q := new(dns.Msg)
		q.SetQuestion("kubernetes.default.svc.cluster.local.", dns.TypeA)
		client := dns.Client{Timeout: time.Second}
		_, _, err := client.ExchangeContext(ctx, q, addr)
		return err == nil
	}
}
