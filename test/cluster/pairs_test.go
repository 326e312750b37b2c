//go:build cluster

package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/kube-dns/kube-dns/test/addon"
)

// foreignKinds are those of the Prometheus operator and the vertical Pod autoscaler. The
// node has none, so the tests bring definitions that take any fields.
var foreignKinds = map[string]string{
	"prometheusrules": "monitoring.coreos.com PrometheusRule v1", "podmonitors": "monitoring.coreos.com PodMonitor v1",
	"servicemonitors": "monitoring.coreos.com ServiceMonitor v1", "verticalpodautoscalers": "autoscaling.k8s.io VerticalPodAutoscaler v1",
}

// defineForeignKinds defines them for the test.
func defineForeignKinds(t *testing.T) {
	t.Helper()
	var b strings.Builder
	var names []string
	for plural, text := range foreignKinds {
		var group, kind, version string
		if _, err := fmt.Sscan(text, &group, &kind, &version); err != nil {
			t.Fatal(err)
		}
		names = append(names, "crd/"+plural+"."+group)
		fmt.Fprintf(&b, `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: %[1]s.%[2]s
  annotations: {api-approved.kubernetes.io: "unapproved, for a test"}
spec:
  group: %[2]s
  scope: Namespaced
  names: {plural: %[1]s, kind: %[3]s}
  versions:
    - {name: %[4]s, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`, plural, group, kind, version)
	}
	apply(t, b.String())
	t.Cleanup(func() {
		_, _ = tryKubectl("", append([]string{"delete", "--wait=false", "--ignore-not-found"}, names...)...)
	})
	kubectl(t, append([]string{"wait", "--for=condition=Established", "--timeout=2m"}, names...)...)
}

// The API server accepts every pair of components and the largest sets of them. Each object
// of each set is sent in a dry run, equal objects only once. domain, ipv6 and dual-stack are
// for other clusters; ipv6 and dual-stack have their own tests.
func testPairsAreAccepted(t *testing.T) {
	defineForeignKinds(t)
	names, err := addon.Components()
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains([]string{"domain", "ipv6", "dual-stack"}, name) })
	sets := append(addon.Pairs(names), addon.Largest(names)...)
	var mu sync.Mutex
	var work sync.WaitGroup
	documents, errs, next := map[string]bool{}, []error{}, make(chan []string)
	for range 3 {
		work.Go(func() {
			for set := range next {
				out, err := render(t.TempDir(), set)
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
				}
				for doc := range strings.SplitSeq(out, "\n---\n") {
					documents[strings.TrimSpace(doc)] = true
				}
				mu.Unlock()
			}
		})
	}
	for _, set := range sets {
		next <- set
	}
	close(next)
	work.Wait()
	for _, err := range errs {
		t.Error(err)
	}
	delete(documents, "")
	all := strings.Join(slices.Sorted(maps.Keys(documents)), "\n---\n")
	out, err := tryKubectl(all, "apply", "--dry-run=server", "-f", "-")
	if err != nil {
		t.Error(err)
	}
	if n := strings.Count(out, "(server dry run)"); n != len(documents) {
		t.Errorf("the API server took %d of %d documents", n, len(documents))
	}
	t.Logf("%d sets of components, %d different documents", len(sets), len(documents))
}

// render renders the base with components.
func render(dir string, components []string) (string, error) {
	if err := addon.Kustomization(dir, components...); err != nil {
		return "", err
	}
	out, err := tryKubectl("", "kustomize", dir)
	if err != nil {
		return "", fmt.Errorf("%v: %w", components, err)
	}
	return out, nil
}

// The Pods of sets of components become ready and answer. testPairsAreAccepted checks that
// the API server accepts the other objects of the components.
func testSetsRun(t *testing.T) {
	for i, set := range [][]string{
		{"autopath", "direct", "clusterset", "federations", "kubedns-port", "scrape", "vpa"},
		{"ha", "networkpolicy", "servicemonitor", "federations"},
		{"autoscaler", "direct", "monitoring", "kubedns-port"},
	} {
		t.Run(strings.Join(set, "+"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := addon.Kustomization(dir, set...); err != nil {
				t.Fatal(err)
			}
			app := fmt.Sprintf("set-%d", i)
			variantOf(t, dir, app, func(d *appsv1.Deployment) {
				one := int32(1) // there is only one node
				d.Spec.Replicas = &one
			})
			awaitReady(t, app, 1, 5*time.Minute)
			p := thePod(t, app)
			wantAt(t, p.Status.PodIP+":53", "web.dns-test.svc.cluster.local.", "NOERROR 10.96.")
			wantAt(t, p.Status.PodIP+":53", "www.example.com.", "198.51.100.7")
			if slices.Contains(set, "kubedns-port") {
				wantAt(t, p.Status.PodIP+":10053", "web.dns-test.svc.cluster.local.", "NOERROR 10.96.")
			}
			for _, c := range p.Status.ContainerStatuses {
				if c.RestartCount > 0 {
					t.Errorf("%s restarted", c.Name)
				}
			}
		})
	}
}
