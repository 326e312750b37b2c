package treecache

import (
	"cmp"
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Kind is the kind of Service that a Set comes from.
type Kind uint8

const (
	// ClusterIP Sets have virtual addresses. The target of their named ports and reverse
	// names is the Service's own name.
	ClusterIP Kind = iota
	// Headless Sets have the addresses of endpoints. The targets of their named ports and
	// reverse names are the hosts.
	Headless
	// ExternalName Sets have one alias, or one address.
	ExternalName
	// ClusterSetIP Sets come from multi-cluster Services with virtual addresses. They may
	// have no address yet.
	ClusterSetIP
	// ClusterSetHeadless Sets come from multi-cluster Services with endpoints. See
	// clusterset.go for the names of both kinds.
	ClusterSetHeadless
)

// imported reports whether Sets of the kind come from multi-cluster Services.
func (k Kind) imported() bool { return k >= ClusterSetIP }

// claims reports whether Sets of the kind give names to their addresses. Addresses of
// multi-cluster Services have names only in the cluster domain, if any.
func (k Kind) claims() bool { return k == ClusterIP || k == Headless }

// Protocol is a transport protocol as SRV names spell it.
type Protocol uint8

// The protocols that a Service port can have.
const (
	TCP Protocol = iota + 1
	UDP
	SCTP
)

// String returns the label without its underscore: "tcp", "udp", "sctp"; "" for
// any other value.
func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	}
	return ""
}

// fullWeight is the total that the SRV weights of an answer share, as in SkyDNS.
const fullWeight = 100

// share returns the weight of each of n equal records: SkyDNS's
// floor(100/sum × weight), but at least 1. A target of weight 0 would hardly ever
// be chosen (RFC 2782).
func share(n int) uint16 {
	if n <= 1 { // nearly always, and a division takes its time
		return fullWeight
	}
	return uint16(max(1, fullWeight/n))
}

// SetSpec describes a Set. NewSet copies what it keeps of the slices. It keeps strings
// as they are, so interned strings stay shared.
type SetSpec struct {
	Path     Path   // the Set's position below the zone
	Kind     Kind   // of the Service
	TTL      uint32 // of all records, in seconds
	Priority uint16 // of SRV records
	// Created is when the Service was created, in Unix seconds. Of several owners that claim
	// one address or name, the older comes first.
	Created int64
	// HasEndpoints says that the Service has endpoints, ready or not.
	HasEndpoints bool
	// Hosts are the addresses. Duplicates are dropped.
	Hosts []SetHost
	// Ports are the named ports. Several ports with one name and protocol are one
	// name with several records.
	Ports []SetPort
	// Alias is the target of an external name in wire form; it keeps its spelling. A Set with
	// an alias has no hosts and no ports.
	Alias dnsname.Name
}

// SetHost is one address of a Set.
type SetHost struct {
	// Name is the host's label, lower-case; "" for a host named by HashLabel. In a
	// ClusterSetHeadless Set it is a nested name (clusterset.go), and "" is a host
	// without a name.
	Name string
	// Addr must be valid; IPv4-mapped addresses become IPv4, zones are dropped.
	Addr netip.Addr
}

// SetPort is one named port.
type SetPort struct {
	Name     string // the label without its underscore, lower-case; "" only in the Set of a multi-cluster Service
	Protocol Protocol
	Number   uint16
	// Hosts are the hosts that serve it, as indices into Spec.Hosts; nil means
	// all. A ClusterIP Set ignores it.
	Hosts []int
}

// Set is what one owner contributes: the names at and below its path, and the
// addresses that it claims in the reverse index. It is immutable and safe for
// concurrent use. The package comment lists the names that it has.
type Set struct {
	// Hosts are numbered: first the hashed hosts, then the named ones. Within
	// each, hosts of one label are side by side, so SRV targets can be merged by
	// looking at the neighbour.
	named   *namedHosts  // the named hosts, nil if there are none
	ports   []portNode   // in order of protocol and name
	alias   dnsname.Name // target of an external name, "" for other Sets
	created int64        // Spec.Created

	// An address lookup in a Set of few hosts needs the fields below, and the
	// octets of path and hashed, which compact puts right behind the Set.
	path         Path        // the Set's position below the zone
	hashed       hashedHosts // the hosts without a hostname
	ttl          uint32      // of all records, in seconds
	targets      uint32      // number of distinct labels among the hosts
	portsLeftOut uint32      // SetPorts that would take too many references to hosts
	priority     uint16      // of SRV records
	kind         Kind        // of the Service
	hasEndpoints bool        // Spec.HasEndpoints
}

// portNode is the name _name._protocol.
type portNode struct {
	name string
	// refs are the records where hosts have different numbers, or some have
	// none. nil, the usual case: all hosts at the one port number. Ports may share them.
	refs     *portRefs
	number   uint16 // 0 if the records in refs have numbers of their own
	protocol Protocol
}

// portRefs are the records of a port, one by one.
type portRefs struct {
	list []portRef // in order of host and port, without duplicates
	// hosts are those that the records lead to, in order of their addresses,
	// one for each address: IPv4 first.
	hosts  []uint32
	narrow int32 // IPv4 addresses
}

type portRef struct {
	host uint32 // the first host with the target's label
	port uint16 // 0 if it is that of the portNode
}

// Path returns the position of the Set below the zone.
func (s *Set) Path() Path { return s.path }

// Service returns the namespace and the name of the Service that the Set is of.
func (s *Set) Service() (namespace, name string) {
	labels := s.path.labels() // svc, namespace, name
	return labels[1], labels[2]
}

// Kind returns what sort of Service the Set comes from.
func (s *Set) Kind() Kind { return s.kind }

// Before reports whether the Service of s comes before that of o where both claim
// one name or address: the older one does, and of equals the one whose path is
// less. Nobody comes before another by making a Service later.
func (s *Set) Before(o *Set) bool {
	return cmp.Or(cmp.Compare(s.created, o.created), cmp.Compare(s.path, o.path)) < 0
}

// PortsLeftOut returns the number of ports that lack records because there would be too many:
// ports that only some of very many hosts serve, or each at another number.
func (s *Set) PortsLeftOut() int { return int(s.portsLeftOut) }

// HasEndpoints reports whether the Service has endpoints, ready or not.
func (s *Set) HasEndpoints() bool { return s.hasEndpoints }

// numHosts returns the number of addresses.
func (s *Set) numHosts() int { return s.hashed.len() + s.named.len() }

// hostAddr returns the address of host at.
func (s *Set) hostAddr(at int) netip.Addr {
	n := s.hashed.len()
	if at < n {
		return s.hashed.addr(at)
	}
	return s.named.address(at - n)
}

// setLabel makes the label of host at the first label of the target of r. The
// target of an external name that is an address is its node.
func (s *Set) setLabel(r *Record, at int) {
	n := s.hashed.len()
	switch {
	case s.kind == ExternalName, s.kind == ClusterSetIP:
	case at < n:
		r.hashed, r.hash = true, s.hashed.hash(at)
	default:
		r.label, r.nested = s.named.hosts[at-n].name, s.kind == ClusterSetHeadless
	}
}

// sameLabel reports whether the neighbours a and b = a+1 have one label.
func (s *Set) sameLabel(a, b int) bool {
	n := s.hashed.len()
	switch {
	case b < n:
		return s.hashed.hash(a) == s.hashed.hash(b)
	case a < n:
		return false
	}
	return s.named.hosts[a-n].name == s.named.hosts[b-n].name
}

// hasNeighbour reports whether host at shares its label with another.
func (s *Set) hasNeighbour(at int) bool {
	if int(s.targets) == s.numHosts() {
		return false
	}
	return at > 0 && s.sameLabel(at-1, at) || at+1 < s.numHosts() && s.sameLabel(at, at+1)
}

// labelRange returns the hosts [lo, hi) that share the label of host at.
func (s *Set) labelRange(at int) (lo, hi int) {
	if !s.hasNeighbour(at) { // nearly always
		return at, at + 1
	}
	n := s.hashed.len()
	if at < n {
		hash := s.hashed.hash(at)
		same := func(i int) bool { return s.hashed.hash(i) == hash }
		return runStart(0, at, same), runEnd(at, n, same)
	}
	name := s.named.hosts[at-n].name
	same := func(i int) bool { return s.named.hosts[i-n].name == name }
	return runStart(n, at, same), runEnd(at, s.numHosts(), same)
}

// node answers for the owner's own name.
func (s *Set) node(zone dnsname.Name) Answer {
	switch {
	case s.alias != "":
		return Answer{Status: Found, weight: fullWeight, zone: zone, part: part{set: s, view: viewAlias, hi: 1}}
	case s.kind.imported():
		return s.importedNode(zone)
	}
	return Answer{
		Status: Found, weight: share(int(s.targets)), zone: zone,
		part: part{set: s, view: viewHosts, hi: int32(s.numHosts())},
	}
}

// rel answers for a name below the owner's: labels are given from the node
// downwards, at most three matter.
func (s *Set) rel(zone dnsname.Name, labels []string) Answer {
	if s.kind.imported() {
		return s.importedRel(zone, labels)
	}
	switch len(labels) {
	case 1:
		if first := labels[0]; first[0] != '_' {
			return s.host(zone, first)
		}
		if s.hasProtocol(labels[0]) {
			return Answer{Status: NoRecords}
		}
	case 2:
		if p := s.port(labels[0], labels[1]); p != nil {
			return s.service(zone, p)
		}
	case 3:
		if p := s.port(labels[0], labels[1]); p != nil {
			return s.hostService(zone, p, labels[2])
		}
	}
	return Answer{}
}

// host answers for <label>.S: a hostname, a hash label, or the dashed address
// of an endpoint without hostname, in this order.
func (s *Set) host(zone dnsname.Name, label string) Answer {
	lo, hi := s.findHost(label)
	if lo == hi && s.kind == Headless {
		lo, hi = s.findDashed(label)
	}
	if lo == hi {
		return Answer{}
	}
	return Answer{
		Status: Found, weight: fullWeight, zone: zone,
		part: part{set: s, view: viewHosts, lo: int32(lo), hi: int32(hi)},
	}
}

// findHost returns the hosts [lo, hi) of a label, which is a hostname or a hash
// label. An external name has no labels below it.
func (s *Set) findHost(label string) (lo, hi int) {
	if s.kind == ExternalName {
		return 0, 0
	}
	if s.named != nil {
		if lo, hi := s.named.withName(label); lo < hi {
			n := s.hashed.len()
			return n + lo, n + hi
		}
	}
	if h, ok := parseHashLabel(label); ok {
		return s.hashed.withHash(h)
	}
	return 0, 0
}

// findDashed returns the host without hostname whose address label spells in
// the canonical way.
func (s *Set) findDashed(label string) (lo, hi int) {
	addr, ok := dnsname.ParseDashed(label)
	if !ok {
		return 0, 0
	}
	var buf [dnsname.MaxLabel]byte
	if string(dnsname.AppendDashed(buf[:0], addr)) != label {
		return 0, 0
	}
	if at, ok := s.hashed.find(addr); ok {
		return at, at + 1
	}
	return 0, 0
}

// has reports whether a host has this address.
func (s *Set) has(addr netip.Addr) bool {
	_, hashed := s.hashed.find(addr)
	return hashed || len(s.named.at(addr)) > 0
}

// appendNames appends the names that the Set gives to addr, at most limit of
// them: the node's for a ClusterIP, else those of its hosts, hostnames first and
// in their order. An external name gives none.
func (s *Set) appendNames(dst []Record, zone dnsname.Name, addr netip.Addr, limit int) []Record {
	if !s.kind.claims() {
		return dst
	}
	named := s.named.at(addr)
	at, hashed := s.hashed.find(addr)
	if s.kind == ClusterIP {
		if hashed || len(named) > 0 {
			a := Answer{Status: Found, weight: fullWeight, zone: zone, part: part{set: s, view: viewNode, hi: 1}}
			dst = append(dst, a.At(0))
		}
		return dst
	}
	a := Answer{Status: Found, weight: fullWeight, zone: zone, part: part{set: s, view: viewPorts}}
	for _, i := range named[:min(len(named), limit)] {
		a.lo = int32(s.hashed.len()) + int32(i)
		a.hi = a.lo + 1
		dst = append(dst, a.At(0))
	}
	if hashed && len(named) < limit {
		a.lo, a.hi = int32(at), int32(at)+1
		dst = append(dst, a.At(0))
	}
	return dst
}
