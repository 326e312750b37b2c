// Package serviceimport is the ServiceImport of the Multi-Cluster Services API
// (KEP-1645), as far as DNS needs it. The versions v1beta1 and v1alpha1 have the same
// fields. The API's own module is not used: its clients would add megabytes to the
// binary, and its decoder refuses a whole list for one field of the wrong type.
package serviceimport

import (
	"encoding/json"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Names of the API.
const (
	Group    = "multicluster.x-k8s.io"
	Kind     = "ServiceImport"
	Resource = "serviceimports"

	// LabelServiceName on an EndpointSlice names the ServiceImport, in the same
	// namespace, that the slice belongs to.
	LabelServiceName = "multicluster.kubernetes.io/service-name"
	// LabelSourceCluster on an EndpointSlice is the id of the cluster that its
	// endpoints are in.
	LabelSourceCluster = "multicluster.kubernetes.io/source-cluster"
)

// Values of Spec.Type.
const (
	ClusterSetIP = "ClusterSetIP"
	Headless     = "Headless"
)

// Versions returns the versions of the API, the preferred one first.
func Versions() []string { return []string{"v1beta1", "v1alpha1"} }

// ServiceImport says that a Service can be reached under its name in the clusterset
// zone.
type ServiceImport struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec Spec `json:"spec"`
	// Status is of no interest.
	Status json.RawMessage `json:"status,omitempty"`
}

// Spec is the part of a ServiceImport that counts. Other fields, such as
// sessionAffinity and ipFamilies, have no effect on DNS.
type Spec struct {
	// Type is ClusterSetIP or Headless.
	Type string `json:"type"`
	// IPs are the virtual addresses of a ClusterSetIP import.
	IPs   []string `json:"ips"`
	Ports []Port   `json:"ports"`
	// Fault says why the spec cannot be read; "" if it can. The other fields are
	// empty then.
	Fault string `json:"-"`
}

// Port is a port of a ServiceImport.
type Port struct {
	Name string `json:"name"`
	// Protocol is TCP if empty.
	Protocol string `json:"protocol"`
	Port     int32  `json:"port"`
}

// UnmarshalJSON reads a spec. It never fails, so that one object of the wrong shape,
// which a CustomResourceDefinition without a schema lets in, does not make the list
// unreadable: what is wrong is in Fault.
func (s *Spec) UnmarshalJSON(data []byte) error {
	type fields Spec // without this method
	var f fields
	if err := json.Unmarshal(data, &f); err != nil {
		*s = Spec{Fault: err.Error()}
		return nil //nolint:nilerr // it is in Fault
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

// AddToScheme makes both versions known to scheme.
func AddToScheme(scheme *runtime.Scheme) {
	for _, version := range Versions() {
		gv := schema.GroupVersion{Group: Group, Version: version}
		scheme.AddKnownTypeWithName(gv.WithKind(Kind), &ServiceImport{})
		scheme.AddKnownTypeWithName(gv.WithKind(Kind+"List"), &List{})
		metav1.AddToGroupVersion(scheme, gv)
	}
}
