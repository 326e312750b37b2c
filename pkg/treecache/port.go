package treecache

import "github.com/kube-dns/kube-dns/pkg/dnsname"

// hasProtocol reports whether a port has the protocol that label ("_tcp")
// names.
func (s *Set) hasProtocol(label string) bool {
	for i := range s.ports {
		if label[1:] == s.ports[i].protocol.String() {
			return true
		}
	}
	return false
}

// port returns the node of _name._protocol, given the two labels from the node
// downwards; nil when there is none.
func (s *Set) port(protocol, name string) *portNode {
	if protocol[0] != '_' || name[0] != '_' {
		return nil
	}
	for i := range s.ports {
		p := &s.ports[i]
		if name[1:] == p.name && protocol[1:] == p.protocol.String() {
			return p
		}
	}
	return nil
}

// service answers for _port._proto.S.
func (s *Set) service(zone dnsname.Name, p *portNode) Answer {
	a := Answer{Status: Found, view: viewPorts, port: p.number, set: s, zone: zone}
	switch {
	case p.refs != nil:
		a.view, a.refs, a.hi, a.weight = viewRefs, p.refs, int32(len(p.refs)), share(len(p.refs))
	case s.kind == ClusterIP:
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
		first := 0
		for first < len(p.refs) && p.refs[first].host != uint32(lo) {
			first++
		}
		last := first
		for last < len(p.refs) && p.refs[last].host == uint32(lo) {
			last++
		}
		if first == last {
			return Answer{}
		}
		a.lo, a.hi, a.weight = int32(first), int32(last), share(last-first)
	}
	return a
}
