package treecache

import (
	"slices"
	"unsafe"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Lookup answers for a canonical wire name by exact match; "*" is a label like any
// other. Names outside the zone, and bytes that are not a name, are NoSuchName.
// The zone itself is NoRecords, even if the tree is empty. Lookup keeps no
// reference to name and does not allocate.
func (s *Snapshot) Lookup(name []byte) Answer {
	var offsets [dnsname.MaxLabels]uint8
	rel, ok := s.relative(offsets[:0], name)
	if !ok {
		return Answer{}
	}
	path, below := s.split(name, rel)
	if path == "" {
		return s.directory(name, rel)
	}
	return s.lookup(path).below(s.zone, name, below)
}

// Lookup answers like Lookup of the current Snapshot. It costs less, and as little
// with many owners as with few.
func (t *Tree) Lookup(name []byte) Answer {
	s := t.Snapshot()
	var offsets [dnsname.MaxLabels]uint8
	rel, ok := s.relative(offsets[:0], name)
	if !ok {
		return Answer{}
	}
	path, below := s.split(name, rel)
	if path == "" {
		return s.directory(name, rel)
	}
	return t.exact.get(path).below(s.zone, name, below)
}

// split returns the path of the owner in a name whose labels below the zone are at
// rel, and the labels below the owner. The path is "" if the name is too short. It
// is valid only while the caller may read name.
func (s *Snapshot) split(name []byte, rel []uint8) (path Path, below []uint8) {
	n := len(rel) - pathLabels
	if n < 0 {
		return "", nil
	}
	from, to := int(rel[n]), len(name)-len(s.zone)
	return Path(unsafe.String(&name[from], to-from)), rel[:n] // not kept, as labelAt's
}

// directory answers for a name that is too short to have an owner.
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
	// The zone's octets must begin at a label boundary.
	if below < len(offsets) && int(offsets[below]) != at {
		return nil, false
	}
	return offsets[:below], offsets != nil
}

// below answers for the name whose labels below the Set's node are at rel, leftmost
// first. A nil Set has no names.
func (s *Set) below(zone dnsname.Name, name []byte, rel []uint8) Answer {
	var labels [3]string
	switch {
	case s == nil || len(rel) > len(labels):
		return Answer{}
	case len(rel) == 0:
		return s.node(zone)
	}
	for i := range rel {
		labels[len(rel)-1-i] = labelAt(name, int(rel[i]))
	}
	return s.rel(zone, labels[:len(rel)])
}

// labelAt returns the label whose length octet is at offset at of a valid name. The
// string shares the bytes of name: it is for comparisons and must not be kept. A
// copy would cost an allocation for every label longer than 32 octets.
func labelAt(name []byte, at int) string {
	return unsafe.String(&name[at+1], int(name[at]))
}
