//go:build cluster

package cluster

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
)

// The API server accepts the objects of the overlays. The overlay domain is for another
// cluster; ipv6 and dual-stack have their own tests.
func testOverlaysAreAccepted(t *testing.T) {
	for _, name := range []string{"autopath", "autopath-all", "autoscaler", "clusterset", "direct", "federations", "ha", "hpa", "kubedns-port", "networkpolicy", "node-local", "node-local-metrics", "scrape", "tls-upstream"} {
		kubectl(t, "-n", system, "apply", "-k", manifests+"/overlays/"+name, "--dry-run=server")
	}
}

// With the overlay direct, names outside the cluster do not depend on kubedns.
func testDirect(t *testing.T) {
	variantOf(t, manifests+"/overlays/direct", "direct", func(*appsv1.Deployment) {})
	awaitReady(t, "direct", 1, 5*time.Minute)
	p := thePod(t, "direct")
	server := p.Status.PodIP + ":53"
	wantAt(t, server, "web.dns-test.svc.cluster.local.", "NOERROR 10.96.")
	freeze(t, p, "kubedns")
	wantAt(t, server, "www.example.com.", "198.51.100.7")
	wantAt(t, server, "db.dns-test.svc.cluster.local.", "SERVFAIL")
}

// With the overlay domain, names have another domain, and exechealthz's checks use it.
func testDomain(t *testing.T) {
	variantOf(t, manifests+"/overlays/domain", "domain", func(*appsv1.Deployment) {})
	awaitReady(t, "domain", 1, 5*time.Minute)
	ip := thePod(t, "domain").Status.PodIP
	wantAt(t, ip+":53", "web.dns-test.svc.example.internal.", "NOERROR 10.96.")
	wantAt(t, ip+":53", "web.dns-test.svc.cluster.local.", "NXDOMAIN")
	eventually(t, 3*time.Minute, func() string { return probe(ip, "/healthz-kubedns") })
	eventually(t, 3*time.Minute, func() string { return probe(ip, "/healthz-dnsmasq") })
}
