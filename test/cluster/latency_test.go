//go:build cluster

package cluster

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A new Service resolves soon after it was made, also where its name was asked
// for before and did not exist. The questions go to the addon's ClusterIP from
// the host, as a pod's would.
func TestNewServiceResolves(t *testing.T) {
	const rounds = 20
	for _, askedBefore := range []bool{false, true} {
		var took []time.Duration
		for i := range rounds {
			name := fmt.Sprintf("new-%v-%d", askedBefore, i)
			fqdn := name + ".dns-test.svc.cluster.local."
			if askedBefore {
				resolves(fqdn)
			}
			apply(t, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {ports: [{port: 80}]}\n", name))
			start := time.Now()
			for !resolves(fqdn) {
				if time.Since(start) > 30*time.Second {
					t.Fatalf("%s does not resolve", fqdn)
				}
				time.Sleep(2 * time.Millisecond)
			}
			took = append(took, time.Since(start))
			kubectl(t, "delete", "service", name, "--wait=false")
		}
		slices.Sort(took)
		t.Logf("asked before %v: p50 %v, p99 %v", askedBefore, took[len(took)/2], took[len(took)-1])
	}
}

func resolves(name string) bool {
	q := new(dns.Msg)
	q.SetQuestion(name, dns.TypeA)
	client := dns.Client{Timeout: 2 * time.Second}
	m, _, err := client.Exchange(q, "10.96.0.10:53")
	return err == nil && len(m.Answer) > 0
}
