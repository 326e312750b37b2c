package treecache

import (
	"net/netip"
	"sort"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
)

// Status is the outcome of a lookup.
type Status uint8

const (
	// NoSuchName means that neither the name nor any name below it exists (NXDOMAIN).
	NoSuchName Status = iota
	// NoRecords means that the name exists without records of its own, as an empty
	// non-terminal does (RFC 4592 §2.2.2). That is NODATA for every type.
	NoRecords
	// Found means that the answer has at least one record.
	Found
	// Unavailable means that the data is not loaded yet, so the name may or may not exist
	// (SERVFAIL).
	Unavailable
)

// String returns the name of the constant.
func (s Status) String() string {
	return [...]string{"NoSuchName", "NoRecords", "Found", "Unavailable", "invalid Status"}[min(s, Unavailable+1)]
}

// Record is one record in SkyDNS's sense: a host, which is an address or a name, together
// with the fields of a service. The type of the question decides which parts are used:
//
//   - A, AAAA: Addr, if it is of that family. Two hosts may share an address
//     (Pods on their node's network), so an address may occur twice.
//   - CNAME, and the name to follow for other types: the target, if Alias is set.
//   - SRV: priority, weight, port and target, unless HasTarget is false. Records
//     marked Repeat are left out; the weights are those of the others.
//   - PTR: the target, in the answers of [Snapshot.Reverse].
//
// A Record is a value; copying it is cheap and keeps the Set it came from.
type Record struct {
	// Addr is the address of an address record, never IPv4-mapped. It is the
	// zero Addr in records of ports and external names, whose host is the
	// target.
	Addr netip.Addr
	// TTL in seconds.
	TTL uint32
	// Priority and Weight are those of SRV records (RFC 2782). The answer's records that are
	// not marked Repeat share a weight of 100 equally; each share is rounded down, and at
	// least 1.
	Priority, Weight uint16
	// Port is 0 for records that do not belong to a named port.
	Port uint16
	// Alias marks an external name: the owner is an alias (CNAME) of the target.
	Alias bool
	// Repeat marks a record with the same target and port as an earlier record of
	// the same Set in this answer: one host with several addresses. External
	// names are never marked.
	Repeat bool

	// The target consists of a first label, a path and a zone. A record without
	// target has none of them.
	label  string       // the first label as text, "" if hashed or if there is none
	hash   uint32       // the first label as a number (see HashLabel), if hashed
	hashed bool         // says which of the two it is
	nested bool         // label is a nested name, of several labels
	path   Path         // of the owner
	zone   dnsname.Name // or, of an external name, the whole target
}

// HasTarget reports whether the record has a target name. A synthetic pod
// record has none.
func (r *Record) HasTarget() bool { return r.zone != "" }

// AppendTarget appends the target in uncompressed wire form to dst, or nothing if the record
// has none. An external name keeps its spelling; all other targets are canonical. If Alias is
// set, convert the target to lower case before looking it up.
func (r *Record) AppendTarget(dst []byte) []byte {
	switch {
	case r.hashed:
		dst = appendHashLabel(dst, r.hash)
	case r.nested:
		dst = appendNested(dst, r.label)
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

// AddressRecord returns a record with an address and no target, as Pod names have.
func AddressRecord(addr netip.Addr, ttl uint32) Record {
	return Record{Addr: addr.Unmap(), TTL: ttl}
}

// AliasRecord returns the record of an external name. target is in wire form and keeps its
// spelling. The priority is 0 and the weight 100, the share of a single record.
func AliasRecord(target dnsname.Name, ttl uint32) Record {
	return Record{TTL: ttl, Weight: fullWeight, Alias: true, zone: target}
}

// Answer is what is known about one name. It is a view of immutable data, which stays valid
// and is safe for concurrent use. The zero Answer is NoSuchName.
//
// Records have the order of the Set, in which records with the same target are adjacent;
// those of reverse answers have the order of the answer. An answer may have a hundred
// thousand records, of which a message holds only a part. Do not call [Answer.At] for all of
// them: use [Answer.Addrs] and [Answer.Services], which can begin at any record and take
// little time for each.
type Answer struct {
	Status Status
	// Truncated reports that a wildcard matches more than may be searched. The records are
	// right but incomplete, and there may be records even if the Status is NoSuchName.
	Truncated bool

	weight uint16 // of each service
	part          // where the records are
	zone   dnsname.Name
	list   []Record // of viewList
	// several are the parts of viewSeveral: what a wildcard has found.
	several *[]part
}

// part says where the records are that one Set contributes to an answer.
type part struct {
	set    *Set
	port   *portNode // of services, nil for the unnamed port
	lo, hi int32     // hosts or port references [lo, hi) of set
	base   int32     // in several: records of the parts before
	view   view
}

// view says how the records of a part are stored.
type view uint8

const (
	viewList    view = iota // the records in list
	viewHosts               // hosts lo to hi of set: addresses
	viewPorts               // hosts lo to hi of set: services at port
	viewRefs                // records lo to hi of port: services at their own ports
	viewNode                // the node of set itself as target, at port
	viewAlias               // the external name of set
	viewSeveral             // those of several parts
	viewImport              // all hosts of set as addresses, records lo to hi of port (may be nil) as services
)

// ListAnswer returns an Answer with records, which must not change afterwards. Its status is
// Found, or NoRecords if there are none.
func ListAnswer(records []Record) Answer {
	if len(records) == 0 {
		return Answer{Status: NoRecords}
	}
	return Answer{Status: Found, list: records, part: part{hi: int32(len(records))}}
}

// Owner returns the Set that all records come from, or nil if they come from several Sets or
// from none.
func (a *Answer) Owner() *Set { return a.set }

// Len returns the number of records: at least 1 if the status is Found, otherwise 0.
func (a *Answer) Len() int { return int(a.hi - a.lo) }

// At returns record i, from 0 to Len()-1.
func (a *Answer) At(i int) Record {
	switch a.view {
	case viewList:
		return a.list[i]
	case viewSeveral:
		p := &(*a.several)[a.partOf(i)]
		return a.record(p, i-int(p.base))
	}
	return a.record(&a.part, i)
}

// record returns record i of p, a part of a.
func (a *Answer) record(p *part, i int) Record {
	s := p.set
	r := Record{TTL: s.ttl, Priority: s.priority, Weight: a.weight, path: s.path, zone: a.zone}
	if p.port != nil {
		r.Port = p.port.number
	}
	at := int(p.lo) + i
	switch p.view {
	case viewHosts:
		r.Addr = s.hostAddr(at)
		s.setLabel(&r, at)
		r.Repeat = i > 0 && s.sameLabel(at-1, at)
	case viewPorts:
		s.setLabel(&r, at)
		r.Repeat = i > 0 && s.sameLabel(at-1, at)
	case viewRefs, viewImport:
		if p.port == nil {
			break
		}
		ref := p.port.refs.list[at]
		if ref.port != 0 {
			r.Port = ref.port
		}
		s.setLabel(&r, int(ref.host))
	case viewAlias:
		r.Alias, r.path, r.zone = true, "", s.alias
	}
	return r
}

// parts returns the number of parts. Only the answer to a wildcard may have more than one.
func (a *Answer) parts() int {
	if a.several != nil {
		return len(*a.several)
	}
	return 1
}

// partAt returns part k.
func (a *Answer) partAt(k int) *part {
	if a.several != nil {
		return &(*a.several)[k]
	}
	return &a.part
}

// partOf returns the index of the part that contains record i.
func (a *Answer) partOf(i int) int {
	if a.several == nil {
		return 0
	}
	parts := *a.several
	return sort.Search(len(parts), func(k int) bool { return int(parts[k].base) > i }) - 1
}

// TTL returns the smallest TTL of all records, in seconds.
func (a *Answer) TTL() uint32 {
	if a.Status != Found {
		return 0
	}
	ttl := ^uint32(0)
	if a.view == viewList {
		for i := range a.list {
			ttl = min(ttl, a.list[i].TTL)
		}
		return ttl
	}
	for k := range a.parts() {
		ttl = min(ttl, a.partAt(k).set.ttl)
	}
	return ttl
}

// AtNode reports whether the only record is that of a port whose target is its own Service's
// node, as with ClusterIP Services, so that addresses must be looked up at that node. Ports
// of multi-cluster Services have no addresses.
func (a *Answer) AtNode() bool { return a.view == viewNode && a.set.kind == ClusterIP }

// aliases calls yield for each external name, with the index of its part or, of a list, its own,
// until it returns false. It does not pass pointers, because the answer would escape.
func (a *Answer) aliases(yield func(at int) bool) {
	if a.view == viewList {
		for i := range a.list {
			if a.list[i].Alias && !yield(i) {
				return
			}
		}
		return
	}
	for k := range a.parts() {
		if a.partAt(k).view == viewAlias && !yield(k) {
			return
		}
	}
}

// Aliases returns the number of external names among the records.
func (a *Answer) Aliases() int {
	if a.several == nil && a.view != viewList && a.view != viewAlias { // nearly always, and inlined
		return 0
	}
	return a.countAliases()
}

func (a *Answer) countAliases() (n int) {
	a.aliases(func(int) bool { n++; return true })
	return n
}

// Alias returns external name i, from 0 to Aliases()-1.
func (a *Answer) Alias(i int) (r Record) {
	a.aliases(func(at int) bool {
		switch i--; {
		case i >= 0:
			return true
		case a.view == viewList:
			r = a.list[at]
		default:
			r = a.record(a.partAt(at), 0)
		}
		return false
	})
	return r
}
