//go:build cluster

package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// verbs are the single rights of the manifests' role. The last is the additional right for
// federations.
var verbs = []struct{ name, group, resource, verb string }{
	{"services-list", "", "services", "list"},
	{"services-watch", "", "services", "watch"},
	{"slices-list", "discovery.k8s.io", "endpointslices", "list"},
	{"slices-watch", "discovery.k8s.io", "endpointslices", "watch"},
	{"nodes-list", "", "nodes", "list"},
}

// account creates a ServiceAccount with all rights of verbs except the one named missing.
func account(tb testing.TB, name, missing string) {
	tb.Helper()
	var rules strings.Builder
	for _, v := range verbs {
		if v.name != missing && missing != "all" {
			fmt.Fprintf(&rules, "  - {apiGroups: [%q], resources: [%s], verbs: [%s]}\n", v.group, v.resource, v.verb)
		}
	}
	if rules.Len() == 0 {
		rules.WriteString("  []\n")
	}
	apply(tb, fmt.Sprintf(`apiVersion: v1
kind: ServiceAccount
metadata: {name: %[1]s, namespace: kube-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: %[1]s}
rules:
%[2]s---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %[1]s}
subjects: [{kind: ServiceAccount, name: %[1]s, namespace: kube-system}]
`, name, rules.String()))
	tb.Cleanup(func() {
		_, _ = tryKubectl("", "-n", system, "delete", "serviceaccount,clusterrole,clusterrolebinding", name, "--wait=false")
	})
}

// Each verb of the role is needed: without it, kubedns names it in its log, and what depends
// on it does not work. The environment switches streamed lists off, so that kubedns needs the
// verb list.
func testEachVerbIsNeeded(t *testing.T) {
	kubectl(t, "label", "node", "node", "--overwrite", "topology.kubernetes.io/zone=z1", "topology.kubernetes.io/region=r1",
		"failure-domain.beta.kubernetes.io/zone=z1", "failure-domain.beta.kubernetes.io/region=r1")
	for _, missing := range verbs {
		t.Run(missing.name, func(t *testing.T) {
			t.Parallel()
			app := "without-" + missing.name
			account(t, app, missing.name)
			variant(t, app, func(d *appsv1.Deployment) {
				d.Spec.Template.Spec.ServiceAccountName = app
				c := container(d, "kubedns")
				c.Args = append(c.Args, "--federations=myfed=example.com")
				c.Env = append(c.Env, corev1.EnvVar{Name: "KUBE_FEATURE_WatchListClient", Value: "false"})
			})
			p := thePod(t, app)
			resource := strings.TrimSuffix(missing.resource+"."+missing.group, ".")
			eventually(t, 5*time.Minute, func() string {
				for line := range strings.Lines(logs(t, app, "kubedns")) {
					if strings.Contains(line, "resource="+resource) && strings.Contains(line, "verb="+missing.verb) && strings.Contains(line, "lacks a rule") {
						return ""
					}
				}
				return "no line of the log names the verb:\n" + logs(t, app, "kubedns")
			})
			switch missing.verb + " " + missing.resource {
			case "list services", "list endpointslices":
				if got := strings.Join(unready(t, app), " "); !strings.Contains(got, "kubedns") {
					t.Errorf("not ready are %q, want kubedns among them", got)
				}
			case "list nodes":
				// A federated name without a local Service leads to the zone's name.
				if got := askKubedns(t, p, "nope.default.myfed.svc.cluster.local."); strings.Contains(got, "203.0.113.5") {
					t.Errorf("a federated name is answered without the right to list nodes: %s", got)
				}
			}
		})
	}
}

// With every verb, federated names work too. This shows that the missing rights above are
// what breaks them.
func testAllVerbsSuffice(t *testing.T) {
	account(t, "with-all", "")
	variant(t, "with-all", func(d *appsv1.Deployment) {
		d.Spec.Template.Spec.ServiceAccountName = "with-all"
		c := container(d, "kubedns")
		c.Args = append(c.Args, "--federations=myfed=example.com")
		c.Env = append(c.Env, corev1.EnvVar{Name: "KUBE_FEATURE_WatchListClient", Value: "false"})
	})
	awaitReady(t, "with-all", 1, 5*time.Minute)
	wantOfKubedns(t, thePod(t, "with-all"), "web.dns-test.svc.cluster.local.", "10.96.")
	if log := logs(t, "with-all", "kubedns"); strings.Contains(log, "lacks a rule") {
		t.Errorf("a verb is missing:\n%s", log)
	}
}
