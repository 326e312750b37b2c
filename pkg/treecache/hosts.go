package treecache

import (
	"cmp"
	"net/netip"
	"slices"
)

// hashedHosts are the hosts without a hostname. A cluster has one for almost every endpoint
// of a headless Service, so they are packed without pointers: the hash in network byte order,
// then the address. All IPv4 hosts come first, then all IPv6 hosts, each family in order of
// hash and address. The hosts of one family are therefore a range, and so are those of one
// label: NewSet makes sure that no label has hosts of both families here.
type hashedHosts struct {
	packed string
	narrow int32 // IPv4 hosts
}

// Octets of one packed host.
const (
	narrowHost = 4 + 4
	wideHost   = 4 + 16
)

// fewHosts is the largest number of hosts that are compared one by one.
const fewHosts = 8

func (h *hashedHosts) len() int {
	if n := int(h.narrow); n*narrowHost != len(h.packed) {
		return n + (len(h.packed)-n*narrowHost)/wideHost
	}
	return int(h.narrow)
}

// host returns the packed octets of host at, from its hash on.
func (h *hashedHosts) host(at int) string {
	if at < int(h.narrow) {
		return h.packed[at*narrowHost:]
	}
	return h.packed[int(h.narrow)*narrowHost+(at-int(h.narrow))*wideHost:]
}

func (h *hashedHosts) hash(at int) uint32 {
	p := h.host(at)
	return uint32(p[0])<<24 | uint32(p[1])<<16 | uint32(p[2])<<8 | uint32(p[3])
}

func (h *hashedHosts) addr(at int) netip.Addr {
	p := h.host(at)[4:]
	if at < int(h.narrow) {
		return netip.AddrFrom4([4]byte([]byte(p[:4])))
	}
	return netip.AddrFrom16([16]byte([]byte(p[:16])))
}

// family returns the hosts [lo, hi) of a family.
func (h *hashedHosts) family(v6 bool) (lo, hi int) {
	if v6 {
		return int(h.narrow), h.len()
	}
	return 0, int(h.narrow)
}

// firstOf returns the first of the hosts [lo, hi), all of one family, whose hash is at least
// hash.
func (h *hashedHosts) firstOf(hash uint32, lo, hi int) int {
	for lo < hi {
		if mid := (lo + hi) / 2; h.hash(mid) < hash {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// withHash returns the hosts [lo, hi) that have this hash.
func (h *hashedHosts) withHash(hash uint32) (lo, hi int) {
	for _, v6 := range [...]bool{false, true} {
		from, to := h.family(v6)
		at := h.firstOf(hash, from, to)
		if at == to || h.hash(at) != hash {
			continue
		}
		if at+1 == to || h.hash(at+1) != hash { // nearly always
			return at, at + 1
		}
		if hash == ^uint32(0) {
			return at, to
		}
		return at, h.firstOf(hash+1, at+1, to)
	}
	return 0, 0
}

// find returns the host with this address. Many hosts may have the same hash, because it is
// easy to find addresses that collide; find therefore looks at only a few of them.
func (h *hashedHosts) find(addr netip.Addr) (int, bool) {
	lo, hi := h.family(addr.Is6())
	if hi-lo <= fewHosts { // which takes less than the hash of an address
		for at := lo; at < hi; at++ {
			if h.addr(at) == addr {
				return at, true
			}
		}
		return 0, false
	}
	hash, end := hashLabel(addr), hi
	for lo < hi {
		mid := (lo + hi) / 2
		if c := cmp.Compare(h.hash(mid), hash); c < 0 || c == 0 && h.addr(mid).Less(addr) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < end && h.addr(lo) == addr
}

// compare orders host a of h and host b of o as each of them is ordered.
func (h *hashedHosts) compare(a int, o *hashedHosts, b int) int {
	x, y := h.addr(a), o.addr(b)
	if x.Is6() != y.Is6() {
		return x.Compare(y)
	}
	return cmp.Or(cmp.Compare(h.hash(a), o.hash(b)), x.Compare(y))
}

// pack packs sorted hosts, all of them hashed.
func pack(hosts []sortHost) hashedHosts {
	var h hashedHosts
	for i := range hosts {
		if hosts[i].addr.Is4() {
			h.narrow++
		}
	}
	n := int(h.narrow)
	b := make([]byte, 0, n*narrowHost+(len(hosts)-n)*wideHost)
	for i := range hosts {
		hash := hosts[i].hash
		b = append(b, byte(hash>>24), byte(hash>>16), byte(hash>>8), byte(hash))
		if ip := hosts[i].addr.As16(); i < n {
			b = append(b, ip[12:]...)
		} else {
			b = append(b, ip[:]...)
		}
	}
	h.packed = string(b)
	return h
}

// namedHosts are the hosts with a hostname, in order of name and address. A nil
// pointer has none.
type namedHosts struct {
	hosts []namedHost
	// byAddr has the indices into hosts in order of the address: IPv4 first.
	byAddr []uint32
	narrow int32 // IPv4 hosts
}

type namedHost struct {
	name string
	addr [16]byte // IPv4 as IPv4-mapped
}

func (n *namedHosts) len() int {
	if n == nil {
		return 0
	}
	return len(n.hosts)
}

// all returns the hosts.
func (n *namedHosts) all() []namedHost {
	if n == nil {
		return nil
	}
	return n.hosts
}

// address returns the address of host at.
func (n *namedHosts) address(at int) netip.Addr {
	return netip.AddrFrom16(n.hosts[at].addr).Unmap()
}

// withName returns the hosts [lo, hi) that have this name. It does not keep name.
func (n *namedHosts) withName(name string) (lo, hi int) {
	hosts := n.all()
	lo = firstFrom(hosts, name)
	if lo == len(hosts) || hosts[lo].name != name {
		return 0, 0
	}
	first := hosts[lo].name
	return lo, runEnd(lo, len(hosts), func(at int) bool { return hosts[at].name == first })
}

// firstFrom returns the index of the first of the sorted hosts whose name is not less than
// name. It is not a closure, because a closure would keep name.
func firstFrom(hosts []namedHost, name string) int {
	lo, hi := 0, len(hosts)
	for lo < hi {
		if mid := (lo + hi) / 2; hosts[mid].name < name {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// at returns the hosts with this address, as a subslice of byAddr.
func (n *namedHosts) at(addr netip.Addr) []uint32 {
	if n == nil {
		return nil
	}
	lo, found := slices.BinarySearchFunc(n.byAddr, addr, func(host uint32, addr netip.Addr) int {
		return n.address(int(host)).Compare(addr)
	})
	if !found {
		return nil
	}
	return n.byAddr[lo:n.sameAddr(lo)]
}

// sameAddr returns the end of the range of hosts with the address of byAddr[at]. at must be
// the first of them.
func (n *namedHosts) sameAddr(at int) int {
	addr := n.hosts[n.byAddr[at]].addr
	return runEnd(at, len(n.byAddr), func(i int) bool { return n.hosts[n.byAddr[i]].addr == addr })
}

// family returns the range [lo, hi) of a family in byAddr.
func (n *namedHosts) family(v6 bool) (lo, hi int) {
	switch {
	case n == nil:
		return 0, 0
	case v6:
		return int(n.narrow), len(n.byAddr)
	}
	return 0, int(n.narrow)
}

// nameHosts returns the namedHosts for sorted hosts, all of which must have a name, or nil if
// there are none.
func nameHosts(hosts []sortHost) *namedHosts {
	if len(hosts) == 0 {
		return nil
	}
	n := &namedHosts{hosts: make([]namedHost, len(hosts)), byAddr: make([]uint32, len(hosts))}
	for i := range hosts {
		n.hosts[i] = namedHost{name: hosts[i].name, addr: hosts[i].addr.As16()}
		n.byAddr[i] = uint32(i)
		if hosts[i].addr.Is4() {
			n.narrow++
		}
	}
	slices.SortStableFunc(n.byAddr, func(a, b uint32) int { return hosts[a].addr.Compare(hosts[b].addr) })
	return n
}

// runEnd returns the end of the run that begins at lo: the first index in (lo, hi] for which
// same is false. For a run of length n it calls same about 2 log n times.
func runEnd(lo, hi int, same func(int) bool) int {
	step := 1
	for lo+step < hi && same(lo+step) {
		lo += step
		step *= 2
	}
	hi = min(hi, lo+step) // same(lo), and not same(hi) if hi is an index
	for lo+1 < hi {
		if mid := (lo + hi) / 2; same(mid) {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// runStart returns the start of the run that contains at: the smallest index, not below lo,
// from which same is true up to at.
func runStart(lo, at int, same func(int) bool) int {
	step := 1
	for at-step >= lo && same(at-step) {
		at -= step
		step *= 2
	}
	low := max(lo-1, at-step) // not same(low) if it is an index
	for low+1 < at {
		if mid := (low + at) / 2; same(mid) {
			at = mid
		} else {
			low = mid
		}
	}
	return at
}
