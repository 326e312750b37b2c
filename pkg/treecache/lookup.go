package treecache

import (
	"slices"
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
	below := len(rel) - pathLabels // labels below the owner's node
	if below < 0 {
		return s.directory(name, rel)
	}
	from, to := int(rel[below]), len(name)-len(s.zone)
	path := Path(unsafe.String(&name[from], to-from)) // not kept, as labelAt's
	if o := s.find(path); o.set != nil {
		return o.set.below(s.zone, name, rel[:below])
	}
	return Answer{}
}

// directory answers for a name that is too short for an owner's.
func (s *Snapshot) directory(name []byte, rel []uint8) Answer {
	d := &s.top
	for _, at := range slices.Backward(rel) {
		label := labelAt(name, int(at))
		n := d.nodes.get(s.hash(label), label)
		if n == nil {
			return Answer{}
		}
		d = n.dir
	}
	return Answer{Status: NoRecords}
}

// relative returns the offsets of the labels of name below the zone, leftmost
// first, and whether name is in the zone.
func (s *Snapshot) relative(buf []uint8, name []byte) ([]uint8, bool) {
	offsets := dnsname.Offsets(buf, name)
	at, below := len(name)-len(s.zone), len(offsets)-s.zoneLabels
	if below < 0 || at < 0 || string(name[at:]) != string(s.zone) {
		return nil, false
	}
	// The same octets must begin at a label: as many labels before the end as
	// the zone has must take as many octets.
	if below < len(offsets) && int(offsets[below]) != at {
		return nil, false
	}
	return offsets[:below], offsets != nil
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
