package skydns

import (
	"net/netip"
	"time"

	"github.com/kube-dns/kube-dns/pkg/dnsname"
	"github.com/kube-dns/kube-dns/pkg/treecache"
	"github.com/kube-dns/kube-dns/pkg/wire"
)

// Names that the zone has of itself, relative to the domain, in wire form.
const (
	dnsPrefix     = "\x03dns"              // exists because of the next one
	nsPrefix      = "\x02ns\x03dns"        // the name server of the zone
	versionPrefix = "\x0bdns-version"      // version of the DNS schema
	schemaVersion = "1.1.0"                // Kubernetes DNS specification §2.1
	schemaTTL     = 28800                  // as in the specification's example
	zoneTTL       = 3600                   // of the apex's SOA and NS, as SkyDNS
	recordTTL     = 30                     // of the other names of the zone itself
	serialStep    = int64(time.Hour / 1e9) // the serial is a time cut to the hour, as SkyDNS's
)

// SOA timers, as SkyDNS.
const (
	soaRefresh = 28800
	soaRetry   = 7200
	soaExpire  = 604800
)

// soa returns the zone's SOA. Its minimum and its TTL in negative answers are
// the same, so RFC 2308 §5 leaves no doubt.
func (s *Server) soa() wire.SOA {
	now := time.Now().Unix()
	return wire.SOA{
		MName: s.nameServer, RName: s.mailbox, Serial: uint32(now - now%serialStep),
		Refresh: soaRefresh, Retry: soaRetry, Expire: soaExpire, Minimum: s.negativeTTL,
	}
}

// appendSOA puts the SOA into the authority section, owned by the given name;
// nil is the question's.
func (w *worker) appendSOA(owner []byte) {
	w.b.Open(wire.Authority)
	soa := w.s.soa()
	if !w.b.SOA(owner, w.s.negativeTTL, &soa) && !w.to.Stream() {
		w.b.SetTC()
	}
}

// negative is NODATA or, with RcodeNXDomain, NXDOMAIN.
func (w *worker) negative(rcode int) result {
	w.appendSOA(w.s.apex)
	return result{rcode: rcode}
}

// answerAny is the short answer to ANY for a name that exists, RFC 8482 §4.2.
func (w *worker) answerAny(r result) result {
	w.b.HINFO(nil, recordTTL, "RFC8482", "")
	return r
}

// answerOwn answers for the names that the zone has of itself. at is where the
// domain begins in the name. It reports false for any other name.
func (w *worker) answerOwn(at int) (r result, own bool) {
	switch at {
	case 0, len(dnsPrefix), len(nsPrefix), len(versionPrefix):
	default:
		return r, false
	}
	answer := func() bool { return false } // none of its types: NODATA
	switch string(w.name[:at]) {
	case "":
		answer = w.answerApex
	case dnsPrefix:
	case nsPrefix:
		answer = w.answerNameServer
	case versionPrefix:
		answer = func() bool {
			return w.q.Type == wire.TypeTXT && w.b.TXT(nil, schemaTTL, schemaVersion)
		}
	default:
		return r, false
	}
	switch {
	case !w.s.cfg.Backend.HasSynced():
		return w.notReady(r), true
	case w.q.Type == wire.TypeANY:
		return w.answerAny(r), true
	case answer():
		return r, true
	}
	return w.negative(wire.RcodeSuccess), true
}

// answerApex answers for the domain itself.
func (w *worker) answerApex() bool {
	switch w.q.Type {
	case wire.TypeSOA:
		soa := w.s.soa()
		return w.b.SOA(nil, zoneTTL, &soa)
	case wire.TypeNS:
		if !w.b.NameRecord(nil, wire.TypeNS, zoneTTL, w.s.nameServer) {
			return false
		}
		w.b.Open(wire.Additional)
		for _, v6 := range [...]bool{false, true} {
			w.appendOwnAddrs(w.s.nameServer, v6)
		}
		return true
	}
	return false
}

// answerNameServer answers for ns.dns.<domain>.
func (w *worker) answerNameServer() bool {
	switch w.q.Type {
	case wire.TypeA:
		return w.appendOwnAddrs(nil, false)
	case wire.TypeAAAA:
		return w.appendOwnAddrs(nil, true)
	}
	return false
}

// appendOwnAddrs appends the addresses by which clients reach this server, and
// reports whether there is one of the family.
func (w *worker) appendOwnAddrs(owner []byte, v6 bool) bool {
	if service := w.s.cfg.NameServer; service != "" {
		w.target = append(w.target[:0], service...)
		a := w.s.cfg.Backend.Records(w.target)
		if a.Status == treecache.Found {
			w.collectAddrs(&a, v6)
			for _, addr := range w.addrs.list {
				w.b.Addr(owner, recordTTL, addr)
			}
			if len(w.addrs.list) > 0 {
				return true
			}
		}
	}
	local := w.to.Local().Unmap().WithZone("")
	if usable := local.IsValid() && !local.IsUnspecified(); !usable || local.Is6() != v6 {
		return false
	}
	return w.b.Addr(owner, recordTTL, local)
}

// collectAddrs fills w.addrs with the addresses of one family, and returns
// their smallest TTL.
func (w *worker) collectAddrs(a *treecache.Answer, v6 bool) (ttl uint32) {
	n := a.Len()
	w.addrs.reset(n)
	ttl = maxTTL
	for i := range n {
		record := a.At(i)
		if isFamily(record.Addr, v6) {
			w.addrs.add(record.Addr)
			ttl = min(ttl, record.TTL)
		}
	}
	return ttl
}

func isFamily(addr netip.Addr, v6 bool) bool {
	return addr.IsValid() && addr.Is6() == v6
}

// answerChaos answers in class CH, where servers tell about themselves.
func (w *worker) answerChaos() result {
	var text string
	if w.q.Type == wire.TypeTXT || w.q.Type == wire.TypeANY {
		switch dnsname.Name(w.name) {
		case "\x07version\x04bind\x00", "\x07version\x06server\x00":
			text = w.s.cfg.Version
		case "\x08hostname\x04bind\x00", "\x02id\x06server\x00":
			text = w.s.cfg.Hostname
		}
	}
	if text == "" || !w.b.TXT(nil, 0, text) {
		w.b.SetAA(false)
		return result{rcode: wire.RcodeRefused}
	}
	return result{}
}
