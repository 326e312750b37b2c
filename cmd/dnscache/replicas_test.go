package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/dnstest"
	"github.com/kube-dns/kube-dns/test/testkit"
)

// TestServerReplicas: the replica is asked, not the --server that leads to it. When the replica
// has gone, that server is asked. Cached names stay in the cache.
func TestServerReplicas(t *testing.T) {
	const service = "kube-dns-upstream.kube-system.svc.cluster.local."
	answering := func(addr string) dnstest.Script {
		return func(q *dns.Msg, _ bool) [][]byte {
			name := q.Question[0].Name
			if name == service {
				return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeSuccess, service+" 1 IN A 127.0.0.1"))}
			}
			return [][]byte{dnstest.Pack(dnstest.Reply(q, dns.RcodeSuccess, name+" 60 IN A "+addr))}
		}
	}
	bootstrap := dnstest.NewServer(t, answering("192.0.2.1"))
	replica := dnstest.NewServer(t, answering("192.0.2.2"))
	in := start(
		t, fmt.Sprintf("--server=/cluster.local/127.0.0.1#%d", bootstrap.Addr.Port()), "--cache-size=100",
		fmt.Sprintf("--server-replicas=%s#%d", strings.TrimSuffix(service, "."), replica.Addr.Port()),
	)
	testkit.Eventually(t, "the condition holds", func() bool { return strings.Contains(in.log.String(), "replicas of the cluster's DNS service") })
	ask := func(name string) string {
		m, err := dns.Exchange(dnstest.Question(name, dns.TypeA), in.addr.String())
		if err != nil || len(m.Answer) == 0 {
			return fmt.Sprint(err)
		}
		return m.Answer[0].(*dns.A).A.String()
	}
	number := 0
	fresh := func() string {
		number++
		return ask(fmt.Sprintf("n%d.default.svc.cluster.local.", number))
	}
	testkit.Eventually(t, "the condition holds", func() bool { return fresh() == "192.0.2.2" })
	kept := fmt.Sprintf("n%d.default.svc.cluster.local.", number)
	replica.Refuse(t)
	testkit.Eventually(t, "the condition holds", func() bool { return fresh() == "192.0.2.1" })
	if got := ask(kept); got != "192.0.2.2" {
		t.Errorf("a cached name is %s now", got)
	}
}
