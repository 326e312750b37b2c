package differential

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// model holds objects, and answers from them as the DNS specification and kube-dns's rules
// say, with only loops and string comparisons. It shares no code with the programs.
type model struct {
	services map[string]*service // by name.namespace, those that have names
	// claims are the names of addresses, by the reverse name.
	claims map[string][]claim
	// tree is used to match wildcards; it is nil if they are off.
	tree      *branch
	wildcards bool
	literal   *model // the same with wildcards off
	// federations are the federations' domains by name. place is zone.region of this cluster,
	// "" while unknown.
	federations map[string]string
	place       string
	asked       map[question][]answer // for names that take long
}

// service holds the names of one Service.
type service struct {
	name, namespace string
	kind            string // "ClusterIP", "Headless", "ExternalName"
	target          string // of an ExternalName
	hosts           []host
	ports           []port
	endpoints       bool // there is one, ready or not
	created         int64
}

// host is one address under one label.
type host struct {
	label  string
	hashed bool
	addr   netip.Addr
}

// port is one mention of a named port; hosts are those that have it.
type port struct {
	name, protocol string
	number         int32
	hosts          []host
}

type claim struct {
	target  string
	rank    int // 0 for a ClusterIP, 1 for an endpoint
	created int64
}

var (
	label1123 = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	labelAny  = regexp.MustCompile(`^[-_a-zA-Z0-9]{1,63}$`)
)

func newModel(services []*corev1.Service, slices []*discoveryv1.EndpointSlice) *model {
	m := &model{services: map[string]*service{}, claims: map[string][]claim{}, wildcards: true, federations: federations}
	owned := map[string][]*discoveryv1.EndpointSlice{}
	for _, sl := range slices {
		owner := sl.Labels["kubernetes.io/service-name"]
		owned[owner+"."+sl.Namespace] = append(owned[owner+"."+sl.Namespace], sl)
	}
	for _, in := range services {
		if !label1123.MatchString(in.Name) || !label1123.MatchString(in.Namespace) {
			continue
		}
		s := &service{name: in.Name, namespace: in.Namespace, created: in.CreationTimestamp.Unix()}
		s.fill(in, owned[in.Name+"."+in.Namespace])
		if s.target == "" && len(s.hosts) == 0 {
			continue
		}
		s.mergeLabels()
		m.services[s.name+"."+s.namespace] = s
		m.claim(s)
	}
	m.tree = newTree(m)
	m.locate("")
	return m
}

// locate says where the cluster is.
func (m *model) locate(place string) {
	m.place, m.asked = place, map[question][]answer{}
	literal := *m
	literal.wildcards, literal.asked = false, map[question][]answer{}
	m.literal = &literal
}

// answers is ask, with a cache for the answers to wildcards.
func (m *model) answers(name string, typ uint16) []answer {
	if !strings.Contains(name, "*") {
		return m.ask(name, typ)
	}
	q := question{name, typ}
	if _, ok := m.asked[q]; !ok {
		m.asked[q] = m.ask(name, typ)
	}
	return m.asked[q]
}

func (s *service) fill(in *corev1.Service, owned []*discoveryv1.EndpointSlice) {
	ips := in.Spec.ClusterIPs
	if len(ips) == 0 {
		ips = []string{in.Spec.ClusterIP}
	}
	for _, sl := range owned {
		s.endpoints = s.endpoints || isAddressed(sl) && slices.ContainsFunc(sl.Endpoints, func(e discoveryv1.Endpoint) bool { return len(e.Addresses) > 0 })
	}
	switch {
	case in.Spec.Type == corev1.ServiceTypeExternalName:
		s.kind = "ExternalName"
		if addr, ok := address(in.Spec.ExternalName); ok {
			s.hosts = []host{{addr: addr}}
		} else if isName(in.Spec.ExternalName) {
			s.target = strings.TrimSuffix(in.Spec.ExternalName, ".") + "."
		}
	case ips[0] == "" || ips[0] == "None":
		s.kind = "Headless"
		for _, sl := range owned {
			s.slice(in, sl)
		}
	default:
		s.kind = "ClusterIP"
		for _, text := range ips {
			if addr, ok := address(text); ok && !addr.IsUnspecified() {
				s.add(host{label: hashLabel(addr), hashed: true, addr: addr})
			}
		}
		for _, p := range in.Spec.Ports {
			s.port(p.Name, p.Protocol, p.Port, s.hosts)
		}
	}
}

func (s *service) slice(in *corev1.Service, sl *discoveryv1.EndpointSlice) {
	if !isAddressed(sl) {
		return
	}
	var hosts []host
	for _, e := range sl.Endpoints {
		ready := e.Conditions.Ready == nil || *e.Conditions.Ready
		if !ready && !in.Spec.PublishNotReadyAddresses {
			continue
		}
		for _, text := range e.Addresses {
			addr, ok := address(text)
			if !ok || addr.IsUnspecified() {
				continue
			}
			h := host{label: hashLabel(addr), hashed: true, addr: addr}
			if e.Hostname != nil && label1123.MatchString(strings.ToLower(*e.Hostname)) {
				h.label, h.hashed = strings.ToLower(*e.Hostname), false
			}
			s.add(h)
			hosts = append(hosts, h)
		}
	}
	for _, p := range sl.Ports {
		if p.Port == nil {
			continue
		}
		var name string
		var protocol corev1.Protocol
		if p.Name != nil {
			name = *p.Name
		}
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		s.port(name, protocol, *p.Port, hosts)
	}
}

// slicesOf returns Endpoints as EndpointSlices of the Service of that name, one for each
// subset.
func slicesOf(in *corev1.Endpoints) []*discoveryv1.EndpointSlice { //nolint:staticcheck // what is read where there are no slices
	var out []*discoveryv1.EndpointSlice
	for _, subset := range in.Subsets {
		sl := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}
		sl.Namespace, sl.Labels = in.Namespace, map[string]string{discoveryv1.LabelServiceName: in.Name}
		for _, p := range subset.Ports {
			sl.Ports = append(sl.Ports, discoveryv1.EndpointPort{Name: &p.Name, Protocol: &p.Protocol, Port: &p.Port})
		}
		for i, a := range slices.Concat(subset.Addresses, subset.NotReadyAddresses) {
			sl.Endpoints = append(sl.Endpoints, discoveryv1.Endpoint{
				Addresses: []string{a.IP}, Hostname: &a.Hostname,
				Conditions: discoveryv1.EndpointConditions{Ready: new(i < len(subset.Addresses))},
			})
		}
		out = append(out, sl)
	}
	return out
}

func isAddressed(sl *discoveryv1.EndpointSlice) bool {
	return sl.AddressType == discoveryv1.AddressTypeIPv4 || sl.AddressType == discoveryv1.AddressTypeIPv6
}

func (s *service) add(h host) {
	if !slices.Contains(s.hosts, h) {
		s.hosts = append(s.hosts, h)
	}
}

func (s *service) port(name string, protocol corev1.Protocol, number int32, hosts []host) {
	name = strings.ToLower(name)
	proto := strings.ToLower(string(cmp.Or(protocol, corev1.ProtocolTCP)))
	known := protocol == "" || protocol == "TCP" || protocol == "UDP" || protocol == "SCTP"
	if !known || !label1123.MatchString(name) || len(name) > 62 || number < 1 || number > 65535 || len(hosts) == 0 {
		return
	}
	s.ports = append(s.ports, port{name, proto, number, hosts})
}

// mergeLabels treats an endpoint whose hash label equals another endpoint's hostname as
// having that hostname.
func (s *service) mergeLabels() {
	named := map[string]bool{}
	for _, h := range s.hosts {
		named[h.label] = named[h.label] || !h.hashed
	}
	for i, h := range s.hosts {
		s.hosts[i].hashed = h.hashed && !named[h.label]
	}
}

func (m *model) claim(s *service) {
	for _, h := range s.hosts {
		c := claim{target: s.full(), created: s.created}
		switch s.kind {
		case "ExternalName":
			continue
		case "Headless":
			c.rank, c.target = 1, h.label+"."+s.full()
		}
		name, err := dns.ReverseAddr(h.addr.String())
		if err != nil {
			panic(err) // it is an address
		}
		m.claims[name] = append(m.claims[name], c)
	}
}

func (s *service) full() string { return s.name + "." + s.namespace + ".svc.cluster.local." }

// address parses an address as Kubernetes does: leading zeros of a decimal octet are ignored,
// IPv4-mapped addresses are IPv4, and zones are not allowed.
func address(text string) (netip.Addr, bool) {
	if octets := strings.Split(text, "."); len(octets) == 4 {
		for i, o := range octets {
			if n, err := strconv.ParseUint(o, 10, 16); err == nil {
				octets[i] = strconv.FormatUint(n, 10)
			}
		}
		text = strings.Join(octets, ".")
	}
	addr, err := netip.ParseAddr(text)
	return addr.Unmap(), err == nil && addr.Zone() == ""
}

// isName says whether text can be the target of a CNAME: letters, digits,
// dashes and underscores in labels of 1 to 63.
func isName(text string) bool {
	text = strings.TrimSuffix(text, ".")
	if text == "" || len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(text, ".") {
		if !labelAny.MatchString(label) {
			return false
		}
	}
	return true
}

// hashLabel is kube-dns's name for an address; see test/conformance.
func hashLabel(addr netip.Addr) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "&{%s 0 10 10  false 30 0  }", addr)
	return fmt.Sprintf("%x", fmt.Sprintf("%x", h.Sum32()))
}

// dashed is CoreDNS's name for an address.
func dashed(addr netip.Addr) string {
	text := strings.NewReplacer(".", "-", ":", "-").Replace(addr.String())
	if strings.HasPrefix(text, "-") {
		text = "0" + text
	}
	if strings.HasSuffix(text, "-") {
		text += "0"
	}
	return text
}
