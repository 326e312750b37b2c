package kubewatch

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/kube-dns/kube-dns/pkg/records"
)

// converter turns API objects into what is kept of them. What cannot be used
// of an object (text that is no address, an unknown protocol) becomes a zero
// value, which records.Build leaves out and names. It is safe for concurrent
// use.
type converter struct{ shared interner }

// convertService returns a *records.Service.
func (c *converter) convertService(obj any) any {
	in, ok := obj.(*corev1.Service)
	if !ok {
		return nil
	}
	out := &records.Service{
		Namespace:       c.shared.intern(in.Namespace),
		Name:            in.Name,
		PublishNotReady: in.Spec.PublishNotReadyAddresses,
	}
	if !in.CreationTimestamp.IsZero() {
		out.Created = in.CreationTimestamp.Unix()
	}
	addrs := in.Spec.ClusterIPs
	if len(addrs) == 0 && in.Spec.ClusterIP != "" {
		addrs = []string{in.Spec.ClusterIP}
	}
	switch {
	case in.Spec.Type == corev1.ServiceTypeExternalName:
		// Ports and addresses mean nothing there.
		out.Kind, out.ExternalName = records.ExternalName, in.Spec.ExternalName
		return out
	case len(addrs) == 0 || addrs[0] == corev1.ClusterIPNone || addrs[0] == "":
		out.Kind = records.Headless
		return out // its endpoints have ports of their own
	}
	out.Kind = records.ClusterIP
	out.ClusterIPs = make([]netip.Addr, 0, len(addrs))
	for _, text := range addrs {
		addr, _ := records.ParseAddr(text)
		out.ClusterIPs = append(out.ClusterIPs, addr)
	}
	ports := make([]records.Port, 0, len(in.Spec.Ports))
	for _, p := range in.Spec.Ports {
		ports = append(ports, c.port(p.Name, p.Protocol, p.Port))
	}
	out.Ports = c.shared.internPorts(ports)
	return out
}

// sliceValue is what is kept of an EndpointSlice or Endpoints object.
type sliceValue struct {
	service string // the Service it belongs to, in the same namespace
	// parts is one slice for an EndpointSlice, one for each subset of an
	// Endpoints object. All have the object's name.
	parts []*records.Slice
}

// convertSlice returns a sliceValue, or nil for a slice that belongs to no
// Service or holds names instead of addresses.
func (c *converter) convertSlice(obj any) any {
	in, ok := obj.(*discoveryv1.EndpointSlice)
	if !ok {
		return nil
	}
	service := in.Labels[discoveryv1.LabelServiceName]
	if service == "" || (in.AddressType != discoveryv1.AddressTypeIPv4 && in.AddressType != discoveryv1.AddressTypeIPv6) {
		return nil
	}
	out := &records.Slice{Name: in.Name}
	ports := make([]records.Port, 0, len(in.Ports))
	for i := range in.Ports {
		// A port without number means all ports: nothing that a record could
		// name.
		if p := &in.Ports[i]; p.Port != nil {
			ports = append(ports, c.port(deref(p.Name), deref(p.Protocol), *p.Port))
		}
	}
	out.Ports = c.shared.internPorts(ports)
	out.Grow(len(in.Endpoints))
	for i := range in.Endpoints {
		e := &in.Endpoints[i]
		// A nil ready means unknown and is to be read as ready (discovery/v1,
		// EndpointConditions).
		ready := e.Conditions.Ready == nil || *e.Conditions.Ready
		for _, text := range e.Addresses {
			addr, _ := records.ParseAddr(text)
			out.Add(records.Endpoint{Addr: addr, Hostname: deref(e.Hostname), Ready: ready})
		}
	}
	return sliceValue{service: service, parts: []*records.Slice{out}}
}

// convertEndpoints returns a sliceValue of the Service of the same name, or
// nil where there are no endpoints: leader election locks look like that.
func (c *converter) convertEndpoints(obj any) any {
	in, ok := obj.(*corev1.Endpoints) //nolint:staticcheck // the fallback for servers without EndpointSlices
	if !ok || len(in.Subsets) == 0 {
		return nil
	}
	out := sliceValue{service: in.Name}
	for i := range in.Subsets {
		subset := &in.Subsets[i]
		part := &records.Slice{Name: in.Name}
		ports := make([]records.Port, 0, len(subset.Ports))
		for _, p := range subset.Ports {
			ports = append(ports, c.port(p.Name, p.Protocol, p.Port))
		}
		part.Ports = c.shared.internPorts(ports)
		part.Grow(len(subset.Addresses) + len(subset.NotReadyAddresses))
		add := func(addrs []corev1.EndpointAddress, ready bool) {
			for j := range addrs {
				addr, _ := records.ParseAddr(addrs[j].IP)
				part.Add(records.Endpoint{Addr: addr, Hostname: addrs[j].Hostname, Ready: ready})
			}
		}
		add(subset.Addresses, true)
		add(subset.NotReadyAddresses, false)
		out.parts = append(out.parts, part)
	}
	return out
}

// port converts one port of any kind of object. An empty protocol is TCP, the
// API's default.
func (c *converter) port(name string, protocol corev1.Protocol, number int32) records.Port {
	p := records.Port{Name: c.shared.intern(name)}
	switch protocol {
	case corev1.ProtocolTCP, "":
		p.Protocol = records.TCP
	case corev1.ProtocolUDP:
		p.Protocol = records.UDP
	case corev1.ProtocolSCTP:
		p.Protocol = records.SCTP
	}
	if number >= 1 && number <= 65535 {
		p.Number = uint16(number)
	}
	return p
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// maxShared bounds what an interner remembers. Past it, equal values are kept
// once for each object, which costs memory and nothing else.
const maxShared = 10_000

// interner makes equal namespaces, port names and port lists, of which a
// cluster has few, share memory. The zero value is ready to use.
type interner struct {
	mu    sync.Mutex
	texts map[string]string
	ports map[string][]records.Port // by all that the list holds
}

func (in *interner) intern(s string) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return share(&in.texts, s, s)
}

// internPorts returns a list equal to ports, which must not be changed.
func (in *interner) internPorts(ports []records.Port) []records.Port {
	if len(ports) == 0 {
		return nil
	}
	var id []byte
	for _, p := range ports {
		id = binary.BigEndian.AppendUint16(append(id, byte(p.Protocol)), p.Number)
		id = append(binary.AppendUvarint(id, uint64(len(p.Name))), p.Name...)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	return share(&in.ports, string(id), slices.Clip(ports))
}

func share[V any](known *map[string]V, id string, value V) V {
	if same, ok := (*known)[id]; ok {
		return same
	}
	if *known == nil {
		*known = map[string]V{}
	}
	if len(*known) < maxShared {
		(*known)[id] = value
	}
	return value
}
