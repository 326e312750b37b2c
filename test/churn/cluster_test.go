package churn

import (
	"fmt"
	"math/rand/v2"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/miekg/dns"

	"github.com/kube-dns/kube-dns/test/apiserver"
)

const (
	namespaces = 10
	services   = 300 // names that come and go
	stable     = 100 // Services that nobody changes, a half of them headless
	slicesEach = 3   // EndpointSlices that a Service has at most
)

// cluster changes what the API server holds.
type cluster struct {
	api *apiserver.Server
	rnd *rand.Rand
}

func meta(i int, prefix string) metav1.ObjectMeta {
	return metav1.ObjectMeta{
		Namespace: fmt.Sprint("team-", i%namespaces), Name: fmt.Sprint(prefix, i), CreationTimestamp: metav1.Unix(1_700_000_000+int64(i), 0),
	}
}

func ip(a, b, i int) string { return fmt.Sprintf("10.%d.%d.%d", a, b+i>>8, i&255) }

func ports(n int) []corev1.ServicePort {
	return []corev1.ServicePort{{Name: "http", Protocol: "TCP", Port: 80}, {Name: "dns", Protocol: "UDP", Port: 53}}[:n]
}

// fill creates the stable Services, and most of the others.
func (c *cluster) fill() {
	for i := range stable {
		s := &corev1.Service{ObjectMeta: meta(i, "stable-"), Spec: corev1.ServiceSpec{Type: "ClusterIP", Ports: ports(2)}}
		s.Spec.ClusterIP = ip(1, 0, i)
		if i%2 == 1 {
			s.Spec.ClusterIP = "None"
			sl := &discoveryv1.EndpointSlice{ObjectMeta: meta(i, "stable-slice-"), AddressType: "IPv4"}
			sl.Labels = map[string]string{discoveryv1.LabelServiceName: s.Name}
			sl.Ports = []discoveryv1.EndpointPort{{Name: new("http"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(8080))}}
			sl.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{ip(2, 0, i)}, Hostname: new("pet-0")}}
			c.api.Put(sl)
		}
		s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
		c.api.Put(s)
	}
	for range 4 * services {
		c.change()
	}
}

// stableAnswer returns the name of stable Service i, and its expected answer to A.
func stableAnswer(i int) (name, addr string) {
	name = fmt.Sprintf("stable-%d.team-%d.svc.cluster.local.", i, i%namespaces)
	if i%2 == 1 {
		return "pet-0." + name, ip(2, 0, i)
	}
	return name, ip(1, 0, i)
}

// change makes one random change, as deployments, scaling and people do.
func (c *cluster) change() {
	i := c.rnd.IntN(services)
	s := &corev1.Service{ObjectMeta: meta(i, "service-")}
	sl := c.slice(i)
	switch n := c.rnd.IntN(100); {
	case n < 60:
		c.api.Put(sl)
	case n < 70:
		c.api.Delete(sl)
	case n < 73: // the slice goes to another Service
		sl.Labels[discoveryv1.LabelServiceName] = fmt.Sprint("service-", c.rnd.IntN(services))
		c.api.Put(sl)
	case n < 80:
		c.api.Delete(s)
	case n < 82: // deleted and recreated as another type
		c.api.Delete(s)
		c.api.Put(c.service(i))
	default:
		c.api.Put(c.service(i))
	}
}

func (c *cluster) service(i int) *corev1.Service {
	s := &corev1.Service{ObjectMeta: meta(i, "service-"), Spec: corev1.ServiceSpec{Type: "ClusterIP", Ports: ports(c.rnd.IntN(3))}}
	switch c.rnd.IntN(10) {
	case 0:
		s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, "www.example.com"
		return s
	case 1, 2, 3, 4:
		s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None"}
		s.Spec.PublishNotReadyAddresses = c.rnd.IntN(4) == 0
		return s
	}
	s.Spec.ClusterIP = ip(3, c.rnd.IntN(2), i)
	s.Spec.ClusterIPs = []string{s.Spec.ClusterIP}
	if c.rnd.IntN(3) == 0 {
		s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, fmt.Sprintf("2001:db8::%x", i))
	}
	return s
}

func (c *cluster) slice(i int) *discoveryv1.EndpointSlice {
	part := c.rnd.IntN(slicesEach)
	s := &discoveryv1.EndpointSlice{ObjectMeta: meta(i, fmt.Sprintf("slice-%d-", part)), AddressType: "IPv4"}
	s.Labels = map[string]string{discoveryv1.LabelServiceName: fmt.Sprint("service-", i)}
	s.Ports = []discoveryv1.EndpointPort{{Name: new("http"), Protocol: new(corev1.ProtocolTCP), Port: new(int32(8080 + c.rnd.IntN(2)))}}
	for j := range c.rnd.IntN(12) {
		e := discoveryv1.Endpoint{Addresses: []string{fmt.Sprintf("10.%d.%d.%d", 100+part, i&255, j*20+c.rnd.IntN(20))}}
		if i%3 == 0 {
			e.Hostname = new(fmt.Sprint("pet-", j))
		}
		e.Conditions.Ready = new(c.rnd.IntN(5) != 0)
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

type question struct {
	name string
	typ  uint16
}

// questions returns all questions for which the cluster's objects may have caused answers.
func (c *cluster) questions() []question {
	var all []question
	for i := range services {
		m := meta(i, "service-")
		name := m.Name + "." + m.Namespace + ".svc.cluster.local."
		for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeCNAME} {
			all = append(all, question{name, typ})
		}
		all = append(all, question{"_http._tcp." + name, dns.TypeSRV}, question{"_dns._udp." + name, dns.TypeSRV}, question{"_tcp." + name, dns.TypeSRV})
		for j := range 12 {
			all = append(all, question{fmt.Sprintf("pet-%d.%s", j, name), dns.TypeA})
		}
		for b := range 2 {
			all = append(all, question{reverse(ip(3, b, i)), dns.TypePTR})
		}
	}
	seen := map[string]bool{}
	for _, o := range c.api.Objects(&discoveryv1.EndpointSlice{}) {
		for _, e := range o.(*discoveryv1.EndpointSlice).Endpoints {
			if addr := e.Addresses[0]; !seen[addr] {
				seen[addr] = true
				all = append(all, question{reverse(addr), dns.TypePTR})
			}
		}
	}
	for i := range stable {
		name, _ := stableAnswer(i)
		all = append(all, question{name, dns.TypeA})
	}
	return all
}

func reverse(addr string) string {
	name, err := dns.ReverseAddr(addr)
	if err != nil {
		panic(err) // it is an address
	}
	return name
}
