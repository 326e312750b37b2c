package objects

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-dns/kube-dns/test/apiserver"
)

// What tenants create to make answers expensive.
const (
	WorstEndpoints = 100_000 // of each large Service
	WorstClaimants = 10_000  // Services that share one address, and namespaces with a Service of one name
	worstPorts     = 5_000   // of one Service
)

// Kind is one kind of expensive question.
type Kind struct {
	Name      string
	TCP       bool
	Questions []Question
}

// FillWorst puts into s what tenants may create on purpose: Services with WorstEndpoints
// endpoints, WorstClaimants Services that share one address, and as many namespaces, aliases
// and ports.
func FillWorst(s *apiserver.Server) {
	for _, name := range []string{"plain", "named", "mixed"} {
		s.Put(worstService(name, "big", corev1.ClusterIPNone))
		const perSlice = 1000
		for n := range WorstEndpoints / perSlice {
			s.Put(worstSlice(name, n, perSlice))
		}
	}
	for i := range WorstClaimants {
		name := fmt.Sprintf("s%d", i)
		s.Put(worstService(name, "shared", corev1.ClusterIPNone))
		slice := emptyWorstSlice(name, "shared", discoveryv1.AddressTypeIPv4)
		slice.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{address(20, 1)}}}
		s.Put(slice)
		s.Put(worstService("web", fmt.Sprintf("ns%d", i), address(21, i)))
		alias := worstService(name, "outside", "")
		alias.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "plain.big.svc.cluster.local"}
		s.Put(alias)
	}
	ports := worstService("ports", "big", address(22, 1))
	ports.Spec.Ports = nil
	for i := range worstPorts {
		ports.Spec.Ports = append(ports.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("p%d", i), Port: int32(i + 1), Protocol: corev1.ProtocolTCP})
	}
	s.Put(ports)
}

func worstService(name, namespace, clusterIP string) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, Spec: corev1.ServiceSpec{
		Type: corev1.ServiceTypeClusterIP, ClusterIP: clusterIP, ClusterIPs: []string{clusterIP},
		Ports: []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}},
	}}
}

func emptyWorstSlice(service, namespace string, family discoveryv1.AddressType) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: service + "-1", Namespace: namespace, Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: family,
		Ports:       []discoveryv1.EndpointPort{{Name: new("http"), Port: new(int32(8080)), Protocol: new(corev1.ProtocolTCP)}},
	}
}

// worstSlice is slice n of a large Service: "mixed" has one IPv4 address among
// IPv6 ones, "named" has hostnames.
func worstSlice(service string, n, size int) *discoveryv1.EndpointSlice {
	family := discoveryv1.AddressTypeIPv4
	if service == "mixed" && n > 0 {
		family = discoveryv1.AddressTypeIPv6
	}
	s := emptyWorstSlice(service, "big", family)
	s.Name = fmt.Sprintf("%s-%d", service, n)
	for i := n * size; i < (n+1)*size; i++ {
		e := discoveryv1.Endpoint{Addresses: []string{address(23, i)}}
		switch {
		case service == "named":
			e.Hostname = new(fmt.Sprintf("h%d", i))
		case family == discoveryv1.AddressTypeIPv6:
			e.Addresses[0] = fmt.Sprintf("fd01::%x:%x", i>>16, i&0xffff)
		case service == "mixed" && i > n*size:
			continue
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

// WorstKinds returns the kinds of questions that may be expensive in c with the objects of
// FillWorst. The first kind is an ordinary one.
func (c Cluster) WorstKinds() []Kind {
	all := func(qtype uint16, names ...string) []Question {
		var list []Question
		for _, name := range names {
			list = append(list, Question{Name: name + Zone, Type: qtype})
		}
		return list
	}
	big := []string{"plain.big.svc.", "named.big.svc.", "_http._tcp.plain.big.svc.", "*.plain.big.svc.", "s7.outside.svc."}
	ordinary := make([]string, 0, 1000)
	for i := range cap(ordinary) {
		ordinary = append(ordinary, strings.TrimSuffix(FullName(i*7919%c.Services), Zone))
	}
	deep := strings.Repeat("a.", 100)
	return []Kind{
		{"ordinary A", false, all(dns.TypeA, ordinary...)},
		{"A of 100 000 endpoints", false, all(dns.TypeA, big...)},
		{"A of 100 000 endpoints", true, all(dns.TypeA, big...)},
		{"A, one of 100 000 IPv6", false, all(dns.TypeA, "mixed.big.svc.", "_http._tcp.mixed.big.svc.")},
		{"SRV of 100 000 endpoints", false, all(dns.TypeSRV, big...)},
		{"SRV of 100 000 endpoints", true, all(dns.TypeSRV, big...)},
		{"PTR of a shared address", false, []Question{{Name: "1.0.0.20.in-addr.arpa.", Type: dns.TypePTR}}},
		{"PTR of a shared address", true, []Question{{Name: "1.0.0.20.in-addr.arpa.", Type: dns.TypePTR}}},
		{"wildcard for a Service", false, all(dns.TypeA, "*.*.team-7.svc.", "_http._tcp.*.shared.svc.", "*.*.shared.svc.", "h7.*.big.svc.")},
		{"wildcard for a Service", true, all(dns.TypeSRV, "*.*.shared.svc.", "_http._tcp.*.shared.svc.")},
		{"wildcard for a namespace", false, all(dns.TypeA, "web.*.svc.", "*.web.*.svc.", "nosuch.*.svc.", "_http._tcp.web.*.svc.")},
		{"wildcard for a namespace", true, all(dns.TypeSRV, "web.*.svc.", "_http._tcp.web.*.svc.")},
		{"wildcard for everything", false, all(dns.TypeA, "*.*.*.svc.", "*.*.*.", "*.*.*.*.", "_http._tcp.*.*.svc.", "x.*.*.svc.")},
		{"wildcard for everything", true, all(dns.TypeSRV, "*.*.*.svc.", "*.*.*.*.", "_http._tcp.*.*.svc.")},
		{"wildcard for aliases", false, all(dns.TypeA, "*.outside.svc.", "*.*.svc.")},
		{"one of 5000 ports", false, all(dns.TypeSRV, "_p4999._tcp.ports.big.svc.", "_p1._tcp.ports.big.svc.", "_tcp.ports.big.svc.")},
		{"ANY", false, all(dns.TypeANY, slices.Concat(big, []string{"*.*.svc.", "web.*.svc."})...)},
		{"deep names", false, all(dns.TypeA, deep+"svc.", "nosuch."+deep, strings.Repeat("*.", 100)+"svc.", deep+"web.ns1.svc.")},
		{"federated names", false, all(dns.TypeA, "service-2.team-0.fed.svc.", "nosuch.team-0.fed.svc.", "*.team-0.fed.svc.")},
	}
}
