package treecache

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
)

// hashedHosts are the hosts without hostname, in order of hash and address. A
// cluster has one for each endpoint of a headless Service, so they are packed,
// without pointers: the hash, then the address, in network order.
type hashedHosts struct {
	packed string
	wide   bool // some address is IPv6, then all are kept as 16 octets
}

// Octets of one packed host.
const (
	narrowHost = 4 + 4
	wideHost   = 4 + 16
)

// fewHosts is up to how many hosts are compared one by one.
const fewHosts = 8

func (h *hashedHosts) stride() int {
	if h.wide {
		return wideHost
	}
	return narrowHost
}

func (h *hashedHosts) len() int {
	if h.wide { // dividing by a constant takes no division
		return len(h.packed) / wideHost
	}
	return len(h.packed) / narrowHost
}

func (h *hashedHosts) hash(at int) uint32 {
	p := h.packed[at*h.stride():]
	return uint32(p[0])<<24 | uint32(p[1])<<16 | uint32(p[2])<<8 | uint32(p[3])
}

func (h *hashedHosts) addr(at int) netip.Addr {
	p := h.packed[at*h.stride()+4:]
	if h.wide {
		return netip.AddrFrom16([16]byte([]byte(p[:16]))).Unmap()
	}
	return netip.AddrFrom4([4]byte([]byte(p[:4])))
}

// firstOf returns the first host with at least this hash.
func (h *hashedHosts) firstOf(hash uint32) int {
	lo, hi := 0, h.len()
	for lo < hi {
		if mid := (lo + hi) / 2; h.hash(mid) < hash {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// find returns the host with this address.
func (h *hashedHosts) find(addr netip.Addr) (int, bool) {
	n := h.len()
	if n <= fewHosts { // which takes less than the hash of an address
		for at := range n {
			if h.addr(at) == addr {
				return at, true
			}
		}
		return 0, false
	}
	hash := hashLabel(addr)
	for at := h.firstOf(hash); at < n && h.hash(at) == hash; at++ {
		if h.addr(at) == addr {
			return at, true
		}
	}
	return 0, false
}

// compare orders host a of h and host b of o as each of them is ordered.
func (h *hashedHosts) compare(a int, o *hashedHosts, b int) int {
	if c := cmp.Compare(h.hash(a), o.hash(b)); c != 0 {
		return c
	}
	return h.addr(a).Compare(o.addr(b))
}

// pack packs sorted hosts, all of them hashed.
func pack(hosts []sortHost) hashedHosts {
	var h hashedHosts
	for i := range hosts {
		h.wide = h.wide || hosts[i].addr.Is6()
	}
	b := make([]byte, 0, len(hosts)*h.stride())
	for i := range hosts {
		hash := hosts[i].hash
		b = append(b, byte(hash>>24), byte(hash>>16), byte(hash>>8), byte(hash))
		if ip := hosts[i].addr.As16(); h.wide {
			b = append(b, ip[:]...)
		} else {
			b = append(b, ip[12:]...)
		}
	}
	h.packed = string(b)
	return h
}

// namedHosts are the hosts with a hostname, in order of name and address. A nil
// pointer has none.
type namedHosts struct {
	hosts  []namedHost
	byAddr []uint32 // indices into hosts, in order of the address
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

// firstOf returns the first host with this name.
func (n *namedHosts) firstOf(name string) (int, bool) {
	lo, hi := 0, n.len()
	for lo < hi {
		if mid := (lo + hi) / 2; n.hosts[mid].name < name {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo, lo < n.len() && n.hosts[lo].name == name
}

// at returns the hosts with this address, as a part of byAddr.
func (n *namedHosts) at(addr netip.Addr) []uint32 {
	if n == nil {
		return nil
	}
	ip := addr.As16()
	lo, hi := 0, len(n.byAddr)
	for lo < hi {
		if mid := (lo + hi) / 2; n.compareAddr(mid, ip) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	for hi < len(n.byAddr) && n.compareAddr(hi, ip) == 0 {
		hi++
	}
	return n.byAddr[lo:hi]
}

// compareAddr compares the i-th address in order with ip.
func (n *namedHosts) compareAddr(i int, ip [16]byte) int {
	return bytes.Compare(n.hosts[n.byAddr[i]].addr[:], ip[:])
}

// name takes sorted hosts, all of them named; nil when there are none.
func name(hosts []sortHost) *namedHosts {
	if len(hosts) == 0 {
		return nil
	}
	n := &namedHosts{hosts: make([]namedHost, len(hosts)), byAddr: make([]uint32, len(hosts))}
	for i := range hosts {
		n.hosts[i] = namedHost{name: hosts[i].name, addr: hosts[i].addr.As16()}
		n.byAddr[i] = uint32(i)
	}
	slices.SortStableFunc(n.byAddr, func(a, b uint32) int {
		return bytes.Compare(n.hosts[a].addr[:], n.hosts[b].addr[:])
	})
	return n
}
