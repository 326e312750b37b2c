package treecache

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
)

// sortHost is a host on its way into a Set.
type sortHost struct {
	name  string
	hash  uint32
	addr  [16]byte
	index int // in Spec.Hosts
}

func compareHosts(a, b sortHost) int {
	return cmp.Or(
		strings.Compare(a.name, b.name), // "" first: hashed before named
		cmp.Compare(a.hash, b.hash),
		bytes.Compare(a.addr[:], b.addr[:]),
	)
}

// NewSet builds the Set that spec describes, in O(n log n) of its hosts. It
// returns nil when there is neither an alias nor a host: such an owner has no
// names.
func NewSet(spec *Spec) *Set {
	s := &Set{
		path: spec.Path, kind: spec.Kind, ttl: spec.TTL, priority: spec.Priority,
		created: spec.Created, hasEndpoints: spec.HasEndpoints,
	}
	if spec.Alias != "" {
		s.alias = spec.Alias
		return s
	}
	first := s.addHosts(spec.Hosts)
	if len(first) == 0 {
		return nil
	}
	s.addPorts(spec.Ports, first)
	return s
}

// addHosts fills the host arrays and returns, for each index into hosts, the
// first host of the Set with the same label. Invalid addresses have no host and
// are an error of the caller: they are left out.
func (s *Set) addHosts(hosts []Host) map[int]uint32 {
	order := make([]sortHost, 0, len(hosts))
	for i, h := range hosts {
		if !h.Addr.IsValid() {
			continue
		}
		sh := sortHost{name: h.Name, addr: h.Addr.As16(), index: i}
		if h.Name == "" {
			sh.hash = hashLabel(h.Addr.Unmap().WithZone(""))
		}
		order = append(order, sh)
	}
	slices.SortStableFunc(order, compareHosts)

	first := make(map[int]uint32, len(order))
	hashed, named := countHosts(order)
	if hashed > 0 {
		s.hashed = make([]hashedHost, 0, hashed)
	}
	if named > 0 {
		s.named = &namedHosts{hosts: make([]namedHost, 0, named)}
	}
	run := uint32(0)
	for i := range order {
		h := &order[i]
		same := i > 0 && h.name == order[i-1].name && h.hash == order[i-1].hash
		if !same {
			run = uint32(s.numHosts())
			s.targets++
		}
		first[h.index] = run
		switch {
		case same && h.addr == order[i-1].addr:
		case h.name == "":
			s.hashed = append(s.hashed, hashedHost{hash: h.hash, addr: h.addr})
		default:
			s.named.hosts = append(s.named.hosts, namedHost{name: h.name, addr: h.addr})
		}
	}
	if s.named != nil {
		s.named.index()
	}
	return first
}

// countHosts returns how many different hosts the sorted order has.
func countHosts(order []sortHost) (hashed, named int) {
	for i := range order {
		switch {
		case i > 0 && compareHosts(order[i-1], order[i]) == 0:
		case order[i].name == "":
			hashed++
		default:
			named++
		}
	}
	return hashed, named
}

// index fills byAddr.
func (n *namedHosts) index() {
	n.byAddr = make([]uint32, len(n.hosts))
	for i := range n.byAddr {
		n.byAddr[i] = uint32(i)
	}
	slices.SortStableFunc(n.byAddr, func(a, b uint32) int {
		return bytes.Compare(n.hosts[a].addr[:], n.hosts[b].addr[:])
	})
}

// addPorts fills the port nodes. first maps an index into Spec.Hosts to the
// host that stands for its label.
func (s *Set) addPorts(ports []Port, first map[int]uint32) {
	order := make([]*Port, 0, len(ports))
	for i := range ports {
		order = append(order, &ports[i])
	}
	compare := func(a, b *Port) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), strings.Compare(a.Name, b.Name))
	}
	slices.SortStableFunc(order, compare)
	for len(order) > 0 {
		n := 1
		for n < len(order) && compare(order[0], order[n]) == 0 {
			n++
		}
		node := portNode{name: order[0].Name, protocol: order[0].Protocol, number: order[0].Number}
		if s.kind == ClusterIP || s.mergePorts(&node, order[:n], first) {
			s.ports = append(s.ports, node)
		}
		order = order[n:]
	}
	s.ports = slices.Clip(s.ports)
}

// mergePorts makes the records of one port name from all its mentions. It
// reports whether there are any.
func (s *Set) mergePorts(node *portNode, ports []*Port, first map[int]uint32) bool {
	if len(ports) == 1 && ports[0].Hosts == nil {
		return true
	}
	var refs []portRef
	for _, p := range ports {
		if p.Hosts == nil {
			for _, host := range first {
				refs = append(refs, portRef{host: host, port: p.Number})
			}
			continue
		}
		for _, i := range p.Hosts {
			if host, ok := first[i]; ok {
				refs = append(refs, portRef{host: host, port: p.Number})
			}
		}
	}
	slices.SortFunc(refs, func(a, b portRef) int {
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.port, b.port))
	})
	refs = slices.Compact(refs)
	if len(refs) == 0 {
		return false
	}
	// The usual case: every target once, all at the same number.
	oneNumber := !slices.ContainsFunc(refs, func(r portRef) bool { return r.port != refs[0].port })
	if oneNumber && len(refs) == int(s.targets) {
		node.number = refs[0].port
		return true
	}
	node.refs = slices.Clip(refs)
	return true
}

// equal reports whether two Sets give the same answers.
func (s *Set) equal(o *Set) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.path == o.path && s.alias == o.alias && s.created == o.created &&
		s.ttl == o.ttl && s.priority == o.priority && s.kind == o.kind &&
		s.hasEndpoints == o.hasEndpoints &&
		slices.Equal(s.hashed, o.hashed) &&
		slices.Equal(s.namedHosts(), o.namedHosts()) &&
		slices.EqualFunc(s.ports, o.ports, func(a, b portNode) bool {
			return a.name == b.name && a.protocol == b.protocol && a.number == b.number &&
				slices.Equal(a.refs, b.refs)
		})
}

func (s *Set) namedHosts() []namedHost {
	if s.named == nil {
		return nil
	}
	return s.named.hosts
}
