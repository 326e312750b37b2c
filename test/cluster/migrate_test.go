//go:build cluster

package cluster

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// before replaces the addon with an installation from a file in testdata, and restores the
// addon after the test.
func before(tb testing.TB, file string) {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_, _ = tryKubectl("", "-n", system, "delete", "deployment", "coredns", "--ignore-not-found")
		kubectl(tb, "-n", system, "apply", "-k", manifests)
		awaitReady(tb, addonApp, 1, 5*time.Minute)
	})
	kubectl(tb, "-n", system, "delete", "deployment", "kube-dns", "--ignore-not-found")
	kubectl(tb, "-n", system, "delete", "pods", "-l", "k8s-app=kube-dns", "--grace-period=1")
	eventually(tb, 3*time.Minute, func() string {
		if n := len(allPods(tb, addonApp)); n > 0 {
			return fmt.Sprintf("%d pods are still there", n)
		}
		return ""
	})
	apply(tb, string(text))
	awaitReady(tb, addonApp, 1, 5*time.Minute)
}

// A kube-dns Deployment in which only the image names are changed works and uses its
// ConfigMap. The migration to ours follows docs/migrating.md: the old pods stay until ours
// answer, are then taken out of the Service, and are ended once no client asks them any more.
// No lookup fails.
func testMigrateFromKubeDNS(t *testing.T) {
	before(t, "kube-dns-1.6.yaml")
	apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-dns, namespace: kube-system}\ndata: {stubDomains: '{\"acme.test\": [\"10.250.0.2:1\"]}'}\n")
	t.Cleanup(func() { _, _ = tryKubectl("", "-n", system, "delete", "configmap", "kube-dns", "--ignore-not-found") })
	wantAt(t, clusterIP+":53", "web.dns-test.svc.cluster.local.", "NOERROR 10.96.")
	wantAt(t, clusterIP+":53", "www.example.com.", "198.51.100.7")
	stub := func() string {
		if got := askAt(clusterIP+":53", fmt.Sprintf("n%d.acme.test.", time.Now().UnixNano()), dns.TypeA); got != "SERVFAIL" {
			return "the stub domain is not in force: " + got
		}
		return ""
	}
	eventually(t, 3*time.Minute, stub)
	failed, log := underLoad(t, known, func() {
		old := "pod/" + thePod(t, addonApp).Name
		kubectl(t, "-n", system, "delete", "deployment", "kube-dns", "--cascade=orphan")
		kubectl(t, "-n", system, "delete", "replicaset", "-l", "k8s-app=kube-dns", "--cascade=orphan")
		kubectl(t, "-n", system, "apply", "-k", manifests)
		kubectl(t, "-n", system, "rollout", "status", "deployment/kube-dns", "--timeout=3m")
		kubectl(t, "-n", system, "label", old, "k8s-app-")
		time.Sleep(10 * time.Second)
		kubectl(t, "-n", system, "delete", old)
		settle(t, 1)
	})
	wantNone(t, failed, log)
	eventually(t, 3*time.Minute, stub)
}

// The short way: apply over the old Deployment. Its containers and pods are removed. The pods
// go on answering for a while after they are told to end, although their arguments do not ask
// for that. No lookup fails.
func testApplyOverKubeDNS(t *testing.T) {
	before(t, "kube-dns-1.6.yaml")
	failed, log := underLoad(t, known, func() {
		kubectl(t, "-n", system, "apply", "-k", manifests)
		kubectl(t, "-n", system, "rollout", "status", "deployment/kube-dns", "--timeout=3m")
		settle(t, 1)
	})
	wantNone(t, failed, log)
	for _, c := range thePod(t, addonApp).Spec.Containers {
		if programs[c.Name] == "" {
			t.Errorf("container %s of the old Deployment is still there", c.Name)
		}
	}
	wantAt(t, clusterIP+":53", "web.dns-test.svc.cluster.local.", "NOERROR 10.96.")
}

// From CoreDNS: ours is installed beside it, then CoreDNS is removed. No lookup fails.
func testMigrateFromCoreDNS(t *testing.T) {
	before(t, "coredns.yaml")
	wantAt(t, clusterIP+":53", "web.dns-test.svc.cluster.local.", "NOERROR 10.96.")
	failed, log := underLoad(t, known, func() {
		kubectl(t, "-n", system, "apply", "-k", manifests)
		kubectl(t, "-n", system, "rollout", "status", "deployment/kube-dns", "--timeout=3m")
		time.Sleep(5 * time.Second) // kube-proxy knows ours by now
		kubectl(t, "-n", system, "delete", "deployment", "coredns")
		settle(t, 1)
	})
	wantNone(t, failed, log)
}

// Back to CoreDNS in the same way. No lookup fails.
func testBackToCoreDNS(t *testing.T) {
	text, err := os.ReadFile("testdata/coredns.yaml")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kubectl(t, "-n", system, "apply", "-k", manifests)
		awaitReady(t, addonApp, 2, 3*time.Minute)
		kubectl(t, "-n", system, "delete", "deployment", "coredns")
		settle(t, 1)
	})
	failed, log := underLoad(t, known, func() {
		apply(t, string(text))
		kubectl(t, "-n", system, "rollout", "status", "deployment/coredns", "--timeout=3m")
		time.Sleep(5 * time.Second) // kube-proxy knows it by now
		kubectl(t, "-n", system, "delete", "deployment", "kube-dns")
		settle(t, 1)
	})
	wantNone(t, failed, log)
}

// settle waits until the addon has n ready pods, and those that were being deleted are gone.
func settle(tb testing.TB, n int) {
	tb.Helper()
	awaitReady(tb, addonApp, n, 3*time.Minute)
	eventually(tb, 5*time.Minute, func() string {
		if got := len(allPods(tb, addonApp)); got != n {
			return fmt.Sprintf("%d pods, want %d", got, n)
		}
		return ""
	})
}
