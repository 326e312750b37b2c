package treecache

import (
	"slices"
	"strings"
	"unsafe"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Sets of multi-cluster Services (KEP-1645, DNS specification of the Multi-Cluster
// Services API, schema version 1.0.0) have these names:
//
//	S                         addresses, and services (SRV) at real port numbers
//	_proto.S                  exists, no records
//	_port._proto.S            services, no addresses
//	<host>.<cluster>.S        one host's addresses (ClusterSetHeadless)
//	<cluster>.S               exists, no records (ClusterSetHeadless)
//
// A cluster id has one or two labels. A host's nested name holds its labels from the node
// downwards, separated by dots: "reg.cc.pod-0" is pod-0.cc.reg.S. In this order, all names
// below one name are a range of the sorted names. Hosts without a name are stored with the
// hashed ones, but count only as addresses of S: here, their hashes are not labels.
//
// The services of S are those of the first portNode, whose protocol is 0.

// appendNested appends the labels of a nested name in wire form.
func appendNested(dst []byte, name string) []byte {
	for name != "" {
		at := strings.LastIndexByte(name, '.')
		label := name[at+1:]
		dst = append(append(dst, byte(len(label))), label...)
		name = name[:max(at, 0)]
	}
	return dst
}

// addOwnServices adds the services of the Set's own name: one for each host, or virtual
// address, and port number.
func (m *portMerger) addOwnServices(ports []SetPort) {
	m.left = allowedPairs(len(m.first))
	var list []portRef
	for i := range ports {
		p := &ports[i]
		if m.set.kind == ClusterSetIP { // the target is the node itself, whatever its addresses
			list = append(list, portRef{port: p.Number})
		} else if more, ok := m.pairs(p); ok {
			list = append(list, more...)
		} else {
			m.set.portsLeftOut++
		}
	}
	if list = sortedRefs(list); len(list) > 0 {
		m.set.ports = with(m.set.ports, 0, portNode{refs: &portRefs{list: slices.Clip(list)}})
	}
}

// importedNode answers for the own name of a multi-cluster Service.
func (s *Set) importedNode(zone dnsname.Name) Answer {
	if s.numHosts() == 0 {
		return Answer{Status: NoRecords}
	}
	a := Answer{Status: Found, zone: zone, part: part{set: s, view: viewImport, hi: 1}}
	if len(s.ports) > 0 && s.ports[0].protocol == 0 {
		n := len(s.ports[0].refs.list)
		a.port, a.hi, a.weight = &s.ports[0], int32(n), share(n)
	}
	return a
}

// importedRel is rel for the Set of a multi-cluster Service.
func (s *Set) importedRel(zone dnsname.Name, labels []string) Answer {
	switch {
	case labels[0][0] != '_':
		if s.kind == ClusterSetHeadless {
			return s.nestedHost(zone, labels)
		}
	case len(labels) == 1 && s.hasProtocol(labels[0]):
		return Answer{Status: NoRecords}
	case len(labels) == 2:
		if p := s.port(labels[0], labels[1]); p != nil {
			return s.service(zone, p)
		}
	}
	return Answer{}
}

// nestedHost answers for the name of a host, or of a cluster that has hosts. labels
// are given from the node downwards.
func (s *Set) nestedHost(zone dnsname.Name, labels []string) Answer {
	var buf [3 * (dnsname.MaxLabel + 1)]byte
	key := buf[:0]
	for _, label := range labels {
		if strings.IndexByte(label, '.') >= 0 {
			return Answer{}
		}
		key = append(append(key, label...), '.')
	}
	below := unsafe.String(&key[0], len(key)) // not kept
	name := below[:len(below)-1]
	if lo, hi := s.named.withName(name); lo < hi {
		n := s.hashed.len()
		return Answer{
			Status: Found, weight: fullWeight, zone: zone,
			part: part{set: s, view: viewHosts, lo: int32(n + lo), hi: int32(n + hi)},
		}
	}
	hosts := s.named.all()
	if at := firstFrom(hosts, below); at < len(hosts) && strings.HasPrefix(hosts[at].name, below) {
		return Answer{Status: NoRecords}
	}
	return Answer{}
}

// target returns the view of what the services of p lead to.
func (p *part) target() view {
	switch {
	case p.view != viewImport:
		return p.view
	case p.set.kind == ClusterSetIP:
		return viewNode
	}
	return viewRefs
}
