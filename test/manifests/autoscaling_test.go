package manifests

import (
	"encoding/json"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// isAutoscaled checks that the autoscaler's target is the addon, that its parameters never
// leave a single Pod, that it may scale nothing else, and that nothing else sets the number
// of Pods.
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

// isHorizontallyScaled checks that the target is the addon, that all its containers have
// requests, of which utilization is a percentage, and that nothing else sets the number of
// Pods.
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

// VerticalPodAutoscaler is that of the vertical Pod autoscaler, with the fields that we use.
type VerticalPodAutoscaler struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		TargetRef    autoscalingv1.CrossVersionObjectReference `json:"targetRef"`
		UpdatePolicy struct {
			UpdateMode string `json:"updateMode"`
		} `json:"updatePolicy"`
		ResourcePolicy struct {
			ContainerPolicies []struct {
				ContainerName       string                `json:"containerName"`
				ControlledResources []corev1.ResourceName `json:"controlledResources"`
				ControlledValues    string                `json:"controlledValues"`
				MinAllowed          corev1.ResourceList   `json:"minAllowed"`
				MaxAllowed          corev1.ResourceList   `json:"maxAllowed"`
			} `json:"containerPolicies"`
		} `json:"resourcePolicy"`
	} `json:"spec"`
}

func (v *VerticalPodAutoscaler) DeepCopyObject() runtime.Object { c := *v; return &c }

// isSized checks that the target is the addon, that no running Pod is evicted, that each
// container has bounds that fit its limit and the manifest's request, and that limits and the
// CPU requests, which hpa uses, are not changed.
func isSized(t *testing.T, objects []runtime.Object) {
	t.Helper()
	v, d := find[*VerticalPodAutoscaler](t, objects, "kube-dns"), deployment(t, objects)
	if ref := v.Spec.TargetRef; ref.Kind != "Deployment" || ref.APIVersion != "apps/v1" || ref.Name != d.Name || v.Namespace != d.Namespace {
		t.Errorf("target %+v", ref)
	}
	if mode := v.Spec.UpdatePolicy.UpdateMode; mode != "Initial" && mode != "Off" {
		t.Errorf("mode %q evicts Pods", mode)
	}
	policies := v.Spec.ResourcePolicy.ContainerPolicies
	if len(policies) != len(d.Spec.Template.Spec.Containers) {
		t.Errorf("%d policies", len(policies))
	}
	for _, c := range d.Spec.Template.Spec.Containers {
		found := false
		for _, p := range policies {
			if p.ContainerName != c.Name {
				continue
			}
			found = true
			request, limit := c.Resources.Requests.Memory(), c.Resources.Limits.Memory()
			if p.MinAllowed.Memory().Sign() <= 0 || p.MinAllowed.Memory().Cmp(*request) > 0 || p.MaxAllowed.Memory().Cmp(*limit) != 0 {
				t.Errorf("%s: from %v to %v, but the manifest requests %v of %v", c.Name, p.MinAllowed.Memory(), p.MaxAllowed.Memory(), request, limit)
			}
			if p.ControlledValues != "RequestsOnly" || len(p.ControlledResources) != 1 || p.ControlledResources[0] != corev1.ResourceMemory {
				t.Errorf("%s: controls %v of %v", c.Name, p.ControlledValues, p.ControlledResources)
			}
		}
		if !found {
			t.Errorf("no policy for %s", c.Name)
		}
	}
}
