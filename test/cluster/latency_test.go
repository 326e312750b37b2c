//go:build cluster

package cluster

import (
	"fmt"
	"slices"
	"strings"
	"sync"
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
		took := make([]time.Duration, rounds)
		var wg sync.WaitGroup
		for i := range rounds {
			name := fmt.Sprintf("new-%v-%d", askedBefore, i)
			fqdn := name + ".dns-test.svc.cluster.local."
			if askedBefore {
				resolves(fqdn)
			}
			apply(t, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s, labels: {latency: test}}\nspec: {ports: [{port: 80}]}\n", name))
			wg.Go(func() {
				start := time.Now()
				for !resolves(fqdn) {
					if time.Since(start) > 30*time.Second {
						t.Errorf("%s does not resolve", fqdn)
						return
					}
					time.Sleep(2 * time.Millisecond)
				}
				took[i] = time.Since(start)
			})
		}
		wg.Wait()
		kubectl(t, "delete", "service", "-l", "latency=test", "--wait=false")
		slices.Sort(took)
		t.Logf("asked before %v: p50 %v, p99 %v", askedBefore, took[len(took)/2], took[len(took)-1])
	}
}

func resolves(name string) bool {
	return strings.HasPrefix(askAt(clusterIP+":53", name, dns.TypeA), "NOERROR 10.")
}
