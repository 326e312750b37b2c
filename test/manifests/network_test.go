package manifests

import (
	"maps"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ports returns every port that the Deployment's containers declare.
func ports(t *testing.T, objects []runtime.Object) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	for _, c := range deployment(t, objects).Spec.Template.Spec.Containers {
		for _, p := range c.Ports {
			declared[strconv.Itoa(int(p.ContainerPort))+"/"+string(p.Protocol)] = true
		}
	}
	return declared
}

// isGuarded checks that the policy admits exactly the ports that are served.
func isGuarded(t *testing.T, objects []runtime.Object) {
	t.Helper()
	policy := find[*networkingv1.NetworkPolicy](t, objects, "kube-dns")
	if policy.Spec.PodSelector.MatchLabels["k8s-app"] != "kube-dns" || len(policy.Spec.PolicyTypes) != 2 {
		t.Errorf("selector %v, types %v", policy.Spec.PodSelector, policy.Spec.PolicyTypes)
	}
	declared, open := ports(t, objects), map[string]bool{}
	for _, rule := range policy.Spec.Ingress {
		for _, p := range rule.Ports {
			port := p.Port.String() + "/" + string(*p.Protocol)
			if !declared[port] {
				t.Errorf("lets in %s, which no container serves", port)
			}
			if len(rule.From) == 0 {
				open[port] = true
			}
		}
	}
	if !open["53/UDP"] || !open["53/TCP"] || len(open) != 2 {
		t.Errorf("open to all are %v, want 53 alone", open)
	}
	reachable := map[string]bool{}
	for _, rule := range policy.Spec.Egress {
		for _, p := range rule.Ports {
			if len(rule.To) == 0 {
				reachable[p.Port.String()+"/"+string(*p.Protocol)] = true
			}
		}
	}
	want := map[string]bool{"53/UDP": true, "53/TCP": true, "853/TCP": true, "443/TCP": true, "6443/TCP": true}
	if !maps.Equal(reachable, want) {
		t.Errorf("lets out %v, want %v", reachable, want)
	}
}

// The policy lets questions to servers over TLS out, whatever the order of the components. A
// server with another port must be added by hand.
func TestPolicyLetsTLSOut(t *testing.T) {
	for _, components := range [][]string{{"networkpolicy", "tls-upstream"}, {"tls-upstream", "networkpolicy"}} {
		objects := together(t, components...)
		isGuarded(t, objects)
		isEncrypted(t, objects)
	}
}

// isScraped checks that the annotations name existing ports.
func isScraped(t *testing.T, objects []runtime.Object) {
	t.Helper()
	service := find[*corev1.Service](t, objects, "kube-dns-metrics")
	if service.Spec.ClusterIP != "None" || service.Spec.Selector["k8s-app"] != "kube-dns" {
		t.Errorf("clusterIP %s, selector %v", service.Spec.ClusterIP, service.Spec.Selector)
	}
	declared := ports(t, objects)
	for _, annotations := range []map[string]string{
		service.Annotations, deployment(t, objects).Spec.Template.Annotations,
	} {
		if annotations["prometheus.io/scrape"] != "true" || !declared[annotations["prometheus.io/port"]+"/TCP"] {
			t.Errorf("annotations %v, ports %v", annotations, declared)
		}
	}
}
