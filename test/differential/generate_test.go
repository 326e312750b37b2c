package differential

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kube-dns/kube-dns/test/apiserver"
)

// The values from which objects are made: usual ones, ones at a limit, and invalid ones. The
// pools are small, so that values collide.
var (
	namespaces = []string{"default", "prod", "svc", "1st", "bad_ns"}
	names      = append([]string{
		"web", "db", "any", "svc", "pod", "1st", "a-b", "10-0-0-1", "3234633364383235", "xn--idn", "cluster", "local",
		strings.Repeat("n", 63), strings.Repeat("n", 64), "under_score", "with.dot", "-dash", "Upper", "kubernetes",
	}, numbered("s", 40)...)
	hostnames = append([]string{
		"", "", "", "pet-0", "pet-1", "PET-1", "a", strings.Repeat("h", 63), strings.Repeat("h", 64), "bad_host", "dotted.host",
		"10-0-0-1", "3234633364383235", "any", "_tcp", "0--0",
	}, numbered("pet-", 4)...)
	goodAddrs = []string{
		"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.96.0.1", "10.96.0.2", "10.96.0.3", "255.255.255.255",
		"2001:db8::", "2001:db8::1", "2001:db8:0:0:aaaa::1", "2001:db8:0:1::", "::1", "::2", "1::", "fe80::1", "::ffff:0:1",
	}
	oddAddrs = []string{
		"10.000.0.001", "::ffff:10.0.0.1", "2001:DB8:0::1", "::", "0.0.0.0", "fe80::1%eth0", "nonsense", "", "10.0.0.256", "10.0.0",
	}
	portNames = []string{"", "http", "https", "HTTP", "dns", "1", "bad_port", "-x", strings.Repeat("p", 62), strings.Repeat("p", 63)}
	protocols = []corev1.Protocol{"TCP", "TCP", "UDP", "SCTP", "", "FOO", "tcp"}
	numbers   = []int32{80, 443, 8080, 53, 1, 65535, 0, 65536, -1}
)

func numbered(prefix string, n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint(prefix, i))
	}
	return out
}

// generator makes random objects: Endpoints in the place of EndpointSlices if
// standIn.
type generator struct {
	*rand.Rand

	standIn bool
}

func pick[T any](g generator, pool []T) T { return pool[g.IntN(len(pool))] }

// one reports true once in n times.
func (g generator) one(n int) bool { return g.IntN(n) == 0 }

func (g generator) addr() string {
	if g.one(8) {
		return pick(g, oddAddrs)
	}
	if g.one(3) { // many endpoints need many addresses
		return netip.AddrFrom4([4]byte{10, 1, 0, byte(g.IntN(40))}).String()
	}
	return pick(g, goodAddrs)
}

// externalName returns a random target of an ExternalName Service.
func (g generator) externalName() string {
	switch g.IntN(6) {
	case 0:
		return pick(g, []string{"www.example.com", "EXAMPLE.org.", "_srv._tcp.example.com", "localhost", "a..b", "", ".", "sp ace.example.com", strings.Repeat("x", 64) + ".example.com"})
	case 1:
		return g.addr()
	case 2:
		return pick(g, []string{"svc.cluster.local", "default.svc.cluster.local", "nosuch.cluster.local", "1-2-3-4.default.pod.cluster.local"})
	}
	below := ""
	switch g.IntN(12) {
	case 0:
		below = "_http._tcp." // where chance decides
	case 1:
		return pick(g, names[:12]) + "." + pick(g, namespaces[:2]) + ".myfed.svc.cluster.local"
	case 2:
		below = "pet-0."
	}
	return below + pick(g, names[:12]) + "." + pick(g, namespaces[:3]) + ".svc.cluster.local"
}

func (g generator) uid() types.UID { return types.UID(fmt.Sprint(g.Uint64())) }

func (g generator) service() *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: pick(g, namespaces), Name: pick(g, names), UID: g.uid()}}
	s.CreationTimestamp = metav1.Unix(1_700_000_000+int64(g.IntN(5)), 0)
	s.Spec.PublishNotReadyAddresses = g.one(4)
	s.Spec.Type = pick(g, []corev1.ServiceType{"ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", ""})
	seen := map[string]bool{}
	for range g.IntN(4) {
		p := corev1.ServicePort{Name: pick(g, portNames), Protocol: pick(g, protocols), Port: pick(g, numbers)}
		if key := strings.ToLower(p.Name); !seen[key] { // one Service has no name twice
			s.Spec.Ports = append(s.Spec.Ports, p)
			seen[key] = true
		}
	}
	switch g.IntN(6) {
	case 0, 1, 2:
		s.Spec.ClusterIP, s.Spec.ClusterIPs = "None", []string{"None"}
		if g.one(3) {
			s.Spec.ClusterIPs = nil
		}
	case 3:
		s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, g.externalName()
		if g.one(3) { // left over from before
			s.Spec.ClusterIP = g.addr()
		}
	default:
		for range g.IntN(3) {
			s.Spec.ClusterIPs = append(s.Spec.ClusterIPs, g.addr())
		}
		if len(s.Spec.ClusterIPs) > 0 {
			s.Spec.ClusterIP = s.Spec.ClusterIPs[0]
		}
		if g.one(3) { // as servers before dual stack
			s.Spec.ClusterIPs = nil
		}
	}
	return s
}

// slices is how many EndpointSlices a namespace has at most.
const slicesPerNamespace = 150

func (g generator) slice() *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace: pick(g, namespaces), Name: fmt.Sprint("slice-", g.IntN(slicesPerNamespace)), UID: g.uid(),
	}}
	if !g.one(20) {
		s.Labels = map[string]string{"kubernetes.io/service-name": pick(g, names), "other": "label"}
	}
	s.AddressType = pick(g, []discoveryv1.AddressType{"IPv4", "IPv4", "IPv6", "IPv6", "IPv6", "IPv4", "FQDN"})
	for range g.IntN(4) {
		p := discoveryv1.EndpointPort{Name: new(pick(g, portNames)), Protocol: new(pick(g, protocols)), Port: new(pick(g, numbers))}
		switch g.IntN(20) {
		case 0:
			p.Name = nil
		case 1:
			p.Protocol = nil
		case 2:
			p.Port = nil
		}
		s.Ports = append(s.Ports, p)
	}
	n := g.IntN(6)
	if g.one(20) {
		n = 120 // weights must not become 0
	}
	for range n {
		e := discoveryv1.Endpoint{Addresses: []string{g.addr()}}
		if n > 100 {
			e.Addresses[0] = netip.AddrFrom4([4]byte{10, 2, byte(g.IntN(2)), byte(g.IntN(256))}).String()
		}
		if g.one(10) {
			e.Addresses = append(e.Addresses, g.addr())
		}
		if g.one(2) {
			e.Hostname = new(pick(g, hostnames))
		}
		switch g.IntN(6) {
		case 0:
			e.Conditions.Ready = new(false)
		case 1, 2, 3:
			e.Conditions.Ready = new(true)
		}
		if g.one(3) {
			e.Conditions.Serving, e.Conditions.Terminating = new(g.one(2)), new(g.one(2))
		}
		s.Endpoints = append(s.Endpoints, e)
	}
	return s
}

// backing returns a random object that lists endpoints.
func (g generator) backing() apiserver.Object {
	if g.standIn {
		return g.endpoints()
	}
	return g.slice()
}

// endpoints returns an Endpoints object with the endpoints of some slices, under the name of
// a Service.
func (g generator) endpoints() *corev1.Endpoints { //nolint:staticcheck // what is read where there are no slices
	out := &corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: pick(g, namespaces), Name: pick(g, names), UID: g.uid()}} //nolint:staticcheck // as above
	for range g.IntN(4) {
		var subset corev1.EndpointSubset //nolint:staticcheck // as above
		from := g.slice()
		for _, p := range from.Ports {
			if p.Name != nil && p.Protocol != nil && p.Port != nil {
				subset.Ports = append(subset.Ports, corev1.EndpointPort{Name: *p.Name, Protocol: *p.Protocol, Port: *p.Port})
			}
		}
		for _, e := range from.Endpoints {
			a := corev1.EndpointAddress{IP: e.Addresses[0]}
			if e.Hostname != nil {
				a.Hostname = *e.Hostname
			}
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				subset.Addresses = append(subset.Addresses, a)
			} else {
				subset.NotReadyAddresses = append(subset.NotReadyAddresses, a)
			}
		}
		out.Subsets = append(out.Subsets, subset)
	}
	return out
}

// node returns a Node with zone and region labels of the given prefix, or with only one of
// them. If prefix is empty, it has neither.
func (g generator) node(name, prefix string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"kubernetes.io/hostname": name}}}
	if prefix != "" {
		n.Labels[prefix+"region"] = pick(g, []string{"r1", "r2", "Region-3"})
		n.Labels[prefix+"zone"] = pick(g, []string{"z1", "z2", "z.3", "z_4"})
		if name != "n0" && g.one(4) {
			n.Labels[prefix+"zone"] = ""
		}
	}
	if g.one(2) {
		n.Labels["failure-domain.beta.kubernetes.io/zone"], n.Labels["failure-domain.beta.kubernetes.io/region"] = "old", "older"
	}
	return n
}

// change makes one change to what the API server holds.
func (g generator) change(api *apiserver.Server) {
	switch g.IntN(10) {
	case 0, 1, 2:
		api.Put(g.service())
	case 3, 4, 5:
		api.Put(g.backing())
	case 6:
		if !g.one(4) {
			api.Put(g.backing())
			break
		}
		if n := g.node(fmt.Sprint("n", g.IntN(4)), pick(g, []string{"", "topology.kubernetes.io/", "failure-domain.beta.kubernetes.io/"})); g.one(3) {
			api.Delete(n)
		} else {
			api.Put(n)
		}
	case 7:
		s := g.service()
		api.Delete(s)
		if g.one(3) { // made again at once, as something else
			again := g.service()
			again.Namespace, again.Name = s.Namespace, s.Name
			api.Put(again)
		}
	default:
		api.Delete(g.backing())
	}
}

// fault causes a random fault between the API server and its clients.
func (g generator) fault(api *apiserver.Server) {
	switch g.IntN(5) {
	case 0, 1:
		api.Cut()
	case 2:
		api.Forget()
	case 3:
		api.SetStreams(g.one(2))
		api.ExpirePages(g.IntN(2))
		api.Forget()
	case 4:
		api.BreakLists(1)
		api.Forget()
	}
}
