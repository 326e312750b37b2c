package treecache

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"unsafe"
)

// sortHost is a host that is being added to a Set.
type sortHost struct {
	name  string
	addr  netip.Addr
	hash  uint32 // 0 if it has a name
	index int    // in Spec.Hosts
}

// compareHosts orders hashed hosts before named ones, and of the hashed ones
// IPv4 before IPv6.
func compareHosts(a, b sortHost) int {
	switch {
	case a.name != b.name:
		return strings.Compare(a.name, b.name)
	case a.name == "" && a.addr.Is4() != b.addr.Is4():
		return a.addr.Compare(b.addr)
	case a.hash != b.hash:
		return cmp.Compare(a.hash, b.hash)
	}
	return a.addr.Compare(b.addr)
}

// NewSet builds the Set that spec describes, in O(n log n) of its hosts. It returns
// nil if there is neither an alias nor a host: such an owner has no names, unless
// it is of kind ClusterSetIP.
func NewSet(spec *SetSpec) *Set {
	s := Set{
		path: spec.Path, kind: spec.Kind, ttl: spec.TTL, priority: spec.Priority,
		created: spec.Created, hasEndpoints: spec.HasEndpoints,
	}
	if spec.Alias != "" {
		s.alias = spec.Alias
		return s.compact()
	}
	first := s.addHosts(spec.Hosts)
	switch {
	case s.targets > 0:
	case s.kind == ClusterSetIP: // its addresses may come later
		return s.compact()
	default:
		return nil
	}
	s.addPorts(spec.Ports, first)
	return s.compact()
}

// noHost stands for a host that was left out in the result of addHosts.
const noHost = ^uint32(0)

// addHosts fills the host arrays. For each element of hosts, it returns the first host of the
// Set with the same label. Hosts without a valid address are an error of the caller, and are
// left out.
func (s *Set) addHosts(hosts []SetHost) []uint32 {
	order := make([]sortHost, 0, len(hosts))
	for i, h := range hosts {
		if !h.Addr.IsValid() {
			continue
		}
		sh := sortHost{name: h.Name, addr: h.Addr.Unmap().WithZone(""), index: i}
		if h.Name == "" {
			sh.hash = hashLabel(sh.addr)
		}
		order = append(order, sh)
	}
	adoptNames(order)
	slices.SortFunc(order, compareHosts)
	if !s.kind.imported() && nameShared(order) {
		slices.SortFunc(order, compareHosts)
	}

	first := make([]uint32, len(hosts))
	for i := range first {
		first[i] = noHost
	}
	unique := order[:0]
	named := 0 // index of the first named host
	run := uint32(0)
	for i, h := range order {
		last := len(unique) - 1
		if i == 0 || h.name != unique[last].name || h.hash != unique[last].hash {
			run = uint32(len(unique))
			s.targets++
		}
		first[h.index] = run
		if i > 0 && compareHosts(unique[last], h) == 0 {
			continue
		}
		unique = append(unique, h)
		if h.name == "" {
			named = len(unique)
		}
	}
	s.hashed, s.named = pack(unique[:named]), nameHosts(unique[named:])
	return first
}

// nameShared makes sure that all hashed hosts of one label belong to one family. Where a
// collision of hashes gives IPv4 and IPv6 hosts without hostname the same label, it sets that
// label as their hostname. hosts must be sorted; changed reports that they may no longer be.
func nameShared(hosts []sortHost) (changed bool) {
	n, narrow := 0, 0
	for n < len(hosts) && hosts[n].name == "" {
		if hosts[n].addr.Is4() {
			narrow++
		}
		n++
	}
	v4, v6 := hosts[:narrow], hosts[narrow:n]
	for len(v4) > 0 && len(v6) > 0 {
		switch hash := v4[0].hash; {
		case hash < v6[0].hash:
			v4 = v4[1:]
		case hash > v6[0].hash:
			v6 = v6[1:]
		default:
			label := string(appendHashLabel(nil, hash)[1:])
			for _, list := range [...]*[]sortHost{&v4, &v6} {
				for len(*list) > 0 && (*list)[0].hash == hash {
					(*list)[0].name, (*list)[0].hash = label, 0
					*list = (*list)[1:]
				}
			}
			changed = true
		}
	}
	return changed
}

// adoptNames gives a host without hostname the hostname that its hash label spells
// if another host has that hostname, since one label is one name.
func adoptNames(hosts []sortHost) {
	var taken map[uint32]string
	for i := range hosts {
		if h, ok := parseHashLabel(hosts[i].name); ok {
			if taken == nil {
				taken = map[uint32]string{}
			}
			taken[h] = hosts[i].name
		}
	}
	if taken == nil {
		return
	}
	for i := range hosts {
		if name, ok := taken[hosts[i].hash]; ok && hosts[i].name == "" {
			hosts[i].name, hosts[i].hash = name, 0
		}
	}
}

// A port that not all hosts serve at one number needs a reference to each of its hosts. Whoever
// creates EndpointSlices decides how many there are: 20 000 ports of 1000 endpoints, all in one
// object, would take a gigabyte. A Set therefore has basePairs such references, and pairsPerHost
// more for each of its hosts. Ports with the same hosts share them.
const (
	basePairs    = 1 << 12
	pairsPerHost = 16
)

func allowedPairs(hosts int) int { return basePairs + pairsPerHost*hosts }

// portMerger makes the ports of one Set.
type portMerger struct {
	set   *Set
	first []uint32 // for each host in the SetSpec, the first host of the Set with its label
	left  int      // pairs of a port and a host that may still be looked at
	// oneNumber has the result of merging for each combination of lists of hosts that were
	// given for one name, all with the same port number.
	oneNumber map[string]merged
}

// merged is how a port is served: by no host if some is false, by all hosts if refs is nil, else
// by the hosts in refs.
type merged struct {
	refs *portRefs
	some bool
}

// addPorts fills the port nodes. first is what addHosts has returned.
func (s *Set) addPorts(ports []SetPort, first []uint32) {
	order := make([]*SetPort, 0, len(ports))
	for i := range ports {
		if ports[i].Name != "" || !s.kind.imported() {
			order = append(order, &ports[i])
		}
	}
	compare := func(a, b *SetPort) int {
		return cmp.Or(cmp.Compare(a.Protocol, b.Protocol), strings.Compare(a.Name, b.Name))
	}
	slices.SortStableFunc(order, compare)
	m := portMerger{set: s, first: first, left: allowedPairs(len(first)), oneNumber: map[string]merged{}}
	for len(order) > 0 {
		n := 1
		for n < len(order) && compare(order[0], order[n]) == 0 {
			n++
		}
		node := portNode{name: order[0].Name, protocol: order[0].Protocol, number: order[0].Number}
		known := node.protocol.String() != ""
		if known && (s.kind == ClusterIP || s.kind == ClusterSetIP || m.merge(&node, order[:n])) {
			s.ports = append(s.ports, node)
		}
		order = order[n:]
	}
	if s.kind.imported() {
		m.addOwnServices(ports)
	}
	s.ports = slices.Clip(s.ports)
}

// merge builds the records of one port name from all ports that have it. It reports
// whether there are any records.
func (m *portMerger) merge(node *portNode, ports []*SetPort) bool {
	same := !slices.ContainsFunc(ports, func(p *SetPort) bool { return p.Number != node.number })
	var key []byte
	if same {
		for _, p := range ports {
			hosts := uintptr(unsafe.Pointer(unsafe.SliceData(p.Hosts))) // the same list, not an equal one
			key = binary.NativeEndian.AppendUint64(key, uint64(hosts))
			key = binary.NativeEndian.AppendUint64(key, uint64(len(p.Hosts)))
		}
		if before, ok := m.oneNumber[string(key)]; ok {
			node.refs = before.refs
			return before.some
		}
	}
	list, ok := m.pairs(ports...)
	if !ok {
		m.set.portsLeftOut++
		return false
	}
	// Equal numbers are kept once, in the node.
	one := !slices.ContainsFunc(list, func(r portRef) bool { return r.port != list[0].port })
	if one && len(list) > 0 {
		node.number = list[0].port
		for i := range list {
			list[i].port = 0
		}
	}
	switch {
	case len(list) == 0, one && len(list) == int(m.set.targets): // by none, or by all
	case one:
		node.refs = m.set.newPortRefs(list)
	default:
		node.number, node.refs = 0, m.set.newPortRefs(list)
	}
	if same {
		m.oneNumber[string(key)] = merged{node.refs, len(list) > 0}
	}
	return len(list) > 0
}

// pairs returns the hosts of the ports with their port numbers, in order and without duplicates.
// It returns false if there are more pairs than may still be looked at.
func (m *portMerger) pairs(ports ...*SetPort) (list []portRef, ok bool) {
	n := 0
	for _, p := range ports {
		if n += len(p.Hosts); p.Hosts == nil {
			n += len(m.first)
		}
	}
	if n > m.left {
		return nil, false
	}
	m.left -= n
	list = make([]portRef, 0, n)
	for _, p := range ports {
		if p.Hosts == nil {
			for _, host := range m.first {
				if host != noHost {
					list = append(list, portRef{host: host, port: p.Number})
				}
			}
			continue
		}
		for _, i := range p.Hosts {
			if i < len(m.first) && m.first[i] != noHost {
				list = append(list, portRef{host: m.first[i], port: p.Number})
			}
		}
	}
	return sortedRefs(list), true
}

// sortedRefs sorts list in place and removes duplicates.
func sortedRefs(list []portRef) []portRef {
	slices.SortFunc(list, func(a, b portRef) int {
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.port, b.port))
	})
	return slices.Compact(list)
}

// newPortRefs finds the addresses of the targets of refs, each once.
func (s *Set) newPortRefs(refs []portRef) *portRefs {
	r := &portRefs{list: slices.Clip(refs)}
	var hosts []uint32
	for i := range refs {
		if i > 0 && refs[i].host == refs[i-1].host {
			continue
		}
		lo, hi := s.labelRange(int(refs[i].host))
		for at := lo; at < hi; at++ {
			hosts = append(hosts, uint32(at))
		}
	}
	slices.SortFunc(hosts, func(a, b uint32) int { return s.hostAddr(int(a)).Compare(s.hostAddr(int(b))) })
	hosts = slices.CompactFunc(hosts, func(a, b uint32) bool { return s.hostAddr(int(a)) == s.hostAddr(int(b)) })
	r.hosts = slices.Clip(hosts)
	for _, at := range hosts {
		if s.hostAddr(int(at)).Is4() {
			r.narrow++
		}
	}
	return r
}

// equal reports whether two Sets give the same answers.
func (s *Set) equal(o *Set) bool {
	if s == nil || o == nil {
		return s == o
	}
	var refs, others *portRefs // of the last port; many may share them
	return s.path == o.path && s.alias == o.alias && s.created == o.created &&
		s.ttl == o.ttl && s.priority == o.priority && s.kind == o.kind &&
		s.hasEndpoints == o.hasEndpoints &&
		s.hashed == o.hashed && slices.Equal(s.named.all(), o.named.all()) &&
		slices.EqualFunc(s.ports, o.ports, func(a, b portNode) bool {
			switch {
			case a.name != b.name || a.protocol != b.protocol || a.number != b.number || (a.refs == nil) != (b.refs == nil):
				return false
			case a.refs == refs && b.refs == others:
				return true
			}
			refs, others = a.refs, b.refs
			return a.refs == nil || slices.Equal(a.refs.list, b.refs.list)
		})
}
