package kubewatch

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kube-dns/kube-dns/pkg/records"
)

// converter turns API objects into the compact values that are kept. Invalid parts
// of an object (an address that cannot be parsed, an unknown protocol) become zero
// values, which records.Build leaves out and reports. It is safe for concurrent
// use.
//
// The decoder calls its methods for the objects of an API server; decoded objects are encoded first
// (see reencoded).
type converter struct{ shared interner }

// serviceFields are the fields of a Service that records depend on.
type serviceFields struct {
	kind, externalName, clusterIP []byte
	clusterIPs                    [][]byte
	ports                         []records.Port
	publishNotReady               bool
	tolerateUnready               []byte // the annotation's value
}

// tolerateUnready is the annotation that meant publishNotReadyAddresses before
// there was that field (Kubernetes DNS specification 1.1.0, §2.1).
const tolerateUnready = "service.alpha.kubernetes.io/tolerate-unready-endpoints"

// publishes reports whether endpoints that are not ready get records too.
func (f *serviceFields) publishes() bool {
	if f.publishNotReady || len(f.tolerateUnready) == 0 {
		return f.publishNotReady
	}
	tolerate, err := strconv.ParseBool(string(f.tolerateUnready))
	return err == nil && tolerate
}

// service returns the Service k. The result shares the memory of k's strings.
func (c *converter) service(k key, created metav1.Time, f *serviceFields) *records.Service {
	out := &records.Service{Namespace: k.namespace, Name: k.name, PublishNotReady: f.publishes()}
	if !created.IsZero() {
		out.Created = created.Unix()
	}
	addrs := f.clusterIPs
	if len(addrs) == 0 && len(f.clusterIP) > 0 {
		addrs = [][]byte{f.clusterIP}
	}
	switch {
	case string(f.kind) == string(corev1.ServiceTypeExternalName):
		// Ports and addresses have no meaning for an ExternalName Service.
		out.Kind, out.ExternalName = records.ExternalName, string(f.externalName)
		return out
	case len(addrs) == 0 || string(addrs[0]) == corev1.ClusterIPNone || len(addrs[0]) == 0:
		out.Kind = records.Headless
		return out // its endpoints have ports of their own
	}
	out.Kind = records.ClusterIP
	out.ClusterIPs = make([]netip.Addr, 0, len(addrs))
	for _, text := range addrs {
		out.ClusterIPs = append(out.ClusterIPs, parseAddr(text))
	}
	out.Ports = c.shared.internPorts(f.ports)
	return out
}

// sliceValue is what is kept of an EndpointSlice or Endpoints object.
type sliceValue struct {
	// service is the Service that it belongs to, in the same namespace, and imported
	// the ServiceImport; "" is none. It belongs to one at least.
	service, imported string
	// parts is one slice for an EndpointSlice, one for each subset of an
	// Endpoints object. All have the object's name.
	parts []*records.Slice
}

// sliceFields are the fields of an EndpointSlice that records depend on.
type sliceFields struct {
	service, addressType []byte
	imported, cluster    []byte // labels of the Multi-Cluster Services API
	ports                []records.Port
	endpoints            []records.Endpoint
}

// slice returns the compact form of the slice name, and whether it is to be kept.
func (c *converter) slice(name string, f *sliceFields) (v sliceValue, kept bool) {
	addresses := string(f.addressType) == string(discoveryv1.AddressTypeIPv4) || string(f.addressType) == string(discoveryv1.AddressTypeIPv6)
	if len(f.service) == 0 && len(f.imported) == 0 || !addresses {
		return v, false
	}
	out := &records.Slice{Name: name, Ports: c.shared.internPorts(f.ports)}
	out.Grow(len(f.endpoints))
	for _, e := range f.endpoints {
		out.Add(e)
	}
	v.parts = []*records.Slice{out}
	// Controllers name a slice after its Service: the two can share memory.
	if n := len(f.service); n <= len(name) && name[:n] == string(f.service) {
		v.service = name[:n]
	} else {
		v.service = string(f.service)
	}
	if len(f.imported) > 0 {
		v.imported = c.shared.intern(f.imported)
		if len(f.cluster) > 0 {
			out.SetCluster(c.shared.internPointer(f.cluster))
		}
	}
	return v, true
}

// convertEndpoints converts an Endpoints object, which belongs to the Service of
// the same name. An object without endpoints is not kept: the locks of leader
// elections look like that.
func (c *converter) convertEndpoints(obj any) conversion[sliceValue] {
	in, ok := obj.(*corev1.Endpoints) //nolint:staticcheck // the fallback for servers without EndpointSlices
	if !ok || len(in.Subsets) == 0 {
		return conversion[sliceValue]{ok: ok}
	}
	out := sliceValue{service: in.Name}
	for i := range in.Subsets {
		subset := &in.Subsets[i]
		part := &records.Slice{Name: in.Name}
		ports := make([]records.Port, 0, len(subset.Ports))
		for _, p := range subset.Ports {
			ports = append(ports, c.port([]byte(p.Name), []byte(p.Protocol), p.Port))
		}
		part.Ports = c.shared.internPorts(ports)
		part.Grow(len(subset.Addresses) + len(subset.NotReadyAddresses))
		add := func(addrs []corev1.EndpointAddress, ready bool) {
			for j := range addrs {
				part.Add(records.Endpoint{Addr: parseAddr([]byte(addrs[j].IP)), Hostname: addrs[j].Hostname, Ready: ready})
			}
		}
		add(subset.Addresses, true)
		add(subset.NotReadyAddresses, false)
		out.parts = append(out.parts, part)
	}
	return conversion[sliceValue]{out, true, true}
}

// port converts one port of any kind of object. An empty protocol is TCP, the
// API's default.
func (c *converter) port(name, protocol []byte, number int32) records.Port {
	p := records.Port{Name: c.shared.intern(name)}
	switch string(protocol) {
	case string(corev1.ProtocolTCP), "":
		p.Protocol = records.TCP
	case string(corev1.ProtocolUDP):
		p.Protocol = records.UDP
	case string(corev1.ProtocolSCTP):
		p.Protocol = records.SCTP
	}
	if number >= 1 && number <= 65535 {
		p.Number = uint16(number)
	}
	return p
}

// parseAddr is records.ParseAddr without an allocation for the usual form of an
// IPv4 address. It returns the zero Addr if text is not an address.
func parseAddr(text []byte) netip.Addr {
	if addr, ok := parseIPv4(text); ok {
		return addr
	}
	addr, _ := records.ParseAddr(string(text))
	return addr
}

// parseIPv4 reads four numbers without leading zeros.
func parseIPv4(text []byte) (netip.Addr, bool) {
	var octets [4]byte
	at, digits, n := 0, 0, 0
	for _, c := range text {
		switch {
		case c == '.' && digits > 0 && at < len(octets)-1:
			octets[at] = byte(n)
			at, digits, n = at+1, 0, 0
		case c-'0' < 10 && (digits == 0 || n > 0):
			n = 10*n + int(c-'0')
			digits++
			if n > 255 {
				return netip.Addr{}, false
			}
		default:
			return netip.Addr{}, false
		}
	}
	octets[at] = byte(n)
	return netip.AddrFrom4(octets), digits > 0 && at == len(octets)-1
}

// maxShared is how many values of each kind an interner remembers, and maxSharedSize the size of
// the largest of them, in octets as text. All others are stored once for each object, which costs
// memory and nothing else. What is remembered is never forgotten, so it must be little.
const (
	maxShared     = 10_000
	maxSharedSize = 256
)

// interner lets equal namespaces, port names and port lists share memory: a cluster
// has few different ones. The zero value is ready to use.
type interner struct {
	mu    sync.Mutex
	texts map[string]string
	ports map[string][]records.Port // the key encodes the whole list
	// pointers holds the ids of clusters, of which there are few.
	pointers map[string]*string
}

// intern returns text as a string.
func (in *interner) intern(text []byte) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	if same, ok := in.texts[string(text)]; ok {
		return same
	}
	own := string(text)
	remember(&in.texts, own, own)
	return own
}

// internPointer returns a pointer to text as a string. The caller must not change
// the string.
func (in *interner) internPointer(text []byte) *string {
	own := in.intern(text)
	in.mu.Lock()
	defer in.mu.Unlock()
	if same, ok := in.pointers[own]; ok {
		return same
	}
	remember(&in.pointers, own, &own)
	return &own
}

// internPorts returns a list equal to ports. It never returns ports itself, and
// the caller must not change the result.
func (in *interner) internPorts(ports []records.Port) []records.Port {
	if len(ports) == 0 {
		return nil
	}
	var short [64]byte
	id := short[:0]
	for _, p := range ports {
		id = binary.BigEndian.AppendUint16(append(id, byte(p.Protocol)), p.Number)
		id = append(binary.AppendUvarint(id, uint64(len(p.Name))), p.Name...)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if same, ok := in.ports[string(id)]; ok {
		return same
	}
	own := slices.Clip(slices.Clone(ports))
	remember(&in.ports, string(id), own)
	return own
}

// remember stores value under id unless shared is full, or the value is large.
func remember[V any](shared *map[string]V, id string, value V) {
	if *shared == nil {
		*shared = map[string]V{}
	}
	if len(*shared) < maxShared && len(id) <= maxSharedSize {
		(*shared)[id] = value
	}
}
