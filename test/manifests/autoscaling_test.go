package manifests

import (
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// isAutoscaled: the autoscaler's target is the addon, its parameters are such that it
// never leaves a single Pod, it may scale nothing else, and nobody else sets the number.
func isAutoscaled(t *testing.T, objects []runtime.Object) {
	t.Helper()
	d := find[*appsv1.Deployment](t, objects, "kube-dns-autoscaler")
	var target string
	var params struct {
		Linear struct {
			Min                       int
			PreventSinglePointFailure bool
			NodesPerReplica           float64
		}
	}
	for _, arg := range d.Spec.Template.Spec.Containers[0].Args {
		if text, ok := strings.CutPrefix(arg, "--default-params="); ok {
			if err := json.Unmarshal([]byte(text), &params); err != nil {
				t.Errorf("%s: %v", arg, err)
			}
		}
		if text, ok := strings.CutPrefix(arg, "--target="); ok {
			target = text
		}
	}
	if target != "deployment/"+deployment(t, objects).Name || !params.Linear.PreventSinglePointFailure || params.Linear.Min < 2 || params.Linear.NodesPerReplica <= 0 {
		t.Errorf("target %s, parameters %+v", target, params)
	}
	if d.Spec.Template.Spec.DNSPolicy != "Default" {
		t.Error("the autoscaler needs the DNS that it scales")
	}
	for _, rule := range find[*rbacv1.Role](t, objects, "kube-dns-autoscaler").Rules {
		if rule.Resources[0] == "deployments/scale" && (len(rule.ResourceNames) != 1 || rule.ResourceNames[0] != "kube-dns") {
			t.Errorf("it may scale %v", rule.ResourceNames)
		}
	}
	if n := deployment(t, objects).Spec.Replicas; n != nil {
		t.Errorf("the manifest sets %d replicas as well", *n)
	}
}

// isHorizontallyScaled: the target is the addon, whose containers all have the requests
// that utilization is a percentage of, and nobody else sets the number.
func isHorizontallyScaled(t *testing.T, objects []runtime.Object) {
	t.Helper()
	h, d := find[*autoscalingv2.HorizontalPodAutoscaler](t, objects, "kube-dns"), deployment(t, objects)
	if ref := h.Spec.ScaleTargetRef; ref.Kind != "Deployment" || ref.Name != d.Name || *h.Spec.MinReplicas < 2 {
		t.Errorf("target %+v, at least %d", ref, *h.Spec.MinReplicas)
	}
	for _, c := range d.Spec.Template.Spec.Containers {
		if c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s requests no processor time", c.Name)
		}
	}
	if d.Spec.Replicas != nil {
		t.Errorf("the manifest sets %d replicas as well", *d.Spec.Replicas)
	}
}
