package forwarder

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/upstream"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// filter is the configured filters, ready for use.
type filter struct {
	Filter
	onlyCommon bool // ANY is among Types
	literals   bool // some routes answer with addresses
	private    []netip.Prefix
}

// newFilter returns nil when there is nothing to do.
func newFilter(cfg *Filter, routes []upstream.Route) *filter {
	fl := &filter{Filter: *cfg, onlyCommon: slices.Contains(cfg.Types, wire.TypeANY), private: privateNetworks()}
	fl.literals = slices.ContainsFunc(routes, func(r upstream.Route) bool { return r.Zero || len(r.Addrs) > 0 })
	switch {
	case fl.literals, cfg.DomainNeeded, cfg.BogusPriv, cfg.Win2k, cfg.StopRebind, len(cfg.Types) > 0,
		len(cfg.BogusNX) > 0, len(cfg.Ignore) > 0, len(cfg.Aliases) > 0:
		return fl
	}
	return nil
}

// refuse says whether a question is answered without asking because of a
// filter, and with which rcode and flags (dnsmasq's: it knows private networks
// by authority, but not names without a dot).
func (fl *filter) refuse(f *Forwarder, q *wire.Query, name []byte) (answer uint16, ok bool) {
	if fl == nil {
		return 0, false
	}
	single := len(name) > 1 && int(name[0])+2 == len(name)
	switch {
	case fl.DomainNeeded && single && (q.Type == wire.TypeA || q.Type == wire.TypeAAAA || q.Type == wire.TypeANY):
		return wire.RcodeNXDomain, true
	case fl.Win2k && (q.Type == wire.TypeSOA || q.Type == wire.TypeSRV):
		return wire.FlagAA, true
	case fl.Win2k && q.Type == wire.TypeANY && strings.ContainsRune(string(name), '_'):
		return wire.FlagAA, true
	case fl.BogusPriv && (q.Type == wire.TypePTR || q.Type == wire.TypeANY):
		prefix, ok := reversePrefix(name)
		if !ok || !contains(fl.private, prefix.Addr()) {
			return 0, false
		}
		// A route of its own says that the network is known there.
		if d := f.set.Table().Lookup(name, q.Type); d.Kind != upstream.Ask || d.Group.Domain() == "" {
			return wire.FlagAA | wire.RcodeNXDomain, true
		}
	}
	return 0, false
}

// reversePrefix reads a reverse name, which may be that of a network.
func reversePrefix(name []byte) (netip.Prefix, bool) {
	if addr, ok := dnsname.ReverseAddr(name); ok {
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	at, ok := dnsname.CutZone(name, dnsname.InAddrArpa)
	if !ok || at == 0 {
		return netip.Prefix{}, false
	}
	// "168.192": complete it with zeros, so that ReverseAddr reads it.
	labels := dnsname.Name(string(name[:at]) + "\x00").Labels()
	if labels == 0 || labels > 3 {
		return netip.Prefix{}, false
	}
	full := strings.Repeat("\x010", 4-labels) + string(name)
	addr, ok := dnsname.ReverseAddr([]byte(full))
	return netip.PrefixFrom(addr, 8*labels), ok
}

// privateNetworks are those that --bogus-priv and --stop-dns-rebind mean.
func privateNetworks() []netip.Prefix {
	var list []netip.Prefix
	for _, text := range []string{
		"0.0.0.0/8", "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
		"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "255.255.255.255/32",
		"::/128", "::1/128", "fe80::/10", "fec0::/10", "fd00::/8", "2001:db8::/32",
	} {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func contains(list []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// removes reports whether records of some type are removed from answers.
func (fl *filter) removes() bool { return fl != nil && len(fl.Types) > 0 }

// removesAll reports whether no record of type qtype is ever given.
func (fl *filter) removesAll(qtype uint16) bool {
	return fl != nil && qtype != wire.TypeANY && slices.Contains(fl.Types, qtype)
}

// removed reports whether a record is to be left out of the answer to a
// question of type qtype.
func (fl *filter) removed(qtype uint16, rec *wire.Record) bool {
	if rec.Section != wire.Answer {
		return false
	}
	if qtype == wire.TypeANY && fl.onlyCommon {
		switch rec.Type {
		case wire.TypeA, wire.TypeAAAA, wire.TypeMX, wire.TypeCNAME:
		default:
			return true
		}
	}
	return slices.Contains(fl.Types, rec.Type)
}

// removeTypes rebuilds the reply at msg[base:], which has no OPT, without the
// types that are filtered, and says so in opt.
func (fl *filter) removeTypes(msg []byte, base int, q *wire.Query, opt *wire.OPT) []byte {
	var r wire.Reply
	if !wire.ParseReply(msg[base:], &r) || !fl.touches(q.Type, &r) {
		return msg
	}
	bare := *q
	bare.EDNS = wire.EDNS{}
	out := fl.rebuild(nil, &bare, &r)
	if !opt.EDE.Present {
		opt.EDE = wire.Extended(wire.EDEFiltered, "")
	}
	return append(msg[:base], out...)
}

func (fl *filter) touches(qtype uint16, r *wire.Reply) bool {
	var rec wire.Record
	for it := r.Records(); it.Next(&rec); {
		if fl.removed(qtype, &rec) {
			return true
		}
	}
	return false
}

// rebuild appends r without the filtered records.
func (fl *filter) rebuild(dst []byte, q *wire.Query, r *wire.Reply) []byte {
	var (
		b   wire.Builder
		rec wire.Record
	)
	base := len(dst)
	b.Start(dst, q, wire.MaxMessage)
	b.SetRcode(r.Rcode)
	b.SetAA(r.Flags&wire.FlagAA != 0)
	for it := r.Records(); it.Next(&rec); {
		if !fl.removed(q.Type, &rec) {
			b.Open(rec.Section)
			b.Copy(r.Msg, &rec, rec.TTL)
		}
	}
	out := b.Finish(wire.OPT{})
	wire.SetFlags(out[base:], wire.Flags(out[base:])|r.Flags&(wire.FlagTC|wire.FlagAD))
	return out
}

// verdict is what review decided besides the reply.
type verdict struct {
	store *wire.Reply // what the cache may keep, nil for nothing
	// absentFor is for how many seconds the cache may keep that there is no such
	// name, 0 for not at all.
	absentFor uint32
	ede       wire.ExtendedError
}

// errIgnored stands for a reply that --ignore-address drops.
var errIgnored = errors.New("answer was ignored as configured")

// review applies filters and local knowledge to an upstream's reply. A nil
// reply means that it counts as none.
func (f *Forwarder) review(st *state, q *wire.Query, r *wire.Reply, s *sink) (*wire.Reply, verdict) {
	fl := st.filter
	v := verdict{store: r}
	if r.Rcode == wire.RcodeNXDomain && q.Class == wire.ClassIN && (st.local != nil && st.local.knows(q.Name) ||
		fl != nil && fl.literals && f.hasLiteral(q.Name)) {
		// The name exists here, so it exists (dnsmasq answers the same).
		return s.emptied(q, r, wire.RcodeSuccess, wire.FlagAA), verdict{}
	}
	if fl == nil || q.Class != wire.ClassIN {
		return r, v
	}
	rebind := fl.StopRebind && !slices.ContainsFunc(fl.RebindDomains, func(d dnsname.Domain) bool { return d.Contains(q.Name) })
	var rec wire.Record
	for it := r.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		addr, ok := addressOf(r.Msg, &rec)
		switch {
		case !ok:
		case contains(fl.Ignore, addr):
			return nil, verdict{}
		case contains(fl.BogusNX, addr):
			// As long as dnsmasq keeps it: there is no SOA to say.
			return s.emptied(q, r, wire.RcodeNXDomain, 0), verdict{absentFor: rec.TTL}
		case rebind && contains(fl.private, addr) && (!fl.RebindLocalhost || !isLocalhost(addr)):
			f.logRebind(st, q)
			return s.emptied(q, r, wire.RcodeSuccess, 0), verdict{ede: wire.Extended(wire.EDEBlocked, "private address")}
		}
	}
	if len(fl.Aliases) > 0 {
		r = s.aliased(fl.Aliases, r)
		v.store = r
	}
	if len(fl.Types) > 0 && fl.touches(q.Type, r) {
		v.ede = wire.Extended(wire.EDEFiltered, "")
		stored := *r
		stored.Msg = append([]byte(nil), r.Msg...)
		v.store = new(wire.Reply)
		wire.ParseReply(stored.Msg, v.store)
		bare := *q
		bare.EDNS = wire.EDNS{}
		r = s.replaced(fl.rebuild(s.msg[:0], &bare, v.store))
	}
	return r, v
}

// replaced makes msg the reply to relay.
func (s *sink) replaced(msg []byte) *wire.Reply {
	s.msg = msg
	wire.ParseReply(s.msg, &s.reply)
	return &s.reply
}

// emptied makes a reply of header and question.
func (s *sink) emptied(q *wire.Query, r *wire.Reply, rcode int, flags uint16) *wire.Reply {
	bare := *q
	bare.EDNS = wire.EDNS{}
	return s.replaced(wire.AppendHeader(s.msg[:0], &bare, flags|r.Flags&wire.FlagRA|uint16(rcode)))
}

// aliased rewrites A records.
func (s *sink) aliased(aliases []Alias, r *wire.Reply) *wire.Reply {
	msg := append(s.msg[:0], r.Msg...)
	var rec wire.Record
	for it := r.Records(); it.Next(&rec) && rec.Section == wire.Answer; {
		if rec.Type != wire.TypeA || rec.Class != wire.ClassIN {
			continue
		}
		addr := netip.AddrFrom4([4]byte(msg[rec.Data:rec.End]))
		for _, al := range aliases {
			if addr.Less(al.First) || al.Last.Less(addr) {
				continue
			}
			to, mask := al.To.As4(), al.Mask.As4()
			for i := range 4 {
				msg[rec.Data+i] = msg[rec.Data+i]&^mask[i] | to[i]&mask[i]
			}
			break
		}
	}
	return s.replaced(msg)
}

// addressOf returns the address in an A or AAAA record.
func addressOf(msg []byte, rec *wire.Record) (netip.Addr, bool) {
	if rec.Class != wire.ClassIN {
		return netip.Addr{}, false
	}
	switch rec.Type {
	case wire.TypeA:
		return netip.AddrFrom4([4]byte(msg[rec.Data:rec.End])), true
	case wire.TypeAAAA:
		return netip.AddrFrom16([16]byte(msg[rec.Data:rec.End])).Unmap(), true
	}
	return netip.Addr{}, false
}

// isLocalhost is what --rebind-localhost-ok lets through.
func isLocalhost(addr netip.Addr) bool {
	return addr.IsLoopback() || addr.IsUnspecified() || addr.Is4() && addr.As4()[0] == 0
}

func (f *Forwarder) logRebind(st *state, q *wire.Query) {
	if n, ok := f.rebinds.allow(f.now()); ok {
		st.cfg.Logger.Warn("possible DNS-rebind attack detected", "qname", nameText(q.Name), "suppressed", n)
	}
}

// nameText is a name for the log.
func nameText(name []byte) string {
	var buf [wire.MaxName]byte
	return strings.TrimSuffix(dnsname.Name(wire.AppendLower(buf[:0], name)).String(), ".")
}
