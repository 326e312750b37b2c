package treecache

import (
	"net/netip"
	"slices"
	"sort"
)

// family is the addresses of one family that a part has: hosts of two ranges,
// one after the other.
type family struct {
	set      *Set     // the record set of the part
	hlo, hhi int32    // hashed hosts [hlo, hhi)
	nlo, nhi int32    // and these places in order, or named hosts if that is nil
	order    []uint32 // numbers of the hosts to visit, in order; nil means the named hosts in their own order
	// base is the number of the host that 0 in order stands for.
	base int32
	// runs says that hosts of one address are side by side in order.
	runs bool
}

// family returns the addresses of a family. It takes time in the logarithm of
// the hosts.
func (p *part) family(v6 bool) family {
	s := p.set
	f := family{set: s}
	n := s.hashed.len()
	lo, hi := int(p.lo), int(p.hi)
	switch p.view {
	case viewNode, viewImport:
		lo, hi = 0, s.numHosts()
	case viewRefs:
		if refs := p.port.refs; hi-lo == len(refs.list) {
			f.order, f.nhi = refs.hosts, refs.narrow
			if v6 {
				f.nlo, f.nhi = refs.narrow, int32(len(refs.hosts))
			}
			return f
		}
		lo, hi = s.labelRange(int(p.port.refs.list[lo].host)) // all have one target
	case viewHosts, viewPorts:
	default:
		return f
	}
	if from, to := s.hashed.family(v6); lo < n {
		f.hlo = int32(max(lo, from))
		f.hhi = max(f.hlo, int32(min(hi, to)))
	}
	switch {
	case hi <= n:
	case lo <= n && hi == s.numHosts():
		from, to := s.named.family(v6)
		f.nlo, f.nhi, f.order, f.base, f.runs = int32(from), int32(to), s.named.byAddr, int32(n), true
	default: // of one name, so IPv4 comes first
		middle := lo + sort.Search(hi-lo, func(i int) bool { return s.hostAddr(lo + i).Is6() })
		f.nlo, f.nhi, f.base = int32(lo-n), int32(middle-n), int32(n)
		if v6 {
			f.nlo, f.nhi = int32(middle-n), int32(hi-n)
		}
	}
	return f
}

func (f *family) len() int { return int(f.hhi - f.hlo + f.nhi - f.nlo) }

// at returns address i, from 0 to len()-1.
func (f *family) at(i int) netip.Addr {
	if hashed := int(f.hhi - f.hlo); i < hashed {
		return f.set.hashed.addr(int(f.hlo) + i)
	} else if i = int(f.nlo) + i - hashed; f.order == nil {
		return f.set.hostAddr(int(f.base) + i)
	}
	return f.set.hostAddr(int(f.base) + int(f.order[i]))
}

// start returns the first of those that have address i and are side by side.
func (f *family) start(i int) int {
	hashed := int(f.hhi - f.hlo)
	if !f.runs || i < hashed {
		return i
	}
	addr := f.at(i)
	return runStart(hashed, i, func(i int) bool { return f.at(i) == addr })
}

// next returns the first after i, which is the first of its address.
func (f *family) next(i int) int {
	if !f.runs || i < int(f.hhi-f.hlo) || i+1 == f.len() {
		return i + 1
	}
	addr := f.at(i)
	if f.at(i+1) != addr { // nearly always
		return i + 1
	}
	return runEnd(i, f.len(), func(i int) bool { return f.at(i) == addr })
}

// AddrWalk goes through the addresses of one family that the records of an answer
// have: those of the hosts of address records, and those of the targets of
// services in the same Sets. It begins where it is told, goes to the end and
// then from the beginning. Each step takes little time, whatever the size of the
// answer.
type AddrWalk struct {
	a    *Answer // what is visited
	v6   bool    // whether to visit IPv6 addresses
	fam  family  // of part k
	k    int     // index of the current part
	pos  int     // of the next one in fam, or in the list
	size int     // of fam, where simple
	left int     // not passed yet
	// simple says that there is one part, and no address side by side with
	// itself.
	simple bool
}

// Addrs returns what goes through the addresses of IPv6 or of IPv4.
func (a *Answer) Addrs(v6 bool) AddrWalk {
	w := AddrWalk{a: a, v6: v6}
	switch {
	case a.Status != Found:
	case a.view == viewList:
		for i := range a.list {
			if isFamily(a.list[i].Addr, v6) {
				w.left = len(a.list)
			}
		}
	case a.several == nil && a.set.kind.imported() && a.port != nil && a.view != viewImport: // a port
	case a.several == nil:
		w.fam = a.family(v6)
		w.size = w.fam.len()
		w.left = w.size
		w.simple = !w.fam.runs || w.fam.nlo == w.fam.nhi
	default:
		for k := range a.parts() {
			f := a.partAt(k).family(v6)
			w.left += f.len()
			if k == 0 {
				w.fam = f
			}
		}
	}
	return w
}

func isFamily(addr netip.Addr, v6 bool) bool { return addr.IsValid() && addr.Is6() == v6 }

// Len returns how many there are to go through, repeats included. It is 0 if
// and only if there is no address of the family.
func (w *AddrWalk) Len() int { return w.left }

// Distinct reports that no address will come twice. It is to be asked before the
// first Next.
func (w *AddrWalk) Distinct() bool {
	return w.left == 1 || w.a.several == nil && w.a.view != viewList && (w.fam.hlo == w.fam.hhi || w.fam.nlo == w.fam.nhi)
}

// StartAt makes address i the first, from 0 to Len()-1. It must be called before
// Next.
func (w *AddrWalk) StartAt(i int) {
	w.pos = i
	if w.simple || w.a.view == viewList {
		return
	}
	for w.a.several != nil && w.pos >= w.fam.len() {
		w.pos -= w.fam.len()
		w.nextPart()
	}
	w.pos = w.fam.start(w.pos)
}

func (w *AddrWalk) nextPart() {
	w.k = (w.k + 1) % w.a.parts()
	w.fam = w.a.partAt(w.k).family(w.v6)
}

// Next returns the next address; it is false after the last one.
func (w *AddrWalk) Next() (netip.Addr, bool) {
	switch {
	case w.left <= 0:
		return netip.Addr{}, false
	case w.simple:
		if w.pos == w.size {
			w.pos = 0
		}
		w.pos++
		w.left--
		return w.fam.at(w.pos - 1), true
	case w.a.view == viewList:
		return w.nextInList()
	}
	for w.pos >= w.fam.len() {
		w.pos = 0
		if w.a.several != nil {
			w.nextPart()
		}
	}
	addr := w.fam.at(w.pos)
	next := w.fam.next(w.pos)
	w.left -= next - w.pos
	w.pos = next
	return addr, true
}

func (w *AddrWalk) nextInList() (netip.Addr, bool) {
	for ; w.left > 0; w.left-- {
		addr := w.a.list[w.pos%len(w.a.list)].Addr
		w.pos++
		if isFamily(addr, w.v6) {
			w.left--
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// AppendFew appends the addresses of one family to dst, each once. It is for the
// address records of one Set with a handful of hosts, where it costs less than
// [Answer.Addrs]; for other answers it reports false.
func (a *Answer) AppendFew(dst []netip.Addr, v6 bool) ([]netip.Addr, bool) {
	if a.view != viewHosts || a.hi-a.lo > fewHosts {
		return dst, false
	}
	for at := a.lo; at < a.hi; at++ {
		if addr := a.set.hostAddr(int(at)); addr.Is6() == v6 && !slices.Contains(dst, addr) {
			dst = append(dst, addr)
		}
	}
	return dst, true
}

// Services goes through the records of an answer that are services: those with
// a target, each target and port once, without external names. It begins where
// it is told, as [AddrWalk].
type Services struct {
	a    *Answer
	k    int // part
	pos  int // of the next one in part k
	left int // records not passed yet
	last int // of the one that Next returned
	from int // its part
}

// Services returns what goes through the services, from that of record start on,
// which is from 0 to Len()-1.
func (a *Answer) Services(start int) Services {
	w := Services{a: a, left: a.Len(), pos: start}
	if a.view == viewList || a.Status != Found {
		return w
	}
	if a.several != nil {
		w.k = a.partOf(start)
		w.pos -= int(a.partAt(w.k).base)
	}
	p := a.partAt(w.k)
	if p.port == nil && p.set.kind.imported() { // hosts and nodes without ports have no SRV records there
		w.left = 0
		return w
	}
	if p.view == viewHosts || p.view == viewPorts {
		first, _ := p.set.labelRange(int(p.lo) + w.pos)
		w.pos = max(0, first-int(p.lo))
	}
	return w
}

// Next puts the next service into r; it is false after the last one.
func (w *Services) Next(r *Record) bool {
	for w.left > 0 {
		if w.a.view == viewList {
			w.last = w.pos % len(w.a.list)
			w.pos++
			w.left--
			if *r = w.a.list[w.last]; r.HasTarget() && !r.Repeat && !r.Alias {
				return true
			}
			continue
		}
		p := w.a.partAt(w.k)
		n := int(p.hi - p.lo)
		if w.pos >= n {
			w.pos, w.k = 0, (w.k+1)%w.a.parts()
			continue
		}
		w.last, w.from = w.pos, w.k
		w.pos++
		if p.view == viewHosts || p.view == viewPorts {
			_, end := p.set.labelRange(int(p.lo) + w.last)
			w.pos = min(n, end-int(p.lo))
		}
		w.left -= w.pos - w.last
		if p.view != viewAlias {
			*r = w.a.record(p, w.last)
			r.Repeat = false
			return true
		}
	}
	return false
}

// OneAddr returns the address that the target of the last service has, and its
// TTL, if it has exactly one in the same Set, as most have. It is what Glue tells
// too, for less.
func (w *Services) OneAddr() (addr netip.Addr, ttl uint32, ok bool) {
	if w.a.view == viewList {
		return netip.Addr{}, 0, false
	}
	p := w.a.partAt(w.from)
	at := int(p.lo) + w.last
	switch p.target() {
	case viewNode:
		if p.set.numHosts() != 1 {
			return netip.Addr{}, 0, false
		}
		return p.set.hostAddr(0), p.set.ttl, true
	case viewRefs:
		at = int(p.port.refs.list[at].host)
	}
	if p.set.kind == ExternalName || p.set.hasNeighbour(at) {
		return netip.Addr{}, 0, false
	}
	return p.set.hostAddr(at), p.set.ttl, true
}

// Glue returns the addresses that the target of the last service has in the same
// Set, for the additional section, without a lookup. It reports false when they
// are not known here: then look up the target, in the tree or elsewhere.
func (w *Services) Glue() (Answer, bool) {
	if w.a.view == viewList {
		return Answer{}, false
	}
	p := w.a.partAt(w.from)
	s := p.set
	g := Answer{Status: Found, weight: fullWeight, zone: w.a.zone, part: part{set: s, view: viewHosts}}
	at := int(p.lo) + w.last
	switch p.target() {
	case viewNode:
		return s.node(w.a.zone), true
	case viewRefs:
		at = int(p.port.refs.list[at].host)
	}
	lo, hi := s.labelRange(at)
	g.lo, g.hi = int32(lo), int32(hi)
	return g, true
}
