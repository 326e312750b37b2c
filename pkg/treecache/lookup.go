package treecache

import (
	"net/netip"
	"unsafe"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Lookup answers for a canonical wire name by exact match; "*" is an ordinary
// label. Names outside the zone, and bytes that are no name, are NoSuchName.
// The zone itself is NoRecords, even when the tree is empty. Lookup keeps no
// reference to name and does not allocate.
func (s *Snapshot) Lookup(name []byte) Answer {
	var offsets [dnsname.MaxLabels]uint8
	rel, ok := s.relative(offsets[:0], name)
	if !ok {
		return Answer{}
	}
	if len(rel) == 0 {
		return Answer{Status: NoRecords}
	}
	d := &s.top
	for i := len(rel) - 1; i >= 0; i-- {
		label := labelAt(name, int(rel[i]))
		n := d.child(s.hash(label), label)
		switch {
		case n == nil:
			return Answer{}
		case n.set != nil:
			return n.set.below(s.zone, name, rel[:i])
		}
		d = n.dir
	}
	return Answer{Status: NoRecords}
}

// relative returns the offsets of the labels of name below the zone, leftmost
// first, and whether name is in the zone.
func (s *Snapshot) relative(buf []uint8, name []byte) ([]uint8, bool) {
	at, ok := dnsname.CutZone(name, s.zone)
	if !ok {
		return nil, false
	}
	offsets := dnsname.Offsets(buf, name)
	for len(offsets) > 0 && int(offsets[len(offsets)-1]) >= at {
		offsets = offsets[:len(offsets)-1]
	}
	return offsets, true
}

// below answers for the name whose labels below the Set's node are at rel,
// leftmost first.
func (s *Set) below(zone dnsname.Name, name []byte, rel []uint8) Answer {
	var labels [3]string
	if len(rel) == 0 {
		return s.node(zone)
	}
	if len(rel) > len(labels) {
		return Answer{}
	}
	for i := range rel {
		labels[len(rel)-1-i] = labelAt(name, int(rel[i]))
	}
	return s.rel(zone, labels[:len(rel)])
}

// labelAt returns the label whose length octet is at offset at of a valid name,
// as a string over the same bytes: valid only while the caller may read name,
// for comparisons, never to be kept. A copy would be an allocation per label
// longer than 32 octets.
func labelAt(name []byte, at int) string {
	return unsafe.String(&name[at+1], int(name[at]))
}

// Reverse answers with every name that claims addr, in answer order: ClusterIPs
// first, then hosts with a hostname, then the others; of equals the older
// Service first. The names are the records' targets. It is NoSuchName when
// nobody claims addr.
func (s *Snapshot) Reverse(addr netip.Addr) Answer {
	if addr.Is4In6() || !addr.IsValid() {
		return Answer{}
	}
	ip := addr.As16()
	c := s.reverse.get(s.hashAddr(ip), ip)
	if c == nil {
		return Answer{}
	}
	return ListAnswer(s.claimants(addr.WithZone(""), (*c).paths))
}
