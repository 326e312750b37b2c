package local

import (
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// answer answers q from the data. False means that the data has nothing to say.
func (l *Data) answer(q *forwarder.Query) bool {
	name, qtype := q.Name, q.Msg.Type
	owner, alias := name, l.cnameOf(name)
	node := l.names[dnsname.Name(name)]
	if node == nil && alias == nil && qtype != wire.TypePTR && len(l.synth) == 0 {
		return false
	}
	b := q.Build()
	var shown []byte // the owner as shown: nil is as asked
	source, links, fits := "", 0, true
	for c := alias; c != nil && links < maxLocalChain; links++ {
		ttl := l.ttl
		if c.HasTTL {
			ttl = c.TTL
		}
		fits = fits && b.NameRecord(shown, wire.TypeCNAME, ttl, []byte(c.Target))
		owner, shown = []byte(c.Target), []byte(c.Target)
		if qtype == wire.TypeCNAME {
			break
		}
		c = l.cnameOf(owner)
	}
	found := qtype == wire.TypeCNAME && alias != nil
	if !found || qtype == wire.TypeANY {
		var more, whole bool
		source, more, whole = l.append(b, q, owner, shown)
		found, fits = found || more, fits && whole
	}
	if !found && links == 0 && alias == nil {
		return false
	}
	b.SetAA(true) // of the first owner, RFC 1035 §4.1.1
	if !fits {
		b.SetTC()
	} else if node := l.names[dnsname.Name(owner)]; node != nil {
		l.appendTargets(b, qtype, node)
	}
	return q.Answer(source)
}

// appendTargets adds the addresses of SRV and MX targets that are local, as
// far as there is room (RFC 2782).
func (l *Data) appendTargets(b *wire.Builder, qtype uint16, node *nameData) {
	var fixed int // octets before the target in the data
	switch qtype {
	case wire.TypeSRV:
		fixed = 6
	case wire.TypeMX:
		fixed = 2
	default:
		return
	}
	b.Open(wire.Additional)
	done := map[*nameData]bool{}
	for _, r := range node.records {
		if r.Type != qtype || len(r.Data) <= fixed {
			continue
		}
		target := r.Data[fixed:]
		n := l.names[dnsname.Name(target)]
		if n == nil || done[n] {
			continue
		}
		done[n] = true
		for i := range n.addrs {
			if !b.Addr(target, n.addrs[i].ttl, n.addrs[i].addr) {
				return
			}
		}
	}
}

// append appends the records of one name. shown is the owner to write. found
// tells whether there are any, whole whether all fitted.
func (l *Data) append(b *wire.Builder, q *forwarder.Query, owner, shown []byte) (source string, found, whole bool) {
	whole = true
	qtype := q.Msg.Type
	wants := func(t uint16) bool { return qtype == t || qtype == wire.TypeANY }
	if wants(wire.TypePTR) {
		if n := l.ifaceName(owner); n != nil {
			return n.source, true, b.NameRecord(shown, wire.TypePTR, n.ttl, []byte(n.name))
		}
	}
	if n := l.names[dnsname.Name(owner)]; n != nil {
		for _, r := range n.records {
			if wants(r.Type) {
				found = true
				whole = whole && b.Record(shown, r.Type, l.ttl, r.Data)
			}
		}
		start := 0
		if q.RoundRobin() && len(n.addrs) > 1 {
			start = int((l.turn.Add(1) - 1) % uint32(len(n.addrs)))
		}
		only := l.only(n, q.Asked())
		for i := range n.addrs {
			x := &n.addrs[(start+i)%len(n.addrs)]
			if hidden(only, x.addr) {
				continue
			}
			if x.addr.Is4() && wants(wire.TypeA) || x.addr.Is6() && wants(wire.TypeAAAA) {
				found, source = true, x.source
				whole = whole && b.Addr(shown, x.ttl, x.addr)
			}
		}
		if wants(wire.TypeMX) {
			more, fits := l.hostMX(b, n, owner, shown)
			found, whole = found || more, whole && fits
		}
	}
	if found {
		return source, found, whole
	}
	if wants(wire.TypePTR) {
		if addr, ok := dnsname.ReverseAddr(owner); ok {
			if n := l.reverse[addr.Unmap()]; n != nil {
				return n.source, true, b.NameRecord(shown, wire.TypePTR, n.ttl, []byte(n.name))
			}
			if name, ok := l.synthName(addr); ok {
				return "", true, b.NameRecord(shown, wire.TypePTR, l.ttl, []byte(name))
			}
		}
	}
	if addr, ok := l.synthAddr(owner); ok && (addr.Is4() && wants(wire.TypeA) || addr.Is6() && wants(wire.TypeAAAA)) {
		return "", true, b.Addr(shown, l.ttl, addr)
	}
	return "", false, true
}
