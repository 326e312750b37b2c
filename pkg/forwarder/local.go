package forwarder

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// localIndex is Local ready for lookups. It does not change but for turn.
type localIndex struct {
	names   map[dnsname.Name]*localNode
	above   map[dnsname.Name]bool   // names that have local names below them
	aliases map[dnsname.Name]*CNAME // "*.name"
	reverse map[netip.Addr]*localName
	synth   []Synth
	ttl     uint32
	turn    atomic.Uint32 // the addresses' order changes with each answer

	near       map[netip.Addr]netip.Prefix // nil without --localise-queries
	selfMX     bool
	mailTarget dnsname.Name
	dynamic    bool // some hosts are interfaces
}

// localNode is all that is known of a name.
type localNode struct {
	addrs   []localAddr
	records []Record
	cname   *CNAME
	host    bool // some addresses are those of a host
	dynamic bool // the addresses are those of an interface
}

type localAddr struct {
	addr   netip.Addr
	ttl    uint32
	source string
}

type localName struct {
	name    dnsname.Name
	ttl     uint32
	source  string
	dynamic bool // of an interface
}

// maxLocalChain bounds aliases of aliases.
const maxLocalChain = 10

// newLocalIndex returns nil when there is no local data.
func newLocalIndex(cfg *Local) (*localIndex, error) {
	if len(cfg.Hosts) == 0 && len(cfg.Records) == 0 && len(cfg.CNAMEs) == 0 && len(cfg.Synth) == 0 {
		return nil, nil //nolint:nilnil // no index is what there is to say
	}
	l := &localIndex{
		names: map[dnsname.Name]*localNode{}, above: map[dnsname.Name]bool{}, aliases: map[dnsname.Name]*CNAME{},
		reverse: map[netip.Addr]*localName{}, synth: cfg.Synth, ttl: cfg.TTL,
		near: nearby(cfg.Networks), selfMX: cfg.SelfMX, mailTarget: cfg.MailTarget,
	}
	for i := range cfg.Hosts {
		l.addHost(&cfg.Hosts[i])
	}
	for _, r := range cfg.Records {
		n := l.node(r.Name)
		n.records = append(n.records, r)
	}
	for i := range cfg.CNAMEs {
		c := &cfg.CNAMEs[i]
		if c.Below {
			l.aliases[c.Alias] = c
			l.markAbove(c.Alias)
		} else {
			l.node(c.Alias).cname = c
		}
	}
	for i := range cfg.CNAMEs {
		if err := l.checkChain(&cfg.CNAMEs[i]); err != nil {
			return nil, err
		}
	}
	return l, nil
}

func (l *localIndex) node(name dnsname.Name) *localNode {
	n := l.names[name]
	if n == nil {
		n = new(localNode)
		l.names[name] = n
		l.markAbove(name.Parent())
	}
	return n
}

// markAbove notes that there are local names below up.
func (l *localIndex) markAbove(up dnsname.Name) {
	for ; up != dnsname.Root && up != ""; up = up.Parent() {
		l.above[up] = true
	}
}

func (l *localIndex) addHost(h *Host) {
	ttl := l.ttl
	if h.HasTTL {
		ttl = h.TTL
	}
	for _, name := range h.Names {
		n := l.node(name)
		if n.dynamic && !h.Interface {
			continue
		}
		n.dynamic, n.host = h.Interface, !h.Interface
		l.dynamic = l.dynamic || h.Interface
		for _, a := range h.Addrs {
			n.addAddr(localAddr{a.Unmap(), ttl, h.Source})
		}
	}
	for _, a := range h.Addrs {
		if a = a.Unmap(); l.reverse[a] == nil && len(h.Names) > 0 {
			l.reverse[a] = &localName{h.Names[0], ttl, h.Source, h.Interface}
		}
	}
}

func (n *localNode) addAddr(a localAddr) {
	for _, have := range n.addrs {
		if have.addr == a.addr {
			return
		}
	}
	n.addrs = append(n.addrs, a)
}

// checkChain refuses aliases that lead back to themselves.
func (l *localIndex) checkChain(c *CNAME) error {
	first := c
	for range maxLocalChain {
		if c = l.cnameOf([]byte(c.Target)); c == nil {
			return nil
		}
	}
	return fmt.Errorf("the alias %v leads to no end", first.Alias)
}

// cnameOf returns the alias that name is, nil if it is none.
func (l *localIndex) cnameOf(name []byte) *CNAME {
	if n := l.names[dnsname.Name(name)]; n != nil {
		return n.cname
	}
	for len(l.aliases) > 0 && len(name) > 1 {
		name = name[1+int(name[0]):]
		if c := l.aliases[dnsname.Name(name)]; c != nil {
			return c
		}
	}
	return nil
}

// knows reports whether name, in any case, or a name below it is local.
func (l *localIndex) knows(name []byte) bool {
	var buf [wire.MaxName]byte
	name = wire.AppendLower(buf[:0], name)
	return l.names[dnsname.Name(name)] != nil || l.above[dnsname.Name(name)]
}

// answerLocal answers from local data and filters. ok is false when they have
// nothing to say.
func (f *Forwarder) answerLocal(st *state, q *wire.Query, name []byte, a *asker, reply []byte) (out []byte, ok bool) {
	if q.Class != wire.ClassIN {
		return nil, false
	}
	if st.local != nil {
		if out, ok := f.answerOwn(st, q, name, a, reply); ok {
			return out, true
		}
	}
	if answer, ok := st.filter.refuse(f, q, name); ok {
		f.countLocal(a)
		var b wire.Cookie
		out := wire.AppendError(reply, q, wire.Rcode(answer), f.opt(st, q, a, &b))
		msg := out[len(reply):]
		wire.SetFlags(msg, wire.Flags(msg)|answer&wire.FlagAA)
		if st.log != nil {
			f.logLocal(st, q, a, msg, "")
		}
		return out, true
	}
	return nil, false
}

func (f *Forwarder) countLocal(a *asker) {
	f.countHit(a)
	f.tally(a.to).local.Add(1)
}

// answerOwn answers from the local index.
func (f *Forwarder) answerOwn(st *state, q *wire.Query, name []byte, a *asker, reply []byte) (out []byte, ok bool) {
	l := st.local
	owner, alias := name, l.cnameOf(name)
	node := l.names[dnsname.Name(name)]
	if node == nil && alias == nil && q.Type != wire.TypePTR && len(l.synth) == 0 {
		return nil, false
	}
	var b wire.Builder
	b.Start(reply, q, a.limit(q, st.cfg.Payload))
	var shown []byte // the owner as shown: nil is as asked
	source, links, fits := "", 0, true
	for c := alias; c != nil && links < maxLocalChain; links++ {
		ttl := l.ttl
		if c.HasTTL {
			ttl = c.TTL
		}
		fits = fits && b.NameRecord(shown, wire.TypeCNAME, ttl, []byte(c.Target))
		owner, shown = []byte(c.Target), []byte(c.Target)
		if q.Type == wire.TypeCNAME {
			break
		}
		c = l.cnameOf(owner)
	}
	found := q.Type == wire.TypeCNAME && alias != nil
	if !found || q.Type == wire.TypeANY {
		var more, whole bool
		source, more, whole = l.append(&b, q.Type, owner, shown, a.to.Local(), st.cfg.Cache.RoundRobin)
		found, fits = found || more, fits && whole
	}
	if !found && links == 0 && alias == nil {
		return nil, false
	}
	b.SetAA(true) // of the first owner, RFC 1035 §4.1.1
	if !fits {
		b.SetTC()
	} else if node := l.names[dnsname.Name(owner)]; node != nil {
		l.appendTargets(&b, q.Type, node)
	}
	f.countLocal(a)
	var cookie wire.Cookie
	out = b.Finish(f.opt(st, q, a, &cookie))
	if st.log != nil {
		f.logLocal(st, q, a, out[len(reply):], source)
	}
	return out, true
}

// appendTargets adds the addresses of SRV and MX targets that are local, as
// far as there is room (RFC 2782).
func (l *localIndex) appendTargets(b *wire.Builder, qtype uint16, node *localNode) {
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
	done := map[*localNode]bool{}
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
// tells whether there are any, whole whether all fitted. at is the address that
// was asked.
func (l *localIndex) append(b *wire.Builder, qtype uint16, owner, shown []byte, at netip.Addr, turn bool) (source string, found, whole bool) {
	whole = true
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
		if turn && len(n.addrs) > 1 {
			start = int((l.turn.Add(1) - 1) % uint32(len(n.addrs)))
		}
		only := l.only(n, at)
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

// answerLiteral answers with the addresses of a route (--address).
func (f *Forwarder) answerLiteral(st *state, q *wire.Query, a *asker, addrs []netip.Addr, reply []byte) []byte {
	f.countLocal(a)
	var b wire.Builder
	b.Start(reply, q, a.limit(q, st.cfg.Payload))
	b.SetAA(true)
	for _, addr := range addrs {
		if !b.Addr(nil, st.cfg.Local.TTL, addr) {
			b.SetTC()
			break
		}
	}
	var cookie wire.Cookie
	out := b.Finish(f.opt(st, q, a, &cookie))
	if st.log != nil {
		f.logLocal(st, q, a, out[len(reply):], "")
	}
	return out
}

// answerLocalOnly answers for a domain that is never asked about
// (--local=/domain/): the name has no data, or does not exist.
func (f *Forwarder) answerLocalOnly(st *state, q *wire.Query, name []byte, a *asker, reply []byte) []byte {
	rcode := wire.RcodeNXDomain
	if st.local != nil && st.local.knows(name) || f.hasLiteral(name) {
		rcode = wire.RcodeSuccess
	}
	f.countLocal(a)
	var b wire.Cookie
	out := wire.AppendError(reply, q, rcode, f.opt(st, q, a, &b))
	if st.log != nil {
		f.logLocal(st, q, a, out[len(reply):], "")
	}
	return out
}

// hasLiteral reports whether name, in any case, has an address from a route.
func (f *Forwarder) hasLiteral(name []byte) bool {
	var buf [wire.MaxName]byte
	name = wire.AppendLower(buf[:0], name)
	t := f.set.Table()
	return t.Lookup(name, wire.TypeA).Kind == upstream.Literal || t.Lookup(name, wire.TypeAAAA).Kind == upstream.Literal
}

// synthName computes the name of an address (--synth-domain).
func (l *localIndex) synthName(addr netip.Addr) (dnsname.Name, bool) {
	for i := range l.synth {
		s := &l.synth[i]
		if addr.BitLen() != s.First.BitLen() || addr.Less(s.First) || s.Last.Less(addr) {
			continue
		}
		label := s.Prefix
		if s.Indexed {
			index, ok := distance(s.First, addr)
			if !ok {
				continue
			}
			label += strconv.FormatUint(index, 10)
		} else {
			label += strings.Map(dashed, addr.String())
		}
		if name, err := dnsname.Parse(label + "." + s.Domain.String()); err == nil {
			return name, true
		}
	}
	return "", false
}

func dashed(r rune) rune {
	if r == '.' || r == ':' {
		return '-'
	}
	return r
}

// synthAddr is the inverse of synthName.
func (l *localIndex) synthAddr(name []byte) (netip.Addr, bool) {
	for i := range l.synth {
		s := &l.synth[i]
		at, ok := dnsname.CutZone(name, s.Domain)
		if !ok || at == 0 || at != int(name[0])+1 {
			continue
		}
		rest, ok := strings.CutPrefix(string(name[1:at]), s.Prefix)
		if !ok {
			continue
		}
		var addr netip.Addr
		if s.Indexed {
			index, err := strconv.ParseUint(rest, 10, 63)
			if addr, ok = forward(s.First, index); err != nil || !ok {
				continue
			}
		} else if addr, ok = dnsname.ParseDashed(rest); !ok {
			continue
		}
		if addr.BitLen() == s.First.BitLen() && !addr.Less(s.First) && !s.Last.Less(addr) {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

// distance is b - a, for addresses that differ in the lower 64 bits only.
func distance(a, b netip.Addr) (uint64, bool) {
	x, y := a.As16(), b.As16()
	return binary.BigEndian.Uint64(y[8:]) - binary.BigEndian.Uint64(x[8:]), [8]byte(x[:8]) == [8]byte(y[:8])
}

// forward is the address n after a, in the same 64 (or 32) bits.
func forward(a netip.Addr, n uint64) (netip.Addr, bool) {
	x := a.As16()
	low := binary.BigEndian.Uint64(x[8:])
	if a.Is4() && n > 1<<32-1-(low&(1<<32-1)) || low+n < low {
		return netip.Addr{}, false
	}
	binary.BigEndian.PutUint64(x[8:], low+n)
	to := netip.AddrFrom16(x)
	if a.Is4() {
		to = to.Unmap()
	}
	return to, true
}
