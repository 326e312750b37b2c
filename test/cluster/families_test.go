//go:build cluster

package cluster

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// clusterIP6 is the address that the overlays ipv6 and dual-stack give.
const clusterIP6 = "fd00:10:96::a"

// overIPv6 is the spec of a pod that knows only the addon's IPv6 address.
const overIPv6 = `  dnsPolicy: None
  dnsConfig:
    nameservers: ["` + clusterIP6 + `"]
    searches: [dns-test.svc.cluster.local, svc.cluster.local, cluster.local]
    options: [{name: ndots, value: "5"}]
`

// The overlay dual-stack gives the existing Service a second address, through which
// everything is answered. Applying the base again removes nothing.
func testDualStack(t *testing.T) {
	kubectl(t, "-n", system, "apply", "-k", manifests+"/overlays/dual-stack")
	pod(t, "asker-dual", overIPv6, "sleep")
	askEverything(t, "asker-dual")
	kubectl(t, "-n", system, "apply", "-k", manifests)
	wantIn(t, "asker-dual", []string{"lookup", "kubernetes.default"}, "10.96.0.1")
	wantAt(t, clusterIP+":53", known[0]+".", "NOERROR 10.96.0.1")
}

// With the overlay ipv6, the Service has only an IPv6 address. Apply cannot change an
// address, so the Service is recreated.
func testIPv6(t *testing.T) {
	remake := func(folder string) {
		t.Helper()
		kubectl(t, "-n", system, "delete", "service", "kube-dns")
		kubectl(t, "-n", system, "apply", "-k", folder)
	}
	t.Cleanup(func() {
		remake(manifests)
		wantAt(t, clusterIP+":53", known[0]+".", "NOERROR 10.96.0.1")
	})
	remake(manifests + "/overlays/ipv6")
	if got := kubectl(t, "-n", system, "get", "service", "kube-dns", "-o", "jsonpath={.spec.clusterIPs[*]}"); got != clusterIP6 {
		t.Errorf("the Service has the addresses %s, want %s alone", got, clusterIP6)
	}
	pod(t, "asker-ipv6", overIPv6, "sleep")
	askEverything(t, "asker-ipv6")
}

// A node whose resolv.conf names only an IPv6 server: names outside resolve.
func testIPv6Outside(t *testing.T) {
	variant(t, "outside6", func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.DNSPolicy = corev1.DNSNone
		d.Spec.Template.Spec.DNSConfig = &corev1.PodDNSConfig{Nameservers: []string{"fd00:10:250::2"}}
	})
	awaitReady(t, "outside6", 1, 5*time.Minute)
	server := thePod(t, "outside6").Status.PodIP + ":53"
	wantAt(t, server, "www.example.com.", "NOERROR 198.51.100.7")
	wantAt(t, server, "outside.dns-test.svc.cluster.local.", "198.51.100.7")
}
