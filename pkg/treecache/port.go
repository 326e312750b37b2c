package treecache

import (
	"sort"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// parseProtocol reads the label of a protocol ("_tcp"). It returns 0 for any other
// label.
func parseProtocol(label string) Protocol {
	switch label {
	case "_tcp":
		return TCP
	case "_udp":
		return UDP
	case "_sctp":
		return SCTP
	}
	return 0
}

// findPort returns the index of a port in s.ports, or the index at which it would be
// inserted. The ports are sorted by protocol and name; there may be thousands.
func (s *Set) findPort(protocol Protocol, name string) int {
	lo, hi := 0, len(s.ports)
	for lo < hi {
		mid := (lo + hi) / 2
		if p := &s.ports[mid]; p.protocol < protocol || p.protocol == protocol && p.name < name {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// hasProtocol reports whether a port has the protocol that label names.
func (s *Set) hasProtocol(label string) bool {
	protocol := parseProtocol(label)
	at := s.findPort(protocol, "")
	return protocol != 0 && at < len(s.ports) && s.ports[at].protocol == protocol
}

// port returns the node of _name._protocol, given the two labels from the node
// downwards; nil when there is none.
func (s *Set) port(protocol, name string) *portNode {
	want := parseProtocol(protocol)
	if want == 0 || name[0] != '_' {
		return nil
	}
	at := s.findPort(want, name[1:])
	if at == len(s.ports) || s.ports[at].protocol != want || s.ports[at].name != name[1:] {
		return nil
	}
	return &s.ports[at]
}

// service answers for _port._proto.S.
func (s *Set) service(zone dnsname.Name, p *portNode) Answer {
	a := Answer{Status: Found, zone: zone, part: part{set: s, view: viewPorts, port: p}}
	switch {
	case p.refs != nil:
		a.view, a.hi, a.weight = viewRefs, int32(len(p.refs.list)), share(len(p.refs.list))
	case s.kind == ClusterIP, s.kind == ClusterSetIP:
		a.view, a.hi, a.weight = viewNode, 1, fullWeight
	default:
		a.hi, a.weight = int32(s.numHosts()), share(int(s.targets))
	}
	return a
}

// hostService answers for <label>._port._proto.S.
func (s *Set) hostService(zone dnsname.Name, p *portNode, label string) Answer {
	lo, hi := s.findHost(label)
	if lo == hi {
		return Answer{}
	}
	a := s.service(zone, p)
	switch a.view {
	case viewPorts:
		a.lo, a.hi, a.weight = int32(lo), int32(hi), fullWeight
	case viewRefs:
		refs := p.refs.list
		first := sort.Search(len(refs), func(i int) bool { return refs[i].host >= uint32(lo) })
		if first == len(refs) || refs[first].host != uint32(lo) {
			return Answer{}
		}
		last := runEnd(first, len(refs), func(i int) bool { return refs[i].host == uint32(lo) })
		a.lo, a.hi, a.weight = int32(first), int32(last), share(last-first)
	}
	return a
}
