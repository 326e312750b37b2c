package local

import (
	"github.com/kube-dns/kube-dns/pkg/dnsmasq/options"
	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/forwarder"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// answer answers q from the data. It returns false if the data says nothing about the name.
func (l *Data) answer(q *forwarder.Query) bool {
	name, qtype := q.Name, q.Msg.Type
	data, known := l.find(name)
	alias := l.aliasOf(name, &data, known)
	if !known && alias == nil && qtype != wire.TypePTR && qtype != wire.TypeANY && len(l.synth) == 0 {
		return false
	}
	end := name // of the chain of aliases
	b := q.Build()
	var shown []byte // the owner as shown: nil is as asked
	source, links, fits := "", 0, true
	for c := alias; c != nil && links < maxLocalChain; links++ {
		ttl := l.ttl
		if c.HasTTL {
			ttl = c.TTL
		}
		fits = fits && b.NameRecord(shown, wire.TypeCNAME, ttl, []byte(c.Target))
		end, shown = []byte(c.Target), []byte(c.Target)
		data, known = l.find(end)
		if qtype == wire.TypeCNAME {
			break
		}
		c = l.aliasOf(end, &data, known)
	}
	found := qtype == wire.TypeCNAME && alias != nil
	if !found || qtype == wire.TypeANY {
		var more, whole bool
		source, more, whole = l.append(b, q, &data, end, shown)
		found, fits = found || more, fits && whole
	}
	if !found && links == 0 && alias == nil {
		return false
	}
	b.SetAA(true) // of the first owner, RFC 1035 §4.1.1
	if !fits {
		b.SetTC()
	} else {
		l.appendTargets(b, qtype, data.records())
	}
	return q.Answer(source)
}

// appendTargets adds the local addresses of SRV and MX targets, as many as fit (RFC 2782).
func (l *Data) appendTargets(b *wire.Builder, qtype uint16, records []options.RecordOption) {
	if qtype != wire.TypeSRV && qtype != wire.TypeMX && qtype != wire.TypeANY {
		return
	}
	b.Open(wire.Additional)
	done := map[string]bool{}
	for _, r := range records {
		fixed := 2 // octets before the target in the data
		if r.Type == wire.TypeSRV {
			fixed = 6
		}
		if r.Type != qtype && (qtype != wire.TypeANY || r.Type != wire.TypeSRV && r.Type != wire.TypeMX) || len(r.Data) <= fixed {
			continue
		}
		target := r.Data[fixed:]
		o, known := l.find(target)
		if !known || done[string(target)] {
			continue
		}
		done[string(target)] = true
		for i := range o.len() {
			if addr, ttl := o.at(i); !b.Addr(target, ttl, addr) {
				return
			}
		}
	}
}

// append appends the records of one name, for which find returned data. shown is the owner name
// to write. found reports whether there are any records, and whole whether all of them fit.
func (l *Data) append(b *wire.Builder, q *forwarder.Query, data *owner, name, shown []byte) (source string, found, whole bool) {
	qtype := q.Msg.Type
	wants := func(t uint16) bool { return qtype == t || qtype == wire.TypeANY }
	if wants(wire.TypePTR) {
		if n := l.ifaceName(name); n != nil {
			return n.source, true, b.NameRecord(shown, wire.TypePTR, n.ttl, []byte(n.name))
		}
	}
	whole = true
	records := data.records()
	for i := range records {
		if r := &records[i]; wants(r.Type) {
			found = true
			whole = whole && b.Record(shown, r.Type, l.ttl, r.Data)
		}
	}
	if wants(wire.TypeA) || wants(wire.TypeAAAA) {
		from, more, fits := l.appendAddrs(b, q, data, shown)
		source, found, whole = from, found || more, whole && fits
	}
	if wants(wire.TypeMX) {
		more, fits := l.hostMX(b, data, name, shown)
		found, whole = found || more, whole && fits
	}
	switch {
	case found:
		return source, found, whole
	case wants(wire.TypePTR):
		if source, found, whole = l.appendPTR(b, name, shown); found {
			return source, found, whole
		}
	}
	if addr, ok := l.synthAddr(name); ok && (addr.Is4() && wants(wire.TypeA) || addr.Is6() && wants(wire.TypeAAAA)) {
		return configSource, true, b.Addr(shown, l.ttl, addr)
	}
	return "", false, true
}

// appendAddrs appends the addresses of the types that q asks for, as many as fit. source is that
// of the last one.
func (l *Data) appendAddrs(b *wire.Builder, q *forwarder.Query, data *owner, shown []byte) (source string, found, whole bool) {
	qtype := q.Msg.Type
	n, start := data.len(), 0
	if q.RoundRobin() && n > 1 {
		start = int((l.turn.Add(1) - 1) % uint32(n))
	}
	only := l.only(data, q.Asked())
	last := -1
	for i := range n {
		at := start + i
		if at >= n {
			at -= n
		}
		addr, ttl := data.at(at)
		if hidden(only, addr) || qtype == wire.TypeA && !addr.Is4() || qtype == wire.TypeAAAA && !addr.Is6() {
			continue
		}
		last = at
		if !b.Addr(shown, ttl, addr) {
			return data.source(at), true, false
		}
	}
	if last < 0 {
		return "", false, true
	}
	return data.source(last), true, true
}

// appendPTR appends the PTR record of an address.
func (l *Data) appendPTR(b *wire.Builder, name, shown []byte) (source string, found, whole bool) {
	addr, ok := dnsname.ReverseAddr(name)
	if !ok {
		return "", false, true
	}
	if n := l.reverse[addr.Unmap()]; n != nil {
		return n.source, true, b.NameRecord(shown, wire.TypePTR, n.ttl, []byte(n.name))
	}
	if name, source, ok := l.hosts.Reverse(addr); ok {
		return source, true, b.NameRecord(shown, wire.TypePTR, l.ttl, name)
	}
	if name, ok := l.synthName(addr); ok {
		return configSource, true, b.NameRecord(shown, wire.TypePTR, l.ttl, []byte(name))
	}
	return "", false, true
}
