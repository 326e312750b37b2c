//go:build cluster

package cluster

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
)

// wantLine waits until one line of the container's log has all the words.
func wantLine(tb testing.TB, app, container string, words ...string) {
	tb.Helper()
	eventually(tb, 5*time.Minute, func() string {
		log := logs(tb, app, container)
		for line := range strings.Lines(log) {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
				return ""
			}
		}
		return "no line with " + strings.Join(words, ", ") + " in\n" + log
	})
}

// A manifest with a mistake in it: a line of the log says what is wrong and where, and
// readiness reports the true state.
func testBadInput(t *testing.T) {
	t.Run("no domain", func(t *testing.T) {
		t.Parallel()
		variant(t, "bad-domain", func(d *appsv1.Deployment) { container(d, "kubedns").Args[0] = "--domain=-." })
		wantLine(t, "bad-domain", "kubedns", "--domain=-.", "label")
		if got := unready(t, "bad-domain"); !slices.Contains(got, "kubedns") {
			t.Errorf("not ready are %v, want kubedns among them", got)
		}
	})
	t.Run("another domain", func(t *testing.T) {
		t.Parallel()
		variant(t, "other-domain", func(d *appsv1.Deployment) { container(d, "kubedns").Args[0] = "--domain=cluster.locall." })
		wantLine(t, "other-domain", "healthz", "/healthz-kubedns", "kubernetes.default.svc.cluster.local")
	})
	t.Run("broken ConfigMap", func(t *testing.T) {
		t.Parallel()
		apply(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken, namespace: kube-system}\ndata: {stubDomains: '{\"acme.local\"'}\n")
		t.Cleanup(func() { _, _ = tryKubectl("", "-n", system, "delete", "configmap", "broken") })
		variant(t, "bad-config", func(d *appsv1.Deployment) { d.Spec.Template.Spec.Volumes[0].ConfigMap.Name = "broken" })
		wantLine(t, "bad-config", "kubedns", "level=ERROR", "stubDomains")
		// What can be answered without it is answered.
		awaitReady(t, "bad-config", 1, 5*time.Minute)
		wantAt(t, thePod(t, "bad-config").Status.PodIP+":53", known[0]+".", "NOERROR 10.96.0.1")
	})
	t.Run("no rights", func(t *testing.T) {
		t.Parallel()
		account(t, "no-rights", "all")
		variant(t, "no-rights", func(d *appsv1.Deployment) { d.Spec.Template.Spec.ServiceAccountName = "no-rights" })
		wantLine(t, "no-rights", "kubedns", "level=ERROR", "lacks a rule", "services")
		// The others may have started after that line.
		eventually(t, 3*time.Minute, func() string {
			if got := strings.Join(unready(t, "no-rights"), " "); got != "kubedns" {
				return fmt.Sprintf("not ready are %q, want kubedns alone", got)
			}
			return ""
		})
	})
}
