//go:build cluster

package cluster

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
)

// The API server takes what the overlays come to. Those that change the
// Service's address are left to test/manifests: this cluster has one family
// and one address.
func TestOverlaysAreAccepted(t *testing.T) {
	for _, name := range []string{"direct", "federations", "ha", "networkpolicy", "scrape"} {
		kubectl(t, "-n", system, "apply", "-k", manifests+"/overlays/"+name, "--dry-run=server")
	}
}

// With the overlay direct, names outside the cluster do not depend on kubedns.
func TestDirect(t *testing.T) {
	variantOf(t, manifests+"/overlays/direct", "direct", func(*appsv1.Deployment) {})
	awaitReady(t, "direct", 1, 2*time.Minute)
	p := thePod(t, "direct")
	server := p.Status.PodIP + ":53"
	wantAt(t, server, "web.dns-test.svc.cluster.local.", "NOERROR 10.96.")
	ctl(t, "in", "kill", "-STOP", process(t, p, "kubedns"))
	wantAt(t, server, "www.example.com.", "198.51.100.7")
	wantAt(t, server, "db.dns-test.svc.cluster.local.", "SERVFAIL")
}
