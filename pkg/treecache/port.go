package treecache

import "github.com/kube-dns/kube-dns/pkg/dnsname"

// parseProtocol reads the label of a protocol ("_tcp"); 0 for any other label.
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

// hasProtocol reports whether a port has the protocol that label names.
func (s *Set) hasProtocol(label string) bool {
	protocol := parseProtocol(label)
	for i := range s.ports {
		if s.ports[i].protocol == protocol {
			return true
		}
	}
	return false
}

// port returns the node of _name._protocol, given the two labels from the node
// downwards; nil when there is none.
func (s *Set) port(protocol, name string) *portNode {
	want := parseProtocol(protocol)
	if want == 0 || name[0] != '_' {
		return nil
	}
	for i := range s.ports {
		if p := &s.ports[i]; p.protocol == want && p.name == name[1:] {
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
		a.view, a.refs, a.hi, a.weight = viewRefs, *p.refs, int32(len(*p.refs)), share(len(*p.refs))
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
		for first < len(a.refs) && a.refs[first].host != uint32(lo) {
			first++
		}
		last := first
		for last < len(a.refs) && a.refs[last].host == uint32(lo) {
			last++
		}
		if first == last {
			return Answer{}
		}
		a.lo, a.hi, a.weight = int32(first), int32(last), share(last-first)
	}
	return a
}
