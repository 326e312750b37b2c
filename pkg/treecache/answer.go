package treecache

import (
	"net/netip"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Status says what a lookup found.
type Status uint8

const (
	// NoSuchName says that neither the name nor anything below it exists
	// (NXDOMAIN).
	NoSuchName Status = iota
	// NoRecords says that the name exists without records of its own, as an
	// empty non-terminal does (RFC 4592 §2.2.2): NODATA for every type.
	NoRecords
	// Found says that the answer has at least one record.
	Found
	// Unavailable says that the data is not there yet and that nothing may be
	// concluded (SERVFAIL).
	Unavailable
)

// String returns the name of the constant.
func (s Status) String() string {
	switch s {
	case NoSuchName:
		return "NoSuchName"
	case NoRecords:
		return "NoRecords"
	case Found:
		return "Found"
	case Unavailable:
		return "Unavailable"
	}
	return "invalid Status"
}

// Record is one record in SkyDNS's sense: a host, which is an address or a
// name, with the fields of a service. What it becomes depends on the question:
//
//   - A, AAAA: its Addr of that family. Two hosts may share an address (pods on
//     their node's network), so an address can come twice.
//   - CNAME, and what is chased for other types: the target, if Alias.
//   - SRV: priority, weight, port and target, unless HasTarget is false. Records
//     marked Repeat are left out, weights are made for the rest.
//   - PTR: the target, in the answers of [Snapshot.Reverse].
//
// A Record is a value; copying it is cheap and keeps the Set it came from.
type Record struct {
	// Addr is the address of an address record, never IPv4-mapped. It is the
	// zero Addr in records of ports and external names, whose host is the
	// target.
	Addr netip.Addr
	// TTL is in seconds.
	TTL uint32
	// Priority and Weight are those of SRV (RFC 2782). The weight is an equal
	// share of 100, rounded down, at least 1, among the answer's records that
	// are not Repeat.
	Priority, Weight uint16
	// Port is 0 for records that belong to no named port.
	Port uint16
	// Alias marks an external name: the owner is a CNAME to the target.
	Alias bool
	// Repeat marks a record whose target and port an earlier record of the
	// same answer has too: one host with several addresses.
	Repeat bool

	// The target, in parts: a label given as text or as hash (see HashLabel),
	// or none; the owner's path; the zone. All zero: no target.
	label  string
	hash   uint32
	hashed bool
	path   Path
	zone   dnsname.Name
}

// HasTarget reports whether the record has a target name. A synthetic pod
// record has none.
func (r *Record) HasTarget() bool { return r.zone != "" }

// AppendTarget appends the target in uncompressed wire form to dst, nothing if
// it has none. An external name keeps its spelling, everything else is
// canonical: lower-case the target before looking it up when Alias is set.
func (r *Record) AppendTarget(dst []byte) []byte {
	switch {
	case r.hashed:
		dst = appendHashLabel(dst, r.hash)
	case r.label != "":
		dst = append(dst, byte(len(r.label)))
		dst = append(dst, r.label...)
	}
	dst = append(dst, r.path...)
	return append(dst, r.zone...)
}

// Target returns the target as a canonical name, the zero Name if it has none.
// It allocates.
func (r *Record) Target() dnsname.Name {
	var buf [dnsname.MaxName]byte
	wire := r.AppendTarget(buf[:0])
	return dnsname.Name(dnsname.AppendLower(wire[:0], wire))
}

// AddressRecord returns a record that is only an address and has no target, as
// synthetic pod names have.
func AddressRecord(addr netip.Addr, ttl uint32) Record {
	return Record{Addr: addr.Unmap(), TTL: ttl}
}

// AliasRecord returns the record of an external name. target is in wire form,
// its spelling kept. Priority is 0 and Weight 100, a single record's share.
func AliasRecord(target dnsname.Name, ttl uint32) Record {
	return Record{TTL: ttl, Weight: fullWeight, Alias: true, zone: target}
}

// Answer is what is known about one name: a view of immutable data, valid for
// ever and safe for concurrent use. The zero Answer is NoSuchName.
//
// Records keep the order of the Set, records with the same target side by side;
// rotation is the caller's business. Reverse answers are in answer order.
type Answer struct {
	Status Status
	// Truncated reports that a wildcard matched more than an answer can hold
	// and that some records are missing.
	Truncated bool

	view   view
	weight uint16
	port   uint16
	lo, hi int32 // hosts or port references [lo, hi) of set
	set    *Set
	refs   []portRef
	zone   dnsname.Name
	list   []Record
}

// view says where the records of an Answer are.
type view uint8

const (
	viewList  view = iota // list
	viewHosts             // hosts lo to hi of set: addresses
	viewPorts             // hosts lo to hi of set: services at port
	viewRefs              // refs lo to hi: services at their own ports
	viewNode              // the node of set itself as target, at port
	viewAlias             // the external name of set
)

// ListAnswer returns an Answer over records, which must not change afterwards:
// Found, or NoRecords when there are none.
func ListAnswer(records []Record) Answer {
	if len(records) == 0 {
		return Answer{Status: NoRecords}
	}
	return Answer{Status: Found, list: records, hi: int32(len(records))}
}

// Owner returns the Set that all records come from. It is nil when they come
// from several, or from none.
func (a *Answer) Owner() *Set { return a.set }

// Len returns the number of records: at least 1 when Found, else 0.
func (a *Answer) Len() int { return int(a.hi - a.lo) }

// At returns record i, from 0 to Len()-1.
func (a *Answer) At(i int) Record {
	if a.view == viewList {
		return a.list[i]
	}
	s := a.set
	r := Record{
		TTL: s.ttl, Priority: s.priority, Weight: a.weight, Port: a.port,
		path: s.path, zone: a.zone,
	}
	at := int(a.lo) + i
	switch a.view {
	case viewHosts:
		r.Addr = s.hostAddr(at)
		s.setLabel(&r, at)
		r.Repeat = i > 0 && s.sameLabel(at-1, at)
	case viewPorts:
		s.setLabel(&r, at)
		r.Repeat = i > 0 && s.sameLabel(at-1, at)
	case viewRefs:
		r.Port = a.refs[at].port
		s.setLabel(&r, int(a.refs[at].host))
	case viewAlias:
		r.Alias, r.path, r.zone = true, "", s.alias
	}
	return r
}

// Addr returns the address of record i as At does, and costs less.
func (a *Answer) Addr(i int) netip.Addr {
	switch a.view {
	case viewHosts:
		return a.set.hostAddr(int(a.lo) + i)
	case viewList:
		return a.list[i].Addr
	}
	return netip.Addr{}
}

// TTL returns the TTL of record i as At does, and costs less.
func (a *Answer) TTL(i int) uint32 {
	if a.view == viewList {
		return a.list[i].TTL
	}
	return a.set.ttl
}

// Glue returns the addresses that the target of record i has in the same Set,
// for the additional section, without a lookup. It reports false when they are
// not known here: then look up the target, in the tree or elsewhere.
func (a *Answer) Glue(i int) (Answer, bool) {
	if a.Status != Found || a.view == viewList || a.view == viewAlias {
		return Answer{}, false
	}
	s := a.set
	g := Answer{Status: Found, view: viewHosts, weight: fullWeight, set: s, zone: a.zone}
	at := int(a.lo) + i
	switch a.view {
	case viewNode:
		return s.node(a.zone), true
	case viewRefs:
		at = int(a.refs[at].host)
	}
	lo, hi := s.labelRange(at)
	g.lo, g.hi = int32(lo), int32(hi)
	return g, true
}
