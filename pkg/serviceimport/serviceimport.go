// Package serviceimport defines the ServiceImport of the Multi-Cluster Services API
// (KEP-1645), as far as DNS needs it.
//
// Use AddToScheme to decode ServiceImports. The versions v1beta1 and v1alpha1 have
// the same fields. The API's own Go module is not used: its clients would add
// megabytes to the binary, and its decoder rejects a whole list because of one field
// of the wrong type.
package serviceimport

import (
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kube-dns/kube-dns/pkg/internal/jsonfault"
)

// Names of the API.
const (
	Group    = "multicluster.x-k8s.io"
	Kind     = "ServiceImport"
	Resource = "serviceimports"

	// LabelServiceName on an EndpointSlice names the ServiceImport, in the same
	// namespace, that the slice belongs to.
	LabelServiceName = "multicluster.kubernetes.io/service-name"
	// LabelSourceCluster on an EndpointSlice is the id of the cluster in which its
	// endpoints run.
	LabelSourceCluster = "multicluster.kubernetes.io/source-cluster"
)

// Values of Spec.Type.
const (
	ClusterSetIP = "ClusterSetIP"
	Headless     = "Headless"
)

// Versions returns the versions of the API, the preferred one first.
func Versions() []string { return []string{"v1beta1", "v1alpha1"} }

// ServiceImport makes a Service available under its name in the clusterset zone.
type ServiceImport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec Spec `json:"spec"`
	// Status is not used.
	Status json.RawMessage `json:"status,omitempty"`
}

// Spec holds the fields of a ServiceImport's spec that DNS depends on. Others, such
// as sessionAffinity and ipFamilies, have no effect.
type Spec struct {
	// Type is ClusterSetIP or Headless.
	Type string `json:"type"`
	// IPs are the virtual addresses of a ClusterSetIP import.
	IPs   []string `json:"ips"`
	Ports []Port   `json:"ports"`
	// Fault says why the spec cannot be decoded; the other fields are then empty.
	// It is empty if the spec is valid.
	Fault string `json:"-"`
}

// Port is a port of a ServiceImport.
type Port struct {
	Name string `json:"name"`
	// Protocol is TCP if empty.
	Protocol string `json:"protocol"`
	Port     int32  `json:"port"`
}

// UnmarshalJSON decodes a spec. It never returns an error: one invalid object, which
// a CustomResourceDefinition without a schema allows, must not make the whole list
// unreadable. Instead it sets Fault.
func (s *Spec) UnmarshalJSON(data []byte) error {
	type fields Spec // without this method
	var f fields
	if err := json.Unmarshal(data, &f); err != nil {
		*s = Spec{Fault: jsonfault.Explain(err).Error()}
		return nil // the error is in Fault
	}
	*s = Spec(f)
	return nil
}

// DeepCopyObject implements runtime.Object.
func (s *ServiceImport) DeepCopyObject() runtime.Object {
	c := *s
	s.DeepCopyInto(&c.ObjectMeta)
	c.Spec.IPs, c.Spec.Ports = slices.Clone(s.Spec.IPs), slices.Clone(s.Spec.Ports)
	c.Status = slices.Clone(s.Status)
	return &c
}

// List is a list of ServiceImports.
type List struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []ServiceImport `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (l *List) DeepCopyObject() runtime.Object {
	c := *l
	l.DeepCopyInto(&c.ListMeta)
	c.Items = make([]ServiceImport, len(l.Items))
	for i := range l.Items {
		c.Items[i] = *l.Items[i].DeepCopyObject().(*ServiceImport)
	}
	return &c
}

// AddToScheme registers both versions with scheme.
func AddToScheme(scheme *runtime.Scheme) {
	for _, version := range Versions() {
		gv := schema.GroupVersion{Group: Group, Version: version}
		scheme.AddKnownTypeWithName(gv.WithKind(Kind), &ServiceImport{})
		scheme.AddKnownTypeWithName(gv.WithKind(Kind+"List"), &List{})
		metav1.AddToGroupVersion(scheme, gv)
	}
}
