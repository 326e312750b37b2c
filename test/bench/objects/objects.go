// Package objects generates the Services, EndpointSlices, Nodes and Namespaces of a
// cluster of a given size, always the same ones for the same size, and questions about
// them with their answers.
package objects

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-dns/kube-dns/test/apiserver"
)

const (
	servicesPerNamespace = 100
	endpointsPerNode     = 100
	// sliceLimit is how many endpoints the EndpointSlice controller puts into
	// one slice unless told otherwise.
	sliceLimit = 100
)

// Cluster is the size of a cluster. Of each ten Services the first is headless,
// every other one of those with hostnames, and the second has an IPv6 address
// too.
type Cluster struct {
	Services  int // at least 1
	Endpoints int // of all Services together, the same number for each
}

// Fill puts all objects into s.
func (c Cluster) Fill(s *apiserver.Server) {
	for i := range c.Namespaces() {
		s.Put(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: Namespace(i * servicesPerNamespace), Labels: map[string]string{corev1.LabelMetadataName: Namespace(i * servicesPerNamespace)}}})
	}
	for i := range c.Nodes() {
		s.Put(node(i))
	}
	for i := range c.Services {
		s.Put(c.Service(i))
		for _, slice := range c.Slices(i) {
			s.Put(slice)
		}
	}
}

// FillPods puts the Pods of all endpoints into s, with the fields that servers that watch
// Pods read, and one more Pod with the address client in a namespace.
func (c Cluster) FillPods(s *apiserver.Server, client, namespace string) {
	pod := func(namespace, name, ip string) *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"app": name, "pod-template-hash": "5d59d67564"}},
			Spec:       corev1.PodSpec{NodeName: "node-1", Containers: []corev1.Container{{Name: "main", Image: "registry.example/app:1.0"}}},
			Status:     corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}},
		}
	}
	for i := range c.Services {
		for k := range c.PerService() {
			s.Put(pod(Namespace(i), fmt.Sprintf("%s-5d59d67564-%05d", Name(i), k), c.EndpointIP(i, k)))
		}
	}
	s.Put(pod(namespace, "client", client))
}

// Namespaces is the number of namespaces.
func (c Cluster) Namespaces() int {
	return (c.Services + servicesPerNamespace - 1) / servicesPerNamespace
}

// Nodes is the number of nodes.
func (c Cluster) Nodes() int { return (c.Endpoints + endpointsPerNode - 1) / endpointsPerNode }

// PerService is the number of endpoints of one Service.
func (c Cluster) PerService() int { return c.Endpoints / c.Services }

// String says the size.
func (c Cluster) String() string {
	return fmt.Sprintf("%d Services, %d endpoints", c.Services, c.Endpoints)
}

// Headless reports whether Service i is headless.
func Headless(i int) bool { return i%10 == 0 }

// DualStack reports whether Service i has an IPv6 address too.
func DualStack(i int) bool { return i%10 == 1 }

// hostnames reports whether the endpoints of Service i have hostnames.
func hostnames(i int) bool { return i%20 == 0 }

// Namespace is where Service i is.
func Namespace(i int) string { return fmt.Sprintf("team-%d", i/servicesPerNamespace) }

// Name is the name of Service i.
func Name(i int) string { return fmt.Sprintf("service-%d", i) }

// ClusterIP is the address of Service i, if it is not headless.
func ClusterIP(i int) string { return address(11, i) }

// EndpointIP is the address of endpoint j of Service i.
func (c Cluster) EndpointIP(i, j int) string { return address(12, i*c.PerService()+j) }

// address is the nth one of a /8 network, for n below 2^24.
func address(network, n int) string {
	return fmt.Sprintf("%d.%d.%d.%d", network, n>>16, n>>8&255, n&255)
}

// metadata is of the usual size: most of it is of no use to DNS.
func metadata(i int, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: Namespace(i), Name: name, UID: "0b2a6f6e-6d4c-4a53-9a86-1f2f0a6a3c55",
		Labels:      map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "bench"},
		Annotations: map[string]string{"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 400)},
		ManagedFields: []metav1.ManagedFieldsEntry{{
			Manager: "bench", Operation: metav1.ManagedFieldsOperationApply, APIVersion: "v1", FieldsType: "FieldsV1",
			FieldsV1: metav1.NewFieldsV1(`{"f:spec":{"f:ports":{"` + strings.Repeat("y", 300) + `":{}}}}`),
		}},
	}
}

// Service returns Service i.
func (c Cluster) Service(i int) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metadata(i, Name(i)), Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ClusterIP: ClusterIP(i), ClusterIPs: []string{ClusterIP(i)},
		IPFamilies: []corev1.IPFamily{corev1.IPv4Protocol},
		Selector:   map[string]string{"app.kubernetes.io/name": Name(i)},
		Ports:      []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}, {Name: "metrics", Port: 9090, Protocol: corev1.ProtocolTCP}},
	}}
	switch {
	case Headless(i):
		s.Spec.ClusterIP, s.Spec.ClusterIPs = corev1.ClusterIPNone, []string{corev1.ClusterIPNone}
	case DualStack(i):
		s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, fmt.Sprintf("fd00::%x:%x", i>>16, i&0xffff))
		s.Spec.IPFamilies = append(s.Spec.IPFamilies, corev1.IPv6Protocol)
	}
	return s
}

// Slices returns the EndpointSlices of Service i, none if it has no endpoints.
func (c Cluster) Slices(i int) []*discoveryv1.EndpointSlice {
	var list []*discoveryv1.EndpointSlice
	for j := range c.PerService() {
		if j%sliceLimit == 0 {
			list = append(list, c.emptySlice(i, len(list)))
		}
		s := list[len(list)-1]
		s.Endpoints = append(s.Endpoints, c.endpoint(i, j))
	}
	return list
}

func (c Cluster) emptySlice(i, n int) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metadata(i, fmt.Sprintf("%s-x7k2%c", Name(i), 'a'+rune(n))), AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{
			{Name: new("http"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)},
			{Name: new("metrics"), Port: new(int32(9090)), Protocol: new(corev1.ProtocolTCP)},
		},
	}
	s.Labels[discoveryv1.LabelServiceName] = Name(i)
	if Headless(i) {
		s.Labels[corev1.IsHeadlessService] = ""
	}
	return s
}

func (c Cluster) endpoint(i, j int) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{
		Addresses:  []string{c.EndpointIP(i, j)},
		Conditions: discoveryv1.EndpointConditions{Ready: new(true), Serving: new(true), Terminating: new(false)},
		NodeName:   new(nodeName((i*c.PerService() + j) % c.Nodes())), Zone: new("zone-a"),
		TargetRef: &corev1.ObjectReference{
			Kind: "Pod", Namespace: Namespace(i), Name: fmt.Sprintf("%s-%d", Name(i), j), UID: "0b2a6f6e-6d4c-4a53-9a86-1f2f0a6a3c55",
		},
	}
	if hostnames(i) {
		e.Hostname = new(fmt.Sprintf("%s-%d", Name(i), j))
	}
	return e
}

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }

func node(i int) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: nodeName(i), Labels: map[string]string{
			corev1.LabelHostname: nodeName(i), corev1.LabelTopologyZone: "zone-a", corev1.LabelTopologyRegion: "region-1",
		}},
		Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address(10, i)}}},
	}
}
