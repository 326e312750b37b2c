//go:build cluster

package cluster

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A new Service resolves soon after its creation, even if its name was asked for before it
// existed. The questions go from the host to the addon's ClusterIP, as a pod's would. Time
// counts from the API server's reply that the Service has been created.
func testNewServiceResolves(t *testing.T) {
	const rounds = 30
	t.Cleanup(func() { _, _ = tryKubectl("", "delete", "service", "-l", "latency=test", "--wait=false") })
	for _, askedBefore := range []bool{false, true} {
		took := make([]time.Duration, rounds)
		var wg sync.WaitGroup
		for i := range rounds {
			name := fmt.Sprintf("new-%v-%d", askedBefore, i)
			fqdn := name + ".dns-test.svc.cluster.local."
			if askedBefore && resolves(fqdn) {
				t.Errorf("%s resolves before it is made", fqdn)
			}
			create(t, name)
			wg.Go(func() {
				start := time.Now()
				for !resolves(fqdn) {
					if time.Since(start) > 30*time.Second {
						t.Errorf("%s does not resolve", fqdn)
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
				took[i] = time.Since(start)
			})
			time.Sleep(50 * time.Millisecond)
		}
		wg.Wait()
		slices.Sort(took)
		t.Logf("asked before %v: p50 %v, p99 %v", askedBefore,
			took[len(took)/2].Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
	}
}

// create creates a Service directly, which saves the time that kubectl takes to start.
func create(tb testing.TB, name string) {
	tb.Helper()
	body, err := json.Marshal(&corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"latency": "test"}},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	})
	if err == nil {
		_, err = request(http.MethodPost, "/api/v1/namespaces/"+namespace+"/services", body)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

func resolves(name string) bool {
	return strings.HasPrefix(askAt(clusterIP+":53", name, dns.TypeA), "NOERROR 10.")
}
