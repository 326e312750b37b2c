package manifests

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// The kinds of the Prometheus operator, with the fields that we use, so that they decode
// strictly too.
type (
	PrometheusRule struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			Groups []struct {
				Name  string `json:"name"`
				Rules []struct {
					Alert       string            `json:"alert"`
					Record      string            `json:"record"`
					Expr        string            `json:"expr"`
					For         string            `json:"for"`
					Labels      map[string]string `json:"labels"`
					Annotations map[string]string `json:"annotations"`
				} `json:"rules"`
			} `json:"groups"`
		} `json:"spec"`
	}
	PodMonitor struct {
		metav1.TypeMeta   `json:",inline"`
		metav1.ObjectMeta `json:"metadata"`
		Spec              struct {
			Selector            metav1.LabelSelector `json:"selector"`
			PodMetricsEndpoints []struct {
				Port     string `json:"port"`
				Interval string `json:"interval"`
			} `json:"podMetricsEndpoints"`
		} `json:"spec"`
	}
)

// ServiceMonitor is that of the Prometheus operator, with the fields that we use.
type ServiceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

func (m *ServiceMonitor) DeepCopyObject() runtime.Object { c := *m; return &c }

func (r *PrometheusRule) DeepCopyObject() runtime.Object { c := *r; return &c }

func (m *PodMonitor) DeepCopyObject() runtime.Object { c := *m; return &c }

// TestMain registers the kinds of the Prometheus operator and of the vertical Pod autoscaler
// with the decoder.
func TestMain(m *testing.M) {
	scheme.Scheme.AddKnownTypes(schema.GroupVersion{Group: "monitoring.coreos.com", Version: "v1"}, &PrometheusRule{}, &PodMonitor{}, &ServiceMonitor{})
	scheme.Scheme.AddKnownTypes(schema.GroupVersion{Group: "autoscaling.k8s.io", Version: "v1"}, &VerticalPodAutoscaler{})
	os.Exit(m.Run())
}

// isMonitored checks that the PodMonitor names existing ports of all three programs and
// selects the addon's Pods, and that rules and dashboard are included. test/monitoring tests
// their content.
func isMonitored(t *testing.T, objects []runtime.Object) {
	t.Helper()
	if rule := find[*PrometheusRule](t, objects, "kube-dns"); len(rule.Spec.Groups) == 0 || len(rule.Spec.Groups[0].Rules) == 0 {
		t.Error("no rules")
	}
	hasDashboard(t, objects)
	monitor := find[*PodMonitor](t, objects, "kube-dns")
	pod := deployment(t, objects).Spec.Template
	for key, value := range monitor.Spec.Selector.MatchLabels {
		if pod.Labels[key] != value {
			t.Errorf("the PodMonitor selects %s=%s, the Pods have %v", key, value, pod.Labels)
		}
	}
	if monitor.Namespace != deployment(t, objects).Namespace {
		t.Errorf("the PodMonitor is in %s", monitor.Namespace)
	}
	scraped := map[string]bool{}
	for _, endpoint := range monitor.Spec.PodMetricsEndpoints {
		for _, c := range pod.Spec.Containers {
			for _, p := range c.Ports {
				if p.Name == endpoint.Port {
					scraped[c.Name] = true
				}
			}
		}
	}
	if len(monitor.Spec.Selector.MatchLabels) == 0 || len(scraped) != len(pod.Spec.Containers) || len(monitor.Spec.PodMetricsEndpoints) != len(scraped) {
		t.Errorf("selector %v, scraped are %v", monitor.Spec.Selector, scraped)
	}
}

// isMonitoredByService is isMonitored with a Service that selects every Pod, ready or not, in
// place of the PodMonitor.
func isMonitoredByService(t *testing.T, objects []runtime.Object) {
	t.Helper()
	hasDashboard(t, objects)
	if rule := find[*PrometheusRule](t, objects, "kube-dns"); len(rule.Spec.Groups) == 0 {
		t.Error("no rules")
	}
	monitor := find[*ServiceMonitor](t, objects, "kube-dns")
	var selected []*corev1.Service
	for _, o := range objects {
		switch o := o.(type) {
		case *PodMonitor:
			t.Error("a PodMonitor scrapes the Pods a second time")
		case *corev1.Service:
			selects := len(monitor.Spec.Selector.MatchLabels) > 0
			for key, value := range monitor.Spec.Selector.MatchLabels {
				selects = selects && o.Labels[key] == value
			}
			if selects && o.Namespace == monitor.Namespace {
				selected = append(selected, o)
			}
		}
	}
	if len(selected) != 1 || !selected[0].Spec.PublishNotReadyAddresses || selected[0].Spec.ClusterIP != corev1.ClusterIPNone {
		t.Fatalf("the ServiceMonitor selects %v", selected)
	}
	pod := deployment(t, objects).Spec.Template
	for key, value := range selected[0].Spec.Selector {
		if pod.Labels[key] != value {
			t.Errorf("the Service selects %s=%s, the Pods have %v", key, value, pod.Labels)
		}
	}
	scraped := map[string]bool{}
	for _, endpoint := range monitor.Spec.Endpoints {
		for _, port := range selected[0].Spec.Ports {
			for _, c := range pod.Spec.Containers {
				for _, p := range c.Ports {
					if port.Name == endpoint.Port && p.Name == port.Name && p.ContainerPort == port.Port {
						scraped[c.Name] = true
					}
				}
			}
		}
	}
	if len(scraped) != len(pod.Spec.Containers) || len(monitor.Spec.Endpoints) != len(scraped) {
		t.Errorf("scraped are %v", scraped)
	}
}

func hasDashboard(t *testing.T, objects []runtime.Object) {
	t.Helper()
	dashboard := find[*corev1.ConfigMap](t, objects, "kube-dns-dashboard")
	if dashboard.Labels["grafana_dashboard"] != "1" || !json.Valid([]byte(dashboard.Data["kube-dns.json"])) ||
		!strings.Contains(dashboard.Data["kube-dns.json"], `"uid": "kube-dns"`) {
		t.Error("no dashboard")
	}
}
